//! `ALTER JOB`.

use crate::StatementContext;
use crate::context::done;
use crate::error::{Result, StatementError};
use crate::execute::Execute;
use crate::job::body::{absolute_body, check_body};
use crate::job::clock::now;
use crate::job::create_job::{body_json, body_of_json, check_upstream, upstream};
use crate::job::ledger::{job_of, record_job};
use datafusion::prelude::DataFrame;
use nightjar_sql::{AlterJob, CreateJob, options_of_text, options_text, schedule_text};

impl Execute for AlterJob {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        catalog.read_jobs(|ledger| ledger.job(&self.name))?;
        let body = match self.body.is_empty() {
            true => None,
            false => Some(absolute_body(context, &self.body)?),
        };
        if let Some(body) = &body {
            check_body(context, body).await?;
        }
        catalog.change_jobs::<_, StatementError>(|ledger| {
            let mut record = ledger.job(&self.name)?;
            let now = now();
            let mut options = options_of_text(&record.options)?;
            options.retain(|(name, _)| !self.options.iter().any(|(changed, _)| changed == name));
            options.extend(self.options.iter().cloned());
            record.options = options_text(&options);
            let mut job = job_of(&record, &ledger.open_runs(&self.name)?)?;
            if let Some(schedule) = &self.schedule {
                check_upstream(ledger, &self.name, schedule)?;
                record.schedule = schedule_text(schedule);
                record.upstream = upstream(schedule);
                job.reschedule(schedule.clone(), now);
            }
            if let Some(body) = &body {
                record.body = body_json(body)?;
            }
            // What would make the job as it is now.
            record.statement = CreateJob {
                or_replace: false,
                if_not_exists: false,
                name: self.name.clone(),
                schedule: job.schedule.clone(),
                options,
                body: body_of_json(&record.body)?,
            }
            .to_string();
            record.updated_at = now.timestamp_micros();
            record_job(&mut record, &job);
            Ok(ledger.put(&record)?)
        })?;
        done(context)
    }
}
