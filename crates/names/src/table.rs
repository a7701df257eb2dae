//! The full names of tables.

use std::fmt;

use crate::sql_name;

/// The schema of names that have none.
pub const DEFAULT_SCHEMA: &str = "public";

/// The name of a table or view with its schema, as SQL has normalised them; case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The name in it.
    pub name: String,
}

impl TableName {
    /// Returns a name in a schema.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> TableName {
        TableName { schema: schema.into(), name: name.into() }
    }

    /// Returns the name as a statement writes it, in double quotes where it needs them.
    pub fn sql(&self) -> String {
        match self.schema == DEFAULT_SCHEMA {
            true => sql_name(&self.name),
            false => format!("{}.{}", sql_name(&self.schema), sql_name(&self.name)),
        }
    }
}

/// A name in the default schema.
impl From<&str> for TableName {
    fn from(name: &str) -> TableName {
        TableName::new(DEFAULT_SCHEMA, name)
    }
}

/// The name without the default schema.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema != DEFAULT_SCHEMA {
            write!(f, "{}.", self.schema)?;
        }
        f.write_str(&self.name)
    }
}
