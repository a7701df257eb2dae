//! A store in a bucket: the same models as in a folder, on whichever machine; what is damaged or half-written is refused, and what
//! is interrupted goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nightjar_catalog::{Digest, ObjectStoreSettings, ObjectStores, Store, StoreFiles};
use nightjar_engine::{Session, session_config};
use nightjar_errors::Failure;
use nightjar_tests::{Cluster, S3Server, TestStore, block_on, digests, values};
use tempfile::TempDir;

const URI: &str = "s3://models/team/store";

/// A server with an empty store, and rows to learn from in another bucket.
struct Bucket {
    server: S3Server,
    local: TestStore,
}

/// A machine: the folder that it works in. A new one knows nothing but what the bucket tells.
struct Machine<'a> {
    bucket: &'a Bucket,
    cache: TempDir,
}

impl Bucket {
    async fn new(seed: u64, rows: usize) -> Self {
        let (server, local) = (S3Server::start(), TestStore::with_tiny(seed).await);
        server.bucket("models");
        let path = server.bucket("lake").join("texts.parquet");
        let sql = format!(
            "COPY (SELECT value AS id, 'the ' || value || ' of ' || (value * 7) AS text, \
             CASE WHEN value % 3 = 0 THEN 'good' ELSE 'bad' END AS label FROM generate_series(1, {rows})) TO '{}'",
            path.display()
        );
        values(&local.session(), &sql).await;
        Self { server, local }
    }

    fn machine(&self) -> Machine<'_> {
        Machine { bucket: self, cache: tempfile::tempdir().unwrap() }
    }

    fn base(&self) -> String {
        format!("CREATE MODEL tiny FROM '{}'", self.local.tiny().display())
    }

    /// Returns the digests of models trained in a store in a folder.
    async fn expected(&self, models: &[(&str, &str)]) -> Vec<String> {
        let store = self.local.open_with(self.server.object_stores()).unwrap();
        let session = Session::new(store, session_config().set_str("nightjar.precision", "f32"));
        trained(&session, models).await
    }

    /// Returns the folder of an artifact in the bucket.
    fn artifact(&self, digest: &Digest) -> PathBuf {
        self.server.bucket("models").join(format!("team/store/artifacts/{digest}"))
    }

    /// Returns the files of runs in the bucket, by their names in it.
    fn run_files(&self) -> Vec<String> {
        let runs = self.server.bucket("models").join("team/store/runs");
        let mut names = Vec::new();
        let mut open = vec![runs.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => open.push(entry.path()),
                    false => names.push(entry.path().strip_prefix(&runs).unwrap().display().to_string()),
                }
            }
        }
        names.sort();
        names
    }
}

impl Machine<'_> {
    fn stores(&self) -> ObjectStores {
        let mut settings = self.bucket.server.settings();
        settings.cache = Some(self.cache.path().to_owned());
        ObjectStores::new(settings)
    }

    fn store(&self) -> Store {
        Store::open_with(Some(URI), self.stores()).unwrap()
    }

    fn session(&self) -> Session {
        Session::new(self.store(), session_config().set_str("nightjar.precision", "f32"))
    }

    /// Returns the variables of this machine's processes.
    fn variables(&self) -> Vec<(String, String)> {
        let mut variables = self.bucket.server.environment();
        variables.push(("NIGHTJAR_CACHE".to_owned(), self.cache.path().display().to_string()));
        variables
    }
}

fn train(name: &str, options: &str) -> String {
    format!(
        "CREATE MODEL {name} FROM tiny FINE_TUNE ON (SELECT text, label FROM 's3://lake/texts.parquet') WITH ({options})"
    )
}

/// Trains models, by names and options, and returns their digests.
async fn trained(session: &Session, models: &[(&str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, options) in models {
        session.sql(&train(name, options)).await.unwrap();
        found.extend(digests(session, name).await);
    }
    found
}

const MODELS: &[(&str, &str)] = &[
    ("heads", "method = 'head'"),
    ("fully", "epochs = 2, shards = 2, batch_size = 16"),
    ("lightly", "epochs = 2, method = 'lora', batch_size = 16"),
    ("frozen", "epochs = 2, freeze_layers = 1, shards = 2, batch_size = 16"),
];

const ASK: &str = "SELECT id, embed(text, 'tiny'), classify(text, 'heads'), classify(text, 'fully') \
                   FROM 's3://lake/texts.parquet' ORDER BY id";

#[test]
fn a_bucket_makes_the_models_of_a_folder() {
    block_on(async {
        let bucket = Bucket::new(41, 300).await;
        let expected = bucket.expected(MODELS).await;
        let here = bucket.machine();
        let session = here.session();
        session.sql(&bucket.base()).await.unwrap();
        assert_eq!(trained(&session, MODELS).await, expected, "in one process");
        let answers = values(&session, ASK).await;
        assert_eq!(answers.len(), 300);
        // Of the runs, what they did is left, and no state or feature.
        let left = bucket.run_files();
        assert!(!left.is_empty() && left.iter().all(|name| name.matches('/').count() == 1), "{left:?}");

        // Another coordinator, with a catalog of its own, on the same bucket; executors that share no folder with anyone.
        let there = bucket.machine();
        let cluster = Cluster::start_with(Path::new(URI), bucket.server.environment(), 2).await;
        let session = cluster.session_on(there.store()).await;
        session.sql(&bucket.base()).await.unwrap();
        assert_eq!(trained(&session, MODELS).await, expected, "on a cluster");
        assert_eq!(values(&session, ASK).await, answers);
        let evaluate = "EVALUATE MODEL fully ON (SELECT text, label FROM 's3://lake/texts.parquet')";
        assert_eq!(values(&session, evaluate).await, values(&here.session(), evaluate).await);
        let left = bucket.run_files();
        assert!(left.iter().all(|name| name.matches('/').count() == 1), "{left:?}");

        // A process that has never seen the catalog finds a model by its digest alone.
        let elsewhere = bucket.machine();
        let files = StoreFiles::open_with(Some(URI), elsewhere.stores()).unwrap();
        for digest in &expected {
            let digest: Digest = digest.parse().unwrap();
            assert!(files.artifacts().contains(&digest).unwrap());
            assert_eq!(files.artifacts().open(&digest).unwrap().digest, digest);
        }
        let tasks_folder = files.root().to_owned();
        assert!(!tasks_folder.join("catalog.sqlite").exists());
    });
}

#[test]
fn damaged_objects_are_refused_and_mended_by_publishing() {
    block_on(async {
        let bucket = Bucket::new(42, 10).await;
        let here = bucket.machine();
        let session = here.session();
        session.sql(&bucket.base()).await.unwrap();
        let digest: Digest = digests(&session, "tiny").await[0].parse().unwrap();
        let artifact = bucket.artifact(&digest);
        let weights = artifact.join("model.safetensors");
        let whole = fs::read(&weights).unwrap();
        let opened = |machine: &Machine<'_>| machine.store().artifacts().open(&digest).map(|_| ());
        let code = |machine: &Machine<'_>| opened(machine).unwrap_err().code();

        let mut odd = whole.clone();
        odd[whole.len() / 2] ^= 1;
        for damage in [&odd[..], &whole[..whole.len() / 2], b""] {
            fs::write(&weights, damage).unwrap();
            let other = bucket.machine();
            assert_eq!(code(&other), "artifact_corrupt");
            // Nothing of it is kept, and what is there later is taken.
            assert_eq!(fs::read_dir(other.store().root().join("artifacts")).unwrap().count(), 0);
            assert_eq!(fs::read_dir(other.store().root().join("staging")).unwrap().count(), 0);
            fs::write(&weights, &whole).unwrap();
            opened(&other).unwrap();
        }
        fs::remove_file(&weights).unwrap();
        assert_eq!(code(&bucket.machine()), "artifact_corrupt");
        // Planning needs the small files alone.
        let other = bucket.machine();
        assert!(other.store().artifacts().folder(&digest).unwrap().join("config.json").exists());
        let manifest = artifact.join("manifest.json");
        let bytes = fs::read(&manifest).unwrap();
        fs::write(&manifest, String::from_utf8(bytes).unwrap().replace("config", "gonfic")).unwrap();
        assert_eq!(code(&bucket.machine()), "artifact_corrupt");

        // What a process left that died before it wrote the manifest is no artifact.
        fs::remove_file(&manifest).unwrap();
        let other = bucket.machine();
        assert!(!other.store().artifacts().contains(&digest).unwrap());
        assert_eq!(code(&other), "artifact_missing");
        // Whoever has the files publishes them again, and all is well.
        session.sql(&bucket.base().replace("MODEL tiny", "MODEL again")).await.unwrap();
        assert_eq!(digests(&session, "again").await, [digest.to_string()]);
        opened(&bucket.machine()).unwrap();
        // A copy that was damaged on this machine is fetched anew.
        let copy = here.store().artifacts().open(&digest).unwrap().file("model.safetensors");
        fs::remove_file(&copy).unwrap();
        opened(&here).unwrap();
    });
}

#[test]
fn a_training_that_was_killed_goes_on_from_the_bucket() {
    block_on(async {
        let bucket = Bucket::new(43, 2_000).await;
        let options = "epochs = 8, shards = 2, batch_size = 16";
        let expected = bucket.expected(&[("m", options)]).await;
        let here = bucket.machine();
        here.session().sql(&bucket.base()).await.unwrap();
        let binary = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("nightjar");
        let mut process = Command::new(binary)
            .args(["--store", URI, "sql", "-c", "SET nightjar.precision = 'f32'", "-c", &train("m", options)])
            .envs(here.variables())
            .spawn()
            .unwrap();
        let began = Instant::now();
        let is_state = |name: &String| name.ends_with("round-00001.safetensors");
        while !bucket.run_files().iter().any(is_state) {
            assert!(process.try_wait().unwrap().is_none(), "it was over before it could be killed");
            assert!(began.elapsed() < Duration::from_secs(120), "{:?}", bucket.run_files());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let session = here.session();
        let runs = "SELECT run_id, status FROM nightjar.training_runs";
        assert_eq!(values(&session, runs).await, [["1", "resumable"]]);
        // On a cluster, whose executors have never seen the run.
        let cluster = Cluster::start_with(Path::new(URI), bucket.server.environment(), 2).await;
        let session = cluster.session_on(here.store()).await;
        session.sql("RESUME TRAINING OF m").await.unwrap();
        assert_eq!(values(&session, runs).await, [["1", "done"]]);
        assert_eq!(digests(&session, "m").await, expected);
        assert!(!bucket.run_files().iter().any(|name| name.ends_with(".safetensors")));
    });
}

#[test]
fn training_waits_for_a_server_that_is_away() {
    block_on(async {
        let mut bucket = Bucket::new(44, 1_000).await;
        let options = "epochs = 4, shards = 2, batch_size = 16";
        let expected = bucket.expected(&[("m", options)]).await;
        let session = {
            let here = bucket.machine();
            let session = here.session();
            session.sql(&bucket.base()).await.unwrap();
            // The folder stays as long as the test.
            let _ = here.cache.keep();
            session
        };
        let folder = session.store().root().ancestors().nth(1).unwrap().to_owned();
        let running = session.clone();
        let training = tokio::spawn(async move { running.sql(&train("m", options)).await.map(|_| ()) });
        let began = Instant::now();
        while !bucket.run_files().iter().any(|name| name.ends_with(".safetensors")) {
            assert!(!training.is_finished() && began.elapsed() < Duration::from_secs(120));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bucket.server.stop();
        tokio::time::sleep(Duration::from_secs(3)).await;
        bucket.server.start_again();
        training.await.unwrap().unwrap();
        assert_eq!(digests(&session, "m").await, expected);
        drop(session);
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_bucket_that_cannot_be_a_store_is_named_at_once() {
    block_on(async {
        let bucket = Bucket::new(45, 1).await;
        let here = bucket.machine();
        let code = |uri: &str, stores: ObjectStores| Store::open_with(Some(uri), stores).unwrap_err().code();
        assert_eq!(code("s3://attic/store", here.stores()), "object_store_no_bucket");
        assert_eq!(code("s3://me:hush@models/store", here.stores()), "object_store_credentials_in_url");
        assert_eq!(code("http://host/store", here.stores()), "store_invalid");
        let endpoint = bucket.server.endpoint();
        let wrong = ObjectStoreSettings::new([
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "wrong-key"),
            ("AWS_SECRET_ACCESS_KEY", "wrong-secret"),
        ]);
        let error = Store::open_with(Some(URI), ObjectStores::new(wrong)).unwrap_err();
        let shown = format!("{error} {:?} {error:?}", error.hint());
        assert_eq!(error.code(), "object_store_refused", "{shown}");
        assert!(!shown.contains("wrong-"), "{shown}");
        let mut bucket = bucket;
        let mut settings = bucket.server.settings();
        settings.patience = Duration::from_secs(1);
        bucket.server.stop();
        let error = Store::open_with(Some(URI), ObjectStores::new(settings)).unwrap_err();
        assert_eq!((error.code(), error.retryable()), ("object_store_unreachable", true));
        assert!(error.to_string().contains(&bucket.server.endpoint()), "{error}");
    });
}

/// Returns the data files of materialized views in the bucket.
fn view_files(bucket: &Bucket) -> usize {
    let views = bucket.server.bucket("models").join("team/store/views");
    let folders = fs::read_dir(views).into_iter().flatten().flatten();
    folders.map(|folder| fs::read_dir(folder.path()).unwrap().count()).sum()
}

#[test]
fn a_bucket_has_the_rows_of_materialized_views() {
    block_on(async {
        let bucket = Bucket::new(85, 30).await;
        let machine = bucket.machine();
        let session = machine.session();
        session.sql(&bucket.base()).await.unwrap();
        let rows = |from: u32| {
            format!(
                "COPY (SELECT id + {from} AS id, text FROM 's3://lake/texts.parquet') TO 's3://lake/days/{from}.parquet'"
            )
        };
        values(&session, &rows(0)).await;
        let made = values(
            &session,
            "CREATE MATERIALIZED VIEW v AS SELECT id, embed(text, 'tiny') AS e FROM 's3://lake/days/'",
        )
        .await;
        assert_eq!(made, [["full", "the view is new", "1", "0", "0", "30"]]);
        assert_eq!(view_files(&bucket), 2, "one for the rows and one for the columns");
        values(&session, &rows(100)).await;
        let refresh = "REFRESH MATERIALIZED VIEW v";
        assert_eq!(values(&session, refresh).await, [["incremental", "NULL", "1", "0", "1", "30"]]);
        assert_eq!(values(&session, refresh).await, [["nothing", "NULL", "0", "0", "2", "0"]]);

        // Nothing of them is on the machine, and executors read them from the bucket.
        let left: Vec<_> = machine.store().root().join("views").read_dir().unwrap().flatten().collect();
        let names = left.iter().flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
        assert!(names.map(|entry| entry.file_name()).all(|name| name == ".writer.lock"));
        let cluster = Cluster::start_with(Path::new(URI), bucket.server.environment(), 2).await;
        let far = cluster.session_on(machine.store()).await;
        let query = "SELECT id, e FROM v ORDER BY id";
        let found = values(&far, query).await;
        assert_eq!(found.len(), 60);
        assert_eq!(found, values(&session, query).await);
        let expected = "SELECT id, embed(text, 'tiny') AS e FROM 's3://lake/days/' ORDER BY id";
        assert_eq!(found, values(&session, expected).await);

        // A data file that is gone is made again, and a view that is dropped leaves its files to those who read them still.
        let views = bucket.server.bucket("models").join("team/store/views");
        let folder = fs::read_dir(views).unwrap().next().unwrap().unwrap().path();
        for entry in fs::read_dir(folder).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        assert_eq!(values(&far, refresh).await, [["full", "a data file is gone", "2", "2", "0", "60"]]);
        assert_eq!(values(&session, query).await, found);
    });
}
