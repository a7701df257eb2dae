//! Finding the result of a call in the operators below.

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, JoinType, Result};
use datafusion::logical_expr::{Expr, Extension, Join, LogicalPlan, LogicalPlanBuilder};
use nightjar_functions::ModelUdf;

use super::lifting::share_encodings;
use super::{InferCall, InferNode};

/// Returns `plan` with the result of `call` among its columns, and that column's name: if an operator below computes it
/// already over the same columns, or encodes its texts already for another call. It is then that operator's column `name`.
pub(super) fn expose(plan: &LogicalPlan, call: &Expr, name: &str) -> Result<Option<(LogicalPlan, String)>> {
    match plan {
        LogicalPlan::Extension(Extension { node }) => {
            let Some(infer) = node.as_any().downcast_ref::<InferNode>() else {
                return Ok(None);
            };
            if let Some(known) = infer.calls().iter().find(|known| &known.expr == call) {
                return Ok(Some((plan.clone(), known.column.clone())));
            }
            if let Some(below) = through(plan, infer.input(), call, name)? {
                return Ok(Some(below));
            }
            if !infer.calls().iter().any(|known| share_encodings(&known.expr, call)) {
                return Ok(None);
            }
            let mut calls = infer.calls().to_vec();
            calls.push(InferCall { expr: call.clone(), column: name.to_owned() });
            let node = Arc::new(InferNode::try_new(infer.input().clone(), calls)?);
            Ok(Some((LogicalPlan::Extension(Extension { node }), name.to_owned())))
        }
        LogicalPlan::Filter(filter) => through(plan, &filter.input, call, name),
        LogicalPlan::Window(window) => through(plan, &window.input, call, name),
        LogicalPlan::Projection(projection) => {
            // The call's columns must be the input's own, not expressions that took over their names.
            let passes = |column: &&Column| projection.expr.contains(&Expr::Column((*column).clone()));
            if !call.column_refs().iter().all(passes) {
                return Ok(None);
            }
            let Some((input, column)) = expose(&projection.input, call, name)? else {
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
        LogicalPlan::Join(join) => through_join(join, call, name),
        _ => Ok(None),
    }
}

fn through(
    plan: &LogicalPlan,
    input: &LogicalPlan,
    call: &Expr,
    name: &str,
) -> Result<Option<(LogicalPlan, String)>> {
    let Some((input, column)) = expose(input, call, name)? else {
        return Ok(None);
    };
    Ok(Some((plan.with_new_exprs(plan.expressions(), vec![input])?, column)))
}

fn through_join(join: &Join, call: &Expr, name: &str) -> Result<Option<(LogicalPlan, String)>> {
    use JoinType::{Full, Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi};
    let of_left = is_over(call, join.left.schema());
    if !of_left && !is_over(call, join.right.schema()) {
        return Ok(None);
    }
    let (shown, padded) = match join.join_type {
        Inner => (true, false),
        Left => (true, !of_left),
        Right => (true, of_left),
        Full => (true, true),
        LeftSemi | LeftAnti | LeftMark => (of_left, false),
        RightSemi | RightAnti | RightMark => (!of_left, false),
    };
    // On the rows that an outer join pads, the column is NULL; so is the call if its texts are plain columns.
    if !shown || (padded && !texts_are_columns(call)) {
        return Ok(None);
    }
    let Some((input, column)) = expose(if of_left { &join.left } else { &join.right }, call, name)? else {
        return Ok(None);
    };
    let input = Arc::new(input);
    let (left, right) =
        if of_left { (input, Arc::clone(&join.right)) } else { (Arc::clone(&join.left), input) };
    let exposed = Join::try_new(
        left,
        right,
        join.on.clone(),
        join.filter.clone(),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    Ok(Some((LogicalPlan::Join(exposed), column)))
}

/// Whether every column that an expression reads is in `schema`.
pub(super) fn is_over(expr: &Expr, schema: &DFSchema) -> bool {
    expr.column_refs().into_iter().all(|column| schema.has_column(column))
}

fn texts_are_columns(call: &Expr) -> bool {
    let Expr::ScalarFunction(function) = call else { return false };
    let texts = ModelUdf::of(&function.func).map_or(0, |udf| udf.text_arguments(&function.args));
    function.args.iter().take(texts).all(|arg| matches!(arg, Expr::Column(_)))
}
