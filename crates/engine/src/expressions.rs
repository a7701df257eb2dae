//! What the analyzer rules that rewrite expressions have in common.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

/// Rewrites the expressions of one node, each as a whole and with the columns that it may name. What they are called stays.
pub(crate) fn rewrite_expressions(
    node: LogicalPlan,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let schema = match &node {
        // A scan's filters are over the table's own columns, not over its projection.
        LogicalPlan::TableScan(scan) => {
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?
        }
        _ => merge_schema(&node.inputs()),
    };
    let names = NamePreserver::new(&node);
    let rewritten = node.map_expressions(|expr| {
        let named = |expr: Expr| {
            let name = names.save(&expr);
            let expr = rewrite(expr, &schema)?;
            Ok(if expr.transformed { expr.update_data(|expr| name.restore(expr)) } else { expr })
        };
        match expr {
            // A grouping set has no name; the columns in it have.
            Expr::GroupingSet(_) => expr.map_children(named),
            // grouping(c) is told by its argument which of these columns it means.
            Expr::AggregateFunction(ref call) if call.func.name() == "grouping" => {
                let name = names.save(&expr);
                Ok(expr.map_children(named)?.update_data(|expr| name.restore(expr)))
            }
            _ => named(expr),
        }
    })?;
    match rewritten.transformed {
        true => rewritten.map_data(LogicalPlan::recompute_schema),
        false => Ok(rewritten),
    }
}

/// Rewrites the sides of a comparison: those of an operator, of BETWEEN, or of IN with a list. Any other expression stays.
pub(crate) fn rewrite_comparison(
    expr: Expr,
    sides: impl FnOnce(Vec<Expr>) -> Vec<Transformed<Expr>>,
) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            rebuild(sides(vec![*left, *right]), |[left, right]| {
                Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
            })
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            rebuild(sides(vec![*expr, *low, *high]), |[expr, low, high]| {
                Expr::Between(Between::new(Box::new(expr), negated, Box::new(low), Box::new(high)))
            })
        }
        Expr::InList(InList { expr, list, negated }) => {
            let all = sides([vec![*expr], list].concat());
            let transformed = all.iter().any(|side| side.transformed);
            let mut all = all.into_iter().map(|side| side.data);
            let Some(expr) = all.next() else { return internal_err!("IN without a side") };
            let list = InList::new(Box::new(expr), all.collect(), negated);
            Ok(Transformed::new_transformed(Expr::InList(list), transformed))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn rebuild<const N: usize>(
    sides: Vec<Transformed<Expr>>,
    build: impl FnOnce([Expr; N]) -> Expr,
) -> Result<Transformed<Expr>> {
    let transformed = sides.iter().any(|side| side.transformed);
    let sides: Vec<Expr> = sides.into_iter().map(|side| side.data).collect();
    match <[Expr; N]>::try_from(sides) {
        Ok(sides) => Ok(Transformed::new_transformed(build(sides), transformed)),
        Err(_) => internal_err!("a side of a comparison is gone"),
    }
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
