//! What a statement that runs again does not read.

use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::output_key::OutputKey;
use super::publish_exec::PublishExec;

/// Leaves out of scans what the earlier attempt of a run has added by this statement or a later one: it is replaced, and `INSERT INTO t SELECT … WHERE id
/// NOT IN (SELECT id FROM t)` would find nothing new and replace it with nothing.
///
/// Before all other rules, which count rows from files' statistics. Not where files are overwritten: what was there before is gone, and
/// [`PublishExec`] does such a statement once.
#[derive(Debug)]
pub(crate) struct HideOutput {
    key: OutputKey,
}

impl HideOutput {
    pub(crate) fn new(key: OutputKey) -> Self {
        Self { key }
    }

    /// Returns the scan without the files; None where it reads none of them.
    fn without(&self, scan: &dyn ExecutionPlan) -> Option<Arc<dyn ExecutionPlan>> {
        let config = scanned(scan)?;
        let (mut groups, mut kept, mut hidden) = (Vec::with_capacity(config.file_groups.len()), 0, 0);
        for group in &config.file_groups {
            let mut files = group.files().to_vec();
            files.retain(|file| {
                !file.object_meta.location.filename().is_some_and(|name| self.key.is_of_run(name))
            });
            hidden += group.len() - files.len();
            kept += files.len();
            groups.push(FileGroup::new(files));
        }
        if hidden == 0 {
            return None;
        }
        if kept == 0 {
            return Some(Arc::new(EmptyExec::new(scan.schema())));
        }
        let statistics = Statistics::new_unknown(config.file_schema());
        let config = FileScanConfigBuilder::from(config.clone());
        Some(DataSourceExec::from_data_source(
            config.with_file_groups(groups).with_statistics(statistics).build(),
        ))
    }
}

/// Returns what a scan of files reads; None for other operators.
pub(super) fn scanned(plan: &dyn ExecutionPlan) -> Option<&FileScanConfig> {
    plan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref()
}

impl PhysicalOptimizerRule for HideOutput {
    fn name(&self) -> &str {
        "hide_output"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if plan.downcast_ref::<PublishExec>().is_some_and(PublishExec::overwrites) {
            return Ok(plan);
        }
        let hidden = plan.transform_up(|node| {
            Ok(match self.without(node.as_ref()) {
                Some(scan) => Transformed::yes(scan),
                None => Transformed::no(node),
            })
        });
        hidden.data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}
