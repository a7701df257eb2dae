//! The models that a view's query uses.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use nightjar_functions::{ModelUdf, Models, PinnedModel};

use crate::resolve_models::ResolveModels;

/// Returns the plan with its model calls pinned.
pub(super) fn pin(plan: LogicalPlan, models: &Models, state: &SessionState) -> Result<LogicalPlan> {
    ResolveModels::new(models.clone()).analyze(plan, state.config_options())
}

/// Returns the models of a pinned plan, one a line.
pub(super) fn pinned_models(plan: &LogicalPlan) -> Result<String> {
    let mut found = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr
                    && ModelUdf::of(&call.func).is_some()
                {
                    let texts = call.args.iter().filter_map(|arg| match arg {
                        Expr::Literal(value, _) => value.try_as_str().flatten(),
                        _ => None,
                    });
                    found.extend(texts.filter(|text| PinnedModel::is_pinned(text)).map(str::to_owned));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found.into_iter().collect::<Vec<_>>().join("\n"))
}

/// Says what changed between two lists of models.
pub(super) fn difference(before: &str, now: &str) -> String {
    let label =
        |text: &str| text.parse::<PinnedModel>().map_or_else(|_| text.to_owned(), |model| model.label());
    let only = |these: &str, those: &str| {
        let missing = these.lines().filter(|model| !those.lines().any(|other| other == *model));
        missing.map(label).collect::<Vec<_>>().join(", ")
    };
    format!("the model has changed: {} → {}", only(before, now), only(now, before))
}
