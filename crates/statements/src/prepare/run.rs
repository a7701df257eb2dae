//! Preparing from end to end.

use std::path::Path;

use datafusion::arrow::array::AsArray;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use nightjar_catalog::{Digest, Task};

use super::checks::check;
use super::classes::Classes;
use super::deal::{Deal, Dealt};
use super::plans;
use super::prepared::Prepared;
use super::stage::Staged;
use crate::StatementContext;
use crate::error::Result;
use crate::labelled_rows::Roles;
use crate::training::Training;
use crate::training_error::TrainingError;

/// Returns the features of a training in `folder`, prepared by this call or by an earlier one with the same
/// fingerprint.
///
/// The fingerprint stands for everything that the features depend on: the statement, its options, the base. Cut off
/// anywhere, it leaves nothing that a later call takes for complete. NULL texts and targets are left out and counted.
///
/// # Errors
/// Rows that can't be learned from: `NoRows`, `AllNull`, `OneClass`, `NoLabels`, `OneLabelSet`, `TooManyClasses`, `NotFinite`,
/// `MoreShardsThanRows`; whatever the queries fail with; and `Folder` where the folder can't be written.
pub(crate) async fn prepare(
    context: &StatementContext,
    training: &Training<'_>,
    folder: &Path,
    fingerprint: &str,
) -> Result<Prepared> {
    if let Some(prepared) = Prepared::find(folder, fingerprint) {
        return Ok(prepared);
    }
    Prepared::forget(folder)?;
    let (roles, rows) = training.roles(context).await?;
    let rows = plans::read(context, training, rows, &roles)?;
    let staged = Staged::write(context, rows, &roles, "learn from", &folder.join("rows.parquet")).await?;
    let session = plans::staged_session(folder, training.window())?;
    let open = || plans::open(&session, &staged.path);
    let classes = match roles.task {
        Task::Classify if roles.multi_label => {
            Classes::count_lists(open().await?, roles.target_name()).await?
        }
        Task::Classify => Classes::count(open().await?, roles.target_name()).await?,
        Task::Regress | Task::Embed => Classes::numbers(staged.rows),
    };
    let fraction = match training.fine_tune.validate {
        Some(_) => 0.0,
        None => training.options.validation_fraction(),
    };
    let held_out = classes.held_out(fraction);
    let learned = classes.learned(&held_out);
    let (shards, learned_rows) = (training.options.shards(), learned.iter().sum::<u64>());
    if shards as u64 > learned_rows {
        return Err(TrainingError::MoreShardsThanRows { shards, rows: learned_rows }.into());
    }
    context.watch.phase("sorting", "rows", Some(staged.rows));
    let deal = Deal::training(folder, &plans::staged_schema(&roles), &classes, &held_out, shards)?;
    let dealt = deal_all(context, &session, &staged, deal).await?;
    let data_digest = data_digest(&session, &staged).await?;
    let mut prepared = Prepared {
        task: roles.task,
        multi_label: roles.multi_label,
        pairs: roles.second.is_some(),
        scored: roles.target.is_some(),
        inputs: roles.texts().map(str::to_owned).collect(),
        target: roles.target.clone(),
        labels: classes.labels.clone(),
        class_counts: if classes.labels.is_empty() || roles.multi_label { Vec::new() } else { learned },
        train: dealt.shards,
        validation: dealt.validation,
        rows: staged.rows,
        skipped: staged.skipped,
        truncated: staged.truncated,
        data_digest,
        warnings: Vec::new(),
    };
    drop(staged);
    let mut unseen = dealt.unseen;
    if let Some(given) = validate_on(context, training, folder, &session, &roles, &classes).await? {
        prepared.skipped += given.skipped;
        prepared.truncated += given.truncated;
        prepared.validation = given.dealt.validation;
        unseen = given.dealt.unseen;
    }
    warn_of_nulls(context, &prepared, &roles);
    prepared.warnings = check(&session, &prepared, &unseen, training.window()).await?;
    prepared.warnings.iter().for_each(|warning| context.watch.warn(&warning.message));
    prepared.save(folder, fingerprint)?;
    Ok(prepared)
}

fn warn_of_nulls(context: &StatementContext, prepared: &Prepared, roles: &Roles) {
    if prepared.skipped > 0 {
        let columns = roles.texts().chain(roles.target.as_deref()).collect::<Vec<_>>().join(" or ");
        let skipped = prepared.skipped;
        context.watch.warn(&format!("{skipped} rows with NULL as {columns} were left out"));
    }
}

/// The rows of VALIDATE ON, in their file.
struct Given {
    dealt: Dealt,
    skipped: u64,
    truncated: u64,
}

async fn validate_on(
    context: &StatementContext,
    training: &Training<'_>,
    folder: &Path,
    session: &SessionContext,
    roles: &Roles,
    classes: &Classes,
) -> Result<Option<Given>> {
    let Some(data) = &training.fine_tune.validate else {
        return Ok(None);
    };
    let rows = context.rows(data).await?;
    let roles = training.roles_like(roles, &rows)?;
    let rows = plans::read(context, training, rows, &roles)?;
    let path = folder.join("validation-rows.parquet");
    let staged = Staged::write(context, rows, &roles, "validate on", &path).await?;
    let deal = Deal::validation(folder, &plans::staged_schema(&roles), classes)?;
    let dealt = deal_all(context, session, &staged, deal).await?;
    Ok(Some(Given { dealt, skipped: staged.skipped, truncated: staged.truncated }))
}

/// Deals all staged rows out.
async fn deal_all(
    context: &StatementContext,
    session: &SessionContext,
    staged: &Staged,
    mut deal: Deal<'_>,
) -> Result<Dealt> {
    let rows = plans::ordered(plans::open(session, &staged.path).await?)?;
    let mut stream = rows.execute_stream().await?;
    let mut done = 0;
    while let Some(batch) = stream.try_next().await? {
        deal.write(&batch)?;
        done += batch.num_rows() as u64;
        context.watch.position(done);
    }
    deal.finish()
}

/// Returns the digest of all keys in order.
async fn data_digest(session: &SessionContext, staged: &Staged) -> Result<Digest> {
    let mut stream = plans::keys(plans::open(session, &staged.path).await?)?.execute_stream().await?;
    let mut digest = Digest::of_parts();
    while let Some(batch) = stream.try_next().await? {
        batch.column(0).as_binary::<i32>().iter().flatten().for_each(|key| digest.add(key));
    }
    Ok(digest.finish())
}
