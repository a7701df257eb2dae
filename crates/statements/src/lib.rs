//! Nightjar's statements: what SQL has no word for, such as `CREATE MODEL` and `EVALUATE MODEL`.
//!
//! Each statement is one file that holds its syntax tree, its parser, its `Display` (SQL that parses back to
//! the same statement) and its documentation as data. [`STATEMENTS`] lists them; the parser, the reference page
//! and the words for completion come from that list. Everything else is DataFusion's SQL: [`parse_statements`]
//! hands on what no statement of ours begins, with no clause in it that would be ignored.
//!
//! ```
//! use nightjar_statements::{Parsed, parse_statements};
//!
//! let script = parse_statements("SHOW MODELS; SELECT 1")?;
//! assert!(matches!(script[0].parsed, Parsed::Nightjar(_)));
//! assert!(matches!(script[1].parsed, Parsed::Sql(_)));
//! # Ok::<(), nightjar_statements::StatementError>(())
//! ```

mod contradiction;
mod error;
mod job_error;
mod training_error;

mod chart;
mod context;
mod plan_progress;
mod watch;

mod clauses;
mod grammar;
mod names;
mod suggest;

mod fine_tune;
mod label_list_head;
mod method;
mod one_sided;
mod option_kind;
mod option_values;
mod options;
mod training_data;
mod with_clause;

mod base_model;
mod evaluation;
mod functions;
mod head_training;
mod label_list_evaluation;
mod label_set;
mod labelled_rows;
mod pair_roles;
mod prepare;
mod promotion_gate;
mod run;
mod split;
mod tensorboard;
mod training;
mod training_rows;
mod tuning;

mod clock;
mod job_body;
mod job_ledger;
mod job_options;
mod job_past;
mod job_schedule;

mod alter_job;
mod alter_model;
mod cancel_run;
mod clear_cache;
mod create_job;
mod create_model;
mod describe_model;
mod discard_training;
mod drop_job;
mod drop_model;
mod evaluate_model;
mod explain_create_model;
mod materialized_views;
mod pause_job;
mod promote_model;
mod resume_job;

mod create_materialized_view;
mod drop_materialized_view;
mod refresh_materialized_view;
mod resume_training;
mod run_job;
mod show_cache;
mod show_executors;
mod show_jobs;
mod show_log;
mod show_materialized_views;
mod show_models;
mod show_runs;
mod show_training;
mod show_versions;

mod complete;
mod dependents;
mod dialect;
mod kept_settings;
mod parse;
mod planning;
mod reference;
mod registry;
mod remote_work;
mod statement;
mod syntax_tree;

pub use alter_job::AlterJob;
pub use alter_model::{AlterAction, AlterModel};
pub use cancel_run::CancelRun;
pub use chart::{Chart, Series};
pub use clear_cache::ClearCache;
pub use clock::{clock_in_words, now, time_until};
pub use complete::is_complete;
pub use context::StatementContext;
pub use contradiction::Contradiction;
pub use create_job::CreateJob;
pub use create_materialized_view::CreateMaterializedView;
pub use create_model::CreateModel;
pub use dependents::{Used, Uses, release};
pub use describe_model::DescribeModel;
pub use discard_training::DiscardTraining;
pub use drop_job::DropJob;
pub use drop_materialized_view::DropMaterializedView;
pub use drop_model::DropModel;
pub use error::{Result, StatementError};
pub use evaluate_model::EvaluateModel;
pub use explain_create_model::ExplainCreateModel;
pub use fine_tune::FineTune;
pub use functions::plan_functions;
pub use job_body::{RunParameters, fill_parameters};
pub use job_error::JobError;
pub use job_ledger::{decide, job_of, time};
pub use job_options::{JOB_OPTIONS, JobOption, JobOptions, PARAMETERS};
pub use job_past::forget_past;
pub use kept_settings::in_dialect;
pub use materialized_views::MaterializedViews;
pub use method::{ClassWeights, DEFAULT_METHOD, LoraTargets, Method, Schedule};
pub use names::{quote_identifier, quote_reference};
pub use option_kind::Kind;
pub use option_values::OptionValues;
pub use options::{OptionDefault, TRAINING_OPTIONS, TrainingOption};
pub use parse::{Parsed, ParsedStatement, parse_in, parse_statements};
pub use pause_job::PauseJob;
pub use plan_progress::{PlanProgress, WatchedPlan, execute_watched, plan_progress, truncated_texts};
pub use planning::{may_be_file, plan_statement, table_name};
pub use prepare::{FeatureFile, Prepared};
pub use promote_model::{PromoteModel, PromotionGate};
pub use reference::reference_markdown;
pub use refresh_materialized_view::RefreshMaterializedView;
pub use registry::{STATEMENTS, completion_words};
pub use remote_work::RemoteWork;
pub use resume_job::ResumeJob;
pub use resume_training::ResumeTraining;
pub use run_job::RunJob;
pub use show_cache::ShowCache;
pub use show_executors::ShowExecutors;
pub use show_jobs::ShowJobs;
pub use show_log::ShowLog;
pub use show_materialized_views::ShowMaterializedViews;
pub use show_models::ShowModels;
pub use show_runs::ShowRuns;
pub use show_training::ShowTraining;
pub use show_versions::ShowVersions;
pub use statement::{Execute, Statement, StatementKind};
pub use syntax_tree::SyntaxTree;
pub use tensorboard::EventFile;
pub use training_data::{TableOrQuery, TrainingData};
pub use training_error::TrainingError;
pub use watch::{Unwatched, Watch, WatchPull};
