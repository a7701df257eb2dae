//! The rule that lifts model calls out of expressions into [`InferNode`].
//!
//! Projection, filter, sort, aggregate and window expressions are rewritten so:
//! `Projection: f(classify(t))` over X becomes `Projection: f(__infer_1)` over `Infer: classify(t)` over X. A
//! filter's conjuncts without a model call run below the operator. A call that an operator below already
//! computed over the same columns is not computed again. Calls inside a CASE or COALESCE stay where they are, as
//! plain functions, because only the rows of the branch may cost anything; so do calls in join conditions. A sort that
//! keeps n rows by plain columns is copied below the operator ([`sink_sort`]), so that the model sees n rows.
//!
//! The rule is idempotent: a lifted plan holds no liftable call.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Extension, Filter, LogicalPlan, LogicalPlanBuilder, Projection, Sort};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use nightjar_functions::{ModelUdf, Work};

use super::sink_sort::sink_sort;
use super::{InferCall, InferNode};

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
            LogicalPlan::Projection(_) => lift_expressions(plan, config, KeepsColumns::No),
            // Grouping sets name their columns by their expressions: a call there stays a plain function.
            LogicalPlan::Aggregate(ref aggregate)
                if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) =>
            {
                Ok(Transformed::no(plan))
            }
            LogicalPlan::Aggregate(_) => lift_expressions(plan, config, KeepsColumns::No),
            LogicalPlan::Sort(ref sort) if !plan.expressions().iter().any(has_liftable_call) => {
                Ok(sink_sort(sort)?.map_or_else(|| Transformed::no(plan.clone()), Transformed::yes))
            }
            LogicalPlan::Window(_) | LogicalPlan::Sort(_) => {
                lift_expressions(plan, config, KeepsColumns::Yes)
            }
            _ => Ok(Transformed::no(plan)),
        }
    }
}

/// Whether a plan node's output holds its input's columns, so that a lifted column would show in it.
#[derive(Clone, Copy, PartialEq)]
enum KeepsColumns {
    Yes,
    No,
}

fn lift_expressions(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
    keeps_columns: KeepsColumns,
) -> Result<Transformed<LogicalPlan>> {
    if !plan.expressions().iter().any(has_liftable_call) {
        return Ok(Transformed::no(plan));
    }
    let names = NamePreserver::new(&plan);
    let mut input = Lifting::new(plan.inputs()[0].clone(), config);
    let mut exprs = Vec::new();
    for expr in plan.expressions() {
        let name = names.save(&expr);
        let lifted = input.lift(expr)?;
        exprs.push(if matches!(plan, LogicalPlan::Sort(_)) { lifted } else { name.restore(lifted) });
    }
    let new_input = input.into_plan()?;
    let lifted = match &plan {
        // Sort's expressions() drop their directions, so the node is rebuilt by hand.
        LogicalPlan::Sort(sort) => {
            let keys = sort.expr.iter().zip(exprs).map(|(key, expr)| key.with_expr(expr)).collect();
            LogicalPlan::Sort(Sort { expr: keys, input: Arc::new(new_input), fetch: sort.fetch })
        }
        _ => plan.with_new_exprs(exprs, vec![new_input])?,
    };
    if keeps_columns == KeepsColumns::No {
        return Ok(Transformed::yes(lifted));
    }
    Ok(Transformed::yes(restore_columns(lifted, &plan)?))
}

fn lift_filter(filter: Filter, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    if !has_liftable_call(&filter.predicate) {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let original = LogicalPlan::Filter(filter.clone());
    let (costly, free): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter.predicate).into_iter().partition(has_liftable_call);
    let mut input = Arc::unwrap_or_clone(filter.input);
    if let Some(free) = conjunction(free) {
        input = LogicalPlan::Filter(Filter::try_new(free, Arc::new(input))?);
    }
    let mut lifting = Lifting::new(input, config);
    let costly = costly.into_iter().map(|expr| lifting.lift(expr)).collect::<Result<Vec<_>>>()?;
    let Some(predicate) = conjunction(costly) else {
        return Ok(Transformed::no(original));
    };
    let lifted = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(lifting.into_plan()?))?);
    Ok(Transformed::yes(restore_columns(lifted, &original)?))
}

/// Returns `lifted` with exactly the columns that `original` has.
fn restore_columns(lifted: LogicalPlan, original: &LogicalPlan) -> Result<LogicalPlan> {
    let columns = original.schema().columns().into_iter().map(Expr::Column).collect();
    let projection = Projection::try_new(columns, Arc::new(lifted))?;
    Ok(LogicalPlan::Projection(projection))
}

/// The calls found in one plan node's expressions, over its input.
struct Lifting<'a> {
    input: LogicalPlan,
    calls: Vec<InferCall>,
    config: &'a dyn OptimizerConfig,
}

impl<'a> Lifting<'a> {
    fn new(input: LogicalPlan, config: &'a dyn OptimizerConfig) -> Self {
        Self { input, calls: Vec::new(), config }
    }

    /// Returns `expr` with each liftable call replaced by the column that holds its result.
    fn lift(&mut self, expr: Expr) -> Result<Expr> {
        let lifted = expr.transform_down(|expr| {
            if is_conditional(&expr) {
                return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
            }
            if !is_model_call(&expr) {
                return Ok(Transformed::no(expr));
            }
            let column = Expr::Column(self.column_of(expr)?);
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })?;
        Ok(lifted.data)
    }

    /// Returns the column that holds the call's result: one that is there below, or a new one.
    fn column_of(&mut self, call: Expr) -> Result<Column> {
        if let Some(known) = self.calls.iter().find(|known| known.expr == call) {
            return Ok(Column::new_unqualified(&known.column));
        }
        if let Some((input, column)) = expose(&self.input, &call)? {
            self.input = input;
            return Ok(Column::new_unqualified(column));
        }
        let column = self.config.alias_generator().next("__infer");
        self.calls.push(InferCall { expr: call, column: column.clone() });
        Ok(Column::new_unqualified(column))
    }

    fn into_plan(self) -> Result<LogicalPlan> {
        if self.calls.is_empty() {
            return Ok(self.input);
        }
        let node = InferNode::try_new(self.input, self.calls)?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }
}

/// Returns `plan` with the result of `call` among its columns, if an operator below computes it already
/// over the same columns, and that column's name.
fn expose(plan: &LogicalPlan, call: &Expr) -> Result<Option<(LogicalPlan, String)>> {
    match plan {
        LogicalPlan::Extension(Extension { node }) => {
            let Some(infer) = node.as_any().downcast_ref::<InferNode>() else {
                return Ok(None);
            };
            match infer.calls().iter().find(|known| &known.expr == call) {
                Some(known) => Ok(Some((plan.clone(), known.column.clone()))),
                None => through(plan, infer.input(), call),
            }
        }
        LogicalPlan::Filter(filter) => through(plan, &filter.input, call),
        LogicalPlan::Projection(projection) => {
            // The call's columns must be the input's own, not expressions that took over their names.
            let passes = |column: &&Column| projection.expr.contains(&Expr::Column((*column).clone()));
            if !call.column_refs().iter().all(passes) {
                return Ok(None);
            }
            let Some((input, column)) = expose(&projection.input, call)? else {
                return Ok(None);
            };
            let mut exprs = projection.expr.clone();
            let result = Expr::Column(Column::new_unqualified(&column));
            if !exprs.contains(&result) {
                exprs.push(result);
            }
            let exposed = LogicalPlanBuilder::from(input).project(exprs)?.build()?;
            Ok(Some((exposed, column)))
        }
        _ => Ok(None),
    }
}

fn through(plan: &LogicalPlan, input: &LogicalPlan, call: &Expr) -> Result<Option<(LogicalPlan, String)>> {
    let Some((input, column)) = expose(input, call)? else {
        return Ok(None);
    };
    Ok(Some((plan.with_new_exprs(plan.expressions(), vec![input])?, column)))
}

fn has_liftable_call(expr: &Expr) -> bool {
    let mut found = false;
    // The closure never fails, so neither does the walk.
    let _ = expr.apply(|expr| {
        if is_conditional(expr) {
            return Ok(TreeNodeRecursion::Jump);
        }
        if is_model_call(expr) {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// Whether an expression evaluates its parts only for some rows.
fn is_conditional(expr: &Expr) -> bool {
    match expr {
        Expr::Case(_) => true,
        Expr::ScalarFunction(call) => call.func.short_circuits(),
        _ => false,
    }
}

/// Whether an expression costs an encoder pass per row.
fn is_model_call(expr: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expr else {
        return false;
    };
    let encodes = |udf: &ModelUdf| matches!(udf.function().work, Work::Encode(_));
    ModelUdf::of(&call.func).is_some_and(encodes) && !expr.column_refs().is_empty()
}
