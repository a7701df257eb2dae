//! `INTERSECT ALL` and `EXCEPT ALL`: as often as SQL says.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, NullEquality};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Distinct, Expr, ExprFunctionExt, Join, JoinType, LogicalPlan, LogicalPlanBuilder,
};
use datafusion::optimizer::AnalyzerRule;

/// The name of the column that counts equal rows.
const NUMBER: &str = "__nightjar_number";

/// Gives equal rows numbers on both sides of `INTERSECT ALL` and `EXCEPT ALL`.
///
/// DataFusion plans both as a semi and an anti join on all columns, to which a row that is there once is there as often as anybody asks: of three
/// rows 1, `EXCEPT ALL` a single 1 leaves none. The n-th of equal rows finds the n-th on the other side, so with its number among the keys the
/// first gives the smaller of the two counts, the second their difference.
#[derive(Debug)]
pub(crate) struct SetOperationsAll;

impl AnalyzerRule for SetOperationsAll {
    fn name(&self) -> &str {
        "set_operations_all"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if is_set_operation(&join) => Ok(Transformed::yes(counted(join)?)),
            node => Ok(Transformed::no(node)),
        })?;
        Ok(counted.data)
    }
}

/// Whether a join is what the planner makes of a set operation that keeps equal rows: no other joins NULL with NULL before it is optimized.
fn is_set_operation(join: &Join) -> bool {
    let is_numbered =
        |(left, _): &(Expr, Expr)| matches!(left, Expr::Column(column) if column.name == NUMBER);
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.on.len() == join.left.schema().fields().len()
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
        && !join.on.iter().any(is_numbered)
}

fn counted(join: Join) -> Result<LogicalPlan> {
    let columns =
        |plan: &LogicalPlan| plan.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
    let all = columns(&join.left);
    let (mut left_keys, mut right_keys): (Vec<Column>, Vec<Column>) =
        (join.left.schema().columns(), join.right.schema().columns());
    left_keys.push(Column::from_name(NUMBER));
    right_keys.push(Column::from_name(NUMBER));
    let right = numbered(join.right.as_ref().clone(), columns(&join.right))?;
    LogicalPlanBuilder::from(numbered(join.left.as_ref().clone(), all.clone())?)
        .join_detailed(right, join.join_type, (left_keys, right_keys), None, join.null_equality)?
        .project(all)?
        .build()
}

/// Returns the rows with how many equal ones came before each, from 1.
fn numbered(plan: LogicalPlan, columns: Vec<Expr>) -> Result<LogicalPlan> {
    let number = row_number().partition_by(columns.clone()).build()?;
    let name = Column::from_name(number.schema_name().to_string());
    let all = [columns, vec![Expr::Column(name).alias(NUMBER)]].concat();
    LogicalPlanBuilder::from(plan).window([number])?.project(all)?.build()
}
