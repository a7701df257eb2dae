//! The testkit: stores with tiny seeded models, fixture files, the tables of TPC-H, and the database that `sql/*.slt` talks to.
//!
//! Nothing here needs the network. What it makes lives in temporary folders that go with the values.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod avro;
mod cluster;
mod database;
mod fixtures;
mod job_place;
mod normalise;
mod parquet_files;
mod render;
mod runtime;
mod s3_server;
mod store;
mod tpch;

pub use cluster::{Cluster, Process, binary};
pub use database::{Database, SqlFailure, SqlType};
pub use fixtures::{Fixtures, REVIEWS, Review};
pub use job_place::{JobPlace, time_text};
pub use normalise::{Places, normalise};
pub use render::{render_error, render_rows};
pub use runtime::block_on;
pub use s3_server::S3Server;
pub use store::{TestStore, cells, digests, values};
pub use tpch::{Tpch, TpchQuery, is_query};
