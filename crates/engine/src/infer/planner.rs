//! From the logical to the physical model operator.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::catalog::Session;
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use nightjar_functions::{BoundCall, ModelUdf, NightjarOptions};

use super::exec::PhysicalCall;
use super::{InferCall, InferExec, InferNode};

/// DataFusion's planner, with the model operator.
#[derive(Debug, Default)]
pub struct NightjarQueryPlanner;

#[async_trait]
impl QueryPlanner for NightjarQueryPlanner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(InferPlanner)]);
        planner.create_physical_plan(logical_plan, session).await
    }
}

/// Plans [`InferNode`] as [`InferExec`].
#[derive(Debug, Default)]
pub struct InferPlanner;

#[async_trait]
impl ExtensionPlanner for InferPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        planning: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(infer) = node.as_any().downcast_ref::<InferNode>() else {
            return Ok(None);
        };
        let (&[logical], [physical]) = (logical_inputs, physical_inputs) else {
            return plan_err!("Infer needs one input");
        };
        let plan_expr = |expr: &Expr| planner.create_physical_expr(expr, logical.schema(), session, planning);
        let mut calls = Vec::new();
        // A call whose text is NULL on all rows is no call any more once DataFusion has simplified it.
        let mut simplified = Vec::new();
        for call in infer.calls() {
            if matches!(&call.expr, Expr::ScalarFunction(call) if ModelUdf::of(&call.func).is_some()) {
                calls.push(plan_call(call, logical, plan_expr)?);
            } else {
                simplified.push((call.column.as_str(), plan_expr(&call.expr)?));
            }
        }
        let operator: Arc<dyn ExecutionPlan> = match calls.is_empty() {
            true => Arc::clone(physical),
            false => {
                let operator = InferExec::try_new(Arc::clone(physical), calls)?;
                let options = session.config_options().extensions.get::<NightjarOptions>();
                let operator =
                    operator.with_shuffled_texts(options.is_some_and(NightjarOptions::shuffles_texts));
                Arc::new(operator.with_cache(options.and_then(NightjarOptions::cache_bytes)))
            }
        };
        if simplified.is_empty() {
            return Ok(Some(operator));
        }
        let mut exprs = columns(&physical.schema());
        for call in infer.calls() {
            let known = simplified.iter().find(|(column, _)| *column == call.column);
            let expr = match known {
                Some((_, expr)) => Arc::clone(expr),
                None => Arc::new(Column::new_with_schema(&call.column, &operator.schema())?),
            };
            exprs.push((expr, call.column.clone()));
        }
        Ok(Some(Arc::new(ProjectionExec::try_new(exprs, operator)?)))
    }
}

fn columns(schema: &Schema) -> Vec<(Arc<dyn PhysicalExpr>, String)> {
    let fields = schema.fields().iter().enumerate();
    fields.map(|(index, field)| column(field.name(), index)).collect()
}

fn column(name: &str, index: usize) -> (Arc<dyn PhysicalExpr>, String) {
    (Arc::new(Column::new(name, index)), name.to_owned())
}

fn plan_call(
    call: &InferCall,
    input: &LogicalPlan,
    plan_argument: impl Fn(&Expr) -> Result<Arc<dyn PhysicalExpr>>,
) -> Result<PhysicalCall> {
    let Expr::ScalarFunction(function) = &call.expr else {
        return plan_err!("Infer got {} instead of a model call", call.expr);
    };
    let Some(udf) = ModelUdf::of(&function.func) else {
        return plan_err!("Infer got {}, which is no model function", function.name());
    };
    let types =
        function.args.iter().map(|arg| arg.get_type(input.schema())).collect::<Result<Vec<DataType>>>()?;
    let constants: Vec<Option<&ScalarValue>> = function.args.iter().map(constant).collect();
    let bound = BoundCall::new(udf, &types, &constants)?;
    let texts = function.args.iter().take(bound.text_arguments());
    let args = texts.map(plan_argument).collect::<Result<Vec<_>>>()?;
    Ok(PhysicalCall::new(bound, args, call.column.clone()))
}

fn constant(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => constant(&alias.expr),
        _ => None,
    }
}
