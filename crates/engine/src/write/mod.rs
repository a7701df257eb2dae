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
//!
//! # How files are written
//!
//! `WriteInTasks`, the first of the physical rules, puts two operators where DataFusion would write
//! COPY's and INSERT's files from one task (`engine/src/write`). `WriteFilesExec` writes a partition's
//! rows where they are, with DataFusion's writer of the format, into a folder of its attempt below the
//! statement's staging (`_nightjar/<id>/` beside the file, or in the folder written to), and returns a
//! row for each file. `PublishExec`, which never leaves the coordinator, collects these rows and moves
//! the files that they name: one file by a rename, a folder that was not there by the rename of the
//! whole folder, files into a folder that was there, or into a bucket, one by one after a journal of
//! the moves is written (`journal.rs`). From the journal on the statement has happened, and its staging
//! outlives it: whoever reads or writes the folder next finishes the moves (`settle`). A task that runs
//! twice has two folders, and only the one that the scheduler took for done is told of. The staging
//! ends with the statement, however it ends; a task that outlives its statement finds the marker gone
//! and removes what it wrote; what a killed process leaves is swept a day later, and until then nobody
//! reads it.
//!
//! INSERT OVERWRITE is the same two operators. DataFusion's formats only add, so an analyzer rule,
//! `OverwriteFiles`, gives the statement a target that plans it (`overwrite.rs`). When all rows are
//! staged, `PublishExec` settles the folder, lists the files that the table reads and that go
//! (`replaced.rs`: all of them, or those in the partitions of the new rows, told apart by value, so
//! `month=01` is `month=1`) and writes them into the journal after the moves. Without rows a table gets
//! a file with the columns, and one with partitions is left as it is. A table of one file is replaced
//! by the rename. A statement that is run again under its key replaces what it has added ("How jobs
//! run"). From the listing to the journal's end a statement that replaces files has its *turn*
//! (`turn.rs`): in one process, on one file system and in one bucket, one after the other. A table of files is listed
//! anew where a statement may have published into its folder meanwhile (`tables/settled.rs`,
//! `write/activity.rs`): who is at work there is looked at before and after, and on a file system when
//! names last changed. A statement's marker goes before its journal does, so who finds a marker and had
//! found no journal has listed before it. What the journal can't give: a query that was planned before
//! may find its files gone; it is planned anew as long as it has given no row (`replaced_files.rs`).
//!
//! Rows that are sorted last are written from one partition, to keep their order. Every batch is checked
//! before it is written: NULL in a column that is NOT NULL (`not_null.rs`), and numbers that JSON has no
//! form for (`finite.rs`). DataFusion's writers of Parquet and JSON are told where to write; the rows of
//! CSV are ours (`csv_rows.rs`), because '' and NULL must stay apart, and so is Arrow's sink. What a file
//! is written as follows from its name (`file_name.rs`). Rows of tables with partition folders are dealt
//! out by `partitioned.rs`: a task has at most 32 files open, and sorts the rows of further folders, so
//! that any number of folders takes bounded memory.

mod activity;
mod bucket_turn;
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
