//! Names the columns of a query as they were typed: `classify('ok', 'm')`, and not `classify(Utf8("ok"),Utf8("m@1#…"))`.
//!
//! The names go into the syntax tree, so a result, a file, a table and a view have the same ones, in one process and on a
//! cluster. DuckDB and Spark do likewise.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr,
};

/// Gives the columns of a query's select list without a name the text that they were typed as.
pub(crate) fn name_columns(query: &mut Query) {
    name_columns_of(query.body.as_mut());
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    if !matches!(select.distinct, Some(Distinct::Distinct)) {
        return;
    }
    // What is ordered after DISTINCT must be in the select list, where it has a name now.
    let Some(OrderByKind::Expressions(orders)) = query.order_by.as_mut().map(|order_by| &mut order_by.kind)
    else {
        return;
    };
    for order in orders {
        let named = select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if *expr == order.expr => Some(alias.clone()),
            _ => None,
        });
        if let Some(name) = named {
            order.expr = Expr::Identifier(name);
        }
    }
}

/// Names the columns of each SELECT of a set operation: the first one's are the result's, and BY NAME compares them.
fn name_columns_of(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => name_columns_of_select(select),
        SetExpr::SetOperation { left, right, .. } => {
            name_columns_of(left);
            name_columns_of(right);
        }
        // A query in parentheses is visited itself.
        _ => {}
    }
}

fn name_columns_of_select(select: &mut Select) {
    // Its ORDER BY begins with the expressions of ON, as they stand there.
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return;
    }
    // DataFusion has one column of each name.
    let mut taken: HashSet<String> = select.projection.iter().filter_map(given_name).collect();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if !needs_name(expr) {
            continue;
        }
        let typed = expr.to_string();
        let mut name = typed.clone();
        let mut copies = 0;
        while !taken.insert(name.clone()) {
            copies += 1;
            name = format!("{typed}_{copies}");
        }
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) };
    }
}

fn given_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.clone()),
        _ => None,
    }
}

/// Whether DataFusion would name the column after a plan's expression. The columns of an unnested struct are named after its fields.
fn needs_name(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Wildcard(_)
        | Expr::QualifiedWildcard(..) => false,
        Expr::Nested(inner) => needs_name(inner),
        Expr::Function(function) => !function.name.to_string().eq_ignore_ascii_case("unnest"),
        _ => true,
    }
}
