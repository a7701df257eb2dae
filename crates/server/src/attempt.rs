//! An attempt of a run: its statements, one after the other, in a session of their own.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use futures::TryStreamExt;
use nightjar_catalog::{CatalogError, Digest, JobRun, JobRunStatement, Store};
use nightjar_engine::{EngineError, OutputKey, Session, with_zones_as_text};
use nightjar_errors::Failure;
use nightjar_sql::{Parsed, RunParameters, fill_parameters};
use nightjar_statements::{Watch, now, time, truncated_texts};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::block_in_place;

use crate::place::Place;
use crate::result_lines::{MOST_ROWS, result_lines};
use crate::run_log::RunLog;

/// How long a log may lack its last lines.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The longest plan that the ledger keeps, in bytes.
const LONGEST_PLAN: usize = 64 << 10;

/// An attempt that is to begin.
pub(crate) struct Attempt {
    pub(crate) store: Store,
    pub(crate) place: Place,
    pub(crate) fence: i64,
    pub(crate) run: JobRun,
    pub(crate) body: Vec<String>,
}

/// How an attempt ended: the rows of its statements, or why it failed.
pub(crate) struct Ended {
    pub(crate) run: i64,
    pub(crate) attempt: u32,
    pub(crate) outcome: Result<u64, String>,
}

impl Attempt {
    /// Begins the attempt: its statements by the runtime `statements`, and a task of this one that tells how it ended, also where it is
    /// stopped. A statement hears of that where it waits for something, or between two batches.
    pub(crate) fn begin(
        self,
        statements: &Handle,
        stopped: oneshot::Receiver<&'static str>,
        ends: mpsc::UnboundedSender<Ended>,
    ) {
        let (run, attempt) = (self.run.run_id, self.run.attempt);
        let log = Arc::new(RunLog::new(self.store.clone(), run, attempt));
        let flushed = Arc::clone(&log);
        let flushing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(FLUSH_EVERY).await;
                block_in_place(|| flushed.flush());
            }
        });
        let body = {
            let log = Arc::clone(&log);
            statements.spawn(async move { self.run_body(log).await })
        };
        tokio::spawn(async move {
            let abort = body.abort_handle();
            tokio::pin!(body);
            let outcome = tokio::select! {
                ended = &mut body => ended.unwrap_or_else(|error| Err(format!("internal error: {error}"))),
                Ok(reason) = stopped => {
                    abort.abort();
                    // What it has done before it heard counts.
                    match (&mut body).await {
                        Ok(Ok(rows)) => Ok(rows),
                        _ => Err(format!("it was stopped: {reason}")),
                    }
                }
            };
            flushing.abort();
            block_in_place(|| log.flush());
            // Nobody waits where the daemon ends.
            let _ = ends.send(Ended { run, attempt, outcome });
        });
    }

    async fn run_body(self, log: Arc<RunLog>) -> Result<u64, String> {
        let run = &self.run;
        let previous = self.store.catalog().read_jobs(|ledger| ledger.previous_success(&run.job, run.run_id));
        let parameters = RunParameters {
            scheduled_at: time(run.scheduled_at),
            previous_success: previous.map_err(|error| in_words(&error))?.map(time),
            run_id: run.run_id,
        };
        let watch = Arc::clone(&log) as Arc<dyn Watch>;
        let session =
            self.place.session(self.store.clone(), watch).await.map_err(|error| in_words(&error))?;
        let mut rows = 0;
        for (index, sql) in self.body.iter().enumerate() {
            let filled = fill_parameters(sql, &parameters).map_err(|error| in_words(&error))?;
            let mut statement = JobRunStatement {
                run_id: run.run_id,
                attempt: run.attempt,
                position: index as u32 + 1,
                sql: filled.clone(),
                status: "running".to_owned(),
                started_at: now().timestamp_micros(),
                ..JobRunStatement::default()
            };
            self.record(&statement)?;
            let key = self.output_key(statement.position)?;
            let outcome = execute(&session, &filled, key, &log).await;
            statement.finished_at = Some(now().timestamp_micros());
            match &outcome {
                Ok(done) => {
                    statement.status = "succeeded".to_owned();
                    (statement.rows, statement.plan) = (Some(done.rows), Some(done.plan.clone()));
                    rows += done.rows;
                }
                Err(error) => {
                    statement.status = "failed".to_owned();
                    statement.error = Some(error.clone());
                }
            }
            block_in_place(|| log.flush());
            self.record(&statement)?;
            outcome.map_err(|error| match self.body.len() {
                1 => error,
                all => format!("statement {} of {all}: {error}", index + 1),
            })?;
        }
        Ok(rows)
    }

    /// Returns the key of what a statement of the body writes. No other run has it, also of a store that was copied, or whose catalog was
    /// put back to what it was.
    fn output_key(&self, position: u32) -> Result<OutputKey, String> {
        let (run, attempt, created_at) = (self.run.run_id, self.run.attempt, self.run.created_at);
        let mark = self.store.mark().map_err(|error| in_words(&error))?;
        let digest = Digest::of(format!("{mark}/{run}/{created_at}").as_bytes()).to_string();
        let (store, fence) = (self.store.clone(), self.fence);
        let may_publish = move || {
            let found = block_in_place(|| {
                store.catalog().read_jobs(|ledger| {
                    ledger.hold(fence)?;
                    ledger.run(run)
                })
            });
            match found.map_err(|error| DataFusionError::External(Box::new(error)))? {
                found if found.status == "running" && found.attempt == attempt => Ok(()),
                _ => Err(DataFusionError::Execution(
                    "the run is to stop: nothing more of it is published".to_owned(),
                )),
            }
        };
        let name = format!("run{run}s{position}-{}", &digest[..16]);
        // The first attempt has published nothing before: there is no need to look.
        Ok(OutputKey::new(name, attempt > 1, may_publish))
    }

    fn record(&self, statement: &JobRunStatement) -> Result<(), String> {
        let written = block_in_place(|| {
            self.store.catalog().change_jobs::<_, CatalogError>(|ledger| {
                ledger.hold(self.fence)?;
                ledger.put_statement(statement)
            })
        });
        written.map_err(|error| in_words(&error))
    }
}

/// What a statement did.
struct Done {
    rows: u64,
    plan: String,
}

async fn execute(session: &Session, sql: &str, key: OutputKey, log: &RunLog) -> Result<Done, String> {
    let engine = |error: EngineError| in_words(&error);
    let statement = session.parse(sql).map_err(engine)?.pop();
    let Some(statement) = statement else { return Ok(Done { rows: 0, plan: String::new() }) };
    let is_ours = matches!(statement.parsed, Parsed::Nightjar(_));
    let mut running = session.start_as(statement, key).await.map_err(engine)?;
    let (mut rows, mut lines) = (0, 0);
    while let Some(batch) = running.rows.try_next().await.map_err(|error| engine(error.into()))? {
        rows += rows_written(&batch).unwrap_or(batch.num_rows() as u64);
        if is_ours && lines < MOST_ROWS {
            let first = with_zones_as_text(&batch.slice(0, batch.num_rows().min(MOST_ROWS - lines)));
            let of_batch = result_lines(&first.map_err(engine)?);
            let of_batch = of_batch.map_err(|error| error.to_string())?;
            lines += of_batch.len();
            of_batch.into_iter().for_each(|line| log.add(line));
        }
    }
    let truncated = truncated_texts(running.plan.as_ref());
    if truncated > 0 {
        log.add(format!("warning: {truncated} texts were longer than the model's window and were truncated"));
    }
    Ok(Done { rows, plan: plan_text(running.plan.as_ref()) })
}

/// Returns the number that a statement returned of the rows that it wrote: COPY and INSERT as their only column, REFRESH among
/// others.
fn rows_written(batch: &RecordBatch) -> Option<u64> {
    let only = (batch.num_columns() == 1).then(|| batch.column_by_name("count")).flatten();
    let column = only.or_else(|| batch.column_by_name("rows_written"))?;
    let numbers = column.as_primitive_opt::<UInt64Type>().filter(|_| batch.num_rows() == 1)?;
    Some(numbers.value(0))
}

fn plan_text(plan: &dyn ExecutionPlan) -> String {
    let mut text = DisplayableExecutionPlan::with_metrics(plan).indent(true).to_string();
    if text.len() > LONGEST_PLAN {
        let end = (0..=LONGEST_PLAN).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n…");
    }
    text
}

/// Returns a failure with what to do about it.
fn in_words(error: &dyn Failure) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; hint: {hint}"),
        None => error.to_string(),
    }
}
