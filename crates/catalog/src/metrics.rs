//! What a training run leaves to look at: its metrics, and what the checks before it found.

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::error::Result;
use crate::ids::RunId;
use crate::runs::stored;

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

/// What a check of the rows before a training found; with its run, one row of
/// `nightjar.training_warnings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingWarning {
    /// The check, e.g. `conflicting_labels`.
    pub check: String,
    /// How many rows it concerns.
    pub rows: u64,
    /// What was found, and what may be done about it.
    pub message: String,
}

impl Catalog {
    /// Records a metric of a run at a step; a second value for the same step replaces the first.
    pub fn record_metric(&self, run: RunId, step: i64, name: &str, value: f64) -> Result<()> {
        self.record_metrics(run, step, &[(name, value)])
    }

    /// Records several metrics of a run at a step, in one transaction.
    pub fn record_metrics(&self, run: RunId, step: i64, metrics: &[(&str, f64)]) -> Result<()> {
        self.write("record a run's metrics", |tx| {
            stored(tx, run)?;
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

    /// Every metric of every run, by run, step and name.
    pub fn training_metrics(&self) -> Result<Vec<TrainingMetric>> {
        self.metrics_of(None)
    }

    /// Every metric of one run, by step and name.
    pub fn run_metrics(&self, run: RunId) -> Result<Vec<TrainingMetric>> {
        self.metrics_of(Some(run))
    }

    fn metrics_of(&self, run: Option<RunId>) -> Result<Vec<TrainingMetric>> {
        let columns = "SELECT run_id, step, name, value FROM training_metrics";
        let (sql, run) = match run {
            Some(run) => (format!("{columns} WHERE run_id = ?1 ORDER BY step, name"), Some(run.0 as i64)),
            None => (format!("{columns} ORDER BY run_id, step, name"), None),
        };
        self.read("list the training metrics", |tx| {
            let mut statement = tx.prepare(&sql)?;
            let metrics = statement.query_map(rusqlite::params_from_iter(run), |row| {
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

    /// Records what the checks before a training found, in this order, in the place of what was
    /// recorded of the run before: a run that is resumed checks its rows again.
    pub fn record_warnings(&self, run: RunId, warnings: &[TrainingWarning]) -> Result<()> {
        self.write("record a run's warnings", |tx| {
            stored(tx, run)?;
            tx.execute("DELETE FROM training_warnings WHERE run_id = ?1", [run.0 as i64])?;
            for (position, warning) in warnings.iter().enumerate() {
                let rows = i64::try_from(warning.rows).unwrap_or(i64::MAX);
                tx.execute(
                    "INSERT INTO training_warnings (run_id, position, check_name, rows, message) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    (run.0 as i64, position as i64, &warning.check, rows, &warning.message),
                )?;
            }
            Ok(())
        })
    }

    /// Every warning of every run, by run, in the order they were recorded.
    pub fn training_warnings(&self) -> Result<Vec<(RunId, TrainingWarning)>> {
        self.read("list the training warnings", |tx| {
            let mut statement = tx.prepare(
                "SELECT run_id, check_name, rows, message FROM training_warnings ORDER BY run_id, position",
            )?;
            let warnings = statement.query_map([], |row| {
                let (run_id, rows): (i64, i64) = (row.get(0)?, row.get(2)?);
                let warning = TrainingWarning { check: row.get(1)?, rows: rows as u64, message: row.get(3)? };
                Ok((RunId(run_id as u64), warning))
            })?;
            Ok(warnings.collect::<rusqlite::Result<_>>()?)
        })
    }
}
