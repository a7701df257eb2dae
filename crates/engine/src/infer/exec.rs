//! The physical model operator.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{Distribution, EquivalenceProperties};
use datafusion::physical_plan::InputDistributionRequirements;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EmissionType};
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, MetricsSet, RecordOutput, Time,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ColumnarValue, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr,
    PlanProperties, SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt, stream};
use nightjar_functions::{
    BoundCall, CallTexts, EncodePass, EncoderKey, NightjarOptions, PassTexts, PinnedModel, bound_model_memory,
};
use nightjar_models::EncodeJob;

use super::caches::Caches;
use super::gather::Gather;
use super::pool::{Stop, on_pool};

/// A bound call and the physical expressions of its texts.
#[derive(Debug, Clone)]
pub(super) struct PhysicalCall {
    bound: Arc<BoundCall>,
    args: Vec<Arc<dyn PhysicalExpr>>,
    column: String,
}

impl PhysicalCall {
    pub(super) fn new(bound: BoundCall, args: Vec<Arc<dyn PhysicalExpr>>, column: String) -> Self {
        Self { bound: Arc::new(bound), args, column }
    }

    pub(super) fn bound(&self) -> &BoundCall {
        &self.bound
    }

    pub(super) fn args(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.args
    }

    pub(super) fn column(&self) -> &str {
        &self.column
    }

    fn texts(&self, batch: &RecordBatch) -> Result<CallTexts> {
        let values =
            self.args.iter().map(|arg| arg.evaluate(batch)).collect::<Result<Vec<ColumnarValue>>>()?;
        Ok(self.bound.texts(&values, batch.num_rows())?)
    }
}

impl fmt::Display for PhysicalCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.bound.name())?;
        for (index, arg) in self.args.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{arg}")?;
        }
        if let Some(labels) = self.bound.labels() {
            write!(f, ", {labels:?}")?;
        }
        write!(f, ") AS {}", self.column)
    }
}

/// Runs model calls over its input: gathers rows across record batches, encodes each distinct text once per
/// gathered group and body, and appends one column per call. Keeps partitions and row order.
///
/// Micro-batches run on the process's arithmetic pool, one a thread: partitions that fill the cores have a thread each, a
/// single one has them all. A cancelled statement stops between two micro-batches. Memory: a group of at most
/// `execution.batch_size` rows with its embeddings, whatever the input's size.
#[derive(Debug, Clone)]
pub struct InferExec {
    input: Arc<dyn ExecutionPlan>,
    calls: Vec<PhysicalCall>,
    shuffles_texts: bool,
    /// The bytes that the inference cache may have; None where it is not used.
    cache_bytes: Option<u64>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl InferExec {
    pub(super) fn try_new(input: Arc<dyn ExecutionPlan>, calls: Vec<PhysicalCall>) -> Result<Self> {
        let mut fields: Vec<Arc<Field>> = input.schema().fields().iter().cloned().collect();
        for call in &calls {
            fields.push(Arc::new(Field::new(&call.column, call.bound.return_type(), true)));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, input.schema().metadata().clone()));
        let mut equivalences = EquivalenceProperties::new(Arc::clone(&schema));
        // The input's columns come first and unchanged, so its orderings hold as they stand.
        equivalences.add_orderings(
            input
                .equivalence_properties()
                .oeq_class()
                .iter()
                .map(|ordering| ordering.iter().cloned().collect::<Vec<_>>()),
        );
        let properties = PlanProperties::new(
            equivalences,
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            input.boundedness(),
        );
        let metrics = ExecutionPlanMetricsSet::new();
        let properties = Arc::new(properties);
        Ok(Self { input, calls, shuffles_texts: false, cache_bytes: None, properties, metrics })
    }

    /// Asks for rows that are dealt out by the hash of their texts: one small file then keeps all partitions busy, and equal
    /// texts meet. Where a shuffle costs a copy of the rows, a model costs thousands of times that.
    pub(super) fn with_shuffled_texts(self, shuffles_texts: bool) -> Self {
        Self { shuffles_texts, ..self }
    }

    /// Looks texts up in the store's inference cache, which may have so many bytes, and adds to it what it lacks.
    pub(super) fn with_cache(self, cache_bytes: Option<u64>) -> Self {
        Self { cache_bytes, ..self }
    }

    pub(super) fn cache_bytes(&self) -> Option<u64> {
        self.cache_bytes
    }

    /// The columns that the first call reads, in their order.
    fn text_columns(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        let args = self.calls.first().map_or(&[][..], |call| &call.args);
        let mut columns: Vec<Column> = args.iter().flat_map(collect_columns).collect();
        columns.sort_by_key(Column::index);
        columns.dedup();
        columns.into_iter().map(|column| Arc::new(column) as _).collect()
    }

    pub(super) fn calls(&self) -> &[PhysicalCall] {
        &self.calls
    }
}

impl DisplayAs for InferExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pinned = || self.calls.iter().map(|call| &call.bound.model().pinned);
        let mut models: Vec<String> = pinned().map(PinnedModel::label).collect();
        models.dedup();
        let mut precisions: Vec<&str> = pinned().map(|pinned| pinned.precision.name()).collect();
        precisions.dedup();
        let calls: Vec<String> = self.calls.iter().map(ToString::to_string).collect();
        let (models, precisions, calls) = (models.join(", "), precisions.join(", "), calls.join(", "));
        let cache = if self.cache_bytes.is_some() { " cache=on" } else { "" };
        write!(f, "InferExec: model={models} precision={precisions}{cache} calls=[{calls}]")
    }
}

impl ExecutionPlan for InferExec {
    fn name(&self) -> &str {
        "InferExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut recursion = TreeNodeRecursion::Continue;
        for arg in self.calls.iter().flat_map(|call| &call.args) {
            recursion = f(arg)?;
            if recursion == TreeNodeRecursion::Stop {
                break;
            }
        }
        Ok(recursion)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => {
                let operator = Self::try_new(input, self.calls.clone())?;
                let operator = operator.with_shuffled_texts(self.shuffles_texts);
                Ok(Arc::new(operator.with_cache(self.cache_bytes)))
            }
            _ => Err(DataFusionError::Internal("InferExec has one child".to_owned())),
        }
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let columns = if self.shuffles_texts { self.text_columns() } else { Vec::new() };
        InputDistributionRequirements::new(vec![match columns.is_empty() {
            true => Distribution::UnspecifiedDistribution,
            false => Distribution::KeyPartitioned(columns),
        }])
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        input_stats: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = input_stats[0].num_rows;
        for (known, column) in input_stats[0].column_statistics.iter().zip(&mut statistics.column_statistics)
        {
            column.clone_from(known);
        }
        Ok(Arc::new(statistics))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let options = context.session_config().options().extensions.get::<NightjarOptions>();
        bound_model_memory(options.and_then(NightjarOptions::model_memory_bytes));
        let run = InferRun {
            schema: self.schema(),
            input_schema: self.input.schema(),
            calls: self.calls.clone(),
            gather: Gather::new(context.session_config().batch_size()),
            input: Some(self.input.execute(partition, context)?),
            caches: self.cache_bytes.map(|bytes| Arc::new(Caches::new(bytes))),
            metrics: InferMetrics::new(&self.metrics, partition, self.cache_bytes.is_some()),
        };
        let batches = stream::try_unfold(run, |mut run| async move {
            let next = run.next().await?;
            Ok::<_, DataFusionError>(next.map(|batch| (batch, run)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches.boxed())))
    }
}

/// What EXPLAIN ANALYZE shows. Rows and texts count once per pass: two calls on one column are one text.
#[derive(Clone)]
struct InferMetrics {
    baseline: BaselineMetrics,
    rows: Count,
    texts: Count,
    /// Grows with each micro-batch, known texts included: what progress bars read.
    encoded_texts: Count,
    distinct_texts: Count,
    tokens: Count,
    tokens_per_second: Gauge,
    truncated_texts: Count,
    /// Distinct texts that the cache knew, and that it did not; only where there is one.
    cache: Option<(Count, Count)>,
    load_time: Time,
    encode_time: Duration,
}

impl InferMetrics {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize, has_cache: bool) -> Self {
        let counter = |name| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            baseline: BaselineMetrics::new(metrics, partition),
            rows: counter("rows"),
            texts: counter("texts"),
            encoded_texts: counter("encoded_texts"),
            distinct_texts: counter("distinct_texts"),
            tokens: counter("tokens"),
            tokens_per_second: MetricBuilder::new(metrics).gauge("tokens_per_second", partition),
            truncated_texts: counter("truncated_texts"),
            cache: has_cache.then(|| (counter("cache_hits"), counter("cache_misses"))),
            load_time: MetricBuilder::new(metrics).subset_time("load_time", partition),
            encode_time: Duration::ZERO,
        }
    }

    /// Counts a pass that is about to run.
    fn begin(&self, texts: PassTexts) {
        self.texts.add(texts.rows);
        self.distinct_texts.add(texts.distinct);
        self.truncated_texts.add(texts.truncated);
        self.encoded_texts.add(texts.known_rows);
        if let Some((hits, misses)) = &self.cache {
            hits.add(texts.hits);
            misses.add(texts.misses);
        }
    }

    /// Counts a micro-batch.
    fn encoded(&self, job: &EncodeJob, micro_batch: usize) {
        self.encoded_texts.add(job.rows(micro_batch));
        self.tokens.add(job.tokens(micro_batch));
    }

    /// Counts the time of a group of rows, tokenising included.
    fn ran(&mut self, took: Duration) {
        self.baseline.elapsed_compute().add_duration(took);
        self.encode_time += took;
        let seconds = self.encode_time.as_secs_f64();
        if seconds > 0.0 {
            self.tokens_per_second.set((self.tokens.value() as f64 / seconds) as usize);
        }
    }
}

/// One partition at work.
struct InferRun {
    schema: SchemaRef,
    input_schema: SchemaRef,
    calls: Vec<PhysicalCall>,
    gather: Gather,
    /// None once the input is drained.
    input: Option<SendableRecordBatchStream>,
    /// None where no cache is used.
    caches: Option<Arc<Caches>>,
    metrics: InferMetrics,
}

impl InferRun {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.gather.is_full() {
            let Some(input) = &mut self.input else { break };
            match input.try_next().await? {
                Some(batch) => self.gather.push(batch),
                None => self.input = None,
            }
        }
        match self.gather.take(&self.input_schema)? {
            Some(group) => Ok(Some(self.infer(group).await?)),
            None => {
                with_caches(self.caches.clone(), Caches::finish).await?;
                Ok(None)
            }
        }
    }

    /// Returns the group with the results of the calls. The work runs on the pool; dropped while it does, it stops there
    /// after the micro-batches that have begun.
    async fn infer(&mut self, group: RecordBatch) -> Result<RecordBatch> {
        let texts = self.calls.iter().map(|call| call.texts(&group)).collect::<Result<Vec<_>>>()?;
        let calls: Vec<_> = self.calls.iter().map(|call| Arc::clone(&call.bound)).collect();
        let (metrics, caches) = (self.metrics.clone(), self.caches.clone());
        let started = Instant::now();
        let of_calls = calls.clone();
        with_caches(caches.clone(), move |caches| caches.open(&of_calls)).await?;
        let results =
            on_pool(move |stop| run_calls(&calls, &texts, caches.as_deref(), &metrics, stop)).await?;
        with_caches(self.caches.clone(), Caches::settle).await?;
        self.metrics.ran(started.elapsed());
        self.metrics.rows.add(group.num_rows());
        let mut columns = group.columns().to_vec();
        columns.extend(results);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(batch.record_output(&self.metrics.baseline))
    }
}

/// Does what may wait for a disk or a bucket, on a thread that may.
async fn with_caches(caches: Option<Arc<Caches>>, work: impl FnOnce(&Caches) + Send + 'static) -> Result<()> {
    let Some(caches) = caches else { return Ok(()) };
    let done = tokio::task::spawn_blocking(move || work(&caches)).await;
    done.map_err(|error| DataFusionError::Internal(format!("the inference cache: {error}")))
}

/// Returns the results of the calls on their texts, one encoder pass a body.
fn run_calls(
    calls: &[Arc<BoundCall>],
    texts: &[CallTexts],
    caches: Option<&Caches>,
    metrics: &InferMetrics,
    stop: &Stop,
) -> Result<Vec<ArrayRef>> {
    let mut results = vec![None; calls.len()];
    for (encoder_key, members) in bodies(calls) {
        let of_body: Vec<&CallTexts> = members.iter().map(|&call| &texts[call]).collect();
        let cache = caches.and_then(|caches| caches.of(&encoder_key));
        let mut pass = EncodePass::new(&of_body, cache, || {
            let (encoder, load_time) = calls[members[0]].encoder()?;
            metrics.load_time.add_duration(load_time);
            Ok(encoder)
        })?;
        metrics.begin(pass.texts());
        let whole = pass.encode(|job, micro_batch| {
            metrics.encoded(job, micro_batch);
            stop.check()
        })?;
        if !whole {
            break;
        }
        for (position, &call) in members.iter().enumerate() {
            results[call] = Some(pass.finish(&calls[call], position)?);
        }
    }
    // Results are missing only where nobody waits for them any more.
    Ok(results.into_iter().flatten().collect())
}

/// Returns each distinct body with the calls over it, so that one encoder pass serves them all.
fn bodies(calls: &[Arc<BoundCall>]) -> Vec<(EncoderKey, Vec<usize>)> {
    let mut bodies: Vec<(EncoderKey, Vec<usize>)> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let encoder_key = call.encoder_key();
        match bodies.iter_mut().find(|(known, _)| *known == encoder_key) {
            Some((_, members)) => members.push(index),
            None => bodies.push((encoder_key, vec![index])),
        }
    }
    bodies
}
