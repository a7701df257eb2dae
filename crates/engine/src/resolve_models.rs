//! The analyzer rule that makes plans name immutable things.
//!
//! `classify(review)` becomes `classify(review, 'sentiment@3#<digest>')`: from here on the plan needs no
//! catalog, and a running statement can't see a model change under it. Calls that a dataframe's expression
//! functions made are bound to the session's models here too.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF, lit};
use datafusion::optimizer::AnalyzerRule;
use nightjar_functions::{ModelUdf, Models, NightjarOptions};

use crate::expressions::rewrite_expressions;

/// Replaces each model call's model by its pinned version.
#[derive(Debug)]
pub struct ResolveModels {
    models: Models,
}

impl ResolveModels {
    /// Returns the rule over a store's models.
    pub fn new(models: Models) -> Self {
        Self { models }
    }

    /// Returns `expr` with its model functions bound to this session's models, for dataframes.
    pub(crate) fn bind(&self, expr: Expr, options: &NightjarOptions) -> Result<Expr> {
        let bound = expr.transform_up(|expr| {
            let Expr::ScalarFunction(call) = &expr else {
                return Ok(Transformed::no(expr));
            };
            let Some(udf) = ModelUdf::of(&call.func) else {
                return Ok(Transformed::no(expr));
            };
            let func = Arc::new(ScalarUDF::from(udf.bound(self.models.clone(), options.clone())));
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: call.args.clone() })))
        })?;
        Ok(bound.data)
    }

    fn resolve(&self, expr: Expr, schema: &DFSchema, options: &NightjarOptions) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| {
            let Expr::ScalarFunction(call) = &expr else {
                return Ok(Transformed::no(expr));
            };
            let Some(udf) = ModelUdf::of(&call.func) else {
                return Ok(Transformed::no(expr));
            };
            let udf = udf.bound(self.models.clone(), options.clone());
            let types =
                call.args.iter().map(|arg| arg.get_type(schema)).collect::<Result<Vec<DataType>>>()?;
            let constants: Vec<Option<&ScalarValue>> = call.args.iter().map(literal).collect();
            let pinned = udf.resolve(&types, &constants)?.pinned.to_string();
            let mut args = call.args.clone();
            match udf.model_argument(&types, &constants)? {
                Some(index)
                    if constants[index].and_then(|value| value.try_as_str().flatten()) == Some(&pinned) =>
                {
                    return Ok(Transformed::no(expr));
                }
                Some(index) => args[index] = lit(pinned),
                None => args.push(lit(pinned)),
            }
            let func = Arc::new(ScalarUDF::from(udf));
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
        })
    }
}

impl AnalyzerRule for ResolveModels {
    fn name(&self) -> &str {
        "resolve_models"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let options = config.extensions.get::<NightjarOptions>().cloned().unwrap_or_default();
        let resolved = plan.transform_up_with_subqueries(|plan| {
            rewrite_expressions(plan, |expr, schema| self.resolve(expr, schema, &options))
        })?;
        Ok(resolved.data)
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}
