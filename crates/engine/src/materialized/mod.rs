//! Materialized views: the rows of a query, kept in files, and made anew by the files that the query reads.
//!
//! [`FileQuery`] is a query that maps the rows of one table of files, so that it can be run over one of them at a time; a
//! refresh runs it over what is new or has changed, each file into a data file of its own ([`DataFiles`]), and then
//! switches the ledger in one transaction of the catalog. A reader's plan names the data files of the ledger at the time of planning.
//!
//! # How a view is refreshed
//!
//! The catalog keeps the view's statement and its *ledger*: source file (path, size, time, tag) → data
//! file, rows. To read the view is to plan a table over the data files that the ledger names at that
//! moment (`engine/src/materialized/table.rs`), with a file of no rows for the columns. `FileQuery`
//! takes the query's plan apart: projections, filters and functions that are immutable over one scan of
//! a listing table, or a reason why not. A refresh lists the files, keeps the entries that still hold,
//! and runs the query over each of the others by itself: the scan is replaced by one of that file, with
//! the columns that its path gives as constants, and the plan goes through the usual rules, so that
//! calls run in `InferExec`, here or on a cluster. Models are pinned once for all files. Rows are
//! written by the coordinator, one Parquet file for each source file, below `views/<folder>/`; then one
//! transaction switches the ledger. It compares the *generation* that the refresh began at; before
//! that, the folder's lock has refused a second writer, and it goes with the process. All rows are made
//! anew when a pinned model differs (unless the view keeps them), or the *fingerprint*, a digest of
//! plan, columns, places and format, or when a data file is gone.
//!
//! Data files that have left a ledger stay for an hour, for plans that name them; the next refresh
//! sweeps them, and what a killed one has left. Of a store in a bucket they are objects
//! (`view_files.rs`): written in the coordinator's working folder, uploaded before the ledger names
//! them, and read from there by everyone. Lock and ledger are the coordinator's.

mod data_files;
mod file_query;
mod models;
mod outcome;
mod refresh;
mod table;

pub(crate) use refresh::Refresher;
pub(crate) use table::view_table;
