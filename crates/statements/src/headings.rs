//! Names the columns of a query as they were typed: `classify('ok', 'm')`, and not `classify(Utf8("ok"),Utf8("m@1#…"))`.
//!
//! The names go into the syntax tree that is planned, so a result, a file, a table and a view have the same ones, in one process
//! and on a cluster. What is kept of a statement is its text without them. DuckDB and Spark do likewise.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Distinct, Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, Subscript, Value,
    VisitMut, VisitorMut,
};

/// Names the columns of all queries of a statement, and then spells their fields as the planner knows them.
pub(crate) fn name_statement(statement: &mut DataFusionStatement) {
    match statement {
        DataFusionStatement::Statement(statement) => drop(statement.as_mut().visit(&mut Headings)),
        DataFusionStatement::CopyTo(copy) => {
            if let CopyToSource::Query(query) = &mut copy.source {
                let _ = query.as_mut().visit(&mut Headings);
            }
        }
        DataFusionStatement::Explain(explain) => name_statement(&mut explain.statement),
        _ => {}
    }
}

struct Headings;

impl VisitorMut for Headings {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        // Before anything in the expressions changes.
        name_columns(query);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundFieldAccess { root, access_chain } = expr {
            follow_fields(root, access_chain);
        }
        ControlFlow::Continue(())
    }
}

/// Follows `scores[1].label`: the planner knows fields after a dot only where they follow a column's name.
fn follow_fields(root: &Expr, access_chain: &mut [AccessExpr]) {
    let mut of_a_name = matches!(root, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    for access in access_chain {
        match access {
            AccessExpr::Dot(Expr::Identifier(field)) if !of_a_name => {
                let name = match field.quote_style {
                    Some(_) => field.value.clone(),
                    None => field.value.to_lowercase(),
                };
                *access = AccessExpr::Subscript(Subscript::Index {
                    index: Expr::value(Value::SingleQuotedString(name)),
                });
            }
            AccessExpr::Dot(_) => {}
            AccessExpr::Subscript(_) => of_a_name = false,
        }
    }
}

/// Gives the columns of a query's select list without a name the text that they were typed as.
fn name_columns(query: &mut Query) {
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
