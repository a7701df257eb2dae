//! Schemas: what tables and views are grouped by.

use rusqlite::Transaction;

use crate::catalog::{Catalog, Fault, now};
use crate::error::{CatalogError, Result};
use crate::tables::{TableKind, list};
use nightjar_names::{DEFAULT_SCHEMA, TableName};

/// Schemas that nobody makes or drops: the default one, the system tables, SQL's own.
const RESERVED: &[&str] = &[DEFAULT_SCHEMA, "nightjar", "information_schema"];

impl Catalog {
    /// Makes a schema. Returns whether it did; without `if_not_exists` there may be none of this name.
    ///
    /// Errors: a name that is taken or reserved.
    pub fn create_schema(&self, name: &str, if_not_exists: bool) -> Result<bool> {
        self.write("create a schema", |transaction| {
            if RESERVED.contains(&name) || exists(transaction, name)? {
                return match if_not_exists {
                    true => Ok(false),
                    false => Err(CatalogError::SchemaExists { name: name.into() }.into()),
                };
            }
            transaction.execute("INSERT INTO schemas (name, created_at) VALUES (?1, ?2)", (name, now()))?;
            Ok(true)
        })
    }

    /// Forgets a schema, and with `cascade` the tables and views in it; their files stay. Returns whether there was one; without
    /// `if_exists` there must be.
    ///
    /// Errors: a reserved schema, one that is not empty without `cascade`, one that holds materialized views.
    pub fn drop_schema(&self, name: &str, if_exists: bool, cascade: bool) -> Result<bool> {
        self.write("drop a schema", |transaction| {
            if RESERVED.contains(&name) {
                return Err(CatalogError::SchemaReserved { name: name.into() }.into());
            }
            if !exists(transaction, name)? {
                return match if_exists {
                    true => Ok(false),
                    false => Err(unknown(transaction, name)?.into()),
                };
            }
            let all = list(transaction)?;
            let held: Vec<_> = all.into_iter().filter(|table| table.name.schema == name).collect();
            if let Some(view) = held.iter().find(|table| table.kind == TableKind::Materialized) {
                return Err(CatalogError::IsMaterialized { name: view.name.clone() }.into());
            }
            if !held.is_empty() && !cascade {
                let tables = held.into_iter().map(|table| table.name).collect();
                return Err(CatalogError::SchemaNotEmpty { name: name.into(), tables }.into());
            }
            transaction.execute("DELETE FROM tables WHERE schema = ?1", [name])?;
            transaction.execute("DELETE FROM schemas WHERE name = ?1", [name])?;
            Ok(true)
        })
    }

    /// The schemas that hold tables and views, by name, the default one among them.
    pub fn schemas(&self) -> Result<Vec<String>> {
        self.read("list the schemas", names)
    }

    /// Whether tables and views may be in this schema.
    pub fn has_schema(&self, name: &str) -> Result<bool> {
        if name == DEFAULT_SCHEMA {
            return Ok(true);
        }
        self.read("read a schema", |transaction| exists(transaction, name))
    }
}

/// Refuses a table whose schema is not there.
pub(crate) fn expect_schema(transaction: &Transaction<'_>, table: &TableName) -> Result<(), Fault> {
    if table.schema == DEFAULT_SCHEMA || exists(transaction, &table.schema)? {
        return Ok(());
    }
    Err(unknown(transaction, &table.schema)?.into())
}

fn exists(transaction: &Transaction<'_>, name: &str) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM schemas WHERE name = ?1)";
    Ok(transaction.query_row(sql, [name], |row| row.get(0))?)
}

fn names(transaction: &Transaction<'_>) -> Result<Vec<String>, Fault> {
    let mut statement = transaction.prepare("SELECT name FROM schemas")?;
    let mut names = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    names.push(DEFAULT_SCHEMA.to_owned());
    names.sort();
    Ok(names)
}

fn unknown(transaction: &Transaction<'_>, name: &str) -> Result<CatalogError, Fault> {
    let known = names(transaction)?;
    let nearest = nightjar_errors::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    Ok(CatalogError::SchemaUnknown { name: name.into(), nearest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{OnTableConflict, TableDefinition};

    #[test]
    fn schemas_are_made_once_and_dropped_empty() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite")).unwrap();
        assert!(catalog.create_schema("sales", false).unwrap());
        assert!(!catalog.create_schema("sales", true).unwrap());
        for taken in ["sales", "public", "nightjar", "information_schema"] {
            let error = catalog.create_schema(taken, false).unwrap_err();
            assert!(matches!(error, CatalogError::SchemaExists { .. }), "{taken}: {error}");
        }
        assert_eq!(catalog.schemas().unwrap(), ["public", "sales"]);

        let view = |schema, sql: &str| {
            TableDefinition::new(TableName::new(schema, "v"), TableKind::View, sql.to_owned())
        };
        catalog.put_table(&view("public", "one"), OnTableConflict::Fail).unwrap();
        catalog.put_table(&view("sales", "two"), OnTableConflict::Fail).unwrap();
        catalog.put_table(&view("sales", "three"), OnTableConflict::Replace).unwrap();
        let sql = |name: TableName| catalog.table(&name).unwrap().map(|table| table.sql);
        assert_eq!(sql("v".into()).unwrap(), "one");
        assert_eq!(sql(TableName::new("sales", "v")).unwrap(), "three");
        let error = catalog.put_table(&view("sale", "four"), OnTableConflict::Fail).unwrap_err();
        assert_eq!(error.to_string(), "there is no schema 'sale'");

        let error = catalog.drop_schema("sales", false, false).unwrap_err();
        assert_eq!(error.to_string(), "the schema 'sales' is not empty: it holds sales.v");
        assert!(catalog.drop_schema("sales", false, true).unwrap());
        assert_eq!(sql(TableName::new("sales", "v")), None);
        assert_eq!(sql("v".into()).unwrap(), "one");
        assert!(!catalog.drop_schema("sales", true, false).unwrap());
        assert!(catalog.drop_schema("public", true, true).is_err());
    }
}
