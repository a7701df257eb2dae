//! Where a table name leads: the catalog's tables and views, the session's own, the system tables, and files
//! named in place.

mod absent;
mod catalog;
mod columns;
mod common_type;
mod data_files;
mod external;
mod file_table;
mod files;
mod foreign;
mod lake;
mod partitions;
mod place;
mod pruning;
mod settled;
mod system;
mod system_jobs;
mod views;

pub(crate) use catalog::LakeCatalog;
pub(crate) use columns::unify;
pub(crate) use data_files::is_data;
pub(crate) use external::{check_partitions, external_table};
pub(crate) use file_table::{FileTable, TableFile, file_table};
pub(crate) use files::{Ending, compression_of, ending, open};
pub(crate) use foreign::check_place;
pub(crate) use lake::{SessionHandle, defining_state, keep_external_table};
pub(crate) use partitions::{NULL_FOLDER, PartitionColumns, encode, percent_encode};
pub(crate) use place::{WILDCARDS, literal_url, pattern};
pub(crate) use system::SystemSchema;
pub(crate) use views::{absolute_location, absolute_relations, check_no_cycle};
