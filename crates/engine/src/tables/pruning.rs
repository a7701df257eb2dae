//! Which files a query's conditions over partition columns leave.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::create_physical_expr;

use super::partitions::PartitionColumns;

/// How many files are looked at at once: a batch's dictionary of values stays small.
const FILES_AT_ONCE: usize = 4096;

/// Returns whether a condition is about partition columns alone, so that it is known for each file before it is opened.
pub(super) fn is_of_partitions(columns: &PartitionColumns, condition: &Expr) -> bool {
    let names: Vec<&str> = columns.names().collect();
    if names.is_empty() || !expr_applicable_for_cols(&names, condition) {
        return false;
    }
    let needs_a_query = condition.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::ScalarVariable(..)
        ))
    });
    !needs_a_query.unwrap_or(true) && has_column(condition)
}

fn has_column(condition: &Expr) -> bool {
    let mut found = false;
    let looked = condition.apply(|expr| {
        found |= matches!(expr, Expr::Column(_));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    looked.is_ok() && found
}

/// Keeps the files whose values meet all conditions. They are the values that a query shows, compared as their types are.
pub(super) fn prune<T>(
    columns: &PartitionColumns,
    conditions: &[Expr],
    files: Vec<T>,
    values: impl Fn(&T) -> &[ScalarValue],
) -> Result<Vec<T>> {
    let Some(condition) = conjunction(conditions.iter().cloned()) else { return Ok(files) };
    let schema = Arc::new(columns.schema());
    let named = DFSchema::try_from(Arc::clone(&schema))?;
    let props = ExecutionProps::new();
    let condition = unqualified(condition)?;
    let condition = create_physical_expr(&condition, &named, &props, &PhysicalPlanningContext::default())?;
    let mut kept = Vec::with_capacity(files.len());
    let mut files = files.into_iter().peekable();
    while files.peek().is_some() {
        let some: Vec<T> = files.by_ref().take(FILES_AT_ONCE).collect();
        let column = |at: usize| {
            ScalarValue::iter_to_array(some.iter().filter_map(|file| values(file).get(at).cloned()))
        };
        let arrays = (0..schema.fields().len()).map(column).collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
        let met = condition.evaluate(&batch)?.into_array(some.len())?;
        let met = met.as_boolean();
        let is_met = |at: usize| met.is_valid(at) && met.value(at);
        kept.extend(some.into_iter().enumerate().filter(|(at, _)| is_met(*at)).map(|(_, file)| file));
    }
    Ok(kept)
}

/// Returns a condition whose columns bear no table's name.
fn unqualified(condition: Expr) -> Result<Expr> {
    use datafusion::common::Column;
    use datafusion::common::tree_node::{Transformed, TransformedResult};
    let plain = condition.transform(|expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        other => Ok(Transformed::no(other)),
    });
    plain.data()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn files_are_kept_by_value() {
        let columns = PartitionColumns::new(vec![
            ("day".to_owned(), DataType::Int32),
            ("c".to_owned(), DataType::Utf8),
        ]);
        let file = |day: Option<i32>, c: &str| vec![ScalarValue::Int32(day), ScalarValue::from(c)];
        let all = vec![file(Some(6), "a"), file(Some(7), "b"), file(None, "a")];
        let kept = |condition: Expr| {
            assert!(is_of_partitions(&columns, &condition), "{condition}");
            let kept = prune(&columns, &[condition], all.clone(), |file| file.as_slice()).unwrap();
            kept.iter().map(|file| file[0].to_string()).collect::<Vec<_>>().join(",")
        };
        assert_eq!(kept(col("day").eq(lit(6_i32))), "6");
        assert_eq!(kept(col("day").in_list(vec![lit(6_i32), lit(8_i32)], true)), "7");
        assert_eq!(kept(col("day").is_null()), "NULL");
        assert_eq!(kept(col("t.day").gt(lit(5_i32)).or(col("c").eq(lit("a")))), "6,7,NULL");
        assert!(!is_of_partitions(&columns, &col("id").eq(lit(6_i32))));
        assert!(!is_of_partitions(&columns, &lit(true)));
        assert!(!is_of_partitions(&PartitionColumns::default(), &col("day").is_null()));
    }
}
