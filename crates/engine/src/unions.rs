//! Values of union columns, which Avro files have, as values of one type.

use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::functions::core::expr_fn::{coalesce, union_extract};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::AnalyzerRule;

use crate::expressions::rewrite_expressions;

/// Casts each branch of a union by itself: Arrow casts the branch that is most like the type, and the values of the others become NULL. It comes after the
/// rules that settle types.
#[derive(Debug)]
pub(crate) struct CastUnions;

impl AnalyzerRule for CastUnions {
    fn name(&self) -> &str {
        "cast_unions"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let analyzed = plan.transform_up_with_subqueries(|plan| {
            rewrite_expressions(plan, |expr, schema| {
                expr.transform_up(|expr| {
                    Ok(match by_branches(&expr, schema)? {
                        Some(new) => Transformed::yes(new),
                        None => Transformed::no(expr),
                    })
                })
            })
        })?;
        Ok(analyzed.data)
    }
}

/// Returns a cast of a union as the first of its branches' casts that has a value; None for any other expression.
///
/// Errors: a branch that can't be cast.
fn by_branches(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let (inner, target, tries) = match expr {
        Expr::Cast(Cast { expr, field }) => (expr, field.data_type(), false),
        Expr::TryCast(TryCast { expr, field }) => (expr, field.data_type(), true),
        _ => return Ok(None),
    };
    let Ok(DataType::Union(branches, _)) = inner.get_type(schema) else { return Ok(None) };
    if matches!(target, DataType::Union(..)) {
        return Ok(None);
    }
    let mut casts = Vec::new();
    for (_, branch) in branches.iter().filter(|(_, branch)| !branch.data_type().is_null()) {
        let value = union_extract(inner.as_ref().clone(), branch.name().as_str());
        match (can_cast_types(branch.data_type(), target), tries) {
            (true, true) => casts.push(Expr::TryCast(TryCast::new(Box::new(value), target.clone()))),
            (true, false) => casts.push(Expr::Cast(Cast::new(Box::new(value), target.clone()))),
            (false, true) => {}
            (false, false) => {
                return plan_err!(
                    "can't cast {} to {target}: a value of it may be {}",
                    inner.human_display(),
                    branch.data_type()
                );
            }
        }
    }
    Ok((!casts.is_empty()).then(|| coalesce(casts)))
}
