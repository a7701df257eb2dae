//! Materialized views: their definitions and ledgers, which say what data files hold the rows of which source files.

use rusqlite::{OptionalExtension, Row, Transaction};

use crate::catalog::{Catalog, Fault, now};
use crate::error::{CatalogError, Result};
use crate::schemas::expect_schema;
use crate::tables::{OnTableConflict, TableKind, find, list, nearest};
use nightjar_names::{OnModelChange, TableName};

/// A file that a view's query reads, as it was when it was listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceFile {
    /// Its object store and its path there.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Microseconds since 1970 UTC.
    pub modified: i64,
    /// The object's tag, where its store gives one.
    pub etag: Option<String>,
}

/// An entry of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewFile {
    /// The file that the rows come from; `None` where the query can't be told apart by files.
    pub source: Option<SourceFile>,
    /// The file in the view's folder that holds the rows; `None` where there are none.
    pub data: Option<String>,
    /// How many.
    pub rows: u64,
}

/// A materialized view with its ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaterializedView {
    /// The name; shares its namespace with tables and views.
    pub name: TableName,
    /// The CREATE statement, with absolute locations.
    pub sql: String,
    /// The name of its folder below `views/` in the store.
    pub folder: String,
    /// What a refresh does with rows of earlier models.
    pub on_model_change: OnModelChange,
    /// Digest of what the query meant when the rows were made: plan, columns, format.
    pub fingerprint: String,
    /// The pinned models of the last refresh, one a line.
    pub models: String,
    /// Counts the refreshes; [`Catalog::commit_refresh`] refuses one that began at another.
    pub generation: i64,
    /// When the last refresh was committed, microseconds since 1970 UTC. Set by the catalog.
    pub refreshed_at: i64,
    /// The file in its folder that has its columns and no rows.
    pub columns: String,
    /// The ledger.
    pub files: Vec<ViewFile>,
}

impl Catalog {
    /// Stores a view that has been filled, in one transaction with its ledger. Returns whether it did, as
    /// [`Catalog::put_table`] does.
    ///
    /// Errors: a name that is taken, by [`OnTableConflict::Fail`] or by what is no materialized view.
    pub fn create_materialized_view(
        &self,
        view: &MaterializedView,
        on_conflict: OnTableConflict,
    ) -> Result<bool> {
        self.write("create a materialized view", |transaction| {
            expect_schema(transaction, &view.name)?;
            if let Some(found) = find(transaction, &view.name)? {
                match on_conflict {
                    OnTableConflict::Ignore => return Ok(false),
                    OnTableConflict::Replace if found.kind == TableKind::Materialized => (),
                    _ => return Err(CatalogError::TableExists { name: view.name.to_string() }.into()),
                }
                if let Some(old) = read(transaction, &view.name)? {
                    abandon(transaction, &old)?;
                }
                transaction.execute(
                    "DELETE FROM materialized_views WHERE schema = ?1 AND name = ?2",
                    [&view.name.schema, &view.name.name],
                )?;
            }
            transaction.execute(
                "INSERT INTO tables (schema, name, kind, sql, created_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (schema, name) \
                 DO UPDATE SET kind = excluded.kind, sql = excluded.sql, created_at = excluded.created_at",
                (&view.name.schema, &view.name.name, TableKind::Materialized.as_str(), &view.sql, now()),
            )?;
            transaction.execute(
                "INSERT INTO materialized_views (schema, name, folder, on_model_change, fingerprint, models, generation, \
                 refreshed_at, columns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8)",
                (
                    &view.name.schema,
                    &view.name.name,
                    &view.folder,
                    view.on_model_change.as_str(),
                    &view.fingerprint,
                    &view.models,
                    now(),
                    &view.columns,
                ),
            )?;
            write_ledger(transaction, view)?;
            Ok(true)
        })
    }

    /// Switches a view to the ledger of a refresh that began at `view.generation`, in one transaction: a reader sees
    /// all of it or nothing. Data files that the new ledger lacks stay until they are swept.
    ///
    /// Errors: [`CatalogError::ViewChanged`] if another refresh or definition came first.
    pub fn commit_refresh(&self, view: &MaterializedView) -> Result<()> {
        self.write("refresh a materialized view", |transaction| {
            let current = read(transaction, &view.name)?;
            let same =
                |old: &MaterializedView| (&old.folder, old.generation) == (&view.folder, view.generation);
            let Some(old) = current.filter(same) else {
                return Err(CatalogError::ViewChanged { name: view.name.to_string() }.into());
            };
            abandon(transaction, &old)?;
            transaction.execute("DELETE FROM view_files WHERE folder = ?1", [&view.folder])?;
            transaction.execute(
                "UPDATE materialized_views SET fingerprint = ?2, models = ?3, generation = generation + 1, \
                 refreshed_at = ?4, columns = ?5 WHERE folder = ?1",
                (&view.folder, &view.fingerprint, &view.models, now(), &view.columns),
            )?;
            write_ledger(transaction, view)
        })
    }

    /// The materialized view of this name with its ledger, or `None`.
    pub fn materialized_view(&self, name: &TableName) -> Result<Option<MaterializedView>> {
        self.read("read a materialized view", |transaction| read(transaction, name))
    }

    /// Every materialized view, by name.
    pub fn materialized_views(&self) -> Result<Vec<MaterializedView>> {
        self.read("list the materialized views", |transaction| {
            let mut statement = transaction.prepare(
                "SELECT schema, name FROM materialized_views ORDER BY schema <> 'public', schema, name",
            )?;
            let names = statement
                .query_map([], |row| Ok(TableName::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let views =
                names.iter().map(|name| read(transaction, name)).collect::<Result<Vec<_>, Fault>>()?;
            Ok(views.into_iter().flatten().collect())
        })
    }

    /// Forgets a materialized view; its data files stay until they are swept. Returns whether there was one; without
    /// `if_exists` there must be.
    pub fn drop_materialized_view(&self, name: &TableName, if_exists: bool) -> Result<bool> {
        self.write("drop a materialized view", |transaction| {
            match read(transaction, name)? {
                Some(view) => {
                    abandon(transaction, &view)?;
                    transaction.execute(
                        "DELETE FROM tables WHERE schema = ?1 AND name = ?2",
                        [&name.schema, &name.name],
                    )?;
                    return Ok(true);
                }
                None => match find(transaction, name)? {
                    Some(found) => {
                        let kind = found.kind;
                        return Err(CatalogError::NotMaterialized { name: name.clone(), kind }.into());
                    }
                    None if if_exists => return Ok(false),
                    None => {}
                },
            }
            Err(unknown(transaction, name)?.into())
        })
    }

    /// The error of a name that is no materialized view.
    pub fn not_materialized(&self, name: &TableName) -> CatalogError {
        let error = self.read("read a table", |transaction| {
            Ok(match find(transaction, name)? {
                Some(found) => CatalogError::NotMaterialized { name: name.clone(), kind: found.kind },
                None => unknown(transaction, name)?,
            })
        });
        error.unwrap_or_else(|error| error)
    }

    /// The data files that no ledger has any more, with when they left it: `folder/file` and microseconds since 1970 UTC.
    pub(crate) fn abandoned_view_files(&self) -> Result<Vec<(String, i64)>> {
        self.read("list data files", |transaction| {
            let mut statement = transaction.prepare("SELECT path, dropped_at FROM abandoned_view_files")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })
    }

    /// Forgets data files that have been removed.
    pub(crate) fn forget_view_files(&self, paths: &[String]) -> Result<()> {
        self.write("forget data files", |transaction| {
            for path in paths {
                transaction.execute("DELETE FROM abandoned_view_files WHERE path = ?1", [path])?;
            }
            Ok(())
        })
    }
}

fn unknown(transaction: &Transaction<'_>, name: &TableName) -> Result<CatalogError, Fault> {
    let known = list(transaction)?;
    let views = known.iter().filter(|table| table.kind == TableKind::Materialized);
    Ok(CatalogError::ViewUnknown { name: name.to_string(), nearest: nearest(name, views) })
}

/// Notes all data files of a ledger as abandoned; [`write_ledger`] takes back those that stay.
fn abandon(transaction: &Transaction<'_>, view: &MaterializedView) -> Result<(), Fault> {
    let data = view.files.iter().filter_map(|file| file.data.as_ref()).chain([&view.columns]);
    for name in data {
        let path = format!("{}/{name}", view.folder);
        transaction.execute("INSERT OR REPLACE INTO abandoned_view_files VALUES (?1, ?2)", (path, now()))?;
    }
    Ok(())
}

fn write_ledger(transaction: &Transaction<'_>, view: &MaterializedView) -> Result<(), Fault> {
    let mut insert = transaction.prepare(
        "INSERT INTO view_files (folder, source, size, modified, etag, data, rows) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut keep = transaction.prepare("DELETE FROM abandoned_view_files WHERE path = ?1")?;
    for file in &view.files {
        let source = file.source.as_ref();
        insert.execute((
            &view.folder,
            source.map(|source| &source.name),
            source.map(|source| source.size as i64),
            source.map(|source| source.modified),
            source.and_then(|source| source.etag.as_ref()),
            &file.data,
            file.rows as i64,
        ))?;
        if let Some(data) = &file.data {
            keep.execute([format!("{}/{data}", view.folder)])?;
        }
    }
    keep.execute([format!("{}/{}", view.folder, view.columns)])?;
    Ok(())
}

fn read(transaction: &Transaction<'_>, name: &TableName) -> Result<Option<MaterializedView>, Fault> {
    let sql = "SELECT v.schema, v.name, t.sql, folder, on_model_change, fingerprint, models, generation, refreshed_at, columns \
               FROM materialized_views v JOIN tables t USING (schema, name) WHERE v.schema = ?1 AND v.name = ?2";
    let found = transaction.query_row(sql, [&name.schema, &name.name], |row| {
        let on_model_change: String = row.get("on_model_change")?;
        Ok(MaterializedView {
            name: TableName::new(row.get::<_, String>("schema")?, row.get::<_, String>("name")?),
            sql: row.get("sql")?,
            folder: row.get("folder")?,
            on_model_change: on_model_change.parse().unwrap_or_default(),
            fingerprint: row.get("fingerprint")?,
            models: row.get("models")?,
            generation: row.get("generation")?,
            refreshed_at: row.get("refreshed_at")?,
            columns: row.get("columns")?,
            files: Vec::new(),
        })
    });
    let Some(mut view) = found.optional()? else { return Ok(None) };
    let sql =
        "SELECT source, size, modified, etag, data, rows FROM view_files WHERE folder = ?1 ORDER BY rowid";
    let mut statement = transaction.prepare(sql)?;
    view.files = statement.query_map([&view.folder], ledger_entry)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Some(view))
}

fn ledger_entry(row: &Row<'_>) -> rusqlite::Result<ViewFile> {
    let source = match row.get::<_, Option<String>>("source")? {
        Some(name) => Some(SourceFile {
            name,
            size: row.get::<_, i64>("size")? as u64,
            modified: row.get("modified")?,
            etag: row.get("etag")?,
        }),
        None => None,
    };
    Ok(ViewFile { source, data: row.get("data")?, rows: row.get::<_, i64>("rows")? as u64 })
}
