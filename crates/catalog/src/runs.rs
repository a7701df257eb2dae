//! Training runs and their metrics.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension, Transaction};
use tempfile::NamedTempFile;

use crate::catalog::{Catalog, Fault, lock, now};
use crate::error::{CatalogError, Result};
use crate::ids::{RunId, VersionNumber};

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
    /// It made a version.
    Done,
    /// It failed.
    Failed,
    /// Someone stopped it.
    Cancelled,
    /// Its process died before it ended.
    Interrupted,
}

impl TrainingStatus {
    /// The status as `nightjar.training_runs` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            TrainingStatus::Running => "running",
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
    /// When it ended; `None` for running and interrupted ones.
    pub finished_at: Option<i64>,
    /// Labelled rows, once counted.
    pub rows: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// One row of `nightjar.training_metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingMetric {
    /// The run.
    pub run_id: RunId,
    /// Epoch or iteration.
    pub step: i64,
    /// E.g. `train_loss`.
    pub name: String,
    /// NaN where the metric is undefined.
    pub value: f64,
}

/// The mark of a living process: a file beside the catalog that it holds locked. The system lets
/// go of the lock when the process ends, however it ends; unlike a process id, a lock is not given
/// to someone else later and does not survive a restart of the machine.
pub(crate) struct Owner {
    file: NamedTempFile,
}

impl Owner {
    fn new(folder: &Path) -> Result<Owner> {
        fs::create_dir_all(folder).map_err(CatalogError::io("create", folder))?;
        sweep(folder);
        let file = tempfile::Builder::new()
            .prefix("process-")
            .suffix(".lock")
            .tempfile_in(folder)
            .map_err(CatalogError::io("create a lock file in", folder))?;
        // Fails only where the file system has no locks; `lives` knows of that.
        let _ = file.as_file().try_lock();
        Ok(Owner { file })
    }

    fn name(&self) -> String {
        self.file.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Whether the process that holds `owner` lives. Readers share their try, so that they never take
/// each other for the owner.
fn lives(folder: &Path, owner: &str) -> bool {
    let Ok(file) = File::open(folder.join(owner)) else {
        return false;
    };
    match file.try_lock_shared() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        // A file system without locks can't tell; better to say nothing than that a run has died.
        Err(TryLockError::Error(_)) => true,
    }
}

/// Removes the marks of dead processes. A young mark may be about to be locked.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::now());
        let old = modified.elapsed().unwrap_or_default() > Duration::from_secs(24 * 60 * 60);
        if old && !lives(folder, &entry.file_name().to_string_lossy()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Catalog {
    /// Records that this process begins to train `model` by `statement`, and returns the run's
    /// number. The run is running until [`Catalog::finish_training`] or
    /// [`create_model`](Catalog::create_model) ends it, or this catalog is closed.
    pub fn begin_training(&self, model: &str, statement: &str) -> Result<RunId> {
        let owner = {
            let mut owner = lock(&self.owner);
            match owner.as_ref() {
                Some(owner) => owner.name(),
                None => owner.insert(Owner::new(&self.owners())?).name(),
            }
        };
        self.write("begin a training run", |tx| {
            tx.execute(
                "INSERT INTO training_runs (model, status, statement, started_at, owner) \
                 VALUES (?1, 'running', ?2, ?3, ?4)",
                (model, statement, now(), owner),
            )?;
            Ok(RunId(tx.last_insert_rowid() as u64))
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

    /// Records a metric of a run at a step; a second value for the same step replaces the first.
    pub fn record_metric(&self, run: RunId, step: i64, name: &str, value: f64) -> Result<()> {
        self.record_metrics(run, step, &[(name, value)])
    }

    /// Records several metrics of a run at a step, in one transaction.
    pub fn record_metrics(&self, run: RunId, step: i64, metrics: &[(&str, f64)]) -> Result<()> {
        self.write("record a run's metrics", |tx| {
            status(tx, run)?;
            for (name, value) in metrics {
                // SQLite has no NaN: NULL stands for it here and reads back as NaN.
                let value = (!value.is_nan()).then_some(*value);
                tx.execute(
                    "INSERT OR REPLACE INTO training_metrics (run_id, step, name, value) VALUES (?1, ?2, ?3, ?4)",
                    (run.0 as i64, step, name, value),
                )?;
            }
            Ok(())
        })
    }

    /// Ends a run. Ending it a second time in the same way changes nothing; in another way is
    /// [`CatalogError::RunEnded`].
    pub fn finish_training(&self, run: RunId, outcome: &TrainingOutcome) -> Result<()> {
        self.write("end a training run", |tx| finish(tx, run, outcome))
    }

    /// Every training run, oldest first.
    pub fn training_runs(&self) -> Result<Vec<TrainingRun>> {
        let (folder, mut living) = (self.owners(), HashMap::new());
        self.read("list the training runs", |tx| {
            let mut statement = tx.prepare(
                "SELECT run_id, model, version, status, statement, started_at, finished_at, rows, error, owner \
                 FROM training_runs ORDER BY run_id",
            )?;
            let mut rows = statement.query([])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                let (run_id, counted): (i64, Option<i64>) = (row.get("run_id")?, row.get("rows")?);
                let (stored, owner): (String, String) = (row.get("status")?, row.get("owner")?);
                let mut lives = || *living.entry(owner.clone()).or_insert_with(|| lives(&folder, &owner));
                let status = match stored.as_str() {
                    "done" => TrainingStatus::Done,
                    "failed" => TrainingStatus::Failed,
                    "cancelled" => TrainingStatus::Cancelled,
                    _ if lives() => TrainingStatus::Running,
                    _ => TrainingStatus::Interrupted,
                };
                runs.push(TrainingRun {
                    run_id: RunId(run_id as u64),
                    model: row.get("model")?,
                    version: row.get("version")?,
                    status,
                    statement: row.get("statement")?,
                    started_at: row.get("started_at")?,
                    finished_at: row.get("finished_at")?,
                    rows: counted.map(|rows| rows as u64),
                    error: row.get("error")?,
                });
            }
            Ok(runs)
        })
    }

    /// Every metric of every run, by run, step and name.
    pub fn training_metrics(&self) -> Result<Vec<TrainingMetric>> {
        self.read("list the training metrics", |tx| {
            let mut statement = tx.prepare(
                "SELECT run_id, step, name, value FROM training_metrics ORDER BY run_id, step, name",
            )?;
            let metrics = statement.query_map([], |row| {
                let (run_id, value): (i64, Option<f64>) = (row.get(0)?, row.get(3)?);
                Ok(TrainingMetric {
                    run_id: RunId(run_id as u64),
                    step: row.get(1)?,
                    name: row.get(2)?,
                    value: value.unwrap_or(f64::NAN),
                })
            })?;
            Ok(metrics.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn owners(&self) -> PathBuf {
        self.path().with_file_name("running")
    }
}

/// Ends a run within a transaction.
pub(crate) fn finish(tx: &Transaction<'_>, run: RunId, outcome: &TrainingOutcome) -> Result<(), Fault> {
    let (word, version, error) = match outcome {
        TrainingOutcome::Done { version } => ("done", Some(*version), None),
        TrainingOutcome::Failed { error } => ("failed", None, Some(error.as_str())),
        TrainingOutcome::Cancelled => ("cancelled", None, None),
    };
    let (status, made) = status(tx, run)?;
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
fn status(tx: &Transaction<'_>, run: RunId) -> Result<(String, Option<VersionNumber>), Fault> {
    let sql = "SELECT status, version FROM training_runs WHERE run_id = ?1";
    let found = tx.query_row(sql, [run.0 as i64], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    found.ok_or_else(|| CatalogError::RunUnknown { run }.into())
}
