//! The catalog: names and what they mean, in SQLite.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::error::{CatalogError, Result};
use crate::jobs::JobLedger;
use crate::owner::Owner;
use crate::schema::{self, Unfit};

/// How long a statement waits for another process's transaction before it fails as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An open catalog. Share one per process; several processes may open one catalog at once. Every
/// change is one transaction: it is seen whole by everybody or not at all, and survives a power cut.
pub struct Catalog {
    path: PathBuf,
    connection: Mutex<Connection>,
    pub(crate) owner: Mutex<Option<Owner>>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What ends a transaction early: the database failed, or the request can't be met.
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    Catalog(CatalogError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sql(error)
    }
}

impl From<CatalogError> for Fault {
    fn from(error: CatalogError) -> Fault {
        Fault::Catalog(error)
    }
}

impl Catalog {
    /// Opens the catalog in the file `path`, makes it if there is none, and migrates an older one.
    ///
    /// Errors: [`CatalogError::CatalogNewer`] for one that a newer program wrote,
    /// [`CatalogError::NotACatalog`] for any other file, [`CatalogError::CatalogReadOnly`].
    pub fn open(path: &Path) -> Result<Catalog> {
        let action = "open the database";
        let started = Instant::now();
        let mut connection = Connection::open(path).map_err(|error| database(action, path, error))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| database(action, path, error))?;
        loop {
            match prepare(&mut connection) {
                Ok(()) => break,
                // Two processes that switch a new file to WAL at once don't wait for each other
                // in SQLite: one of them is told "busy" at once, whatever the timeout.
                Err(Unfit::Sql(error)) if is_busy(&error) && started.elapsed() < BUSY_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(Unfit::Sql(error)) => return Err(database(action, path, error)),
                Err(Unfit::Foreign) => {
                    let reason = "it is the database of another program";
                    return Err(CatalogError::NotACatalog { path: path.into(), reason });
                }
                Err(Unfit::Newer(found)) => {
                    let supported = schema::MIGRATIONS.len() as i64;
                    return Err(CatalogError::CatalogNewer { path: path.into(), found, supported });
                }
            }
        }
        // A pass of the daemon asks some thirty questions, twenty times a second.
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Catalog { path: path.into(), connection: Mutex::new(connection), owner: Mutex::new(None) })
    }

    /// The catalog's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in one transaction that sees one state of the catalog and changes nothing.
    pub(crate) fn read<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T> {
        self.transaction(action, TransactionBehavior::Deferred, work)
    }

    /// Runs `work` in one transaction that excludes other writers from its first statement on, and
    /// commits it. Any error rolls all of it back.
    pub(crate) fn write<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T> {
        self.transaction(action, TransactionBehavior::Immediate, work)
    }

    /// Runs `work` on the jobs and their ledger in one transaction that excludes other writers, and commits it. Any error rolls
    /// all of it back.
    pub fn change_jobs<T, E: From<CatalogError>>(
        &self,
        work: impl FnOnce(&JobLedger<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = lock(&self.connection);
        let failed = |error| database("change the jobs", &self.path, error);
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(failed)?;
        let result = work(&JobLedger::new(&transaction, &self.path))?;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }

    /// Runs `work` on the jobs and their ledger as they are at one moment. What it changes is not kept.
    pub fn read_jobs<T>(&self, work: impl FnOnce(&JobLedger<'_>) -> Result<T>) -> Result<T> {
        let mut connection = lock(&self.connection);
        let failed = |error| database("read the jobs", &self.path, error);
        let transaction = connection.transaction().map_err(failed)?;
        work(&JobLedger::new(&transaction, &self.path))
    }

    fn transaction<T>(
        &self,
        action: &'static str,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T> {
        let mut connection = lock(&self.connection);
        let run = || -> Result<T, Fault> {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|fault| match fault {
            Fault::Sql(error) => database(action, &self.path, error),
            Fault::Catalog(error) => error,
        })
    }
}

/// A poisoned lock is as good as any other: a transaction that panicked has been rolled back.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn prepare(connection: &mut Connection) -> Result<(), Unfit> {
    // First a read, which fails on a file that is no database before anything is written to it.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A foreign database is refused before its journal mode is touched. Both are read of one state: between them another process
    // may make the catalog.
    let seen = connection.transaction()?;
    let application: i64 = seen.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = seen.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    seen.commit()?;
    if application != schema::APPLICATION_ID && tables > 0 {
        return Err(Unfit::Foreign);
    }
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    schema::open(connection, schema::MIGRATIONS)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Turns SQLite's error into ours, by what can be done about it.
pub(crate) fn database(action: &'static str, path: &Path, source: rusqlite::Error) -> CatalogError {
    let path = path.to_path_buf();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CatalogError::CatalogBusy { path },
        Some(ErrorCode::NotADatabase) => {
            CatalogError::NotACatalog { path, reason: "it is not an SQLite database" }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            CatalogError::CatalogReadOnly { path, reason: source.to_string() }
        }
        Some(ErrorCode::DiskFull) => {
            let source = std::io::Error::new(std::io::ErrorKind::StorageFull, source);
            CatalogError::StorageFull { action, path, source }
        }
        _ => CatalogError::Database { action, path, source },
    }
}

/// Now, in microseconds since 1970 UTC.
pub(crate) fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nightjar_errors::Failure;

    use super::*;

    #[test]
    fn a_newer_catalog_is_refused_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        Catalog::open(&path).unwrap();
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = Catalog::open(&path).unwrap_err();
        assert!(matches!(error, CatalogError::CatalogNewer { found: 99, .. }), "{error}");
        assert!(error.hint().unwrap().contains("newer nightjar"));
    }

    #[test]
    fn other_files_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        let text = "this is a text file ".repeat(100);
        fs::write(&path, &text).unwrap();
        let error = Catalog::open(&path).unwrap_err();
        assert!(matches!(error, CatalogError::NotACatalog { .. }), "{error}");
        assert!(error.to_string().contains("catalog.sqlite"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);

        let path = folder.path().join("other.sqlite");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (a)").unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(Catalog::open(&path).unwrap_err(), CatalogError::NotACatalog { .. }));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_path_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Catalog::open(folder.path()).unwrap_err();
        assert!(matches!(error, CatalogError::CatalogReadOnly { .. }), "{error:?}");
        assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
        assert!(error.hint().unwrap().contains("--store"));
    }

    #[test]
    fn many_may_open_a_new_catalog_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        std::thread::scope(|scope| {
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| Catalog::open(&path).map(drop))).collect();
            for result in opened {
                result.join().unwrap().unwrap();
            }
        });
    }
}
