//! Materialized views: the rows of a query, kept in files, and made anew by the files that the query reads.
//!
//! [`FileQuery`] is a query that maps the rows of one table of files, so that it can be run over one of them at a time; a
//! refresh runs it over what is new or has changed, each file into a data file of its own ([`DataFiles`]), and then
//! switches the ledger in one transaction of the catalog. A reader's plan names the data files of the ledger at the time of planning.

mod data_files;
mod file_query;
mod models;
mod outcome;
mod refresh;
mod table;

pub(crate) use refresh::Refresher;
pub(crate) use table::view_table;
