//! PREPARE without types: each parameter has the type that its place in the statement gives it, or else that of the value.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Statement};
use datafusion::prelude::{DataFrame, SessionContext};
use parking_lot::Mutex;

use crate::error::{EngineError, Result};

/// How many parameters each prepared statement of a session has. DataFusion knows it only where it knows all their types.
#[derive(Debug, Default)]
pub(crate) struct PreparedParameters {
    by_statement: Mutex<HashMap<String, usize>>,
}

/// Executes a plan: a PREPARE whose parameters have types or take those of their values, an EXECUTE with the right number
/// of values, or any other. `typed` says whether PREPARE declares types.
pub(crate) async fn execute(context: &SessionContext, plan: LogicalPlan, typed: bool) -> Result<DataFrame> {
    let Some(known) = context.state().config().get_extension::<PreparedParameters>() else {
        return Ok(context.execute_logical_plan(plan).await?);
    };
    let mut prepared = None;
    let plan = match plan {
        LogicalPlan::Statement(Statement::Prepare(mut prepare)) => {
            let expected = parameters(&prepare.input)?.last().copied().unwrap_or(0);
            // Types for some of them only can't be told apart from types for the first ones.
            if !typed && prepare.fields.len() != expected {
                prepare.fields.clear();
            }
            prepared = Some((prepare.name.clone(), expected));
            LogicalPlan::Statement(Statement::Prepare(prepare))
        }
        LogicalPlan::Statement(Statement::Execute(execute)) => {
            let expected = known.by_statement.lock().get(&execute.name).copied();
            let found = execute.parameters.len();
            if let Some(expected) = expected.filter(|expected| *expected != found) {
                return Err(EngineError::Parameters { name: execute.name, expected, found });
            }
            LogicalPlan::Statement(Statement::Execute(execute))
        }
        other => other,
    };
    let rows = context.execute_logical_plan(plan).await?;
    if let Some((name, expected)) = prepared {
        known.by_statement.lock().insert(name, expected);
    }
    Ok(rows)
}

/// Returns the numbers of the parameters in a plan.
fn parameters(plan: &Arc<LogicalPlan>) -> Result<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Placeholder(placeholder) = expr {
                    found.extend(placeholder.id.trim_start_matches('$').parse::<usize>());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}
