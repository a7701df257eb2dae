//! A store that goes away with its value, and how tests read what is in it.

use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionConfig;
use nightjar_catalog::{ObjectStores, Store};
use nightjar_engine::{Session, session_config};
use nightjar_models::testing::write_tiny_model;
use tempfile::TempDir;

/// A store in a temporary folder, with the files of a tiny model beside it.
#[derive(Debug)]
pub struct TestStore {
    folder: TempDir,
}

impl TestStore {
    /// Returns an empty store; its model's files are those of `seed`.
    ///
    /// Weights are cached per process by digest: a test that damages a model's files needs a seed of its own.
    pub fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_tiny_model(&folder.path().join("tiny"), seed).expect("the tiny model");
        std::fs::create_dir(folder.path().join("scratch")).expect("the scratch folder");
        Self { folder }
    }

    /// Returns a store that holds the model `tiny`.
    pub async fn with_tiny(seed: u64) -> Self {
        let store = Self::new(seed);
        let sql = format!("CREATE MODEL tiny FROM '{}'", store.tiny().display());
        store.session().sql(&sql).await.expect("the model tiny");
        store
    }

    /// Returns the folder of the store itself.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Returns the folder of the tiny model's files, outside the store.
    pub fn tiny(&self) -> PathBuf {
        self.folder.path().join("tiny")
    }

    /// Returns an empty folder for what tests write.
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// Opens the store anew: with a catalog connection of its own, as another process would.
    pub fn open(&self) -> nightjar_catalog::Result<Store> {
        Store::open(Some(self.root().to_str().expect("a path in UTF-8")))
    }

    /// As [`TestStore::open`], with these object stores in the place of the environment's.
    pub fn open_with(&self, object_stores: ObjectStores) -> nightjar_catalog::Result<Store> {
        Store::open_with(Some(self.root().to_str().expect("a path in UTF-8")), object_stores)
    }

    /// Returns a new session on the store, as another process would have one.
    pub fn session(&self) -> Session {
        self.session_with(session_config().with_target_partitions(4))
    }

    /// Returns a new session with these settings, in f32: what tests expect must not depend on the machine.
    pub fn session_with(&self, config: SessionConfig) -> Session {
        let config = config.set_str("nightjar.precision", "f32");
        Session::new(self.open().expect("the store opens"), config)
    }
}

/// Returns the digests of a model's versions, oldest first.
pub async fn digests(session: &Session, model: &str) -> Vec<String> {
    let sql = format!("SELECT digest FROM nightjar.model_versions WHERE model = '{model}' ORDER BY version");
    values(session, &sql).await.into_iter().map(|mut row| row.remove(0)).collect()
}

/// Returns the rows of a query as text, unrounded; NULL as 'NULL'. Fails the test if the query fails.
pub async fn values(session: &Session, sql: &str) -> Vec<Vec<String>> {
    let rows = session.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let batches = rows.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    cells(&batches)
}

/// Returns rows as text, unrounded; NULL as 'NULL'.
pub fn cells(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let mut out = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("a printable column"))
            .collect();
        for row in 0..batch.num_rows() {
            out.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    out
}

impl AsRef<Path> for TestStore {
    fn as_ref(&self) -> &Path {
        self.folder.path()
    }
}
