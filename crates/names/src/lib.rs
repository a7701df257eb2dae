//! What models, tables and views are called, by the catalog and in SQL alike.

mod error;
mod model;
mod quote;
mod table;

pub use error::NameError;
pub use model::{ModelName, ModelReference, VersionNumber};
pub use quote::sql_name;
pub use table::{DEFAULT_SCHEMA, TableName};
