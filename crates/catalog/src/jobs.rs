//! Jobs as the catalog keeps them, and the lease of the daemon that runs them.
//!
//! What a job's schedule and policy mean is not known here: a record holds them as they print. Whoever decides about a job
//! reads its record and its open runs, decides, and writes both in the same transaction ([`crate::Catalog::change_jobs`]).

use std::path::Path;

use rusqlite::{Params, Row, Transaction};

use crate::catalog::{Catalog, database, now};
use crate::error::{CatalogError, Result};
use crate::owner::lives;

/// A job. Times are microseconds since 1970 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobRecord {
    /// As SQL has normalised it; case-sensitive.
    pub name: String,
    /// The statement that made or last changed it, as written.
    pub statement: String,
    /// When it runs: `CRON …`, `EVERY …` or `AFTER JOB …`.
    pub schedule: String,
    /// The job that it comes after.
    pub upstream: Option<String>,
    /// The options given, as `WITH` has them between its parentheses; empty for none.
    pub options: String,
    /// The statements of its body, as written: a JSON list of texts.
    pub body: String,
    /// `active`, `paused` or `suspended`.
    pub status: String,
    /// Scheduled times up to and with this moment have been decided.
    pub decided_until: i64,
    /// How many runs have failed in a row.
    pub failures: u32,
    /// The next scheduled time, if its schedule has one and is heeded.
    pub next_at: Option<i64>,
    /// When there is next something to decide: the next scheduled time, the next attempt, or a timeout.
    pub wakes_at: Option<i64>,
    /// When it was made. [`JobLedger::put`] keeps that of a job that is there.
    pub created_at: i64,
    /// When it was last changed by a statement.
    pub updated_at: i64,
    /// The number of its last change among those of all jobs; the ledger's.
    pub changed: i64,
}

const COLUMNS: &str = "SELECT name, statement, schedule, upstream, options, body, status, decided_until, \
    failures, next_at, wakes_at, created_at, updated_at, changed FROM jobs";

/// The jobs and their ledger within one transaction.
pub struct JobLedger<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    path: &'a Path,
}

impl<'a> JobLedger<'a> {
    pub(crate) fn new(tx: &'a Transaction<'a>, path: &'a Path) -> Self {
        Self { tx, path }
    }

    pub(crate) fn done<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|error| database("change the jobs", self.path, error))
    }

    pub(crate) fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize> {
        self.done(self.tx.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters)))
    }

    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.done(
            self.tx
                .prepare_cached(sql)
                .and_then(|mut statement| statement.query_map(parameters, read)?.collect()),
        )
    }

    /// Returns the only row of a query.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.done(self.tx.prepare_cached(sql).and_then(|mut statement| statement.query_row(parameters, read)))
    }

    /// Returns a job, or `None`.
    pub fn find(&self, name: &str) -> Result<Option<JobRecord>> {
        Ok(self.rows(&format!("{COLUMNS} WHERE name = ?1"), [name], job)?.pop())
    }

    /// Returns a job.
    ///
    /// # Errors
    /// [`CatalogError::JobUnknown`], which names the nearest one.
    pub fn job(&self, name: &str) -> Result<JobRecord> {
        if let Some(found) = self.find(name)? {
            return Ok(found);
        }
        let known = self.rows("SELECT name FROM jobs", [], |row| row.get::<_, String>(0))?;
        let nearest = nightjar_errors::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        Err(CatalogError::JobUnknown { name: name.to_owned(), nearest })
    }

    /// Returns all jobs, by name.
    pub fn jobs(&self) -> Result<Vec<JobRecord>> {
        self.rows(&format!("{COLUMNS} ORDER BY name"), [], job)
    }

    /// Returns the jobs that have changed since the change of this number, in the order of their last changes.
    pub fn changed_since(&self, number: i64) -> Result<Vec<JobRecord>> {
        self.rows(&format!("{COLUMNS} WHERE changed > ?1 ORDER BY changed"), [number], job)
    }

    /// Returns the number of the last change of all.
    pub fn last_change(&self) -> Result<i64> {
        self.row("SELECT number FROM job_changes", [], |row| row.get(0))
    }

    /// Returns the names of the jobs with something to decide at this time, the longest due first.
    pub fn due(&self, now: i64, limit: usize) -> Result<Vec<String>> {
        let sql = "SELECT name FROM jobs WHERE wakes_at <= ?1 ORDER BY wakes_at LIMIT ?2";
        self.rows(sql, (now, limit as i64), |row| row.get(0))
    }

    /// Returns when there is next something to decide.
    pub fn wakes_at(&self) -> Result<Option<i64>> {
        self.row("SELECT min(wakes_at) FROM jobs", [], |row| row.get(0))
    }

    /// Returns the rules of time zones that the daemon with the lease last went by.
    pub fn zone_rules(&self) -> Result<Option<String>> {
        // The lease has no row before the first daemon.
        self.row("SELECT max(zone_rules) FROM job_lease", [], |row| row.get(0))
    }

    /// Has all jobs be decided about at this time that wait for one, if the lease was last held by a program with other rules of time zones:
    /// what they wait for may have come to lie elsewhere.
    pub fn heed_zone_rules(&self, rules: &str, now: i64) -> Result<()> {
        let before = self.zone_rules()?;
        if before.as_deref() == Some(rules) {
            return Ok(());
        }
        if before.is_some() {
            self.execute("UPDATE jobs SET wakes_at = min(wakes_at, ?1) WHERE wakes_at IS NOT NULL", [now])?;
        }
        self.execute("UPDATE job_lease SET zone_rules = ?1", [rules]).map(drop)
    }

    /// Returns the names of the jobs that come after this one.
    pub fn downstream(&self, name: &str) -> Result<Vec<String>> {
        self.rows("SELECT name FROM jobs WHERE upstream = ?1 ORDER BY name", [name], |row| row.get(0))
    }

    /// Writes a job, a new one or one that is there, and gives the change its number.
    pub fn put(&self, job: &JobRecord) -> Result<()> {
        self.count_change()?;
        let sql = "INSERT INTO jobs (name, statement, schedule, upstream, options, body, status, \
            decided_until, failures, next_at, wakes_at, created_at, updated_at, changed) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
                (SELECT number FROM job_changes)) \
            ON CONFLICT (name) DO UPDATE SET statement = excluded.statement, schedule = excluded.schedule, \
            upstream = excluded.upstream, options = excluded.options, body = excluded.body, \
            status = excluded.status, decided_until = excluded.decided_until, \
            failures = excluded.failures, next_at = excluded.next_at, wakes_at = excluded.wakes_at, \
            updated_at = excluded.updated_at, changed = excluded.changed";
        let parameters = rusqlite::params![
            job.name,
            job.statement,
            job.schedule,
            job.upstream,
            job.options,
            job.body,
            job.status,
            job.decided_until,
            job.failures,
            job.next_at,
            job.wakes_at,
            job.created_at,
            job.updated_at,
        ];
        self.execute(sql, parameters).map(drop)
    }

    /// Removes a job. Its runs stay in the ledger.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.count_change()?;
        self.execute("DELETE FROM jobs WHERE name = ?1", [name]).map(drop)
    }

    fn count_change(&self) -> Result<()> {
        self.execute("UPDATE job_changes SET number = number + 1", []).map(drop)
    }

    /// Checks that the lease of this number is still the last one.
    ///
    /// # Errors
    /// [`CatalogError::LeaseLost`].
    pub fn hold(&self, fence: i64) -> Result<()> {
        match self.lease()? {
            Some((_, current)) if current == fence => Ok(()),
            _ => Err(CatalogError::LeaseLost),
        }
    }

    fn lease(&self) -> Result<Option<(String, i64)>> {
        let sql = "SELECT owner, fence FROM job_lease";
        Ok(self.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?.pop())
    }
}

impl Catalog {
    /// Takes the lease on the jobs of this store for this process and returns its number, which is higher than any before; `None`
    /// while the process that has it lives.
    ///
    /// A process holds its lease until it ends, however it ends. Whoever writes what a run has done checks the number in the same
    /// transaction ([`JobLedger::hold`]): one that was taken for dead writes nothing more.
    pub fn take_job_lease(&self) -> Result<Option<i64>> {
        let (folder, owner) = (self.owners(), self.this_owner()?);
        self.change_jobs(|ledger| {
            let held = ledger.lease()?;
            if held.as_ref().is_some_and(|(holder, _)| *holder != owner && lives(&folder, holder)) {
                return Ok(None);
            }
            let fence = held.map_or(1, |(_, fence)| fence + 1);
            ledger.execute(
                "INSERT INTO job_lease (id, owner, fence, taken_at) VALUES (1, ?1, ?2, ?3) ON CONFLICT (id) \
                 DO UPDATE SET owner = excluded.owner, fence = excluded.fence, taken_at = excluded.taken_at",
                (&owner, fence, now()),
            )?;
            Ok(Some(fence))
        })
    }

    /// Gives the lease of this number back, so that another daemon need not wait for this process's end.
    pub fn give_job_lease_back(&self, fence: i64) -> Result<()> {
        self.change_jobs(|ledger| {
            ledger.execute("UPDATE job_lease SET owner = '' WHERE fence = ?1", [fence]).map(drop)
        })
    }

    /// Whether a living process has the lease on the jobs of this store.
    pub fn jobs_have_a_daemon(&self) -> Result<bool> {
        let folder = self.owners();
        self.read_jobs(|ledger| Ok(ledger.lease()?.is_some_and(|(owner, _)| lives(&folder, &owner))))
    }
}

fn job(row: &Row<'_>) -> rusqlite::Result<JobRecord> {
    Ok(JobRecord {
        name: row.get("name")?,
        statement: row.get("statement")?,
        schedule: row.get("schedule")?,
        upstream: row.get("upstream")?,
        options: row.get("options")?,
        body: row.get("body")?,
        status: row.get("status")?,
        decided_until: row.get("decided_until")?,
        failures: row.get("failures")?,
        next_at: row.get("next_at")?,
        wakes_at: row.get("wakes_at")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        changed: row.get("changed")?,
    })
}
