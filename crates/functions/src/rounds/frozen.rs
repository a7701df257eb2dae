//! What frozen layers make of a shard's rows: stored by the first epoch in the folder that a process has for the run, read by those that follow.
//!
//! A round of an epoch reads the same rows as that round of any other, so a file holds the rows of a shard's round. It costs time where it is
//! missing, and never a training: what can't be stored is computed, with the same bits.

use std::io::ErrorKind;
use std::path::Path;

use nightjar_catalog::{CatalogError, RunFiles, write_whole};
use nightjar_models::{FrozenStates, ModelError, TrainingRow};

use super::plan::TrainingPlan;
use super::trainers::Working;
use crate::{FunctionError, Result};

/// What a shard's rows are above frozen layers, if it is stored, and the tokens that these have run over to store it.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) states: Option<FrozenStates>,
    pub(super) tokens: u64,
}

/// Returns what is stored of a shard's rows in a round, in the order of `rows`; stores it before if it is not and a later epoch
/// will read it too.
///
/// # Errors
/// `Cancelled` once the session has ended.
pub(super) fn stored_states(
    working: &Working,
    plan: &TrainingPlan,
    (run, round, shard): (&RunFiles, u32, u32),
    rows: &[TrainingRow],
) -> Result<Stored> {
    if plan.freeze_layers == 0 {
        return Ok(Stored::default());
    }
    let (trainer, path) = (working.trainer()?, run.local(&plan.frozen_file(round, shard)));
    let states = trainer.open_frozen(rows, &path);
    if states.is_some() || plan.is_last_epoch(round) || working.stores_no_more() {
        return Ok(Stored { states, tokens: 0 });
    }
    let mut tokens = 0;
    let frozen = run.local(TrainingPlan::FROZEN);
    let written =
        std::fs::create_dir_all(&frozen).map_err(|error| unwritten(&frozen, error)).and_then(|()| {
            write_whole::<FunctionError>(&path, |path| {
                tokens = trainer.save_frozen(rows, path, || !working.is_stopped(run))?;
                Ok(())
            })
        });
    match written {
        Ok(()) => Ok(Stored { states: trainer.open_frozen(rows, &path), tokens }),
        Err(error @ FunctionError::Model(ModelError::Cancelled)) => Err(error),
        // A full disk, most likely. An error of the rows themselves comes again where they are computed.
        Err(_) => {
            working.store_no_more();
            Ok(Stored { states: None, tokens })
        }
    }
}

/// Writes a file that the training can't do without: where the disk is full, the stored states make room for it.
///
/// # Errors
/// Those of `write` and of bringing the file to its name.
pub(super) fn write_needed(
    working: &Working,
    run: &RunFiles,
    file: &str,
    write: impl Fn(&Path) -> Result<()>,
) -> Result<()> {
    match run.write_with(file, &write) {
        Err(error) if is_of_a_full_disk(&error) => {
            working.store_no_more();
            match std::fs::remove_dir_all(run.local(TrainingPlan::FROZEN)) {
                Ok(()) => run.write_with(file, write),
                Err(_) => Err(error),
            }
        }
        written => written,
    }
}

/// Returns the error of a file that could not be written.
fn unwritten(path: &Path, error: std::io::Error) -> FunctionError {
    ModelError::FileAccess { path: path.to_owned(), action: "written", source: error }.into()
}

fn is_of_a_full_disk(error: &FunctionError) -> bool {
    match error {
        FunctionError::Catalog(CatalogError::StorageFull { .. }) => true,
        FunctionError::Model(ModelError::FileAccess { source, .. }) => {
            matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        }
        _ => false,
    }
}
