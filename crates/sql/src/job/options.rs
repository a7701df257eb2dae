//! The options of jobs.

use datafusion_sql::parser::DFParserBuilder;
use datafusion_sql::sqlparser::ast::Value;
use nightjar_errors::nearest;
use nightjar_jobs::{CatchUp, Interval, Overlap, Policy, Schedule};
use url::Url;

use crate::error::Result;
use crate::job::error::JobClauseError;
use crate::parse::names::quote_identifier;
use crate::parse::with_clause::{accept_with, value_sql};

/// What the statements of a body may name with a colon before it.
pub const PARAMETERS: &[&str] = &["scheduled_at", "previous_success", "run_id"];

/// An option of `CREATE JOB` and `ALTER JOB`.
pub struct JobOption {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub summary: &'static str,
    /// What it takes, in words.
    pub takes: &'static str,
    /// Its default as SQL, and why.
    pub default: &'static str,
    set: fn(&mut JobOptions, &Value) -> Option<()>,
}

/// The options of a job, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct JobOptions {
    /// What becomes of its runs.
    pub policy: Policy,
    /// Who is told when a run has failed for good: a URL, or a command of the shell.
    pub on_failure: Option<String>,
    /// How many runs are kept.
    pub keep_runs: u32,
    /// How long runs are kept; None for as long as there are not too many.
    pub keep_for: Option<Interval>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            on_failure: None,
            keep_runs: 1_000,
            keep_for: Interval::of_seconds(90 * 24 * 60 * 60),
        }
    }
}

/// Every option of jobs, in the order of the reference page. A new one is one entry here.
pub static JOB_OPTIONS: &[JobOption] = &[
    JobOption {
        name: "retries",
        summary: "How often a run that failed is tried again.",
        takes: "a whole number from 0 to 1000",
        default: "2, because most of what fails at night is a store or a network that is there again a minute later",
        set: |options, value| {
            options.policy.retries = number(value, 0, 1_000)?;
            Some(())
        },
    },
    JobOption {
        name: "retry_delay",
        summary: "The wait before the first retry; each further one waits twice as long, an hour at most.",
        takes: "an interval such as '1 minute'",
        default: "'1 minute'",
        set: |options, value| {
            options.policy.retry_delay = interval(value)?;
            Some(())
        },
    },
    JobOption {
        name: "timeout",
        summary: "How long an attempt may take before it is stopped and counts as failed.",
        takes: "an interval such as '4 hours', or 'none'",
        default: "'none', because nobody but you knows how long the work may take",
        set: |options, value| {
            let none = matches!(value, Value::SingleQuotedString(text) if text.eq_ignore_ascii_case("none"));
            options.policy.timeout = if none { None } else { Some(interval(value)?) };
            Some(())
        },
    },
    JobOption {
        name: "overlap",
        summary: "What a scheduled time does while an earlier run of the job is not over: 'skip' leaves it out and says so in \
            nightjar.job_skips, 'queue' runs it afterwards, 'allow' runs it beside the other.",
        takes: "'skip', 'queue' or 'allow'",
        default: "'skip', because two runs over the same rows seldom do what was meant; 'queue' for a job that comes AFTER another, and with \
            catch_up = 'all', where no time is to be lost",
        set: |options, value| {
            options.policy.overlap = text(value)?.parse().ok()?;
            Some(())
        },
    },
    JobOption {
        name: "catch_up",
        summary: "What becomes of the times that were missed while no daemon was there: 'none' leaves them out, 'last' runs the last \
            one, 'all' runs each, in their order.",
        takes: "'none', 'last' or 'all'",
        default: "'last', because a night that was missed should still be done, once",
        set: |options, value| {
            options.policy.catch_up = text(value)?.parse().ok()?;
            Some(())
        },
    },
    JobOption {
        name: "suspend_after_failures",
        summary: "After how many failed runs in a row the job is suspended, until RESUME JOB; 0 for never.",
        takes: "a whole number from 0 to 1000",
        default: "0, because a job that stops silently is a night lost",
        set: |options, value| {
            let most = number(value, 0, 1_000)?;
            options.policy.suspend_after_failures = (most > 0).then_some(most);
            Some(())
        },
    },
    JobOption {
        name: "on_failure",
        summary: "Who is told when a run has failed for good: an http:// or https:// URL gets the run as JSON by POST, if its \
            certificate is one that the machine trusts or SSL_CERT_FILE names; any other text is a command for the shell of the daemon, which \
            gets it on its standard input. What can't be told is tried again until it is, also by a daemon that is started later.",
        takes: "a URL of http or https, or a command; '' for nobody",
        default: "'', nobody",
        set: |options, value| {
            let text = text(value)?;
            options.on_failure = told(text)?;
            Some(())
        },
    },
    JobOption {
        name: "keep_runs",
        summary: "How many runs of the job the ledger keeps, with their statements and logs: older ones go, and so do older entries of \
            nightjar.job_skips. Kept whatever their number and age are runs that are not over, the newest one, and the success that \
            `:previous_success` stands for.",
        takes: "a whole number from 1 to 1000000",
        default: "1000, because a page of runs is read, and a million are not",
        set: |options, value| {
            options.keep_runs = number(value, 1, 1_000_000)?;
            Some(())
        },
    },
    JobOption {
        name: "keep_for",
        summary: "How long the ledger keeps what a run did, from its end on.",
        takes: "an interval such as '90 days', a year at most, or 'forever'",
        default: "'90 days', because who asks what happened asks within a quarter",
        set: |options, value| {
            let forever = text(value)?.eq_ignore_ascii_case("forever");
            options.keep_for = if forever { None } else { Some(interval(value)?) };
            Some(())
        },
    },
];

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

fn number(value: &Value, least: u32, most: u32) -> Option<u32> {
    match value {
        Value::Number(digits, _) => digits.parse().ok().filter(|number| (least..=most).contains(number)),
        _ => None,
    }
}

fn interval(value: &Value) -> Option<Interval> {
    text(value)?.parse().ok()
}

/// Returns whom a text names, nobody by an empty one: a URL as it is written in full, or a command. None for the URL of something else, or of nothing:
/// nobody should find that out from a night that failed.
fn told(text: &str) -> Option<Option<String>> {
    let text = text.trim();
    let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    if matches!(scheme.as_str(), "http" | "https") {
        let url = Url::parse(text).ok()?;
        return url.has_host().then(|| Some(url.into()));
    }
    let is_other = text.contains("://")
        && !scheme.contains(char::is_whitespace)
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_other { None } else { Some((!text.is_empty()).then(|| text.to_owned())) }
}

impl JobOptions {
    /// Returns the options of a `WITH` clause over the defaults.
    ///
    /// # Errors
    /// An option that is unknown, given twice, or has a value that it does not take.
    pub fn read(given: &[(String, Value)]) -> Result<Self, JobClauseError> {
        let mut options = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in given {
            let Some(option) = JOB_OPTIONS.iter().find(|option| option.name == name) else {
                let known = JOB_OPTIONS.iter().map(|option| option.name);
                return Err(JobClauseError::UnknownOption {
                    option: name.clone(),
                    nearest: nearest(name, known),
                });
            };
            if seen.contains(&option.name) {
                return Err(JobClauseError::RepeatedOption { option: option.name });
            }
            seen.push(option.name);
            (option.set)(&mut options, value).ok_or_else(|| JobClauseError::OptionValue {
                option: option.name,
                value: value_sql(value),
                takes: option.takes,
            })?;
        }
        Ok(options)
    }

    /// Returns what becomes of the runs of a job with such options and this schedule.
    ///
    /// # Errors
    /// Those of [`JobOptions::read`].
    pub fn policy_of(given: &[(String, Value)], schedule: &Schedule) -> Result<Policy, JobClauseError> {
        let mut policy = Self::read(given)?.policy;
        let loses_nothing = matches!(schedule, Schedule::After(_)) || policy.catch_up == CatchUp::All;
        if loses_nothing && !given.iter().any(|(name, _)| name == "overlap") {
            policy.overlap = Overlap::Queue;
        }
        Ok(policy)
    }
}

/// Returns options as the catalog keeps them: what stands between the parentheses of `WITH`.
pub fn options_text(options: &[(String, Value)]) -> String {
    let options: Vec<_> = options
        .iter()
        .map(|(name, value)| format!("{} = {}", quote_identifier(name), value_sql(value)))
        .collect();
    options.join(", ")
}

/// Returns the options that the catalog keeps as this text.
pub fn options_of_text(text: &str) -> Result<Vec<(String, Value)>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let clause = format!("WITH ({text})");
    let mut parser = DFParserBuilder::new(clause.as_str()).build()?;
    accept_with(&mut parser.parser)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_taken_and_prints_back() {
        let text = "retries = 5, retry_delay = '10 s', timeout = '4 hours', overlap = 'queue', catch_up = 'all', \
            suspend_after_failures = 3, on_failure = 'mail -s ''it failed'' me', keep_runs = 100000, \
            keep_for = 'forever'";
        let given = options_of_text(text).unwrap();
        assert_eq!(options_text(&given), text);
        let options = JobOptions::read(&given).unwrap();
        assert_eq!((options.policy.retries, options.policy.suspend_after_failures), (5, Some(3)));
        assert_eq!(options.on_failure.as_deref(), Some("mail -s 'it failed' me"));
        assert_eq!((options.keep_runs, options.keep_for), (100_000, None));
        assert_eq!(JOB_OPTIONS.len(), given.len());
        for wrong in [
            "retries = -1",
            "retries = 'two'",
            "timeout = '4 fortnights'",
            "overlap = 'wait'",
            "on_failure = 'http://'",
            "on_failure = 'https://a b/c'",
            "on_failure = 'http://localhost:99999/x'",
            "on_failure = 'ftp://host/x'",
            "catch_up = 1",
            "keep_runs = 0",
            "keep_for = 90",
        ] {
            let given = options_of_text(wrong).unwrap();
            assert!(matches!(JobOptions::read(&given), Err(JobClauseError::OptionValue { .. })), "{wrong}");
        }
        let given = options_of_text("retrys = 1").unwrap();
        assert!(matches!(
            JobOptions::read(&given),
            Err(JobClauseError::UnknownOption { nearest: Some("retries"), .. })
        ));
    }
}
