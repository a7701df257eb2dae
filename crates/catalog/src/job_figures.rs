//! What the ledger of jobs adds up to, for whoever watches over many jobs.

use crate::error::Result;
use crate::jobs::JobLedger;

/// What a job's runs say of it. Times are microseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFigures {
    /// The job.
    pub job: String,
    /// The next scheduled time, if its schedule has one and is heeded.
    pub next_at: Option<i64>,
    /// When its last successful run ended.
    pub succeeded_at: Option<i64>,
    /// How long its last finished run took from its first attempt on, in microseconds.
    pub took: Option<i64>,
}

impl JobLedger<'_> {
    /// Returns how many runs there are of each status: of those that are open as many as there are, of those that are over as many as
    /// ever ended so, also where they are not kept any more. Cost: reads the open runs alone.
    pub fn count_runs(&self) -> Result<Vec<(String, u64)>> {
        let sql = "SELECT status, count(*) FROM job_runs WHERE finished_at IS NULL GROUP BY status \
            UNION ALL SELECT outcome, runs FROM job_run_totals";
        self.rows(sql, [], |row| {
            let count: i64 = row.get(1)?;
            Ok((row.get(0)?, count as u64))
        })
    }

    /// Returns the figures of all jobs, by name. Cost: two look-ups a job.
    pub fn figures(&self) -> Result<Vec<JobFigures>> {
        let sql = "SELECT name, next_at, \
            (SELECT finished_at FROM job_runs WHERE job = name AND status = 'succeeded' \
                ORDER BY run_id DESC LIMIT 1), \
            (SELECT finished_at - started_at FROM job_runs WHERE job = name AND finished_at IS NOT NULL \
                AND started_at IS NOT NULL ORDER BY run_id DESC LIMIT 1) \
            FROM jobs ORDER BY name";
        self.rows(sql, [], |row| {
            Ok(JobFigures {
                job: row.get(0)?,
                next_at: row.get(1)?,
                succeeded_at: row.get(2)?,
                took: row.get(3)?,
            })
        })
    }
}
