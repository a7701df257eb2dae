//! Tables and views: the statements that made them.

use std::fmt;

use rusqlite::{OptionalExtension, Row, Transaction};

use crate::catalog::{Catalog, Fault, now};
use crate::error::{CatalogError, Result};
use crate::schemas::expect_schema;
use nightjar_names::TableName;

/// What a table definition makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// `CREATE EXTERNAL TABLE`: files somewhere else.
    External,
    /// `CREATE VIEW`: a query.
    View,
    /// `CREATE MATERIALIZED VIEW`: a query with its rows.
    Materialized,
}

impl TableKind {
    /// `external`, `view` or `materialized`.
    pub fn as_str(self) -> &'static str {
        match self {
            TableKind::External => "external",
            TableKind::View => "view",
            TableKind::Materialized => "materialized",
        }
    }
}

impl fmt::Display for TableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A table or view that outlives the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// The name.
    pub name: TableName,
    /// Table or view.
    pub kind: TableKind,
    /// The CREATE statement, with an absolute location.
    pub sql: String,
    /// Microseconds since 1970 UTC. [`Catalog::put_table`] sets it and ignores what it is given.
    pub created_at: i64,
}

impl TableDefinition {
    /// A definition that is yet to be put.
    pub fn new(name: impl Into<TableName>, kind: TableKind, sql: impl Into<String>) -> TableDefinition {
        TableDefinition { name: name.into(), kind, sql: sql.into(), created_at: 0 }
    }
}

/// What putting a table does when the name is taken. Tables and views share their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTableConflict {
    /// Fails.
    Fail,
    /// `OR REPLACE`.
    Replace,
    /// `IF NOT EXISTS`: keeps the one that is there.
    Ignore,
}

impl Catalog {
    /// Stores a definition. Returns whether it did: `false` only with
    /// [`OnTableConflict::Ignore`] and a name that is taken.
    pub fn put_table(&self, table: &TableDefinition, on_conflict: OnTableConflict) -> Result<bool> {
        self.write("create a table", |transaction| {
            expect_schema(transaction, &table.name)?;
            if let Some(found) = find(transaction, &table.name)? {
                match on_conflict {
                    OnTableConflict::Replace if found.kind == TableKind::Materialized => {
                        return Err(CatalogError::IsMaterialized { name: table.name.clone() }.into());
                    }
                    OnTableConflict::Fail => {
                        return Err(CatalogError::TableExists { name: table.name.to_string() }.into());
                    }
                    OnTableConflict::Ignore => return Ok(false),
                    OnTableConflict::Replace => (),
                }
            }
            transaction.execute(
                // An update keeps the row's place in the order of `tables`.
                "INSERT INTO tables (schema, name, kind, sql, created_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (schema, name) \
                 DO UPDATE SET kind = excluded.kind, sql = excluded.sql, created_at = excluded.created_at",
                (&table.name.schema, &table.name.name, table.kind.as_str(), &table.sql, now()),
            )?;
            Ok(true)
        })
    }

    /// The table or view of this name, or `None`.
    pub fn table(&self, name: &TableName) -> Result<Option<TableDefinition>> {
        self.read("read a table", |transaction| find(transaction, name))
    }

    /// Forgets a table or view; its files stay. Returns whether there was one; without
    /// `if_exists` there must be.
    pub fn drop_table(&self, name: &TableName, if_exists: bool) -> Result<bool> {
        self.write("drop a table", |transaction| {
            if find(transaction, name)?.is_some_and(|found| found.kind == TableKind::Materialized) {
                return Err(CatalogError::IsMaterialized { name: name.clone() }.into());
            }
            let sql = "DELETE FROM tables WHERE schema = ?1 AND name = ?2";
            let dropped = transaction.execute(sql, [&name.schema, &name.name])? > 0;
            if dropped || if_exists {
                return Ok(dropped);
            }
            let known = list(transaction)?;
            let nearest = nearest(name, known.iter());
            Err(CatalogError::TableUnknown { name: name.to_string(), nearest }.into())
        })
    }

    /// Every table and view, in the order in which their names were first made: a view usually
    /// comes after what it reads. Replacing one keeps its place.
    pub fn tables(&self) -> Result<Vec<TableDefinition>> {
        self.read("list the tables", list)
    }
}

const COLUMNS: &str = "SELECT schema, name, kind, sql, created_at FROM tables";

pub(crate) fn list(transaction: &Transaction<'_>) -> Result<Vec<TableDefinition>, Fault> {
    let mut statement = transaction.prepare(&format!("{COLUMNS} ORDER BY rowid"))?;
    let rows = statement.query_map([], definition)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(rows)
}

pub(crate) fn find(
    transaction: &Transaction<'_>,
    name: &TableName,
) -> Result<Option<TableDefinition>, Fault> {
    let sql = format!("{COLUMNS} WHERE schema = ?1 AND name = ?2");
    Ok(transaction.query_row(&sql, [&name.schema, &name.name], definition).optional()?)
}

/// Returns the known name that is most like one that isn't.
pub(crate) fn nearest<'a>(
    name: &TableName,
    known: impl Iterator<Item = &'a TableDefinition>,
) -> Option<String> {
    let known: Vec<String> = known.map(|table| table.name.to_string()).collect();
    nightjar_errors::nearest(&name.to_string(), known.iter().map(String::as_str)).map(str::to_owned)
}

fn definition(row: &Row<'_>) -> rusqlite::Result<TableDefinition> {
    let kind: String = row.get("kind")?;
    let kind = [TableKind::View, TableKind::Materialized].into_iter().find(|known| kind == known.as_str());
    let kind = kind.unwrap_or(TableKind::External);
    Ok(TableDefinition {
        name: TableName::new(row.get::<_, String>("schema")?, row.get::<_, String>("name")?),
        kind,
        sql: row.get("sql")?,
        created_at: row.get("created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use nightjar_errors::Failure;

    use super::*;

    #[test]
    fn put_get_drop_list() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite")).unwrap();
        let reviews = TableDefinition::new("reviews", TableKind::External, "CREATE EXTERNAL TABLE reviews …");
        let good = TableDefinition::new("Good", TableKind::View, "CREATE VIEW \"Good\" AS SELECT 1");
        assert!(catalog.put_table(&reviews, OnTableConflict::Fail).unwrap());
        assert!(catalog.put_table(&good, OnTableConflict::Fail).unwrap());
        let error = catalog.put_table(&reviews, OnTableConflict::Fail).unwrap_err();
        assert!(matches!(error, CatalogError::TableExists { .. }), "{error}");
        assert!(!catalog.put_table(&reviews, OnTableConflict::Ignore).unwrap());

        let other = TableDefinition::new("reviews", TableKind::View, "CREATE VIEW reviews AS SELECT 2");
        assert!(catalog.put_table(&other, OnTableConflict::Replace).unwrap());
        let found = catalog.table(&"reviews".into()).unwrap().unwrap();
        assert_eq!((found.kind, &found.sql), (TableKind::View, &other.sql));
        assert!(found.created_at > 1_600_000_000_000_000);
        assert_eq!(catalog.table(&"good".into()).unwrap(), None, "names are case-sensitive");
        let names: Vec<String> =
            catalog.tables().unwrap().into_iter().map(|table| table.name.to_string()).collect();
        assert_eq!(names, ["reviews", "Good"]);

        assert!(catalog.drop_table(&"reviews".into(), false).unwrap());
        assert!(!catalog.drop_table(&"reviews".into(), true).unwrap());
        let error = catalog.drop_table(&"Goof".into(), false).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean 'Good'?");
    }
}
