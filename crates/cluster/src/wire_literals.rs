//! Literals that DataFusion's form of plans on the wire changes.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::ExecutionPlan;

/// Writes a literal of 16 bits as one of 32 and a cast back to 16: on the wire it would be one of 32, and no value of 16 is lost in 32.
///
/// The last of the logical rules: simplifying makes one literal of it again.
#[derive(Debug)]
pub(crate) struct WireLiterals;

impl OptimizerRule for WireLiterals {
    fn name(&self) -> &str {
        "wire_literals"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let kept = expr.transform_up(|expr| {
                Ok(match expr {
                    Expr::Literal(value, metadata) if is_changed(&value) => {
                        let data_type = value.data_type();
                        let wide = Expr::Literal(value.cast_to(&DataType::Float32)?, metadata);
                        Transformed::yes(Expr::Cast(Cast::new(Box::new(wide), data_type)))
                    }
                    other => Transformed::no(other),
                })
            })?;
            Ok(kept.update_data(|expr| name.restore(expr)))
        })
    }
}

/// Returns whether a plan has a literal that would be another one in another process.
pub(crate) fn has_changed_literal(plan: &dyn ExecutionPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(&mut |expr| {
        found |= expr.exists(|expr| {
            Ok(expr.downcast_ref::<Literal>().is_some_and(|literal| is_changed(literal.value())))
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    for child in plan.children() {
        found = found || has_changed_literal(child.as_ref())?;
    }
    Ok(found)
}

fn is_changed(value: &ScalarValue) -> bool {
    match value {
        // NULL travels with its type.
        ScalarValue::Float16(value) => value.is_some(),
        ScalarValue::Dictionary(_, value) | ScalarValue::RunEndEncoded(_, _, value) => is_changed(value),
        _ => false,
    }
}
