//! The same SQL on many machines: Ballista's scheduler and executors with Nightjar's functions and operators, and sessions
//! whose plans run there.
//!
//! [`Scheduler`] and [`Executor`] are the two roles of the binary beside the session. A session of [`connect`] plans as a
//! local one does, by the same rules, and a last rule ([`Distribute`]) puts a [`ClusterExec`] over what can leave: it sends
//! the physical plan, so what runs on the cluster is what was planned. What can't leave runs where it was planned.
//!
//! # How a plan runs on a cluster
//!
//! A session of `cluster::connect` plans as a local one does, by the same rules and with the same
//! operators. The last rule, `Distribute`, puts a `ClusterExec` over what can leave the process, and
//! that operator sends the *physical* plan: the scheduler cuts it into stages at its shuffles
//! (Ballista's static planner) and plans nothing anew, so the operators that run are those that were
//! planned, and no logical node or table needs a form on the wire. `ClusterExec` shows the stages as
//! its children; when the job is done they have the metrics that their tasks counted.
//!
//! A plan leaves if it reads files, if every leaf is one that the scheduler can deal out to tasks, and
//! if it can be written and read back by a process that knows what an executor knows. What else there
//! is runs in the coordinator: system tables, `SELECT 1`, `generate_series`, rows in memory beyond 1
//! MiB, unions with a branch of one row, and nested-loop joins that remember which rows of the collected side have matched.
//! Statements never ask where they run: `CREATE MODEL`'s features, rounds and validations are queries,
//! so they run on executors; the driver, the catalog and the dealing out of rows stay in the
//! coordinator.
//!
//! `InferExec` asks for rows dealt out by the hash of their texts (`nightjar.shuffle_texts`, on in a
//! cluster): one small file keeps all executors busy, and equal texts are encoded once in the whole
//! cluster. An executor's arithmetic pool has a thread for each of its tasks.
//!
//! All processes start from the settings of `cluster/src/settings.rs`. Executors open the store's files
//! and never its catalog. A task's failure travels as JSON inside the error that Ballista prints
//! (`failure.rs`), so message and hint arrive; IO errors stay IO errors, which the scheduler has tried
//! again. A scheduler that goes away is waited for, and gets the plan again: no row has been read by
//! then. So does one that ran a stage again as a whole because an executor was lost in the middle of
//! it: Ballista 55 then hands on the rows of both attempts, and the result would be wrong
//! (`has_rerun`). What an executor has free is counted from the tasks that run, not from their reports,
//! which Ballista loses with a stage that is rolled back (`vcores.rs`). Dropping the stream cancels the
//! job; a training round, which is one long call, looks for the run's file `session` between two steps
//! and ends when it is gone. Shuffle files and spills of an executor lie in a folder that it locks
//! (`scratch.rs`); the next one sweeps what a killed one left. All 22 queries of TPC-H leave, and a
//! test counts them (`tests/tests/tpch.rs`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address;
mod client;
mod cluster_exec;
mod codec;
mod connect;
mod connections;
mod declared_rows;
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
mod wire_literals;

pub use address::Address;
pub use cluster_exec::ClusterExec;
pub use connect::{ClusterSession, connect};
pub use distribute::Distribute;
pub use error::{ClusterError, Result};
pub use executor::Executor;
pub use executors::executors;
pub use health::health;
pub use scheduler::Scheduler;
