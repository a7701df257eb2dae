//! Jobs: what their statements do, and the ledger of their runs.

pub(crate) mod alter_job;
pub(crate) mod body;
pub(crate) mod cancel_run;
pub(crate) mod clock;
pub(crate) mod create_job;
pub(crate) mod drop_job;
pub(crate) mod error;
pub(crate) mod ledger;
pub(crate) mod past;
pub(crate) mod pause_job;
pub(crate) mod resume_job;
pub(crate) mod run_job;
pub(crate) mod show_jobs;
pub(crate) mod show_log;
pub(crate) mod show_runs;
