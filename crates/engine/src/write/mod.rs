//! Writing files: COPY and INSERT, one file per partition, seen as a whole or not at all.
//!
//! ```text
//! PublishExec: to=labels/
//!   CoalescePartitionsExec
//!     WriteFilesExec: format=parquet
//!       ProjectionExec …
//! ```
//!
//! [`WriteInTasks`] puts the two operators where DataFusion would write from one task. Each task writes into a folder of
//! its own inside the statement's `Staging` and tells what it wrote; [`PublishExec`] moves what was told, and nothing else,
//! to where it belongs. A task that runs twice leaves its first files behind in the staging, which ends with the statement.
//! For INSERT OVERWRITE, [`OverwriteFiles`] has the same two operators planned, and what the new files replace goes with the moves;
//! so does, for a statement that runs again under its [`OutputKey`], what it has published before.

mod activity;
mod codec;
mod copy_target;
mod csv_rows;
mod csv_sink;
mod destination;
mod file_name;
mod finite;
mod hide_output;
mod journal;
mod location;
mod not_null;
mod output_key;
mod overwrite;
mod partition_keys;
mod partitioned;
mod publish;
mod publish_exec;
mod replaced;
mod rule;
mod sink;
mod staged;
mod staging;
mod turn;
mod types;
mod write_files_exec;

pub(crate) use activity::Activity;
pub(crate) use codec::{TAG, decode, encode};
pub(crate) use copy_target::CopyToName;
pub use csv_rows::write_csv;
pub(crate) use file_name::{follow_location, follow_target};
pub(crate) use hide_output::HideOutput;
pub use output_key::OutputKey;
pub use overwrite::OverwriteFiles;
pub(crate) use publish::settle;
pub use publish_exec::PublishExec;
pub use rule::WriteInTasks;
pub use write_files_exec::WriteFilesExec;
