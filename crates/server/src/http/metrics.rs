//! What the daemon measures, in the text format of Prometheus 0.0.4.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{Display, Write};

use nightjar_catalog::{Result, Store, TrainingStatus};

use crate::pass_times::PassTimes;

/// The type of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const JOB_STATUSES: [&str; 3] = ["active", "paused", "suspended"];
const STAGES: [&str; 4] = ["queued", "running", "stopping", "waiting"];
const OUTCOMES: [&str; 3] = ["succeeded", "failed", "cancelled"];
const TRAINING_STATUSES: [TrainingStatus; 6] = [
    TrainingStatus::Running,
    TrainingStatus::Resumable,
    TrainingStatus::Done,
    TrainingStatus::Failed,
    TrainingStatus::Cancelled,
    TrainingStatus::Interrupted,
];

/// Returns what is measured at this moment, given in microseconds since 1970 UTC.
pub(super) fn exposition(store: &Store, ready: bool, passes: Option<&PassTimes>, now: i64) -> Result<String> {
    let catalog = store.catalog();
    let (jobs, figures, runs) =
        catalog.read_jobs(|ledger| Ok((ledger.jobs()?, ledger.figures()?, ledger.count_runs()?)))?;
    let of = |word: &str| runs.iter().find(|(status, _)| status == word).map_or(0, |(_, count)| *count);
    let mut text = Exposition::default();

    text.family("nightjar_leader", "gauge", "Whether this daemon has the lease on the store's jobs.");
    text.sample("nightjar_leader", None, u8::from(ready));
    text.family("nightjar_jobs", "gauge", "Jobs by status.");
    for status in JOB_STATUSES {
        let count = jobs.iter().filter(|job| job.status == status).count();
        text.sample("nightjar_jobs", Some(("status", status)), count);
    }
    text.family("nightjar_job_runs_open", "gauge", "Runs that are not over, by stage.");
    for stage in STAGES {
        text.sample("nightjar_job_runs_open", Some(("stage", stage)), of(stage));
    }
    text.family("nightjar_job_runs_finished_total", "counter", "Runs that are over, by outcome.");
    for outcome in OUTCOMES {
        text.sample("nightjar_job_runs_finished_total", Some(("outcome", outcome)), of(outcome));
    }
    let per_job = |name: &'static str,
                   help: &'static str,
                   value: &dyn Fn(usize) -> Option<f64>,
                   text: &mut Exposition| {
        text.family(name, "gauge", help);
        for (at, figure) in figures.iter().enumerate() {
            if let Some(value) = value(at) {
                text.sample(name, Some(("job", &figure.job)), value);
            }
        }
    };
    per_job(
        "nightjar_job_seconds_since_success",
        "Seconds since a run of the job last ended with success.",
        &|at| figures[at].succeeded_at.map(|then| seconds(now.saturating_sub(then))),
        &mut text,
    );
    per_job(
        "nightjar_job_seconds_until_next_run",
        "Seconds until the job's next scheduled time; negative where that is overdue.",
        &|at| figures[at].next_at.map(|then| seconds(then.saturating_sub(now))),
        &mut text,
    );
    per_job(
        "nightjar_job_last_run_duration_seconds",
        "How long the job's last finished run took.",
        &|at| figures[at].took.map(seconds),
        &mut text,
    );
    if let Some(passes) = passes {
        text.passes(passes);
    }
    text.family("nightjar_models", "gauge", "Models in the store.");
    text.sample("nightjar_models", None, catalog.models()?.len());
    text.family("nightjar_training_runs", "gauge", "Training runs by status.");
    let trainings = catalog.training_runs()?;
    for status in TRAINING_STATUSES {
        let count = trainings.iter().filter(|run| run.status == status).count();
        text.sample("nightjar_training_runs", Some(("status", status.as_str())), count);
    }
    Ok(text.0)
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[derive(Default)]
struct Exposition(String);

// Writing to a string does not fail.
impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn passes(&mut self, passes: &PassTimes) {
        const NAME: &str = "nightjar_scheduler_pass_seconds";
        let help = "How long the daemon's passes took that found something to do: decided what was due, began or stopped runs.";
        self.family(NAME, "histogram", help);
        let (classes, count, seconds) = passes.so_far();
        let bucket = format!("{NAME}_bucket");
        for (bound, count) in classes {
            self.sample(&bucket, Some(("le", &bound.to_string())), count);
        }
        self.sample(&bucket, Some(("le", "+Inf")), count);
        self.sample(&format!("{NAME}_sum"), None, seconds);
        self.sample(&format!("{NAME}_count"), None, count);
    }

    fn sample(&mut self, name: &str, label: Option<(&str, &str)>, value: impl Display) {
        let _ = match label {
            Some((label, of)) => writeln!(self.0, "{name}{{{label}=\"{}\"}} {value}", escaped(of)),
            None => writeln!(self.0, "{name} {value}"),
        };
    }
}

/// A label's value, as the format has it between double quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_as_the_format_says() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
        let mut text = Exposition::default();
        text.sample("x", Some(("job", "ü\"")), 1.5);
        text.sample("y", None, 2);
        assert_eq!(text.0, "x{job=\"ü\\\"\"} 1.5\ny 2\n");
    }
}
