//! Nightjar's grammar: what SQL has no word for, such as `CREATE MODEL` and `CREATE JOB`.
//!
//! Each statement is one file that holds its syntax tree, its parser, its `Display` (SQL that parses back to the same statement) and its
//! documentation as data. [`STATEMENTS`] lists them; the parser, the reference page and the words for completion come from that list.
//! Everything else is DataFusion's SQL: [`parse_statements`] hands on what no statement of ours begins, with no clause in it that would be
//! ignored. What the statements do is in the crate `nightjar-statements`; this one builds without models and without physical plans.
//!
//! ```
//! use nightjar_sql::{Parsed, parse_statements};
//!
//! let script = parse_statements("SHOW MODELS; SELECT 1")?;
//! assert!(matches!(script[0].parsed, Parsed::Nightjar(_)));
//! assert!(matches!(script[1].parsed, Parsed::Sql(_)));
//! # Ok::<(), nightjar_sql::SqlError>(())
//! ```

mod error;
mod job;
mod model;
mod parse;
mod reference;
mod registry;
mod statement;
mod system;
mod training;
mod uses;
mod view;

pub use error::{Result, SqlError};
pub use job::body::{RunParameters, fill_parameters, tokens};
pub use job::error::JobClauseError;
pub use job::options::{JOB_OPTIONS, JobOption, JobOptions, PARAMETERS, options_of_text, options_text};
pub use job::schedule::{schedule_of_text, schedule_text};
pub use model::measure::{MEASURES, Measure};
pub use parse::complete::is_complete;
pub use parse::names::{quote_identifier, quote_literal, quote_reference, quote_table};
pub use parse::numbers::exact_numbers;
pub use parse::script::{Parsed, ParsedStatement, parse_in, parse_statements};
pub use parse::syntax_tree::SyntaxTree;
pub use reference::reference_markdown;
pub use registry::{STATEMENTS, completion_words};
pub use statement::{Statement, StatementKind};
pub use training::data::{TableOrQuery, TrainingData};
pub use training::fine_tune::FineTune;
pub use training::method::{ClassWeights, DEFAULT_METHOD, LoraTargets, Method, Schedule, method_words};
pub use training::option_kind::Kind;
pub use training::option_values::OptionValues;
pub use training::options::{OptionDefault, TRAINING_OPTIONS, TrainingOption};
pub use uses::Uses;

pub use job::alter_job::AlterJob;
pub use job::cancel_run::CancelRun;
pub use job::create_job::CreateJob;
pub use job::drop_job::DropJob;
pub use job::pause_job::PauseJob;
pub use job::resume_job::ResumeJob;
pub use job::run_job::RunJob;
pub use job::show_jobs::ShowJobs;
pub use job::show_log::ShowLog;
pub use job::show_runs::ShowRuns;
pub use model::alter_model::{AlterAction, AlterModel};
pub use model::create_model::CreateModel;
pub use model::describe_model::DescribeModel;
pub use model::drop_model::DropModel;
pub use model::evaluate_model::EvaluateModel;
pub use model::explain_create_model::ExplainCreateModel;
pub use model::promote_model::{PromoteModel, PromotionGate};
pub use model::show_models::ShowModels;
pub use model::show_versions::ShowVersions;
pub use system::clear_cache::ClearCache;
pub use system::show_cache::ShowCache;
pub use system::show_executors::ShowExecutors;
pub use training::discard_training::DiscardTraining;
pub use training::resume_training::ResumeTraining;
pub use training::show_training::ShowTraining;
pub use view::create_materialized_view::CreateMaterializedView;
pub use view::drop_materialized_view::DropMaterializedView;
pub use view::refresh_materialized_view::RefreshMaterializedView;
pub use view::show_materialized_views::ShowMaterializedViews;
