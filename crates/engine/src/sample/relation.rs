//! Plans the relations of FROM that have a TABLESAMPLE clause.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::{Filter, Projection, Sort, SubqueryAlias, Union};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{TableFactor, TableSampleKind};

use super::clause::{SampleClause, SampleSize};
use super::sample_key;
use crate::error::EngineError;

/// The column that orders the rows of a sample of so many rows.
const KEY: &str = "__sample_key";

/// Plans tables, files, views and subqueries with a TABLESAMPLE clause.
#[derive(Debug)]
pub(crate) struct SampledRelations;

impl RelationPlanner for SampledRelations {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let sample = match &mut relation {
            TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } => sample.take(),
            _ => None,
        };
        let Some(TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) =
            sample
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let clause = SampleClause::read(&sample).map_err(EngineError::into_datafusion)?;
        // Its alias is a part of the plan.
        let plan = sampled(context.plan(relation)?, &clause)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// Returns the plan of a sample, taken below what maps rows one by one.
///
/// A sample of so many rows must stay above the filters. One by percentage gives the same rows below them, and then the
/// models in the filter see the sample only.
fn sampled(plan: LogicalPlan, clause: &SampleClause) -> Result<LogicalPlan> {
    let below = |input: Arc<LogicalPlan>| sampled(Arc::unwrap_or_clone(input), clause).map(Arc::new);
    let by_percentage = matches!(clause.size, SampleSize::Percent(_));
    Ok(match plan {
        LogicalPlan::SubqueryAlias(alias) => {
            LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(below(alias.input)?, alias.alias)?)
        }
        LogicalPlan::Projection(projection) if projection.expr.iter().all(maps_rows) => {
            LogicalPlan::Projection(Projection::try_new_with_schema(
                projection.expr,
                below(projection.input)?,
                projection.schema,
            )?)
        }
        LogicalPlan::Filter(filter) if by_percentage => {
            LogicalPlan::Filter(Filter::try_new(filter.predicate, below(filter.input)?)?)
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            LogicalPlan::Sort(Sort { input: below(sort.input)?, ..sort })
        }
        LogicalPlan::Union(union) if by_percentage => LogicalPlan::Union(Union {
            inputs: union.inputs.into_iter().map(below).collect::<Result<_>>()?,
            schema: union.schema,
        }),
        other => sampled_here(other, clause)?,
    })
}

/// Whether an expression gives one row for each.
fn maps_rows(expr: &Expr) -> bool {
    !expr.exists(|expr| Ok(matches!(expr, Expr::Unnest(_)))).unwrap_or(true)
}

fn sampled_here(plan: LogicalPlan, clause: &SampleClause) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let mut arguments = vec![lit(clause.seed)];
    arguments.extend(columns.iter().cloned());
    let key = sample_key().call(arguments);
    let plan = LogicalPlanBuilder::from(plan);
    match clause.size {
        SampleSize::Percent(percent) if percent >= 100.0 => plan.build(),
        SampleSize::Percent(percent) => plan.filter(key.lt(lit(threshold(percent))))?.build(),
        SampleSize::Rows(rows) => plan
            .project(columns.iter().cloned().chain([key.alias(KEY)]))?
            .sort([Expr::Column(KEY.into()).sort(true, false)])?
            // Not the sort's own limit: DataFusion drops the sorts of subqueries that no limit is above.
            .limit(0, Some(rows))?
            .project(columns)?
            .build(),
    }
}

/// Returns the key below which this share of all keys lies.
fn threshold(percent: f64) -> u64 {
    (percent / 100.0 * 2.0_f64.powi(64)) as u64
}
