//! `CREATE JOB`.

use crate::StatementContext;
use crate::context::done;
use crate::error::{Result, StatementError};
use crate::execute::Execute;
use crate::job::body::{absolute_body, check_body};
use crate::job::clock::now;
use crate::job::error::JobError;
use crate::job::ledger::{job_of, record_job};
use datafusion::prelude::DataFrame;
use nightjar_catalog::{CatalogError, JobLedger, JobRecord};
use nightjar_jobs::{Job, Schedule, Status};
use nightjar_sql::{CreateJob, JobOptions, options_text, schedule_text};

/// Refuses a schedule that leads back to the job, or to a job that is not there.
///
/// # Errors
/// [`JobError::Cycle`], or an unknown job.
pub(crate) fn check_upstream(ledger: &JobLedger<'_>, name: &str, schedule: &Schedule) -> Result<()> {
    let Schedule::After(upstream) = schedule else { return Ok(()) };
    let (mut path, mut next) = (vec![name.to_owned()], Some(upstream.clone()));
    while let Some(job) = next {
        path.push(job.clone());
        if job == name {
            return Err(JobError::Cycle { name: job, path: path.join(" after ") }.into());
        }
        next = ledger.job(&job)?.upstream;
    }
    Ok(())
}

/// Returns the job that a schedule comes after.
pub(crate) fn upstream(schedule: &Schedule) -> Option<String> {
    match schedule {
        Schedule::After(job) => Some(job.clone()),
        _ => None,
    }
}

/// Returns a body as the catalog keeps it.
pub(crate) fn body_json(body: &[String]) -> Result<String> {
    serde_json::to_string(body).map_err(|error| StatementError::Internal(error.to_string()))
}

/// Returns the body that the catalog keeps as this text.
pub(crate) fn body_of_json(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).map_err(|error| StatementError::Internal(error.to_string()))
}

impl Execute for CreateJob {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        let taken = catalog.read_jobs(|ledger| ledger.find(&self.name))?.is_some();
        if taken && self.if_not_exists {
            context.watch.note(&format!("there is a job {} already; nothing was done", self.name));
            return done(context);
        }
        let body = absolute_body(context, &self.body)?;
        check_body(context, &body).await?;
        catalog.change_jobs::<_, StatementError>(|ledger| {
            check_upstream(ledger, &self.name, &self.schedule)?;
            let before = ledger.find(&self.name)?;
            if before.is_some() && !self.or_replace {
                return Err(CatalogError::JobExists { name: self.name.clone() }.into());
            }
            let now = now();
            let mut job = match &before {
                Some(before) => job_of(before, &ledger.open_runs(&self.name)?)?,
                None => Job::new(self.schedule.clone(), JobOptions::default().policy, now),
            };
            job.reschedule(self.schedule.clone(), now);
            job.policy = JobOptions::policy_of(&self.options, &self.schedule)?;
            job.failures = 0;
            if job.status == Status::Suspended {
                job.status = Status::Active;
            }
            let mut record = JobRecord {
                name: self.name.clone(),
                statement: context.sql.clone(),
                schedule: schedule_text(&self.schedule),
                upstream: upstream(&self.schedule),
                options: options_text(&self.options),
                body: body_json(&body)?,
                created_at: before.map_or(now.timestamp_micros(), |before| before.created_at),
                updated_at: now.timestamp_micros(),
                ..JobRecord::default()
            };
            record_job(&mut record, &job);
            Ok(ledger.put(&record)?)
        })?;
        note_daemon(context)?;
        done(context)
    }
}

/// Says so where nobody will run the jobs of the store.
pub(crate) fn note_daemon(context: &StatementContext) -> Result<()> {
    if !context.store.catalog().jobs_have_a_daemon()? {
        context.watch.note("no daemon is at work on this store: nightjar serve runs its jobs, nightjar jobs run-due those that are due");
    }
    Ok(())
}
