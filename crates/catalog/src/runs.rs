//! Training runs: who is at them, how they ended, and which may be gone on with.

use std::collections::HashMap;
use std::fmt;

use rusqlite::{OptionalExtension, Row, Transaction};

use crate::catalog::{Catalog, Fault, now};
use crate::error::{CatalogError, Result};
use crate::ids::{Digest, RunId};
use crate::owner::lives;
use nightjar_names::VersionNumber;

/// How a training run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrainingOutcome {
    /// It made this version.
    Done {
        /// The version.
        version: VersionNumber,
    },
    /// It failed.
    Failed {
        /// The error's message.
        error: String,
    },
    /// Someone stopped it.
    Cancelled,
}

/// Where a training run stands; prints as the lower-case word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrainingStatus {
    /// A living process is at it.
    Running,
    /// It was stopped or its process died, and the same statement goes on from what its folder holds.
    Resumable,
    /// It made a version.
    Done,
    /// It failed, for good.
    Failed,
    /// Someone stopped it, and it leaves nothing to go on from.
    Cancelled,
    /// Its process died before it ended, and it leaves nothing to go on from.
    Interrupted,
}

impl TrainingStatus {
    /// The status as `nightjar.training_runs` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            TrainingStatus::Running => "running",
            TrainingStatus::Resumable => "resumable",
            TrainingStatus::Done => "done",
            TrainingStatus::Failed => "failed",
            TrainingStatus::Cancelled => "cancelled",
            TrainingStatus::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for TrainingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One row of `nightjar.training_runs`. Times are microseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingRun {
    /// The run.
    pub run_id: RunId,
    /// The model it trains.
    pub model: String,
    /// The version it made, once done.
    pub version: Option<VersionNumber>,
    /// Where it stands.
    pub status: TrainingStatus,
    /// The SQL statement that began it.
    pub statement: String,
    /// When it began.
    pub started_at: i64,
    /// The digest of all that decides what the training does, for a run that can be resumed.
    pub fingerprint: Option<Digest>,
    /// When it ended or was stopped; `None` for running ones and those whose process died.
    pub finished_at: Option<i64>,
    /// Labelled rows, once counted.
    pub rows: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Catalog {
    /// Records that this process begins to train `model` by `statement`, and returns the run's
    /// number. The run is running until [`Catalog::finish_training`] or
    /// [`create_model`](Catalog::create_model) ends it, or this catalog is closed.
    ///
    /// A run with a `fingerprint`, the digest of all that decides what the training does, is
    /// resumable when it is cancelled or its process dies; one without has nothing to go on from.
    /// Errors: [`CatalogError::RunBusy`] while a run of the model with this fingerprint is running:
    /// a second one would make the same weights.
    pub fn begin_training(
        &self,
        model: &str,
        statement: &str,
        fingerprint: Option<&Digest>,
    ) -> Result<RunId> {
        let (folder, owner) = (self.owners(), self.this_owner()?);
        self.write("begin a training run", |tx| {
            if let Some(run) = twin(tx, model, fingerprint, |owner| lives(&folder, owner))? {
                return Err(CatalogError::RunBusy { run, model: model.to_owned() }.into());
            }
            tx.execute(
                "INSERT INTO training_runs (model, status, statement, started_at, owner, fingerprint) \
                 VALUES (?1, 'running', ?2, ?3, ?4, ?5)",
                (model, statement, now(), owner, fingerprint.map(Digest::to_string)),
            )?;
            Ok(RunId(tx.last_insert_rowid() as u64))
        })
    }

    /// The newest resumable run of `model`, or of those that do what this fingerprint says.
    pub fn resumable_run(&self, model: &str, fingerprint: Option<&Digest>) -> Result<Option<TrainingRun>> {
        let fits = |run: &TrainingRun| {
            run.model == model
                && run.status == TrainingStatus::Resumable
                && (fingerprint.is_none() || run.fingerprint.as_ref() == fingerprint)
        };
        Ok(self.training_runs()?.into_iter().rev().find(fits))
    }

    /// Makes a resumable run this process's own: it is running again.
    ///
    /// Of several processes that adopt a run at once exactly one succeeds, and while it lives the
    /// others get [`CatalogError::RunBusy`]. Open the run's folder first: whoever has that knows
    /// that nobody is still writing. Errors: a run that is done or failed, or has no fingerprint.
    pub fn adopt_run(&self, run: RunId) -> Result<()> {
        let (folder, owner) = (self.owners(), self.this_owner()?);
        self.write("resume a training run", |tx| {
            let found = tx
                .query_row(&format!("{RUNS} WHERE run_id = ?1"), [run.0 as i64], |row| {
                    Ok(training_run(row, |owner| lives(&folder, owner)))
                })
                .optional()?;
            let found = found.ok_or(CatalogError::RunUnknown { run })??;
            match found.status {
                TrainingStatus::Resumable => (),
                TrainingStatus::Running => {
                    return Err(CatalogError::RunBusy { run, model: found.model }.into());
                }
                status => return Err(CatalogError::RunNotResumable { run, status }.into()),
            }
            tx.execute(
                "UPDATE training_runs SET status = 'running', owner = ?2, finished_at = NULL WHERE run_id = ?1",
                (run.0 as i64, owner),
            )?;
            Ok(())
        })
    }

    /// Records how many labelled rows a run has found.
    pub fn record_rows(&self, run: RunId, rows: u64) -> Result<()> {
        self.write("record a run's rows", |tx| {
            let parameters = (run.0 as i64, i64::try_from(rows).unwrap_or(i64::MAX));
            match tx.execute("UPDATE training_runs SET rows = ?2 WHERE run_id = ?1", parameters)? {
                0 => Err(CatalogError::RunUnknown { run }.into()),
                _ => Ok(()),
            }
        })
    }

    /// Ends a run. Ending it a second time in the same way changes nothing; in another way is
    /// [`CatalogError::RunEnded`].
    pub fn finish_training(&self, run: RunId, outcome: &TrainingOutcome) -> Result<()> {
        self.write("end a training run", |tx| finish(tx, run, outcome))
    }

    /// Forgets a run of which nothing was trained, because its statement was refused: it is in no history. Its number is not
    /// given again.
    pub fn forget_training(&self, run: RunId) -> Result<()> {
        self.write("forget a training run", |tx| {
            tx.execute("DELETE FROM training_runs WHERE run_id = ?1 AND status = 'running'", [run.0 as i64])?;
            Ok(())
        })
    }

    /// Every training run, oldest first.
    pub fn training_runs(&self) -> Result<Vec<TrainingRun>> {
        let (folder, mut living) = (self.owners(), HashMap::new());
        self.read("list the training runs", |tx| {
            let mut statement = tx.prepare(&format!("{RUNS} ORDER BY run_id"))?;
            let mut rows = statement.query([])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                let lives =
                    |owner: &str| *living.entry(owner.to_owned()).or_insert_with(|| lives(&folder, owner));
                runs.push(training_run(row, lives)?);
            }
            Ok(runs)
        })
    }
}

const RUNS: &str = "SELECT run_id, model, version, status, statement, fingerprint, started_at, finished_at, \
    rows, error, owner FROM training_runs";

/// Returns the running run of a model with this fingerprint, if there is one.
fn twin(
    tx: &Transaction<'_>,
    model: &str,
    fingerprint: Option<&Digest>,
    lives: impl Fn(&str) -> bool,
) -> Result<Option<RunId>, Fault> {
    let Some(fingerprint) = fingerprint else {
        return Ok(None);
    };
    let mut statement =
        tx.prepare(&format!("{RUNS} WHERE model = ?1 AND fingerprint = ?2 AND status = 'running'"))?;
    let mut rows = statement.query((model, fingerprint.to_string()))?;
    while let Some(row) = rows.next()? {
        let run = training_run(row, &lives)?;
        if run.status == TrainingStatus::Running {
            return Ok(Some(run.run_id));
        }
    }
    Ok(None)
}

fn training_run(row: &Row<'_>, lives: impl FnOnce(&str) -> bool) -> Result<TrainingRun, Fault> {
    let (run_id, rows): (i64, Option<i64>) = (row.get("run_id")?, row.get("rows")?);
    let fingerprint: Option<String> = row.get("fingerprint")?;
    let fingerprint = fingerprint.map(|text| text.parse()).transpose()?;
    let (stored, owner): (String, Option<String>) = (row.get("status")?, row.get("owner")?);
    let resumable = fingerprint.is_some();
    let status = match stored.as_str() {
        "done" => TrainingStatus::Done,
        "failed" => TrainingStatus::Failed,
        "running" if owner.is_some_and(|owner| lives(&owner)) => TrainingStatus::Running,
        _ if resumable => TrainingStatus::Resumable,
        "cancelled" => TrainingStatus::Cancelled,
        _ => TrainingStatus::Interrupted,
    };
    Ok(TrainingRun {
        run_id: RunId(run_id as u64),
        model: row.get("model")?,
        version: row.get("version")?,
        status,
        statement: row.get("statement")?,
        fingerprint,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        rows: rows.map(|rows| rows as u64),
        error: row.get("error")?,
    })
}

/// Ends a run within a transaction.
pub(crate) fn finish(tx: &Transaction<'_>, run: RunId, outcome: &TrainingOutcome) -> Result<(), Fault> {
    let (word, version, error) = match outcome {
        TrainingOutcome::Done { version } => ("done", Some(*version), None),
        TrainingOutcome::Failed { error } => ("failed", None, Some(error.as_str())),
        TrainingOutcome::Cancelled => ("cancelled", None, None),
    };
    let (status, made) = stored(tx, run)?;
    if status == "running" {
        tx.execute(
            "UPDATE training_runs SET status = ?2, version = ?3, error = ?4, finished_at = ?5 WHERE run_id = ?1",
            (run.0 as i64, word, version, error, now()),
        )?;
        Ok(())
    } else if status == word && made == version {
        Ok(())
    } else {
        Err(CatalogError::RunEnded { run, status }.into())
    }
}

/// The stored status of a run, and the version that it made.
pub(crate) fn stored(tx: &Transaction<'_>, run: RunId) -> Result<(String, Option<VersionNumber>), Fault> {
    let sql = "SELECT status, version FROM training_runs WHERE run_id = ?1";
    let found = tx.query_row(sql, [run.0 as i64], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    found.ok_or_else(|| CatalogError::RunUnknown { run }.into())
}
