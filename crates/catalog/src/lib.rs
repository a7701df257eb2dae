//! What exists: model cards and versions, tables and views, training runs (SQLite), and the
//! content-addressed artifacts that hold model files.
//!
//! A [`Store`] is one directory, or a bucket with a directory to work in. It holds the [`Catalog`], which says what exists under which
//! name, and the [`Artifacts`], which are immutable and named by the SHA-256 of their content.
//! The catalog points at artifacts by [`Digest`]; nothing points the other way. Dropping a model
//! removes names and never files, so a card that pins another model's body stays whole after that
//! model is dropped.
//!
//! ```
//! use nightjar_catalog::Store;
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("store");
//! let store = Store::open(path.to_str())?;
//! let mut staging = store.artifacts().stage()?;
//! staging.write("greeting.txt", b"hello")?;
//! let digest = store.artifacts().publish(staging)?;
//! assert_eq!(store.artifacts().open(&digest)?.manifest.files[0].size, 5);
//! assert!(store.catalog().models()?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything here is synchronous and may block on the disk or, for [`pull`], on the network:
//! call it from a blocking thread.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

mod artifacts;
mod bucket;
mod bucket_artifacts;
mod cache;
mod card;
mod catalog;
mod error;
mod ids;
mod job_figures;
mod job_past;
mod job_runs;
mod jobs;
mod manifest;
mod materialized_views;
mod metrics;
mod models;
mod object_stores;
mod owner;
mod promotion;
mod run_files;
mod run_folder;
mod runs;
mod schema;
mod schemas;
mod sources;
mod staging;
mod store;
mod store_folder;
mod tables;
mod view_files;
mod view_folder;
mod working_folder;

pub use artifacts::{Artifact, Artifacts};
pub use cache::{CacheKey, CachedBody, EmbeddingCache, TextDigest};
pub use card::{ModelCard, Task};
pub use catalog::Catalog;
pub use error::{CatalogError, Result, SourceAttempt};
pub use ids::{Digest, DigestOfParts, RunId};
pub use job_figures::JobFigures;
pub use job_past::KeptPast;
pub use job_runs::{JobRun, JobRunLine, JobRunStatement, JobSkip};
pub use jobs::{JobLedger, JobRecord};
pub use manifest::{Manifest, ManifestFile};
pub use materialized_views::{MaterializedView, SourceFile, ViewFile};
pub use metrics::{TrainingMetric, TrainingWarning};
pub use models::{CreateOutcome, Created, ModelSummary, ModelVersion, NewModel, OnConflict};
pub use object_stores::{
    ObjectStoreError, ObjectStoreSettings, ObjectStores, check_url, is_file_system, object_store_failure,
};
pub use run_files::RunFiles;
pub use run_folder::{RunFolder, write_whole};
pub use runs::{TrainingOutcome, TrainingRun, TrainingStatus};
pub use sources::{
    HubSettings, KNOWN_MODELS, KnownFile, KnownModel, KnownWheel, PullProgress, PullSettings, Pulled, Silent,
    Source, pull, pull_with,
};
pub use staging::Staging;
pub use store::{Store, StoreFiles};
pub use tables::{OnTableConflict, TableDefinition, TableKind};
pub use view_files::ViewFiles;
pub use view_folder::ViewFolder;
