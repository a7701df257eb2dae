//! `ORDER BY plain_column LIMIT n` over a model call: the model needs to run on the n rows only.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, Extension, Limit, LogicalPlan, Sort, SortExpr};

use super::InferNode;

/// Returns `sort` with a copy of itself below the model operator under it, when it keeps a number of rows and its keys
/// need no model; None where that does not apply.
///
/// The copy chooses the rows, the sort on top restores their order at the cost of a few rows.
pub(super) fn sink_sort(sort: &Sort) -> Result<Option<LogicalPlan>> {
    let Some(fetch) = sort.fetch else { return Ok(None) };
    let Some(input) = sink(&sort.input, sort.expr.clone(), fetch)? else {
        return Ok(None);
    };
    let on_top = Sort { expr: sort.expr.clone(), input: Arc::new(input), fetch: sort.fetch };
    Ok(Some(LogicalPlan::Sort(on_top)))
}

fn sink(plan: &LogicalPlan, keys: Vec<SortExpr>, fetch: usize) -> Result<Option<LogicalPlan>> {
    let below = match plan {
        LogicalPlan::Projection(projection) => {
            let keys = through_projection(keys, &projection.expr, &projection.schema)?;
            sink(&projection.input, keys, fetch)?
        }
        LogicalPlan::Extension(Extension { node }) => {
            let Some(infer) = node.as_any().downcast_ref::<InferNode>() else {
                return Ok(None);
            };
            let results = |column: &datafusion::common::Column| {
                infer.calls().iter().any(|call| call.column == column.name)
            };
            if keys.iter().any(|key| key.expr.column_refs().into_iter().any(results)) {
                return Ok(None);
            }
            // Below may be another model operator, whose work the copy had better spare too.
            match sink(infer.input(), keys.clone(), fetch)? {
                Some(deeper) => Some(deeper),
                None if keeps_few(infer.input(), fetch) => None,
                None => Some(LogicalPlan::Sort(Sort {
                    expr: keys,
                    input: Arc::new(infer.input().clone()),
                    fetch: Some(fetch),
                })),
            }
        }
        _ => None,
    };
    below.map(|below| plan.with_new_exprs(plan.expressions(), vec![below])).transpose()
}

/// Returns sort keys over a projection's output as keys over its input.
fn through_projection(keys: Vec<SortExpr>, exprs: &[Expr], schema: &DFSchema) -> Result<Vec<SortExpr>> {
    keys.into_iter()
        .map(|key| {
            let expr = key.expr.clone().transform_up(|expr| {
                let Expr::Column(column) = &expr else {
                    return Ok(Transformed::no(expr));
                };
                let index = schema.index_of_column(column)?;
                Ok(Transformed::yes(exprs[index].clone().unalias()))
            })?;
            Ok(key.with_expr(expr.data))
        })
        .collect()
}

/// Whether a plan gives no more rows than `fetch` already, so that the rule does not apply twice.
fn keeps_few(plan: &LogicalPlan, fetch: usize) -> bool {
    match plan {
        LogicalPlan::Sort(sort) => sort.fetch.is_some_and(|kept| kept <= fetch),
        LogicalPlan::Limit(Limit { fetch: Some(_), .. }) => true,
        LogicalPlan::Projection(projection) => keeps_few(&projection.input, fetch),
        LogicalPlan::SubqueryAlias(alias) => keeps_few(&alias.input, fetch),
        _ => false,
    }
}
