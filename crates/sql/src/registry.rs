//! The list of our statements.

use std::collections::BTreeSet;

use crate::job::options::JOB_OPTIONS;
use crate::statement::StatementKind;
use crate::training::options::TRAINING_OPTIONS;
use crate::{job, model, system, training, view};

/// Every statement of ours, in the order of the reference page.
///
/// A new statement is one file and one line here.
pub static STATEMENTS: &[&StatementKind] = &[
    &model::create_model::KIND,
    &model::explain_create_model::KIND,
    &model::alter_model::KIND,
    &training::resume_training::KIND,
    &training::discard_training::KIND,
    &model::drop_model::KIND,
    &model::show_models::KIND,
    &model::describe_model::KIND,
    &model::show_versions::KIND,
    &training::show_training::KIND,
    &model::evaluate_model::KIND,
    &model::promote_model::KIND,
    &system::show_cache::KIND,
    &system::clear_cache::KIND,
    &system::show_executors::KIND,
    &job::create_job::KIND,
    &job::alter_job::KIND,
    &job::run_job::KIND,
    &job::pause_job::KIND,
    &job::resume_job::KIND,
    &job::drop_job::KIND,
    &job::show_jobs::KIND,
    &job::show_runs::KIND,
    &job::show_log::KIND,
    &job::cancel_run::KIND,
    &view::create_materialized_view::KIND,
    &view::refresh_materialized_view::KIND,
    &view::drop_materialized_view::KIND,
    &view::show_materialized_views::KIND,
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
