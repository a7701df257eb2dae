//! Which plans leave the process.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::sink::DataSinkExec;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{Distribution, Partitioning};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::analyze::AnalyzeExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, replace_children_if_necessary};

use nightjar_catalog::StoreFiles;
use nightjar_engine::infer::InferExec;
use nightjar_engine::write::PublishExec;
use nightjar_functions::Models;

use crate::client::Client;
use crate::cluster_exec::ClusterExec;
use crate::{registry, settings};

/// The most rows in memory that travel inside a plan, in bytes: every task's message holds them.
const MEMORY_LIMIT: usize = 1 << 20;

/// So many texts are worth a stage of their own.
const FEW_TEXTS: usize = 64;

/// Puts a [`ClusterExec`] over what runs on the cluster: plans that read files, whose leaves any process can read.
///
/// What reads no file (a system table, `SELECT 1`, `generate_series`) or holds an operator that can't travel stays where it
/// was planned. EXPLAIN tells which.
#[derive(Debug)]
pub struct Distribute {
    client: Client,
    /// What every process of the cluster knows.
    receiver: Arc<TaskContext>,
}

impl Distribute {
    /// Returns the rule for plans over the models of a store.
    pub(crate) fn new(client: Client, files: StoreFiles) -> Self {
        let state = registry::session_state(settings::session_config(), &Models::without_names(files));
        Self { client, receiver: state.task_ctx() }
    }

    fn place(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if plan.is::<AnalyzeExec>() || plan.is::<DataSinkExec>() || plan.is::<PublishExec>() {
            return self.place_children(plan, config);
        }
        let mut reads = Reads::default();
        reads.look_at(plan.as_ref());
        if !reads.can_leave() {
            return Ok(plan);
        }
        let spread = spread_few_texts(Arc::clone(&plan), config)?;
        match ClusterExec::try_new(self.client.clone(), &spread, &self.receiver, config) {
            Ok(remote) => Ok(Arc::new(remote)),
            // An operator or a function that has no form on the wire.
            Err(_) => Ok(plan),
        }
    }

    fn place_children(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let children = plan.children().into_iter().cloned();
        let placed = children.map(|child| self.place(child, config)).collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, placed)
    }
}

impl PhysicalOptimizerRule for Distribute {
    fn name(&self) -> &str {
        "distribute"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.place(plan, config)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Deals the rows of model operators out where DataFusion saw no gain in it, because they are fewer than a batch: a model takes
/// a millisecond for each. Their results are put together again, for what stands above.
fn spread_few_texts(plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
    let partitions = config.execution.target_partitions;
    plan.transform_up(|node| {
        let requirement = node.input_distribution_requirements().into_per_child().pop();
        let input = node.children().first().map(|input| Arc::clone(input));
        let (true, Some(Distribution::KeyPartitioned(texts)), Some(input)) =
            (node.is::<InferExec>(), requirement, input)
        else {
            return Ok(Transformed::no(node));
        };
        let rows = StatisticsContext::new().compute(input.as_ref(), &StatisticsArgs::new())?.num_rows;
        let few = matches!(rows, Precision::Exact(rows) | Precision::Inexact(rows) if rows < FEW_TEXTS);
        if few
            || partitions < 2
            || input.output_partitioning().partition_count() > 1
            || input.output_ordering().is_some()
        {
            return Ok(Transformed::no(node));
        }
        let dealt = RepartitionExec::try_new(input, Partitioning::Hash(texts, partitions))?;
        let spread = replace_children_if_necessary(node, vec![Arc::new(dealt)])?;
        Ok(Transformed::yes(Arc::new(CoalescePartitionsExec::new(spread)) as _))
    })
    .data()
}

/// What a plan's leaves read.
#[derive(Default)]
struct Reads {
    files: bool,
    /// A leaf that the scheduler can't deal out to tasks: each task would read all of it.
    local: bool,
    memory: usize,
    unions: bool,
    placeholders: bool,
}

impl Reads {
    fn can_leave(&self) -> bool {
        // The tasks of a union differ in their operators where a branch is one row, and the scheduler never ends such a stage.
        let uneven = self.unions && self.placeholders;
        self.files && !self.local && !uneven && self.memory <= MEMORY_LIMIT
    }

    fn look_at(&mut self, plan: &dyn ExecutionPlan) {
        let children = plan.children();
        if children.is_empty() {
            self.leaf(plan);
        }
        self.unions |= plan.is::<UnionExec>();
        self.local |= plan.downcast_ref::<NestedLoopJoinExec>().is_some_and(shares_what_it_has_seen);
        for child in children {
            self.look_at(child.as_ref());
        }
    }

    fn leaf(&mut self, leaf: &dyn ExecutionPlan) {
        let source = leaf
            .downcast_ref::<DataSourceExec>()
            .map(|scan| scan.data_source().as_ref() as &dyn std::any::Any);
        let Some(source) = source else {
            let one_row_or_none = leaf.is::<EmptyExec>() || leaf.is::<PlaceholderRowExec>();
            self.placeholders |= one_row_or_none;
            self.local |= !one_row_or_none;
            return;
        };
        if let Some(files) = source.downcast_ref::<FileScanConfig>() {
            self.files = true;
            // The form on the wire doesn't tell streams of Arrow's format from its files; and without files there would be no
            // task to end the job.
            let streamed = files.file_source().file_type() == "arrow_stream";
            self.local |= streamed || files.file_groups.is_empty();
        } else if let Some(rows) = source.downcast_ref::<MemorySourceConfig>() {
            let batches = rows.partitions().iter().flatten();
            self.memory += batches.map(|batch| batch.get_array_memory_size()).sum::<usize>();
        } else {
            self.local = true;
        }
    }
}

/// Returns whether a join's partitions tell each other which of the collected side's rows have found a match: tasks can't, and
/// each would return those that it has not seen matched.
fn shares_what_it_has_seen(join: &NestedLoopJoinExec) -> bool {
    let seen = !matches!(
        join.join_type(),
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark
    );
    seen && join.right().output_partitioning().partition_count() > 1
}
