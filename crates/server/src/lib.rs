//! The daemon: what runs jobs when they are due, and what it shows of them over HTTP.
//!
//! [`Daemon`] acts on the ledger: what `nightjar_jobs` has decided, it begins and stops.
//! [`HttpServer`] answers from the catalog alone, so its pages say the same whichever process is at the jobs, and it changes
//! nothing: whoever wants something done says so in SQL.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod attempt;
mod daemon;
mod error;
mod forgetting;
mod health;
mod http;
mod notices;
mod pass_times;
mod place;
mod result_lines;
mod run_log;

pub use daemon::{Daemon, any_failed};
pub use error::{DaemonError, Result};
pub use health::daemon_health;
pub use http::{ExecutorRow, Executors, HttpError, HttpServer, HttpSettings, ServerState, TlsFiles};
pub use pass_times::PassTimes;
pub use place::Place;
