//! The past of jobs, as far as it is not kept.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nightjar_catalog::{JobLedger, JobRecord, KeptPast};

use crate::error::Result;
use nightjar_sql::{JobOptions, options_of_text};

/// How many jobs one step looks at.
const JOBS_AT_A_TIME: usize = 20;

/// How many runs one step removes: whoever else wants to change the catalog waits for so long.
const RUNS_AT_A_TIME: usize = 100;

/// Removes what jobs do not keep of their past, those of `after` and the next ones by name, as far as one short transaction goes.
/// Returns the name to go on after; `None` once all have been seen.
///
/// # Errors
/// Of the catalog.
pub fn forget_past(ledger: &JobLedger<'_>, after: &str, now: DateTime<Utc>) -> Result<Option<String>> {
    let mut seen = after.to_owned();
    for _ in 0..JOBS_AT_A_TIME {
        let Some(name) = ledger.next_with_past(&seen)? else { return Ok(None) };
        let kept = kept_past(ledger.find(&name)?.as_ref(), now);
        if ledger.forget(&name, kept, RUNS_AT_A_TIME)? >= RUNS_AT_A_TIME {
            // There may be more of it.
            return Ok(Some(seen));
        }
        seen = name;
    }
    Ok(Some(seen))
}

/// How much is kept: what the job's options say, and what the defaults say where there is no job any more, or its options can't be read.
fn kept_past(job: Option<&JobRecord>, now: DateTime<Utc>) -> KeptPast {
    let options = job.and_then(|job| {
        let given = options_of_text(&job.options).ok()?;
        JobOptions::read(&given).ok()
    });
    let options = options.unwrap_or_default();
    let length = options.keep_for.map_or(Duration::MAX, |length| length.duration());
    let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    KeptPast { runs: options.keep_runs.into(), since: now.timestamp_micros().saturating_sub(micros) }
}

#[cfg(test)]
mod tests {
    use nightjar_catalog::{Catalog, JobRun};

    use super::*;

    #[test]
    fn each_job_keeps_what_its_options_say() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite")).unwrap();
        let now: DateTime<Utc> = "2026-11-29T00:00:00Z".parse().unwrap();
        let day = 86_400_000_000;
        let names: Vec<String> = (0..45).map(|number| format!("j{number:02}")).collect();
        let options = |index: usize| match index {
            0 => "keep_runs = 3",
            1 => "keep_for = '2 days'",
            2 => "keep_for = 'forever'",
            3 => "nonsense = 1",
            _ => "",
        };
        let runs_of = |index: usize| if index == 44 { 250 } else { 5 };
        let mut run_id = 0;
        catalog
            .change_jobs::<_, nightjar_catalog::CatalogError>(|ledger| {
                for (index, name) in names.iter().enumerate() {
                    // The last one has been dropped.
                    if index < 44 {
                        let options = options(index).to_owned();
                        ledger.put(&JobRecord { name: name.clone(), options, ..JobRecord::default() })?;
                    }
                    for age in (0..runs_of(index)).rev() {
                        run_id += 1;
                        ledger.put_run(&JobRun {
                            run_id,
                            job: name.clone(),
                            status: "failed".to_owned(),
                            // A run a day; of the job with many all are too old.
                            finished_at: Some(
                                now.timestamp_micros() - age * day - i64::from(index == 44) * 100 * day,
                            ),
                            ..JobRun::default()
                        })?;
                    }
                }
                Ok(())
            })
            .unwrap();
        let (mut after, mut steps) = (Some(String::new()), 0);
        while let Some(name) = after {
            after = catalog.change_jobs(|ledger| forget_past(ledger, &name, now)).unwrap();
            steps += 1;
        }
        assert!(steps > 4, "in short transactions: {steps}");
        let left = |index: usize| {
            let runs = catalog.read_jobs(|ledger| ledger.runs(Some(&names[index]), 1_000));
            runs.unwrap().len()
        };
        assert_eq!([0, 1, 2, 3, 4, 43, 44].map(left), [3, 3, 5, 5, 5, 5, 1]);
    }
}
