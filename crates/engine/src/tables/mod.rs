//! Where a table name leads: the catalog's tables and views, the session's own, the system tables, and files
//! named in place.

mod catalog;
mod columns;
mod common_type;
mod external;
mod files;
mod lake;
mod settled;
mod system;
mod system_jobs;
mod views;

pub(crate) use catalog::LakeCatalog;
pub(crate) use columns::unify;
pub(crate) use external::external_table;
pub(crate) use files::{glob_in_url, open};
pub(crate) use lake::{SessionHandle, defining_state, keep_external_table};
pub(crate) use settled::{listing, settled, whole};
pub(crate) use system::SystemSchema;
pub(crate) use views::{absolute_location, absolute_relations, check_no_cycle};
