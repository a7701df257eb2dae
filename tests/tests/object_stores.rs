//! Tables in buckets, on a real S3 server, and behind http: locally, on a cluster, and where they are not to be had.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Stdio;
use std::time::Duration;

use datafusion::object_store::ObjectStoreExt;
use datafusion::object_store::path::Path;
use nightjar_catalog::{ObjectStoreSettings, ObjectStores};
use nightjar_engine::{EngineError, Session, session_config};
use nightjar_errors::Failure;
use nightjar_tests::{Cluster, Fixtures, REVIEWS, S3Server, TestStore, binary, block_on, values};

/// Words that the processes of a cluster find the server by, and a server with the fixtures in the bucket `lake`.
async fn lake() -> S3Server {
    let server = S3Server::start();
    server.fill("lake", Fixtures::write().await.as_ref());
    server
}

fn session(store: &TestStore, stores: ObjectStores) -> Session {
    Session::new(store.open_with(stores).unwrap(), session_config().with_target_partitions(4))
}

/// Returns the settings of a server, with others added or in their place.
fn settings(server: &S3Server, others: &[(&str, &str)]) -> ObjectStoreSettings {
    let variables = server.environment();
    let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let kept = variables.filter(|(name, _)| !others.iter().any(|(other, _)| name == other));
    ObjectStoreSettings::new(kept.chain(others.iter().copied()))
}

async fn error(session: &Session, sql: &str) -> EngineError {
    let failed = match session.sql(sql).await {
        Ok(rows) => rows.collect().await.map(|_| ()),
        Err(error) => Err(error),
    };
    failed.expect_err(sql)
}

/// Returns all that a person may be shown of an error.
fn shown(error: &EngineError) -> String {
    format!("{error} {:?} {error:?}", error.hint())
}

const ALL: &str = "count(*), min(id), max(id), count(DISTINCT review)";

async fn reads_tables(session: &Session) {
    let rows = REVIEWS.len().to_string();
    let expected = [[rows.clone(), "1".to_owned(), rows.clone(), rows]];
    for name in [
        "s3://lake/reviews.parquet",
        "s3a://lake/reviews.parquet",
        "s3://lake/Shouting.PARQUET",
        "s3://lake/reviews.csv",
        "s3://lake/reviews.csv.gz",
        "s3://lake/reviews.jsonl",
        "s3://lake/reviews.avro",
        "s3://lake/parts/",
        "s3://lake/parts/*.parquet",
        "s3://lake/parts/part-[0-2].parquet",
        "s3://lake/years/",
    ] {
        assert_eq!(values(session, &format!("SELECT {ALL} FROM '{name}'")).await, expected, "{name}");
    }
    let years = "SELECT year, count(*) FROM 's3://lake/years/' GROUP BY year ORDER BY year";
    assert_eq!(values(session, years).await, [["2025", "30"], ["2026", "30"]]);
    let one = "SELECT count(*) FROM 's3://lake/parts/*-1.parquet'";
    assert_eq!(values(session, one).await, [["20"]]);
}

#[test]
fn a_bucket_holds_tables() {
    block_on(async {
        let (server, store) = (lake().await, TestStore::with_tiny(31).await);
        let session = session(&store, server.object_stores());
        reads_tables(&session).await;
        // Of a LOCATION in a bucket, all that is not empty is read.
        std::fs::remove_file(server.bucket("lake").join("parts/.part-0.parquet.crc")).unwrap();
        let create = "CREATE EXTERNAL TABLE parts STORED AS PARQUET LOCATION 's3://lake/parts/'";
        session.sql(create).await.unwrap();
        let columns = "CREATE EXTERNAL TABLE named (id BIGINT, review VARCHAR) STORED AS PARQUET \
                       LOCATION 's3://lake/reviews.parquet'";
        session.sql(columns).await.unwrap();
        let view = "CREATE VIEW good AS SELECT id FROM 's3://lake/parts/*.parquet' WHERE label = 'good'";
        session.sql(view).await.unwrap();

        // Another process: the definitions are in the catalog, the keys are not.
        let later = self::session(&store, server.object_stores());
        for table in ["parts", "named"] {
            assert_eq!(values(&later, &format!("SELECT count(*) FROM {table}")).await, [["60"]], "{table}");
        }
        assert_eq!(values(&later, "SELECT count(*) FROM good").await, [["30"]]);
        let catalog = std::fs::read(store.root().join("catalog.sqlite")).unwrap();
        S3Server::assert_no_secret(&String::from_utf8_lossy(&catalog));

        let cluster = Cluster::start_with(&store.root(), server.environment(), 2).await;
        let there = cluster.session_on(store.open_with(server.object_stores()).unwrap()).await;
        reads_tables(&there).await;
        assert_eq!(values(&there, "SELECT count(*) FROM parts").await, [["60"]]);
        let embedded = "SELECT id, embed(review, 'tiny') FROM 's3://lake/parts/' ORDER BY id";
        assert_eq!(values(&there, embedded).await, {
            later.sql("SET nightjar.precision = 'f32'").await.unwrap();
            values(&later, embedded).await
        });
        let plan = values(&there, &format!("EXPLAIN VERBOSE {embedded}")).await;
        let plan = format!("{plan:?} {:?}", values(&there, &format!("EXPLAIN ANALYZE {embedded}")).await);
        assert!(plan.contains("ClusterExec"), "the tasks read the bucket: {plan}");
        S3Server::assert_no_secret(&plan);
        S3Server::assert_no_secret(&format!("{:?}", there.context().state()));
    });
}

#[test]
fn buckets_with_equal_paths_are_told_apart() {
    block_on(async {
        let (server, store) = (S3Server::start(), TestStore::new(32));
        let session = session(&store, server.object_stores());
        // Files of one length and, as like as not, of one second.
        for (bucket, value) in [("one", 1), ("two", 2)] {
            server.bucket(bucket);
            let copy =
                format!("COPY (SELECT {value} AS v) TO 's3://{bucket}/dir/a.parquet' STORED AS PARQUET");
            values(&session, &copy).await;
        }
        for (bucket, value) in [("one", "1"), ("two", "2"), ("one", "1")] {
            for name in ["dir/a.parquet", "dir/", "dir/*.parquet"] {
                let sql = format!("SELECT v FROM 's3://{bucket}/{name}'");
                assert_eq!(values(&session, &sql).await, [[value]], "{sql}");
            }
        }
        // What comes later is seen.
        values(&session, "COPY (SELECT 3 AS v) TO 's3://one/dir/b.parquet' STORED AS PARQUET").await;
        let sql = "SELECT v FROM 's3://one/dir/' ORDER BY v";
        assert_eq!(values(&session, sql).await, [["1"], ["3"]]);
    });
}

#[test]
fn what_is_wrong_is_named_and_no_secret_is() {
    block_on(async {
        let (server, store) = (lake().await, TestStore::new(33));
        let right = session(&store, server.object_stores());
        let place = format!("at {}", server.endpoint());
        for (sql, code, said) in [
            ("SELECT * FROM 's3://attic/a.parquet'", "object_store_no_bucket", "no bucket 'attic' at"),
            ("SELECT * FROM 's3://lake/attic.parquet'", "engine.no_files", "'s3://lake/attic.parquet'"),
            ("SELECT * FROM 's3://lake/attic/'", "engine.no_files", "'s3://lake/attic/'"),
            ("SELECT * FROM 's3://lake/parts/*.csv'", "engine.no_files", "*.csv"),
            ("SELECT * FROM 'gs://lake/a.parquet'", "object_store_scheme", "gs://"),
            (
                "SELECT * FROM 's3://me:hush@lake/reviews.csv'",
                "object_store_credentials_in_url",
                "'s3://lake/reviews.csv'",
            ),
            ("SELECT * FROM 'http://h/a.csv?sign=hush'", "object_store_url", "http://h/a.csv"),
            (
                "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://me:hush@lake/parts/'",
                "object_store_credentials_in_url",
                "'s3://lake/parts/'",
            ),
            (
                "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://lake/parts/*.parquet'",
                "engine.location_glob",
                "s3://lake/parts/*.parquet",
            ),
            (
                "CREATE VIEW t AS SELECT * FROM 's3://me:hush@lake/parts/'",
                "object_store_credentials_in_url",
                "lake",
            ),
        ] {
            let error = error(&right, sql).await;
            let shown = shown(&error);
            assert_eq!(error.code(), code, "{shown}");
            assert!(
                error.to_string().contains(said) && error.hint().is_some() || code == "object_store_url",
                "{shown}"
            );
            assert!(!shown.contains("hush") && !error.retryable(), "{shown}");
            S3Server::assert_no_secret(&shown);
        }
        let wrong = [
            settings(&server, &[("AWS_SECRET_ACCESS_KEY", "wrong-secret")]),
            settings(&server, &[("AWS_ACCESS_KEY_ID", "wrong-key")]),
        ];
        for settings in wrong {
            let wrong = session(&store, ObjectStores::new(settings));
            for name in ["reviews.parquet", "parts/", "parts/*.parquet"] {
                let error = error(&wrong, &format!("SELECT * FROM 's3://lake/{name}'")).await;
                let shown = shown(&error);
                assert_eq!(error.code(), "object_store_refused", "{shown}");
                assert!(error.to_string().contains(&place) && !error.retryable(), "{shown}");
                assert!(error.hint().unwrap().contains("AWS_SECRET_ACCESS_KEY"), "{shown}");
                assert!(!shown.contains("wrong-"), "{shown}");
                S3Server::assert_no_secret(&shown);
            }
        }
        let none = ObjectStoreSettings::new([("AWS_ENDPOINT_URL", server.endpoint().as_str())]);
        let error =
            error(&session(&store, ObjectStores::new(none)), "SELECT * FROM 's3://lake/parts/'").await;
        assert_eq!(error.code(), "object_store_no_credentials");
    });
}

#[test]
fn executors_say_what_they_lack() {
    block_on(async {
        let (server, store) = (lake().await, TestStore::new(34));
        // The coordinator has the keys, the executors have not: the job fails, and says whose environment to look at.
        let endpoint = vec![("AWS_ENDPOINT_URL".to_owned(), server.endpoint())];
        let cluster = Cluster::start_with(&store.root(), endpoint, 1).await;
        let session = cluster.session_on(store.open_with(server.object_stores()).unwrap()).await;
        let error = error(&session, "SELECT label, count(*) FROM 's3://lake/parts/' GROUP BY label").await;
        let shown = shown(&error);
        assert!(error.to_string().contains("no credentials for s3://lake"), "{shown}");
        assert!(error.hint().unwrap().contains("executors"), "{shown}");
        S3Server::assert_no_secret(&shown);
    });
}

/// Queries go on, one after the other, while the server is away for some seconds: each gives what it should.
async fn waits(server: &mut S3Server, session: Session) {
    let (told, mut done) = tokio::sync::mpsc::unbounded_channel();
    let asking = tokio::spawn(async move {
        for query in 0..40 {
            let sql = "SELECT label, count(*) FROM 's3://lake/parts/' GROUP BY label ORDER BY label";
            assert_eq!(values(&session, sql).await, [["bad", "30"], ["good", "30"]]);
            told.send(query).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(done.recv().await, Some(0));
    server.stop();
    tokio::time::sleep(Duration::from_secs(3)).await;
    while done.try_recv().is_ok() {}
    assert!(!asking.is_finished(), "no query is answered while the server is away");
    server.start_again();
    asking.await.unwrap();
}

#[test]
fn a_server_that_is_away_for_a_while_is_waited_for() {
    block_on(async {
        let (mut server, store) = (lake().await, TestStore::new(35));
        let here = session(&store, server.object_stores());
        waits(&mut server, here).await;
        let cluster = Cluster::start_with(&store.root(), server.environment(), 2).await;
        let there = cluster.session_on(store.open_with(server.object_stores()).unwrap()).await;
        waits(&mut server, there).await;
    });
}

#[test]
fn a_server_that_is_gone_ends_the_statement() {
    block_on(async {
        let (mut server, store) = (lake().await, TestStore::new(36));
        let mut settings = settings(&server, &[]);
        settings.patience = Duration::from_secs(1);
        let session = session(&store, ObjectStores::new(settings));
        server.stop();
        for name in ["reviews.parquet", "parts/"] {
            let error = error(&session, &format!("SELECT * FROM 's3://lake/{name}'")).await;
            let shown = shown(&error);
            assert_eq!(error.code(), "object_store_unreachable", "{shown}");
            assert!(error.retryable(), "{shown}");
            let place = format!("s3://lake at {} does not answer", server.endpoint());
            assert!(error.to_string().contains(&place), "{shown}");
            assert!(error.hint().unwrap().contains("AWS_ENDPOINT_URL"), "{shown}");
        }
        // No host of this name, and nothing that could be waited for.
        let error = error(&session, "SELECT * FROM 'http://no-such-host.invalid/a.csv'").await;
        assert_eq!(error.code(), "object_store_unreachable", "{}", shown(&error));
    });
}

#[test]
fn files_are_read_by_http() {
    block_on(async {
        let (server, store) = (S3Server::start_public(), TestStore::new(37));
        server.fill("lake", Fixtures::write().await.as_ref());
        let at = |name: &str| format!("{}/lake/{name}", server.endpoint());
        let local = session(&store, ObjectStores::default());
        let cluster = Cluster::start(&store, 1).await;
        let there = cluster.session(&store).await;
        for session in [&local, &there] {
            for name in ["reviews.parquet", "reviews.csv", "reviews.jsonl", "parts/part-0.parquet"] {
                let rows = if name.starts_with("parts") { "20" } else { "60" };
                let sql = format!("SELECT count(*), count(DISTINCT review) FROM '{}'", at(name));
                assert_eq!(values(session, &sql).await, [[rows, rows]], "{sql}");
            }
        }
        let create =
            format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{}'", at("reviews.parquet"));
        local.sql(&create).await.unwrap();
        assert_eq!(values(&there, "SELECT count(*) FROM t").await, [["60"]]);
        for name in ["attic.parquet", "parts/", "parts/*.parquet"] {
            let error = error(&local, &format!("SELECT * FROM '{}'", at(name))).await;
            assert_eq!(error.code(), "object_store_no_object", "{}", shown(&error));
            assert!(error.hint().unwrap().contains("http"), "{}", shown(&error));
        }
    });
}

/// What another process, not heard of since, left in the bucket: its turn, for so many milliseconds.
async fn taken(stores: &ObjectStores, lease: u64) {
    let bucket = stores.get(&"s3://lake/".parse().unwrap()).unwrap();
    let turn = format!("nightjar turn 1\nholder=other\nfence=7\nbeat=0\nlease_ms={lease}\n");
    bucket.put(&Path::from("t/_nightjar/turn"), turn.into()).await.unwrap();
}

async fn whose_turn(stores: &ObjectStores) -> String {
    let bucket = stores.get(&"s3://lake/".parse().unwrap()).unwrap();
    let found = bucket.get(&Path::from("t/_nightjar/turn")).await.unwrap();
    String::from_utf8(found.bytes().await.unwrap().to_vec()).unwrap()
}

/// Rows that tell who has written them, in a file for each half.
fn overwrite(who: &str) -> String {
    format!("INSERT OVERWRITE t SELECT value, '{who}' AS who FROM generate_series(1, 2000)")
}

#[test]
fn processes_overwrite_a_folder_one_after_the_other() {
    block_on(async {
        let (server, store) = (S3Server::start(), TestStore::new(61));
        server.bucket("lake");
        let here = session(&store, server.object_stores());
        let table =
            "CREATE EXTERNAL TABLE t (id BIGINT, who VARCHAR) STORED AS PARQUET LOCATION 's3://lake/t/'";
        here.sql(table).await.unwrap();
        let rows = "SELECT count(*), count(DISTINCT id), count(DISTINCT who) FROM t";
        for round in 0..3 {
            let mut command = std::process::Command::new(binary());
            command.args(["sql", "-c", &overwrite("there")]).env("NIGHTJAR_STORE", store.root());
            let command = command.envs(server.environment()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut there = command.spawn().unwrap();
            loop {
                here.sql(&overwrite("here")).await.unwrap().collect().await.unwrap();
                assert_eq!(values(&here, rows).await, [["2000", "2000", "1"]], "round {round}");
                if there.try_wait().unwrap().is_some() {
                    break;
                }
            }
            let ended = there.wait_with_output().unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        }
    });
}

#[test]
fn whose_turn_it_is_in_a_bucket_is_waited_for() {
    block_on(async {
        let (server, store) = (S3Server::start(), TestStore::new(62));
        server.bucket("lake");
        let stores = server.object_stores();
        let here = session(&store, stores.clone());
        let table =
            "CREATE EXTERNAL TABLE t (id BIGINT, who VARCHAR) STORED AS PARQUET LOCATION 's3://lake/t/'";
        here.sql(table).await.unwrap();
        values(&here, &overwrite("first")).await;
        assert!(whose_turn(&stores).await.contains("holder=\nfence=1\n"), "{}", whose_turn(&stores).await);
        // Who holds it for an hour is waited for; others read, and add.
        taken(&stores, 3_600_000).await;
        let waiting = tokio::spawn({
            let other = session(&store, stores.clone());
            async move { values(&other, &overwrite("second")).await }
        });
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(!waiting.is_finished());
        let rows = "SELECT min(who), max(who), count(*) FROM t";
        assert_eq!(values(&here, rows).await, [["first", "first", "2000"]]);
        // It is gone without a word, and its lease is over.
        taken(&stores, 100).await;
        assert_eq!(waiting.await.unwrap(), [["2000"]]);
        assert_eq!(values(&here, rows).await, [["second", "second", "2000"]]);
        assert!(whose_turn(&stores).await.contains("holder=\nfence=8\n"), "{}", whose_turn(&stores).await);
    });
}
