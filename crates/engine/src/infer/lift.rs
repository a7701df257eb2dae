//! The rule that lifts model calls out of expressions into [`InferNode`](super::InferNode).
//!
//! Projection, filter, sort, aggregate, window and join expressions are rewritten so:
//! `Projection: f(classify(t))` over X becomes `Projection: f(__infer_1)` over `Infer: classify(t)` over X. A
//! filter's conjuncts without a model call run below the operator. A call that an operator below already
//! computed over the same columns is not computed again. Of a call in a branch ([`Lifting`]) only the branch's rows
//! cost anything. A join's calls run on the side whose columns they read ([`lift_join`]). A sort that
//! keeps n rows by plain columns is copied below the operator ([`sink_sort`]), so that the model sees n rows.
//!
//! The rule is idempotent: a lifted plan holds no liftable call.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, Sort};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::join::{lift_filtered_join, lift_join};
use super::lifting::{Lifting, has_model_call};
use super::sink_sort::sink_sort;

/// Lifts model calls into the model operator.
#[derive(Debug, Default)]
pub struct LiftModelCalls;

impl OptimizerRule for LiftModelCalls {
    fn name(&self) -> &str {
        "lift_model_calls"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(filter) => lift_filter(filter, config),
            LogicalPlan::Join(join) => lift_join(join, config),
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => {
                lift_expressions(plan, config)
            }
            LogicalPlan::Sort(ref sort) if !plan.expressions().iter().any(has_model_call) => {
                Ok(sink_sort(sort)?.map_or_else(|| Transformed::no(plan.clone()), Transformed::yes))
            }
            LogicalPlan::Sort(_) => lift_expressions(plan, config),
            _ => Ok(Transformed::no(plan)),
        }
    }
}

fn lift_expressions(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let exprs = plan.expressions();
    if !exprs.iter().any(has_model_call) {
        return Ok(Transformed::no(plan));
    }
    let mut lifting = Lifting::new(plan.inputs()[0].clone(), config);
    let lifted = lifting.lift(exprs.clone())?;
    if !lifting.changed() {
        return Ok(Transformed::no(plan));
    }
    let input = lifting.into_plan()?;
    // Sort's expressions() drop their directions, so the node is rebuilt by hand.
    if let LogicalPlan::Sort(sort) = &plan {
        let keys = sort.expr.iter().zip(lifted).map(|(key, expr)| key.with_expr(expr)).collect();
        let lifted = LogicalPlan::Sort(Sort { expr: keys, input: Arc::new(input), fetch: sort.fetch });
        return Ok(Transformed::yes(restore_columns(lifted, &plan)?));
    }
    let names = NamePreserver::new(&plan);
    let named = exprs.iter().zip(lifted).map(|(original, lifted)| match original {
        // A grouping set has no name; the columns that come of it get theirs back below.
        Expr::GroupingSet(_) => lifted,
        _ => names.save(original).restore(lifted),
    });
    let lifted = plan.with_new_exprs(named.collect(), vec![input])?;
    let lifted = match &plan {
        LogicalPlan::Projection(_) => lifted,
        LogicalPlan::Aggregate(_) if lifted.schema() == plan.schema() => lifted,
        LogicalPlan::Aggregate(_) => rename_columns(lifted, &plan)?,
        _ => restore_columns(lifted, &plan)?,
    };
    Ok(Transformed::yes(lifted))
}

pub(super) fn lift_filter(filter: Filter, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    if !has_model_call(&filter.predicate) {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    if let Some(joined) = lift_filtered_join(&filter, config)? {
        return Ok(Transformed::yes(joined));
    }
    let original = LogicalPlan::Filter(filter.clone());
    let (costly, free): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter.predicate).into_iter().partition(has_model_call);
    let mut input = Arc::unwrap_or_clone(filter.input);
    if let Some(free) = conjunction(free) {
        input = LogicalPlan::Filter(Filter::try_new(free, Arc::new(input))?);
    }
    let mut lifting = Lifting::new(input, config);
    let costly = lifting.lift(costly)?;
    if !lifting.changed() {
        return Ok(Transformed::no(original));
    }
    let Some(predicate) = conjunction(costly) else {
        return Ok(Transformed::no(original));
    };
    let lifted = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(lifting.into_plan()?))?);
    Ok(Transformed::yes(restore_columns(lifted, &original)?))
}

/// Returns `lifted` with exactly the columns that `original` has.
pub(super) fn restore_columns(lifted: LogicalPlan, original: &LogicalPlan) -> Result<LogicalPlan> {
    let columns = original.schema().columns().into_iter().map(Expr::Column).collect();
    let projection = Projection::try_new(columns, Arc::new(lifted))?;
    Ok(LogicalPlan::Projection(projection))
}

/// Returns `lifted`, whose columns are those of `original` in their order, with their names.
fn rename_columns(lifted: LogicalPlan, original: &LogicalPlan) -> Result<LogicalPlan> {
    let columns = lifted.schema().columns().into_iter().zip(original.schema().iter());
    let renamed = columns.map(|(column, (table, field))| match table == column.relation.as_ref() {
        true if field.name() == &column.name => Expr::Column(column),
        _ => Expr::Column(column).alias_qualified(table.cloned(), field.name()),
    });
    let projection = Projection::try_new(renamed.collect(), Arc::new(lifted))?;
    Ok(LogicalPlan::Projection(projection))
}
