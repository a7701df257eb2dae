//! The catalog's schema: one migration per version, applied in order.

use rusqlite::{Connection, TransactionBehavior};

/// Marks a database file as ours (`PRAGMA application_id`): "NJar".
pub(crate) const APPLICATION_ID: i64 = 0x4e4a_6172;

/// Migration `n` brings a catalog of version `n` to version `n + 1`. Released ones never change.
pub(crate) const MIGRATIONS: &[&str] = &[
    VERSION_1,
    VERSION_2,
    VERSION_JOBS,
    VERSION_VIEWS,
    VERSION_TOTALS,
    VERSION_ZONES,
    VERSION_BODIES,
    VERSION_SCHEMAS,
];

/// Times are microseconds since 1970 UTC. A model's numbers outlive the model in `model_numbers`,
/// so `name@2` never means two things. `defaults` goes with its model: a task whose default is
/// dropped has none until someone chooses one.
const VERSION_1: &str = "
CREATE TABLE models (
    name TEXT NOT NULL PRIMARY KEY,
    task TEXT NOT NULL,
    current_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE model_numbers (
    name TEXT NOT NULL PRIMARY KEY,
    last_version INTEGER NOT NULL
) STRICT;
CREATE TABLE model_versions (
    model TEXT NOT NULL REFERENCES models (name) ON UPDATE CASCADE ON DELETE CASCADE,
    version INTEGER NOT NULL,
    task TEXT NOT NULL,
    digest TEXT NOT NULL,
    card TEXT NOT NULL,
    run_id INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (model, version)
) STRICT;
CREATE TABLE defaults (
    task TEXT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL REFERENCES models (name) ON UPDATE CASCADE ON DELETE CASCADE
) STRICT;
CREATE TABLE tables (
    name TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    sql TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE training_runs (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL,
    version INTEGER,
    status TEXT NOT NULL,
    statement TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    rows INTEGER,
    error TEXT,
    owner TEXT
) STRICT;
CREATE TABLE training_metrics (
    run_id INTEGER NOT NULL REFERENCES training_runs (run_id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    PRIMARY KEY (run_id, step, name)
) STRICT;
";

/// Training runs that can be resumed, and what the checks before a training found.
const VERSION_2: &str = "
ALTER TABLE training_runs ADD COLUMN fingerprint TEXT;
CREATE TABLE training_warnings (
    run_id INTEGER NOT NULL REFERENCES training_runs (run_id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    check_name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (run_id, position)
) STRICT;
";

/// Jobs and their ledger. `changed` counts the changes of all jobs: whoever watches asks for what is above the last number seen.
/// A run's `fence` is the lease of the daemon that is at it; NULL for one that nobody has begun yet. The runs of a job outlive it.
const VERSION_JOBS: &str = "
CREATE TABLE jobs (
    name TEXT NOT NULL PRIMARY KEY,
    statement TEXT NOT NULL,
    schedule TEXT NOT NULL,
    upstream TEXT,
    options TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    decided_until INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    next_at INTEGER,
    wakes_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_changed ON jobs (changed);
CREATE INDEX jobs_wakes_at ON jobs (wakes_at);
CREATE INDEX jobs_upstream ON jobs (upstream);
CREATE TABLE job_runs (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    scheduled_at INTEGER NOT NULL,
    cause TEXT NOT NULL,
    after_run INTEGER,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    since INTEGER,
    until INTEGER,
    reason TEXT,
    interruptions INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    rows INTEGER,
    error TEXT,
    fence INTEGER,
    notice TEXT
) STRICT;
CREATE INDEX job_runs_of ON job_runs (job, run_id);
CREATE INDEX job_runs_open ON job_runs (job) WHERE finished_at IS NULL;
CREATE INDEX job_runs_notice ON job_runs (run_id) WHERE notice IS NOT NULL;
CREATE TABLE job_run_statements (
    run_id INTEGER NOT NULL REFERENCES job_runs (run_id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    position INTEGER NOT NULL,
    sql TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    rows INTEGER,
    error TEXT,
    plan TEXT,
    PRIMARY KEY (run_id, attempt, position)
) STRICT;
CREATE TABLE job_run_log (
    run_id INTEGER NOT NULL REFERENCES job_runs (run_id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    line TEXT NOT NULL
) STRICT;
CREATE INDEX job_run_log_of ON job_run_log (run_id);
CREATE TABLE job_skips (
    job TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    times INTEGER NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX job_skips_of ON job_skips (job);
CREATE TABLE job_changes (number INTEGER NOT NULL) STRICT;
INSERT INTO job_changes VALUES (0);
CREATE TABLE job_lease (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    taken_at INTEGER NOT NULL
) STRICT;
";

/// Materialized views and their ledgers. A ledger names data files relative to the view's folder; what left one is kept for
/// a while, for those who still read it, and is listed in `abandoned_view_files`.
const VERSION_VIEWS: &str = "
CREATE TABLE materialized_views (
    name TEXT NOT NULL PRIMARY KEY REFERENCES tables (name) ON DELETE CASCADE,
    folder TEXT NOT NULL UNIQUE,
    on_model_change TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    models TEXT NOT NULL,
    generation INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    columns TEXT NOT NULL
) STRICT;
CREATE TABLE view_files (
    folder TEXT NOT NULL REFERENCES materialized_views (folder) ON DELETE CASCADE,
    source TEXT,
    size INTEGER,
    modified INTEGER,
    etag TEXT,
    data TEXT,
    rows INTEGER NOT NULL
) STRICT;
CREATE INDEX view_files_of ON view_files (folder);
CREATE TABLE abandoned_view_files (
    path TEXT NOT NULL PRIMARY KEY,
    dropped_at INTEGER NOT NULL
) STRICT;
";

/// How many runs have ended, by how, those that are not kept any more among them: nobody counts the ledger. And where the successes of a
/// job are, which runs and pages ask for.
const VERSION_TOTALS: &str = "
CREATE TABLE job_run_totals (
    outcome TEXT NOT NULL PRIMARY KEY,
    runs INTEGER NOT NULL
) STRICT;
INSERT INTO job_run_totals SELECT outcome.column1, (
        SELECT count(*) FROM job_runs WHERE status = outcome.column1 AND finished_at IS NOT NULL
    ) FROM (VALUES ('succeeded'), ('failed'), ('cancelled')) AS outcome;
CREATE TRIGGER job_run_ended AFTER UPDATE OF finished_at ON job_runs
WHEN OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL BEGIN
    UPDATE job_run_totals SET runs = runs + 1 WHERE outcome = NEW.status;
END;
CREATE TRIGGER job_run_put_ended AFTER INSERT ON job_runs WHEN NEW.finished_at IS NOT NULL BEGIN
    UPDATE job_run_totals SET runs = runs + 1 WHERE outcome = NEW.status;
END;
CREATE INDEX job_runs_succeeded ON job_runs (job, run_id) WHERE status = 'succeeded';
";

/// The rules of time zones that the last holder of the lease went by; NULL where nobody has had it.
const VERSION_ZONES: &str = "ALTER TABLE job_lease ADD COLUMN zone_rules TEXT;";

/// The statements that an open run began with: its job may be given others before the next attempt.
const VERSION_BODIES: &str = "ALTER TABLE job_runs ADD COLUMN body TEXT;";

/// Schemas, by which tables and views are grouped. `public` has no row. What was there before is in it, whatever name its statement
/// gave. The tables are built anew, because their keys change; the order of `tables` is that of its rows.
const VERSION_SCHEMAS: &str = "
CREATE TABLE schemas (
    name TEXT NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE new_tables (
    schema TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    sql TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (schema, name)
) STRICT;
INSERT INTO new_tables SELECT 'public', name, kind, sql, created_at FROM tables ORDER BY tables.rowid;
CREATE TABLE new_materialized_views (
    schema TEXT NOT NULL,
    name TEXT NOT NULL,
    folder TEXT NOT NULL UNIQUE,
    on_model_change TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    models TEXT NOT NULL,
    generation INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    columns TEXT NOT NULL,
    PRIMARY KEY (schema, name),
    FOREIGN KEY (schema, name) REFERENCES new_tables (schema, name) ON DELETE CASCADE
) STRICT;
INSERT INTO new_materialized_views SELECT 'public', name, folder, on_model_change, fingerprint, models, generation,
    refreshed_at, columns FROM materialized_views;
CREATE TABLE new_view_files (
    folder TEXT NOT NULL REFERENCES new_materialized_views (folder) ON DELETE CASCADE,
    source TEXT,
    size INTEGER,
    modified INTEGER,
    etag TEXT,
    data TEXT,
    rows INTEGER NOT NULL
) STRICT;
INSERT INTO new_view_files SELECT folder, source, size, modified, etag, data, rows FROM view_files ORDER BY view_files.rowid;
DROP TABLE view_files;
DROP TABLE materialized_views;
DROP TABLE tables;
ALTER TABLE new_tables RENAME TO tables;
ALTER TABLE new_materialized_views RENAME TO materialized_views;
ALTER TABLE new_view_files RENAME TO view_files;
CREATE INDEX view_files_of ON view_files (folder);
";

/// What [`migrate`] found that it can't work with.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// Written by a newer program.
    Newer(i64),
    /// A database of another program.
    Foreign,
    /// SQLite failed.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Unfit {
        Unfit::Sql(error)
    }
}

/// Brings the database to the last of `migrations`, in one transaction. Two processes may do so at
/// once: the second waits, then finds nothing left to do.
pub(crate) fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), Unfit> {
    let supported = migrations.len() as i64;
    // The common case takes no write lock, so that readers never wait for a writer here.
    if version(connection)? == supported {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found == supported {
        return Ok(());
    }
    for migration in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", supported)?;
    transaction.commit()?;
    return Ok(());

    fn version(connection: &Connection) -> Result<i64, Unfit> {
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (application, version, tables) {
            (0, 0, 0) => Ok(0),
            (APPLICATION_ID, version, _) => Ok(version),
            _ => Err(Unfit::Foreign),
        }
    }
}

/// As [`migrate`], and refuses a database that is newer than `migrations`.
pub(crate) fn open(connection: &mut Connection, migrations: &[&str]) -> Result<(), Unfit> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application == APPLICATION_ID && found > migrations.len() as i64 {
        return Err(Unfit::Newer(found));
    }
    migrate(connection, migrations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;

    /// A catalog as version 1 wrote it, with a row in each table.
    fn version_1() -> Connection {
        fill_version_1(Connection::open_in_memory().unwrap())
    }

    fn fill_version_1(mut connection: Connection) -> Connection {
        open(&mut connection, &MIGRATIONS[..1]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO models VALUES ('m', 'embed', 1, 0, 0);
                 INSERT INTO model_numbers VALUES ('m', 1);
                 INSERT INTO model_versions VALUES ('m', 1, 'embed', 'd', '{}', NULL, 0);
                 INSERT INTO defaults VALUES ('embed', 'm');
                 INSERT INTO tables VALUES ('t', 'view', 'CREATE VIEW t AS SELECT 1', 0);
                 INSERT INTO training_runs (model, status, statement, started_at) VALUES ('m', 'done', 's', 0);
                 INSERT INTO training_metrics VALUES (1, 0, 'loss', 0.5);",
            )
            .unwrap();
        connection
    }

    #[test]
    fn every_version_migrates_to_the_last() {
        let mut connection = version_1();
        // What a later release will do: the machinery is proven before it is needed.
        let later: Vec<&str> = MIGRATIONS
            .iter()
            .copied()
            .chain([
                "ALTER TABLE models ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",
                "CREATE TABLE later (a)",
            ])
            .collect();
        open(&mut connection, &later).unwrap();
        let row: (String, String) = connection
            .query_row("SELECT name, note FROM models", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(row, ("m".to_string(), "none".to_string()));
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, later.len() as i64);
        let run: (String, Option<String>) = connection
            .query_row("SELECT status, fingerprint FROM training_runs", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(run, ("done".to_string(), None));
        open(&mut connection, &later).unwrap();
        assert!(matches!(open(&mut connection, MIGRATIONS), Err(Unfit::Newer(found)) if found == version));
    }

    #[test]
    fn a_file_of_version_1_opens_with_its_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        let written = fill_version_1(Connection::open(&path).unwrap());
        written
            .execute_batch(
                "INSERT INTO training_runs (model, status, statement, started_at) VALUES ('m', 'cancelled', 's', 0);
                 INSERT INTO training_runs (model, status, statement, started_at, owner)
                 VALUES ('m', 'running', 's', 0, 'process-gone.lock');",
            )
            .unwrap();
        drop(written);
        let catalog = Catalog::open(&path).unwrap();
        let statuses: Vec<_> =
            catalog.training_runs().unwrap().iter().map(|run| run.status.to_string()).collect();
        assert_eq!(statuses, ["done", "cancelled", "interrupted"]);
        assert_eq!(catalog.resumable_run("m", None).unwrap(), None);
        assert!(catalog.training_warnings().unwrap().is_empty());
        assert_eq!(catalog.training_metrics().unwrap().len(), 1);
    }

    #[test]
    fn tables_and_views_move_into_the_default_schema() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        open(&mut connection, &MIGRATIONS[..7]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO tables VALUES ('z', 'view', 'CREATE VIEW z AS SELECT 1', 0), ('m', 'materialized', 's', 0);
                 INSERT INTO materialized_views VALUES ('m', 'f', 'full', '', '', 3, 0, 'c');
                 INSERT INTO view_files VALUES ('f', 'b', 1, 2, NULL, 'd', 4), ('f', 'a', 1, 2, NULL, 'e', 5);",
            )
            .unwrap();
        open(&mut connection, MIGRATIONS).unwrap();
        let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        let tables = "SELECT group_concat(schema || '.' || name) FROM (SELECT * FROM tables ORDER BY rowid)";
        assert_eq!(text(tables), "public.z,public.m");
        let files = "SELECT group_concat(source || rows) FROM (SELECT * FROM view_files ORDER BY rowid)";
        assert_eq!(text(files), "b4,a5");
        connection.execute("DELETE FROM tables WHERE name = 'm'", []).unwrap();
        assert_eq!(text("SELECT CAST(count(*) AS TEXT) FROM view_files"), "0", "foreign keys still cascade");
        assert_eq!(text("SELECT CAST(count(*) AS TEXT) FROM materialized_views"), "0");
    }

    #[test]
    fn a_failing_migration_changes_nothing() {
        let mut connection = version_1();
        let broken = [MIGRATIONS[0], "CREATE TABLE extra (a); CREATE TABLE extra (a)"];
        assert!(matches!(open(&mut connection, &broken), Err(Unfit::Sql(_))));
        open(&mut connection, &MIGRATIONS[..1]).unwrap();
        let extra: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(extra, 0);
    }

    #[test]
    fn a_foreign_database_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE other (a); PRAGMA user_version = 1").unwrap();
        assert!(matches!(open(&mut connection, MIGRATIONS), Err(Unfit::Foreign)));
    }
}
