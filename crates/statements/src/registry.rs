//! The list of our statements.

use std::collections::BTreeSet;

use crate::job_options::JOB_OPTIONS;
use crate::options::TRAINING_OPTIONS;
use crate::statement::StatementKind;
use crate::{
    alter_job, alter_model, cancel_run, clear_cache, create_job, create_materialized_view, create_model,
    describe_model, discard_training, drop_job, drop_materialized_view, drop_model, evaluate_model,
    explain_create_model, pause_job, promote_model, refresh_materialized_view, resume_job, resume_training,
    run_job, show_cache, show_executors, show_jobs, show_log, show_materialized_views, show_models,
    show_runs, show_training, show_versions,
};

/// Every statement of ours, in the order of the reference page.
///
/// A new statement is one file and one line here.
pub static STATEMENTS: &[&StatementKind] = &[
    &create_model::KIND,
    &explain_create_model::KIND,
    &alter_model::KIND,
    &resume_training::KIND,
    &discard_training::KIND,
    &drop_model::KIND,
    &show_models::KIND,
    &describe_model::KIND,
    &show_versions::KIND,
    &show_training::KIND,
    &evaluate_model::KIND,
    &promote_model::KIND,
    &show_cache::KIND,
    &clear_cache::KIND,
    &show_executors::KIND,
    &create_job::KIND,
    &alter_job::KIND,
    &run_job::KIND,
    &pause_job::KIND,
    &resume_job::KIND,
    &drop_job::KIND,
    &show_jobs::KIND,
    &show_runs::KIND,
    &show_log::KIND,
    &cancel_run::KIND,
    &create_materialized_view::KIND,
    &refresh_materialized_view::KIND,
    &drop_materialized_view::KIND,
    &show_materialized_views::KIND,
];

/// The words of our statements for completion: the keywords in capitals, then the options in small letters.
pub fn completion_words() -> Vec<&'static str> {
    let keywords: BTreeSet<&str> = STATEMENTS
        .iter()
        .flat_map(|kind| kind.syntax.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .filter(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    let options = TRAINING_OPTIONS.iter().map(|option| option.name);
    keywords.into_iter().chain(options).chain(JOB_OPTIONS.iter().map(|option| option.name)).collect()
}
