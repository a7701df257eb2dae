//! The only place that registers anything in a session's state; local sessions, the scheduler and the executors
//! are built from here, so that all of them know the same functions, rules and operators.

use std::sync::Arc;

use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use datafusion::optimizer::{Analyzer, Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use nightjar_functions::{Models, NightjarOptions, registry};

use crate::arrow_files::ArrowFilesFactory;
use crate::exact_decimals::ExactDecimals;
use crate::executors::{Executors, OneProcess};
use crate::formats::parquet::{NoFloatingDynamicFilters, ParquetFilesFactory};
use crate::formats::{CsvFilesFactory, JsonFilesFactory};
use crate::infer::{InferLogicalCodec, LiftModelCalls, NightjarQueryPlanner, PruneModelCalls};
use crate::object_stores::runtime_env;
use crate::physical_codec::PhysicalCodec;
use crate::resolve_models::ResolveModels;
use crate::sample::{SampledRelations, sample_key};
use crate::set_operations::SetOperationsAll;
use crate::unions::CastUnions;
use crate::wide_timestamps::WideTimestamps;
use crate::write::{CopyToName, OverwriteFiles, WriteInTasks};
use crate::zones::{self, CurrentZones};

pub(crate) use nightjar_functions::{CATALOG, SCHEMA};

/// The schema of the system tables.
pub(crate) const SYSTEM_SCHEMA: &str = "nightjar";

/// Returns the settings that every Nightjar session starts from.
pub fn session_config() -> SessionConfig {
    SessionConfig::new()
        .with_information_schema(true)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_option_extension(NightjarOptions::default())
        // People write file and column names as they are; a quoted 'file.parquet' is a path.
        .set_bool("datafusion.sql_parser.enable_ident_normalization", true)
        // Reviews have line breaks. Reading them right matters more than splitting one CSV file over cores.
        .set_bool("datafusion.catalog.newlines_in_values", true)
        // TIMESTAMPTZ is an instant. Without a zone DataFusion plans it as a plain timestamp and drops the offset of a text.
        .set_str("datafusion.execution.time_zone", "UTC")
        // Texts are views over the file's pages: no copy between the scan and the tokenizer.
        .set_bool("datafusion.execution.parquet.schema_force_view_types", true)
}

/// Where a session's plans run: the rules by which they leave the process, and who runs them then.
#[derive(Clone)]
pub struct Placement {
    /// Before all other logical rules.
    pub logical: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
    /// After all other logical rules.
    pub last_logical: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
    /// After all other physical rules.
    pub physical: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
    /// Who runs them.
    pub executors: Arc<dyn Executors>,
}

impl Default for Placement {
    /// In this process.
    fn default() -> Self {
        Self {
            logical: Vec::new(),
            last_logical: Vec::new(),
            physical: Vec::new(),
            executors: Arc::new(OneProcess),
        }
    }
}

/// Returns a session state with everything of Nightjar registered.
pub fn session_state(config: SessionConfig, models: &Models) -> SessionState {
    placed_session_state(config, models, Placement::default())
}

/// Returns a session state that knows nothing, for what asks for one and does not look at it.
pub(crate) fn bare_session_state() -> SessionState {
    SessionStateBuilder::new().build()
}

/// Returns a session state whose plans may leave the process.
pub(crate) fn placed_session_state(
    config: SessionConfig,
    models: &Models,
    placement: Placement,
) -> SessionState {
    let mut analyzer = Analyzer::new();
    // First: the other rules need the types that resolving settles.
    analyzer.rules.insert(0, Arc::new(ResolveModels::new(models.clone())));
    // Before types are settled: it settles some otherwise.
    analyzer.rules.insert(1, Arc::new(WideTimestamps));
    analyzer.rules.insert(2, Arc::new(ExactDecimals));
    analyzer.rules.insert(3, Arc::new(SetOperationsAll));
    analyzer.rules.push(Arc::new(CurrentZones));
    analyzer.rules.push(Arc::new(CastUnions));
    analyzer.rules.push(Arc::new(OverwriteFiles));
    analyzer.rules.push(Arc::new(CopyToName));
    let mut logical = placement.logical;
    logical.extend(optimizer_rules());
    logical.extend(placement.last_logical);
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::new(runtime_env(models.files().object_stores())))
        .with_default_features()
        .with_analyzer_rules(analyzer.rules)
        .with_optimizer_rules(logical)
        .with_physical_optimizer_rules(physical_rules(placement.physical))
        .with_relation_planners(vec![Arc::new(SampledRelations)])
        .with_query_planner(Arc::new(NightjarQueryPlanner));
    builder.with_our_formats().build_with_functions(models)
}

/// Returns a session state with one more physical rule, before all others.
pub(crate) fn with_first_rule(
    state: SessionState,
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
) -> SessionState {
    let rules = [&[rule][..], state.physical_optimizers()].concat();
    SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build()
}

/// Returns the codec that carries physical plans to another process, over `inner`, which carries what is not ours.
pub fn physical_codec(inner: Arc<dyn PhysicalExtensionCodec>) -> Arc<dyn PhysicalExtensionCodec> {
    Arc::new(PhysicalCodec::new(inner))
}

/// Returns the codec that carries logical plans to another process, over `inner`, which carries what is not ours.
pub fn logical_codec(inner: Arc<dyn LogicalExtensionCodec>) -> Arc<dyn LogicalExtensionCodec> {
    Arc::new(InferLogicalCodec::new(inner))
}

/// Returns DataFusion's rules with ours before filters are pushed down: a lifted call can then neither be pushed
/// into a scan nor be copied by the substitution of projections, and the free predicates sink below the operator.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    let before = rules.iter().position(|rule| rule.name() == "push_down_filter");
    rules.insert(before.unwrap_or(rules.len()), Arc::new(LiftModelCalls));
    // Last: it reads what pruning columns has left.
    rules.push(Arc::new(PruneModelCalls));
    rules
}

/// Returns DataFusion's physical rules between ours.
fn physical_rules(
    last: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    // First: the others settle partitions and orders for the operators that it plans.
    rules.insert(0, Arc::new(WriteInTasks));
    // After the last of DataFusion's that hands filters to scans.
    rules.push(Arc::new(NoFloatingDynamicFilters));
    rules.extend(last);
    rules
}

trait BuildWithFunctions {
    fn with_our_formats(self) -> Self;
    fn build_with_functions(self, models: &Models) -> SessionState;
}

impl BuildWithFunctions for SessionStateBuilder {
    /// Puts our formats in the place of DataFusion's that have the same ending.
    fn with_our_formats(mut self) -> Self {
        let ours: [Arc<dyn FileFormatFactory>; 4] = [
            Arc::new(ArrowFilesFactory),
            Arc::new(ParquetFilesFactory::new()),
            Arc::new(CsvFilesFactory),
            Arc::new(JsonFilesFactory),
        ];
        let formats = self.file_formats().get_or_insert_default();
        formats.retain(|format| ours.iter().all(|ours| format.get_ext() != ours.get_ext()));
        formats.extend(ours);
        self
    }

    /// Adds Spark's functions where they don't clash with DataFusion's, then ours.
    fn build_with_functions(mut self, models: &Models) -> SessionState {
        let spark = datafusion_spark::all_default_scalar_functions();
        let scalars = self.scalar_functions().get_or_insert_default();
        let known = |name: &str, all: &[Arc<ScalarUDF>]| {
            all.iter().any(|udf| udf.name() == name || udf.aliases().iter().any(|alias| alias == name))
        };
        for udf in spark {
            if !known(udf.name(), scalars) {
                scalars.push(udf);
            }
        }
        // DataFusion's `length` takes the name that only Spark has for it.
        for own in scalars.iter_mut().filter(|udf| known("length", std::slice::from_ref(udf))) {
            *own = Arc::new(own.as_ref().clone().with_aliases(["len"]));
        }
        scalars.extend(zones::functions());
        scalars.extend(registry::all(models).into_iter().map(Arc::new));
        scalars.extend(nightjar_statements::plan_functions(models).into_iter().map(Arc::new));
        scalars.push(Arc::new(sample_key()));
        let aggregates: &mut Vec<Arc<AggregateUDF>> = self.aggregate_functions().get_or_insert_default();
        for udaf in datafusion_spark::all_default_aggregate_functions() {
            if !aggregates.iter().any(|known| known.name() == udaf.name()) {
                aggregates.push(udaf);
            }
        }
        aggregates.extend(registry::aggregates().map(Arc::new));
        aggregates.push(Arc::new(registry::train_round(models)));
        let windows: &mut Vec<Arc<WindowUDF>> = self.window_functions().get_or_insert_default();
        for udwf in datafusion_spark::all_default_window_functions() {
            if !windows.iter().any(|known| known.name() == udwf.name()) {
                windows.push(udwf);
            }
        }
        self.build()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::SessionStateDefaults;

    use super::*;

    #[test]
    fn no_metric_takes_a_name_that_datafusion_has() {
        let mut taken: Vec<String> = Vec::new();
        let mut take = |name: &str, aliases: &[String]| {
            taken.push(name.to_owned());
            taken.extend_from_slice(aliases);
        };
        let defaults = SessionStateDefaults::default_aggregate_functions().into_iter();
        for udaf in defaults.chain(datafusion_spark::all_default_aggregate_functions()) {
            take(udaf.name(), udaf.aliases());
        }
        let windows = SessionStateDefaults::default_window_functions().into_iter();
        for udwf in windows.chain(datafusion_spark::all_default_window_functions()) {
            take(udwf.name(), udwf.aliases());
        }
        // A call by name finds a scalar function first.
        let scalars = SessionStateDefaults::default_scalar_functions().into_iter();
        for udf in scalars.chain(datafusion_spark::all_default_scalar_functions()) {
            take(udf.name(), udf.aliases());
        }
        assert!(taken.iter().any(|name| name == "corr"), "the names are there");
        for metric in registry::aggregates() {
            assert!(!taken.iter().any(|name| name == metric.name()), "{} is taken", metric.name());
        }
    }
}
