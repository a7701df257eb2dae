//! The ledger of jobs: their runs, what these did, and the scheduled times that were left out.

use rusqlite::Row;

use crate::error::{CatalogError, Result};
use crate::jobs::JobLedger;

/// A run of a job. Times are microseconds since 1970 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobRun {
    /// Its number.
    pub run_id: i64,
    /// The job's name; the job itself may have been dropped.
    pub job: String,
    /// The time that it runs for, which is not the time at which it starts.
    pub scheduled_at: i64,
    /// `schedule`, `catch_up`, `after` or `request`.
    pub cause: String,
    /// The run that it comes after.
    pub after_run: Option<i64>,
    /// `queued`, `running`, `stopping`, `waiting`; then `succeeded`, `failed` or `cancelled`.
    pub status: String,
    /// The number of its last attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// When that attempt began, while it runs.
    pub since: Option<i64>,
    /// When the next attempt begins, while it waits.
    pub until: Option<i64>,
    /// Why it is stopping: `timeout` or `cancelled`.
    pub reason: Option<String>,
    /// How many of its attempts ended because the daemon did.
    pub interruptions: u32,
    /// When it was opened.
    pub created_at: i64,
    /// When its first attempt began.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// The rows that its statements returned or wrote.
    pub rows: Option<u64>,
    /// Why its last attempt failed.
    pub error: Option<String>,
    /// The lease of the daemon at it.
    pub fence: Option<i64>,
}

impl JobRun {
    /// Returns how it stands, as people are told: one whose turn has come, and that no daemon is at yet, is queued.
    pub fn shown_status(&self) -> &str {
        match self.status.as_str() {
            "running" if self.fence.is_none() => "queued",
            status => status,
        }
    }
}

/// A statement of an attempt of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobRunStatement {
    /// The run.
    pub run_id: i64,
    /// The attempt.
    pub attempt: u32,
    /// Its place in the body, from 1.
    pub position: u32,
    /// The statement with its parameters filled in.
    pub sql: String,
    /// `running`, `succeeded` or `failed`.
    pub status: String,
    /// When it began.
    pub started_at: i64,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// The rows that it returned or wrote.
    pub rows: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    /// Its plan, with what its operators counted.
    pub plan: Option<String>,
}

/// A line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRunLine {
    /// The attempt.
    pub attempt: u32,
    /// When.
    pub at: i64,
    /// What.
    pub line: String,
}

/// Scheduled times in a row that got no run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSkip {
    /// The job.
    pub job: String,
    /// The first of them.
    pub first_at: i64,
    /// The last of them.
    pub last_at: i64,
    /// How many.
    pub times: u64,
    /// `missed`, `overlap`, `paused` or `upstream`.
    pub why: String,
    /// When it was decided.
    pub at: i64,
}

const RUNS: &str = "SELECT run_id, job, scheduled_at, cause, after_run, status, attempt, since, until, reason, \
    interruptions, created_at, started_at, finished_at, rows, error, fence FROM job_runs";

impl JobLedger<'_> {
    /// Returns a run.
    ///
    /// # Errors
    /// [`CatalogError::JobRunUnknown`].
    pub fn run(&self, run: i64) -> Result<JobRun> {
        let found = self.rows(&format!("{RUNS} WHERE run_id = ?1"), [run], job_run)?.pop();
        found.ok_or(CatalogError::JobRunUnknown { run })
    }

    /// Returns the newest runs, of one job or of all, the newest first.
    pub fn runs(&self, job: Option<&str>, limit: usize) -> Result<Vec<JobRun>> {
        let sql = format!("{RUNS} WHERE job = ?1 ORDER BY run_id DESC LIMIT ?2");
        match job {
            Some(job) => self.rows(&sql, (job, limit as i64), job_run),
            None => self.rows(&format!("{RUNS} ORDER BY run_id DESC LIMIT ?1"), [limit as i64], job_run),
        }
    }

    /// Returns a job's runs that are not over, in the order in which they came.
    pub fn open_runs(&self, job: &str) -> Result<Vec<JobRun>> {
        let sql = format!("{RUNS} WHERE job = ?1 AND finished_at IS NULL ORDER BY run_id");
        self.rows(&sql, [job], job_run)
    }

    /// Returns the names of the jobs with runs that are not over.
    pub fn jobs_at_work(&self) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT job FROM job_runs WHERE finished_at IS NULL";
        self.rows(sql, [], |row| row.get(0))
    }

    /// Returns runs that are to run or to stop and that nobody is at, in the order in which they came.
    pub fn unclaimed_runs(&self, limit: usize) -> Result<Vec<JobRun>> {
        let sql = format!(
            "{RUNS} WHERE finished_at IS NULL AND fence IS NULL AND status IN ('running', 'stopping') \
             ORDER BY run_id LIMIT ?1"
        );
        self.rows(&sql, [limit as i64], job_run)
    }

    /// Returns the number of the last run of all, also where it is not kept any more: no number comes twice.
    pub fn last_run(&self) -> Result<i64> {
        let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'job_runs'), 0)";
        self.row(sql, [], |row| row.get(0))
    }

    /// Returns the time for which a job last ran with success, before this run.
    pub fn previous_success(&self, job: &str, before: i64) -> Result<Option<i64>> {
        let sql =
            "SELECT max(scheduled_at) FROM job_runs WHERE job = ?1 AND status = 'succeeded' AND run_id < ?2";
        self.row(sql, (job, before), |row| row.get(0))
    }

    /// Writes a run, a new one or one that is there.
    pub fn put_run(&self, run: &JobRun) -> Result<()> {
        let sql = "INSERT INTO job_runs (run_id, job, scheduled_at, cause, after_run, status, attempt, since, until, \
            reason, interruptions, created_at, started_at, finished_at, rows, error, fence) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) \
            ON CONFLICT (run_id) DO UPDATE SET status = excluded.status, attempt = excluded.attempt, \
            since = excluded.since, until = excluded.until, reason = excluded.reason, \
            interruptions = excluded.interruptions, started_at = excluded.started_at, \
            finished_at = excluded.finished_at, rows = excluded.rows, error = excluded.error, fence = excluded.fence";
        let parameters = rusqlite::params![
            run.run_id,
            run.job,
            run.scheduled_at,
            run.cause,
            run.after_run,
            run.status,
            run.attempt,
            run.since,
            run.until,
            run.reason,
            run.interruptions,
            run.created_at,
            run.started_at,
            run.finished_at,
            run.rows.map(|rows| rows as i64),
            run.error,
            run.fence,
        ];
        self.execute(sql, parameters).map(drop)
    }

    /// Returns the statements that an open run began with, a JSON list of texts; those of its job, from then on, where it has begun with none yet.
    /// They are the same for all its attempts, whatever becomes of the job meanwhile.
    pub fn keep_body(&self, run: &JobRun) -> Result<String> {
        let kept = "SELECT body FROM job_runs WHERE run_id = ?1";
        if let Some(body) = self.row(kept, [run.run_id], |row| row.get(0))? {
            return Ok(body);
        }
        let body = self.job(&run.job)?.body;
        self.execute("UPDATE job_runs SET body = ?2 WHERE run_id = ?1", (run.run_id, &body))?;
        Ok(body)
    }

    /// Forgets the statements of a run that is over.
    pub fn forget_body(&self, run: i64) -> Result<()> {
        self.execute("UPDATE job_runs SET body = NULL WHERE run_id = ?1", [run]).map(drop)
    }

    /// Ends the statements of a run that nobody is at any more.
    pub fn end_statements(&self, run: i64, at: i64, error: &str) -> Result<()> {
        let sql = "UPDATE job_run_statements SET status = 'failed', finished_at = ?2, error = ?3 \
            WHERE run_id = ?1 AND status = 'running'";
        self.execute(sql, (run, at, error)).map(drop)
    }

    /// Writes a statement of a run, a new one or one that is there.
    pub fn put_statement(&self, statement: &JobRunStatement) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO job_run_statements (run_id, attempt, position, sql, status, started_at, \
            finished_at, rows, error, plan) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let parameters = rusqlite::params![
            statement.run_id,
            statement.attempt,
            statement.position,
            statement.sql,
            statement.status,
            statement.started_at,
            statement.finished_at,
            statement.rows.map(|rows| rows as i64),
            statement.error,
            statement.plan,
        ];
        self.execute(sql, parameters).map(drop)
    }

    /// Returns the statements of a run, or of the newest 10,000 where none is named, in the order in which they ran.
    pub fn statements(&self, run: Option<i64>) -> Result<Vec<JobRunStatement>> {
        let columns = "SELECT run_id, attempt, position, sql, status, started_at, finished_at, rows, error, plan \
            FROM job_run_statements";
        let order = "ORDER BY run_id, attempt, position";
        match run {
            Some(run) => self.rows(&format!("{columns} WHERE run_id = ?1 {order}"), [run], statement),
            None => {
                let newest = "WHERE run_id > (SELECT max(run_id) FROM job_runs) - 10000";
                self.rows(&format!("{columns} {newest} {order}"), [], statement)
            }
        }
    }

    /// Adds a line to a run's log.
    pub fn log(&self, run: i64, attempt: u32, at: i64, line: &str) -> Result<()> {
        let sql = "INSERT INTO job_run_log (run_id, attempt, at, line) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, (run, attempt, at, line)).map(drop)
    }

    /// Returns a run's log.
    pub fn lines(&self, run: i64) -> Result<Vec<JobRunLine>> {
        let sql = "SELECT attempt, at, line FROM job_run_log WHERE run_id = ?1 ORDER BY rowid";
        self.rows(sql, [run], |row| {
            Ok(JobRunLine { attempt: row.get(0)?, at: row.get(1)?, line: row.get(2)? })
        })
    }

    /// Writes down that scheduled times get no run.
    pub fn skip(&self, skip: &JobSkip) -> Result<()> {
        let sql =
            "INSERT INTO job_skips (job, first_at, last_at, times, why, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let times = i64::try_from(skip.times).unwrap_or(i64::MAX);
        self.execute(sql, (&skip.job, skip.first_at, skip.last_at, times, &skip.why, skip.at)).map(drop)
    }

    /// Returns the scheduled times that got no run, of one job or of all, the newest 10,000 entries, in order.
    pub fn skips(&self, job: Option<&str>) -> Result<Vec<JobSkip>> {
        let sql = "SELECT * FROM (SELECT rowid AS place, job, first_at, last_at, times, why, at FROM job_skips \
            WHERE ?1 IS NULL OR job = ?1 ORDER BY rowid DESC LIMIT 10000) ORDER BY place";
        self.rows(sql, [job], |row| {
            let times: i64 = row.get("times")?;
            Ok(JobSkip {
                job: row.get("job")?,
                first_at: row.get("first_at")?,
                last_at: row.get("last_at")?,
                times: times as u64,
                why: row.get("why")?,
                at: row.get("at")?,
            })
        })
    }

    /// Keeps a notice of a run that somebody is yet to be told of; `None` once that is done.
    pub fn put_notice(&self, run: i64, notice: Option<&str>) -> Result<()> {
        self.execute("UPDATE job_runs SET notice = ?2 WHERE run_id = ?1", (run, notice)).map(drop)
    }

    /// Returns the runs that somebody is yet to be told of, with their notices.
    pub fn notices(&self) -> Result<Vec<(JobRun, String)>> {
        let sql = RUNS.replace("fence FROM", "fence, notice FROM");
        self.rows(&format!("{sql} WHERE notice IS NOT NULL ORDER BY run_id"), [], |row| {
            Ok((job_run(row)?, row.get("notice")?))
        })
    }
}

fn job_run(row: &Row<'_>) -> rusqlite::Result<JobRun> {
    let rows: Option<i64> = row.get("rows")?;
    Ok(JobRun {
        run_id: row.get("run_id")?,
        job: row.get("job")?,
        scheduled_at: row.get("scheduled_at")?,
        cause: row.get("cause")?,
        after_run: row.get("after_run")?,
        status: row.get("status")?,
        attempt: row.get("attempt")?,
        since: row.get("since")?,
        until: row.get("until")?,
        reason: row.get("reason")?,
        interruptions: row.get("interruptions")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        rows: rows.map(|rows| rows as u64),
        error: row.get("error")?,
        fence: row.get("fence")?,
    })
}

fn statement(row: &Row<'_>) -> rusqlite::Result<JobRunStatement> {
    let rows: Option<i64> = row.get("rows")?;
    Ok(JobRunStatement {
        run_id: row.get("run_id")?,
        attempt: row.get("attempt")?,
        position: row.get("position")?,
        sql: row.get("sql")?,
        status: row.get("status")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        rows: rows.map(|rows| rows as u64),
        error: row.get("error")?,
        plan: row.get("plan")?,
    })
}
