//! What the ledger of jobs forgets.

use std::collections::HashSet;

use rusqlite::{Params, Row};

use crate::error::Result;
use crate::jobs::JobLedger;

/// How much of a job's past is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptPast {
    /// At most so many runs, and as many entries of scheduled times that got none.
    pub runs: u64,
    /// What ended before this moment goes, in microseconds since 1970 UTC.
    pub since: i64,
}

impl JobLedger<'_> {
    /// Returns the first job by name after this one that has a past, also one that was dropped.
    pub fn next_with_past(&self, after: &str) -> Result<Option<String>> {
        let sql = "SELECT min(job) FROM (SELECT min(job) AS job FROM job_runs WHERE job > ?1 \
            UNION ALL SELECT min(job) FROM job_skips WHERE job > ?1)";
        self.row(sql, [after], |row| row.get(0))
    }

    /// Removes what is not kept of a job's past, the oldest first, at most so many runs with their statements and logs, and as many
    /// entries of scheduled times without a run. Returns how many it removed: less than `most` says that all is done.
    ///
    /// Runs stay that are open or that somebody is yet to be told of, the newest one, and each success that an open run, or one that is
    /// yet to come, finds as its `previous_success`.
    ///
    /// Cost: of a job with nothing to remove, three look-ups.
    pub fn forget(&self, job: &str, kept: KeptPast, most: usize) -> Result<usize> {
        let runs = self.forget_runs(job, kept, most)?;
        Ok(runs.max(self.forget_skips(job, kept, most)?))
    }

    fn forget_runs(&self, job: &str, kept: KeptPast, most: usize) -> Result<usize> {
        let beyond = "SELECT run_id FROM job_runs WHERE job = ?1 ORDER BY run_id DESC LIMIT 1 OFFSET ?2";
        let beyond = self.beyond(beyond, job, kept)?;
        let goes = |run: i64, finished_at: i64| run <= beyond || finished_at < kept.since;
        // Runs end roughly in the order of their numbers: the first one that is kept ends the search.
        let sql = "SELECT run_id, finished_at FROM job_runs WHERE job = ?1 AND finished_at IS NOT NULL \
            AND notice IS NULL ORDER BY run_id LIMIT ?2";
        // So many are enough, whichever of them are needed.
        let enough = most as i64 + self.open_count(job)? + 2;
        let oldest = self.rows_while(sql, (job, enough), |row| {
            let (run, finished_at) = (row.get(0)?, row.get(1)?);
            Ok(goes(run, finished_at).then_some(run))
        })?;
        if oldest.is_empty() {
            return Ok(0);
        }
        let needed = self.needed_runs(job)?;
        let mut removed = 0;
        for run in oldest.iter().filter(|run| !needed.contains(run)).take(most) {
            removed += self.execute("DELETE FROM job_runs WHERE run_id = ?1", [run])?;
        }
        Ok(removed)
    }

    fn forget_skips(&self, job: &str, kept: KeptPast, most: usize) -> Result<usize> {
        let beyond = "SELECT rowid FROM job_skips WHERE job = ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2";
        let beyond = self.beyond(beyond, job, kept)?;
        let sql = "SELECT rowid, at FROM job_skips WHERE job = ?1 ORDER BY rowid LIMIT ?2";
        let oldest = self.rows_while(sql, (job, most as i64), |row| {
            let (entry, at): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((entry <= beyond || at < kept.since).then_some(entry))
        })?;
        let mut removed = 0;
        for entry in oldest {
            removed += self.execute("DELETE FROM job_skips WHERE rowid = ?1", [entry])?;
        }
        Ok(removed)
    }

    /// Returns the newest number of those beyond the newest ones that are kept; less than any where there is none.
    fn beyond(&self, sql: &str, job: &str, kept: KeptPast) -> Result<i64> {
        let offset = i64::try_from(kept.runs).unwrap_or(i64::MAX);
        Ok(self.rows(sql, (job, offset), |row| row.get(0))?.pop().unwrap_or(i64::MIN))
    }

    fn open_count(&self, job: &str) -> Result<i64> {
        let sql = "SELECT count(*) FROM job_runs WHERE job = ?1 AND finished_at IS NULL";
        self.row(sql, [job], |row| row.get(0))
    }

    /// Returns a job's runs that are asked for whatever their age: at most two more than are open.
    fn needed_runs(&self, job: &str) -> Result<HashSet<i64>> {
        let newest = self.row("SELECT max(run_id) FROM job_runs WHERE job = ?1", [job], |row| row.get(0))?;
        let open = "SELECT run_id FROM job_runs WHERE job = ?1 AND finished_at IS NULL ORDER BY run_id";
        let mut befores: Vec<i64> = self.rows(open, [job], |row| row.get(0))?;
        befores.push(i64::MAX);
        let success = "SELECT run_id FROM job_runs WHERE job = ?1 AND status = 'succeeded' AND run_id < ?2 \
            ORDER BY scheduled_at DESC, run_id DESC LIMIT 1";
        let mut needed = HashSet::from([newest]);
        for before in befores {
            needed.extend(self.rows(success, (job, before), |row| row.get::<_, i64>(0))?);
        }
        Ok(needed)
    }

    /// Returns the rows of a query up to the first one that `read` makes nothing of; those behind it are not looked at.
    fn rows_while<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Vec<T>> {
        self.done(self.tx.prepare_cached(sql).and_then(|mut statement| {
            let (mut rows, mut found) = (statement.query(parameters)?, Vec::new());
            while let Some(row) = rows.next()? {
                match read(row)? {
                    Some(value) => found.push(value),
                    None => break,
                }
            }
            Ok(found)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalog, CatalogError, JobRun, JobRunStatement, JobSkip};

    struct Past {
        _folder: tempfile::TempDir,
        catalog: Catalog,
    }

    impl Past {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let catalog = Catalog::open(&folder.path().join("catalog.sqlite")).unwrap();
            Self { _folder: folder, catalog }
        }

        fn change<T>(&self, work: impl FnOnce(&JobLedger<'_>) -> Result<T, CatalogError>) -> T {
            self.catalog.change_jobs(work).unwrap()
        }

        /// A run that ended at the time of its number, with a statement and a line.
        fn run(&self, run: i64, status: &str, scheduled_at: i64) {
            let finished_at = matches!(status, "succeeded" | "failed").then_some(run);
            self.change(|ledger| {
                ledger.put_run(&JobRun {
                    run_id: run,
                    job: "j".to_owned(),
                    status: status.to_owned(),
                    scheduled_at,
                    finished_at,
                    ..JobRun::default()
                })?;
                ledger.log(run, 1, 0, "line")?;
                ledger.put_statement(&JobRunStatement { run_id: run, ..JobRunStatement::default() })
            });
        }

        fn runs(&self) -> Vec<i64> {
            let mut runs: Vec<_> =
                self.change(|ledger| ledger.runs(None, 1_000)).iter().map(|run| run.run_id).collect();
            runs.reverse();
            runs
        }

        fn forget(&self, runs: u64, since: i64, most: usize) -> usize {
            self.change(|ledger| ledger.forget("j", KeptPast { runs, since }, most))
        }
    }

    #[test]
    fn the_oldest_go_in_small_steps_and_numbers_never_come_again() {
        let past = Past::new();
        (1..=10).for_each(|run| past.run(run, "failed", run));
        assert_eq!(past.forget(6, 0, 3), 3);
        assert_eq!(past.runs(), [4, 5, 6, 7, 8, 9, 10]);
        assert_eq!((past.forget(6, 0, 3), past.forget(6, 0, 3)), (1, 0));
        assert_eq!(past.runs(), [5, 6, 7, 8, 9, 10]);
        assert_eq!(past.forget(100, 8, 100), 3);
        assert_eq!(past.runs(), [8, 9, 10]);
        // The newest stays; nothing is left of what the others said.
        assert_eq!(past.forget(100, i64::MAX, 100), 2);
        let left = past.change(|ledger| Ok((ledger.statements(None)?.len(), ledger.lines(9)?.len())));
        assert_eq!((past.runs(), left), (vec![10], (1, 0)));
        past.change(|ledger| ledger.execute("DELETE FROM job_runs", []));
        assert_eq!(past.change(|ledger| ledger.last_run()), 10);
        let counts = past.change(|ledger| ledger.count_runs());
        assert!(counts.contains(&("failed".to_owned(), 10)), "{counts:?}");
    }

    #[test]
    fn what_is_open_and_what_it_needs_stays() {
        let past = Past::new();
        past.run(1, "succeeded", 500);
        past.run(2, "succeeded", 100);
        past.run(3, "waiting", 3);
        past.run(4, "succeeded", 400);
        past.run(5, "succeeded", 900);
        past.run(6, "succeeded", 600);
        past.run(7, "queued", 7);
        past.run(8, "failed", 8);
        past.run(9, "failed", 9);
        past.change(|ledger| ledger.put_notice(8, Some("me")));
        let before = |run| past.change(|ledger| ledger.previous_success("j", run));
        let asked = (before(3), before(7), before(100));
        assert_eq!(asked, (Some(500), Some(900), Some(900)));
        assert_eq!(past.forget(1, i64::MAX, 2), 2);
        assert_eq!(past.forget(1, i64::MAX, 2), 1);
        assert_eq!(past.forget(1, i64::MAX, 2), 0);
        assert_eq!(past.runs(), [1, 3, 5, 7, 8, 9]);
        assert_eq!((before(3), before(7), before(100)), asked);
        // Once they are over and told, all but the newest and the last success go.
        past.run(3, "succeeded", 3);
        past.run(7, "failed", 7);
        past.change(|ledger| ledger.put_notice(8, None));
        assert_eq!(past.forget(1, i64::MAX, 100), 4);
        assert_eq!(past.runs(), [5, 9]);
    }

    #[test]
    fn skips_go_too_and_every_job_with_a_past_is_found() {
        let past = Past::new();
        for at in 1..=5 {
            let skip = |job: &str| JobSkip {
                job: job.to_owned(),
                first_at: at,
                last_at: at,
                times: 1,
                why: "missed".to_owned(),
                at,
            };
            past.change(|ledger| ledger.skip(&skip("j")).and_then(|()| ledger.skip(&skip("other"))));
        }
        past.run(1, "failed", 1);
        assert_eq!(past.forget(4, 0, 100), 1);
        assert_eq!(past.forget(4, 4, 100), 2);
        let left: Vec<_> = past.change(|ledger| ledger.skips(Some("j"))).iter().map(|skip| skip.at).collect();
        assert_eq!(left, [4, 5]);
        let next = |after| past.change(|ledger| ledger.next_with_past(after));
        assert_eq!(
            (next("").as_deref(), next("j").as_deref(), next("other")),
            (Some("j"), Some("other"), None)
        );
    }
}
