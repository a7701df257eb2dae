//! The rule that drops model calls whose results nobody reads.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, Sort};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::InferNode;

/// Drops the calls of an operator below a projection or an aggregate that reads them not, and the operator with its last
/// call. Runs after DataFusion has pruned columns, as when a query reads some columns of a view.
#[derive(Debug, Default)]
pub struct PruneModelCalls;

impl OptimizerRule for PruneModelCalls {
    fn name(&self) -> &str {
        "prune_model_calls"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let (LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_)) = &plan else {
            return Ok(Transformed::no(plan));
        };
        let exprs = plan.expressions();
        match prune(plan.inputs()[0], names(&exprs))? {
            Some(pruned) => Ok(Transformed::yes(plan.with_new_exprs(exprs, vec![pruned])?)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

fn names(exprs: &[Expr]) -> HashSet<String> {
    exprs.iter().flat_map(|expr| expr.column_refs()).map(|column| column.name.clone()).collect()
}

/// Returns `plan` without the calls whose columns are not `read`; None where there are none.
fn prune(plan: &LogicalPlan, mut read: HashSet<String>) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(filter) => {
            read.extend(names(std::slice::from_ref(&filter.predicate)));
            let pruned = prune(&filter.input, read)?;
            pruned.map(|input| plan.with_new_exprs(plan.expressions(), vec![input])).transpose()
        }
        LogicalPlan::Sort(sort) => {
            read.extend(sort.expr.iter().flat_map(|key| names(std::slice::from_ref(&key.expr))));
            let pruned = prune(&sort.input, read)?;
            Ok(pruned.map(|input| {
                LogicalPlan::Sort(Sort { expr: sort.expr.clone(), input: Arc::new(input), fetch: sort.fetch })
            }))
        }
        LogicalPlan::Extension(Extension { node }) => {
            let Some(infer) = node.as_any().downcast_ref::<InferNode>() else { return Ok(None) };
            let kept: Vec<_> =
                infer.calls().iter().filter(|call| read.contains(&call.column)).cloned().collect();
            read.extend(kept.iter().flat_map(|call| names(std::slice::from_ref(&call.expr))));
            let below = prune(infer.input(), read)?;
            if below.is_none() && kept.len() == infer.calls().len() {
                return Ok(None);
            }
            let input = below.unwrap_or_else(|| infer.input().clone());
            if kept.is_empty() {
                return Ok(Some(input));
            }
            let node = Arc::new(InferNode::try_new(input, kept)?);
            Ok(Some(LogicalPlan::Extension(Extension { node })))
        }
        _ => Ok(None),
    }
}
