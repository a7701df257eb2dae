//! The same SQL on many machines: Ballista's scheduler and executors with Nightjar's functions and operators, and sessions
//! whose plans run there.
//!
//! [`Scheduler`] and [`Executor`] are the two roles of the binary beside the session. A session of [`connect`] plans as a
//! local one does, by the same rules, and a last rule ([`Distribute`]) puts a [`ClusterExec`] over what can leave: it sends
//! the physical plan, so what runs on the cluster is what was planned. What can't leave runs where it was planned.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address;
mod client;
mod cluster_exec;
mod codec;
mod connect;
mod connections;
mod distribute;
mod error;
mod executor;
mod executors;
mod failure;
mod health;
mod job_progress;
mod registry;
mod rest;
mod result_rows;
mod scheduler;
mod scratch;
mod settings;
mod stage_runner;
mod stages;
mod vcores;

pub use address::Address;
pub use cluster_exec::ClusterExec;
pub use connect::{ClusterSession, connect};
pub use distribute::Distribute;
pub use error::{ClusterError, Result};
pub use executor::Executor;
pub use executors::executors;
pub use health::health;
pub use scheduler::Scheduler;
