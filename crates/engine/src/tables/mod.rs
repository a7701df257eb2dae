//! Where a table name leads: the catalog's tables and views, the session's own, the system tables, and files
//! named in place.

mod columns;
mod common_type;
mod external;
mod files;
mod lake;
mod settled;
mod system;
mod system_jobs;
mod views;

pub(crate) use columns::unify;
pub(crate) use external::external_table;
pub(crate) use files::glob_in_url;
pub(crate) use lake::{LakeSchema, SessionHandle, keep_external_table};
pub(crate) use settled::{listing, whole};
pub(crate) use system::SystemSchema;
pub(crate) use views::{absolute_location, absolute_relations, check_no_cycle};
