//! What models, tables and views are called, and the words for what they do, by the catalog and in SQL alike.

mod error;
mod model;
mod on_model_change;
mod quote;
mod table;

pub use error::NameError;
pub use model::{ModelName, ModelReference, VersionNumber};
pub use on_model_change::OnModelChange;
pub use quote::{quoted_name, sql_name};
pub use table::{DEFAULT_SCHEMA, TableName};
