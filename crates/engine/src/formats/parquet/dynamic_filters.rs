//! Filters that a query makes while it runs, kept away from floating columns.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use super::scan::config;

/// Takes filters that joins and sorts make while they run out of scans of Parquet files, where they look at floating columns.
///
/// A join takes −0.0 for 0.0 and one NaN for another; the bounds and the list of its keys, which it hands to the scan, don't, and
/// rows that it would match are gone. Who made such a filter applies its own rule to all rows anyway, so nothing depends on it.
#[derive(Debug)]
pub(crate) struct NoFloatingDynamicFilters;

impl PhysicalOptimizerRule for NoFloatingDynamicFilters {
    fn name(&self) -> &str {
        "no_floating_dynamic_filters"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let scan = config(node.as_ref())
                .and_then(|config| Some((config, config.file_source().downcast_ref::<ParquetSource>()?)));
            let Some((config, source)) = scan else { return Ok(Transformed::no(node)) };
            let Some(predicate) = source.filter() else { return Ok(Transformed::no(node)) };
            let table = source.table_schema().table_schema();
            let all = split_conjunction(&predicate);
            let kept: Vec<_> = all.iter().filter(|part| !looks_at_floats(part, table)).collect();
            if kept.len() == all.len() {
                return Ok(Transformed::no(node));
            }
            let kept = conjunction(kept.into_iter().map(|part| Arc::clone(part)));
            let source = Arc::new(source.with_predicate(kept));
            let config = FileScanConfigBuilder::from(config.clone()).with_source(source).build();
            Ok(Transformed::yes(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a filter is made while the query runs, and looks at a column of floating numbers.
fn looks_at_floats(filter: &Arc<dyn PhysicalExpr>, table: &Schema) -> bool {
    let mut dynamic = false;
    let looked = filter.apply(|part| {
        dynamic |= part.is::<DynamicFilterPhysicalExpr>();
        Ok(if dynamic { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    let has_floats = |column: Column| {
        table.field_with_name(column.name()).is_ok_and(|field| has_floats(field.data_type()))
    };
    looked.is_err() || dynamic && collect_columns(filter).into_iter().any(has_floats)
}

fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_floats(item.data_type()),
        DataType::Dictionary(_, values) => has_floats(values),
        other => other.is_floating(),
    }
}
