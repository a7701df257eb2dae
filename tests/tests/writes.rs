//! COPY, INSERT and INSERT OVERWRITE: whole or not at all, whatever happens to those who write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use nightjar_engine::{OutputKey, Session, session_config};
use nightjar_statements::parse_statements;
use nightjar_tests::{Cluster, S3Server, TestStore, block_on, cells, values};

/// How many texts keep two executors busy for some seconds.
const MANY: usize = 40_000;

/// A store with the model `tiny` and two Parquet files of texts, half of them each.
async fn store_with_texts(seed: u64, count: usize) -> (TestStore, PathBuf) {
    let store = TestStore::with_tiny(seed).await;
    let folder = store.scratch().join("texts");
    fs::create_dir(&folder).unwrap();
    for (index, half) in [(1, count / 2), (count / 2 + 1, count)].iter().enumerate() {
        let sql = format!(
            "COPY (SELECT value AS id, 'the ' || value || ' of ' || (value * 7) AS text FROM generate_series({}, {})) \
             TO '{}/{index}.parquet'",
            half.0,
            half.1,
            folder.display()
        );
        values(&store.session(), &sql).await;
    }
    (store, folder)
}

fn copy(texts: &Path, out: &Path) -> String {
    let (texts, out) = (texts.display(), out.display());
    format!("COPY (SELECT id, text, embed(text, 'tiny') AS e FROM '{texts}/') TO '{out}/' STORED AS PARQUET")
}

/// What a folder holds must be all rows, each once.
async fn assert_whole(session: &Session, out: &Path, count: usize) {
    let sql = format!("SELECT count(*), count(DISTINCT id), sum(id), count(e) FROM '{}/'", out.display());
    let sum = count * (count + 1) / 2;
    let expected = [count, count, sum, count].map(|number| number.to_string());
    assert_eq!(values(session, &sql).await, [expected.to_vec()]);
}

/// Returns what lies in a folder and below it.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
        if path.is_dir() {
            names.extend(self::names(&path));
        }
    }
    names
}

/// Waits until nothing is left of a statement but what was there before.
async fn assert_nothing_new(folder: &Path, before: &[String]) {
    let began = Instant::now();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let before = sorted(before.to_vec());
    while sorted(names(folder)) != before {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", names(folder));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A COPY on two executors is whole although something happens to the cluster in the middle of it, and is never seen in part.
async fn outlives(seed: u64, happens: impl FnOnce(&mut Cluster)) {
    let (store, texts) = store_with_texts(seed, MANY).await;
    let mut cluster = Cluster::start(&store, 2).await;
    let session = cluster.session(&store).await;
    let out = store.scratch().join("out");
    let (statement, writer) = (copy(&texts, &out), session.clone());
    let running = tokio::spawn(async move { values(&writer, &statement).await });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!out.exists(), "the statement was over before anything happened");
    happens(&mut cluster);
    while !out.exists() && !running.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The first look at it already finds all.
    assert_whole(&store.session(), &out, MANY).await;
    assert_eq!(running.await.unwrap(), [[MANY.to_string()]]);
    assert!(names(&out).iter().all(|name| name.starts_with("part-")), "{:?}", names(&out));
    assert_nothing_new(&store.scratch().join("_nightjar"), &[]).await;
}

#[test]
fn a_folder_is_written_by_tasks() {
    block_on(async {
        let (store, texts) = store_with_texts(41, 400).await;
        let cluster = Cluster::start(&store, 2).await;
        let session = cluster.session(&store).await;
        let (local, remote) = (store.scratch().join("local"), store.scratch().join("remote"));
        assert_eq!(values(&store.session(), &copy(&texts, &local)).await, [["400"]]);
        let plan = values(&session, &format!("EXPLAIN {}", copy(&texts, &remote))).await.concat().concat();
        let (publish, leaves) = (plan.find("PublishExec").unwrap(), plan.find("ClusterExec").unwrap());
        let writes = plan.find("WriteFilesExec: format=parquet").unwrap();
        assert!(publish < leaves && leaves < writes, "{plan}");
        assert!(!remote.exists(), "EXPLAIN writes nothing");
        assert_eq!(values(&session, &copy(&texts, &remote)).await, [["400"]]);
        assert!(names(&remote).len() > 1, "a file for each task: {:?}", names(&remote));
        let rows = |out: &Path| format!("SELECT id, text, e FROM '{}/' ORDER BY id", out.display());
        assert_eq!(
            values(&store.session(), &rows(&remote)).await,
            values(&store.session(), &rows(&local)).await
        );
        for (format, options) in [
            ("CSV", " OPTIONS (format.compression 'gzip')"),
            ("JSON", " OPTIONS (format.compression 'gzip')"),
            ("ARROW", ""),
        ] {
            let out = store.scratch().join(format);
            let sql = format!(
                "COPY (SELECT id, text FROM '{}/') TO '{}/' STORED AS {format}{options}",
                texts.display(),
                out.display()
            );
            let plan = values(&session, &format!("EXPLAIN {sql}")).await.concat().concat();
            let (leaves, writes) = (plan.find("ClusterExec").unwrap(), plan.find("WriteFilesExec").unwrap());
            assert!(leaves < writes, "{plan}");
            assert_eq!(values(&session, &sql).await, [["400"]]);
            let sum = format!("SELECT sum(id) FROM '{}/'", out.display());
            assert_eq!(values(&session, &sum).await, [["80200"]], "{:?}", names(&out));
        }
    });
}

#[test]
fn an_executor_may_be_killed() {
    block_on(outlives(42, |cluster| cluster.kill_executor(0)));
}

#[test]
fn a_scheduler_may_come_back() {
    block_on(outlives(43, |cluster| cluster.restart_scheduler()));
}

#[test]
fn what_fails_leaves_nothing() {
    block_on(async {
        let (store, texts) = store_with_texts(44, 400).await;
        let cluster = Cluster::start(&store, 2).await;
        let before = names(&store.scratch());
        for session in [store.session(), cluster.session(&store).await] {
            let sql = format!(
                "COPY (SELECT id, CAST(CASE WHEN id = 399 THEN text ELSE '1' END AS INT) AS n FROM '{}/') TO '{}/out/' \
                 STORED AS PARQUET",
                texts.display(),
                store.scratch().display()
            );
            let error = session.sql(&sql).await.err().unwrap();
            assert!(error.to_string().contains("the 399 of"), "{error}");
            assert_nothing_new(&store.scratch(), &before).await;
        }
    });
}

#[test]
fn a_full_disk_at_an_executor_publishes_nothing() {
    block_on(async {
        let (store, texts) = store_with_texts(48, 10_000).await;
        let mut cluster = Cluster::start(&store, 1).await;
        cluster.add_executor_without_room();
        cluster.wait_for(2).await;
        let session = cluster.session(&store).await;
        let before = names(&store.scratch());
        let out = store.scratch().join("out");
        match session.sql(&copy(&texts, &out)).await {
            // The other executor had room for all.
            Ok(_) => assert_whole(&store.session(), &out, 10_000).await,
            Err(error) => {
                assert!(error.to_string().contains("File too large"), "{error}");
                assert_nothing_new(&store.scratch(), &before).await;
            }
        }
        // Without it, what failed works.
        cluster.kill_executor(1);
        cluster.wait_for(1).await;
        assert_eq!(values(&session, &copy(&texts, &store.scratch().join("again"))).await, [["10000"]]);
    });
}

#[test]
fn what_is_given_up_leaves_nothing() {
    block_on(async {
        let (store, texts) = store_with_texts(45, MANY).await;
        let cluster = Cluster::start(&store, 2).await;
        let before = names(&store.scratch());
        for session in [store.session(), cluster.session(&store).await] {
            let statement = copy(&texts, &store.scratch().join("out"));
            let given_up = tokio::time::timeout(Duration::from_millis(500), session.sql(&statement)).await;
            assert!(given_up.is_err(), "the statement was over before it could be given up");
            assert_nothing_new(&store.scratch(), &before).await;
        }
    });
}

#[test]
fn many_add_to_one_table_at_once() {
    block_on(async {
        let (store, texts) = store_with_texts(46, 1_000).await;
        let out = store.scratch().join("table");
        let session = store.session();
        let ddl = format!(
            "CREATE EXTERNAL TABLE t (id BIGINT, text VARCHAR) STORED AS PARQUET LOCATION '{}/'",
            out.display()
        );
        fs::create_dir(&out).unwrap();
        session.sql(&ddl).await.unwrap();
        let insert = format!("INSERT INTO t SELECT id, text FROM '{}/'", texts.display());
        let writers = (0..8).map(|_| {
            let (session, insert) = (session.clone(), insert.clone());
            tokio::spawn(async move { values(&session, &insert).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            assert_eq!(writer.await.unwrap(), [["1000"]]);
        }
        let count = "SELECT count(*), count(DISTINCT id) FROM t";
        assert_eq!(values(&session, count).await, [["8000", "1000"]]);
        // Small statements of several processes: the folder of their stagings comes and goes all the time.
        let root = store.root();
        let writers = (0..6).map(|_| {
            let root = root.clone();
            std::thread::spawn(move || {
                for _ in 0..5 {
                    let mut insert = std::process::Command::new(nightjar_tests::binary());
                    insert
                        .args(["sql", "-q", "-c", "INSERT INTO t VALUES (0, 'small')"])
                        .env("NIGHTJAR_STORE", &root);
                    let output = insert.output().unwrap();
                    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.join().unwrap();
        }
        assert_eq!(values(&session, count).await, [["8030", "1001"]]);
        assert!(names(&out).iter().all(|name| name.ends_with(".parquet")), "{:?}", names(&out));
    });
}

#[test]
fn a_process_that_is_killed_has_published_nothing() {
    block_on(async {
        let (store, texts) = store_with_texts(47, MANY).await;
        let out = store.scratch().join("out");
        let mut command = std::process::Command::new(nightjar_tests::binary());
        command.args(["sql", "-c", &copy(&texts, &out)]).env("NIGHTJAR_STORE", store.root());
        let mut process = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        let staging = store.scratch().join("_nightjar");
        while !staging.exists() {
            assert!(process.try_wait().unwrap().is_none(), "it is over");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(!out.exists());
        // What it left is no data, and in nobody's way.
        assert_eq!(values(&store.session(), &copy(&texts, &out)).await, [[MANY.to_string()]]);
        assert_whole(&store.session(), &out, MANY).await;
    });
}

/// Returns the names of a bucket's objects, at any depth.
fn objects(bucket: &Path) -> Vec<String> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(bucket).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            objects.extend(self::objects(&path));
        } else {
            objects.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    objects.sort();
    objects
}

/// A bucket, a store with texts beside it, and sessions that write from this process and from a cluster.
struct Lake {
    store: TestStore,
    texts: PathBuf,
    server: S3Server,
    /// The bucket's folder.
    lake: PathBuf,
    /// Runs as long as the value is there.
    _cluster: Cluster,
    local: Session,
    remote: Session,
}

impl Lake {
    async fn new(seed: u64, rows: usize) -> Self {
        let (store, texts) = store_with_texts(seed, rows).await;
        let server = S3Server::start();
        let lake = server.bucket("lake");
        let cluster = Cluster::start_with(&store.root(), server.environment(), 2).await;
        let open = || store.open_with(server.object_stores()).unwrap();
        let local = Session::new(open(), session_config().with_target_partitions(2));
        let remote = cluster.session_on(open()).await;
        Self { store, texts, server, lake, _cluster: cluster, local, remote }
    }
}

#[test]
fn a_bucket_gets_all_or_nothing() {
    block_on(async {
        let Lake { store: _store, texts, mut server, lake, _cluster, local, remote } =
            Lake::new(49, 2_000).await;
        let from = texts.display();
        for (place, session) in [("here", &local), ("there", &remote)] {
            let rows = format!("SELECT id, text, embed(text, 'tiny') AS e FROM '{from}/'");
            let folder = format!("COPY ({rows}) TO 's3://lake/{place}/' STORED AS PARQUET");
            assert_eq!(values(session, &folder).await, [["2000"]]);
            let count = format!("SELECT count(*), count(DISTINCT id), count(e) FROM 's3://lake/{place}/'");
            assert_eq!(values(session, &count).await, [["2000", "2000", "2000"]]);
            assert!(objects(&lake.join(place)).len() > 1, "{:?}", objects(&lake));
            let failing = format!(
                "COPY (SELECT CAST(CASE WHEN id = 1999 THEN text ELSE '1' END AS INT) AS n FROM '{from}/') \
                 TO 's3://lake/{place}/' STORED AS PARQUET"
            );
            let before = objects(&lake);
            let error = session.sql(&failing).await.err().unwrap();
            assert!(error.to_string().contains("the 1999 of"), "{error}");
            while objects(&lake) != before {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let file = format!(
                "COPY (SELECT id FROM '{from}/') TO 's3://lake/{place}.csv' OPTIONS (format.has_header true)"
            );
            assert_eq!(values(session, &file).await, [["2000"]]);
            let table =
                format!("CREATE EXTERNAL TABLE {place} STORED AS PARQUET LOCATION 's3://lake/{place}/'");
            session.sql(&table).await.unwrap();
            let insert = format!("INSERT INTO {place} {rows}");
            assert_eq!(values(session, &insert).await, [["2000"]]);
            assert_eq!(values(session, &count).await, [["4000", "2000", "4000"]]);
            let csv = format!("SELECT sum(id) FROM 's3://lake/{place}.csv'");
            assert_eq!(values(session, &csv).await, [["2001000"]]);
        }
        // A server that is away for a while is waited for.
        let writing = tokio::spawn({
            let sql = format!(
                "COPY (SELECT id, embed(text, 'tiny') AS e FROM '{from}/') TO 's3://lake/late/' STORED AS PARQUET"
            );
            async move { values(&remote, &sql).await }
        });
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.stop();
        tokio::time::sleep(Duration::from_secs(10)).await;
        server.start_again();
        assert_eq!(writing.await.unwrap(), [["2000"]]);
        let count = "SELECT count(*), count(DISTINCT id) FROM 's3://lake/late/'";
        assert_eq!(values(&local, count).await, [["2000", "2000"]]);
        let staged: Vec<_> = objects(&lake).into_iter().filter(|name| !name.starts_with("part-")).collect();
        assert_eq!(staged, ["here.csv", "there.csv"]);
    });
}

/// A table with a file for each of `parts` calls of INSERT, in `folder`.
async fn table_of(session: &Session, folder: &Path, parts: usize) {
    let columns = "(id BIGINT, text VARCHAR) STORED AS PARQUET";
    let ddl = format!("CREATE EXTERNAL TABLE t {columns} LOCATION '{}/'", folder.display());
    session.sql(&ddl).await.unwrap();
    for part in 0..parts {
        assert_eq!(values(session, &format!("INSERT INTO t VALUES ({part}, 'old')")).await, [["1"]]);
    }
}

/// The files of a folder, without those of its subfolders.
fn table_files(folder: &Path) -> Vec<String> {
    names(folder).into_iter().filter(|name| name.starts_with("part-")).collect()
}

#[test]
fn a_failed_or_cancelled_overwrite_leaves_the_old_rows() {
    block_on(async {
        let (store, texts) = store_with_texts(50, MANY).await;
        let cluster = Cluster::start(&store, 2).await;
        let out = store.scratch().join("table");
        table_of(&store.session(), &out, 3).await;
        let mut before = table_files(&out);
        before.sort();
        for session in [store.session(), cluster.session(&store).await] {
            let from = texts.display();
            let failing = format!(
                "INSERT OVERWRITE t SELECT CAST(CASE WHEN id = 39999 THEN text ELSE '1' END AS BIGINT), text \
                 FROM '{from}/'"
            );
            let error = session.sql(&failing).await.err().unwrap();
            assert!(error.to_string().contains("the 39999 of"), "{error}");
            let slow = format!(
                "INSERT OVERWRITE t SELECT CASE WHEN embed(text, 'tiny')[1] > 0 THEN id ELSE -id END, text FROM '{from}/'"
            );
            let given_up = tokio::time::timeout(Duration::from_millis(500), session.sql(&slow)).await;
            assert!(given_up.is_err(), "the statement was over before it could be given up");
            // What becomes of the staging is for `what_is_given_up_leaves_nothing`.
            let mut there = table_files(&out);
            there.sort();
            assert_eq!(there, before);
            let rows = values(&session, "SELECT count(*), sum(id), min(text) FROM t").await;
            assert_eq!(rows, [["3", "3", "old"]]);
        }
    });
}

#[test]
fn an_overwrite_that_dies_after_its_journal_is_finished_by_the_next_that_looks() {
    block_on(async {
        let store = TestStore::new(51);
        let out = store.scratch().join("table");
        table_of(&store.session(), &out, 3).await;
        let old = names(&out);
        // What a process leaves that is killed between the first move and all else.
        let staging = out.join("_nightjar/dead");
        fs::create_dir_all(staging.join("00000-x")).unwrap();
        fs::write(staging.join("open"), "").unwrap();
        let new = ["part-00000-dead.parquet", "part-00001-dead.parquet"];
        let staged = |name: &str| staging.join("00000-x").join(name);
        for (index, name) in new.iter().enumerate() {
            let sql =
                format!("COPY (SELECT {index} + 100 AS id, 'new' AS text) TO '{}'", staged(name).display());
            values(&store.session(), &sql).await;
        }
        let path = |path: &Path| path.display().to_string().trim_start_matches('/').to_owned();
        let moves = new.iter().map(|name| format!("{}\t{}\n", path(&staged(name)), path(&out.join(name))));
        let removals = old.iter().map(|name| format!("{}\t\n", path(&out.join(name))));
        let journal = moves.chain(removals).collect::<String>();
        fs::write(staging.join("publish"), journal).unwrap();
        fs::rename(staged(new[0]), out.join(new[0])).unwrap();
        let rows = values(&store.session(), "SELECT count(*), min(id), min(text) FROM t").await;
        assert_eq!(rows, [["2", "100", "new"]]);
        assert_nothing_new(&out, &new.map(str::to_owned)).await;
    });
}

#[test]
fn an_overwrite_is_killed_at_any_time() {
    block_on(async {
        let (store, texts) = store_with_texts(52, 2_000).await;
        let out = store.scratch().join("table");
        table_of(&store.session(), &out, 40).await;
        let overwrite = format!("INSERT OVERWRITE t SELECT id, text FROM '{}/'", texts.display());
        let before = "SELECT count(*), sum(id) FROM t";
        let (old, new) = ([["40", "780"]], [["2000", "2001000"]]);
        let mut seen_old = false;
        for wait in (0..40).map(|step| Duration::from_millis(step * 15)) {
            let mut command = std::process::Command::new(nightjar_tests::binary());
            command.args(["sql", "-c", &overwrite]).env("NIGHTJAR_STORE", store.root());
            let mut process = command.stdout(std::process::Stdio::null()).spawn().unwrap();
            tokio::time::sleep(wait).await;
            process.kill().unwrap();
            process.wait().unwrap();
            let rows = values(&store.session(), before).await;
            if rows == new {
                break;
            }
            assert_eq!(rows, old, "after {wait:?}");
            seen_old = true;
        }
        assert!(seen_old, "none was killed before it was done");
        assert_eq!(values(&store.session(), &overwrite).await, [["2000"]]);
        assert_eq!(values(&store.session(), before).await, new);
    });
}

#[test]
fn overwrites_at_the_same_time_leave_the_rows_of_one() {
    block_on(async {
        let place = Lake::new(55, 4).await;
        let store = &place.store;
        let folder = store.scratch().join("table");
        table_of(&store.session(), &folder, 3).await;
        let sessions: Vec<_> = (0..4).map(|_| store.session()).collect();
        let bucket =
            "CREATE EXTERNAL TABLE b (id BIGINT, text VARCHAR) STORED AS PARQUET LOCATION 's3://lake/b/'";
        place.local.sql(bucket).await.unwrap();
        let overwrite = |table: &str, who: usize| {
            format!("INSERT OVERWRITE {table} SELECT {who}, 'new' FROM generate_series(0, {who})")
        };
        let assert_one = async |table: &str| {
            let sql = format!("SELECT count(*) - max(id), count(DISTINCT id), min(text) FROM {table}");
            assert_eq!(values(&place.local, &sql).await, [["1", "1", "new"]], "{table}");
        };
        for _ in 0..5 {
            // Of several processes, and of sessions in this one.
            let command = |who: usize| {
                let mut command = std::process::Command::new(nightjar_tests::binary());
                command.args(["sql", "-q", "-c", &overwrite("t", who)]).env("NIGHTJAR_STORE", store.root());
                command.stdout(std::process::Stdio::null()).spawn().unwrap()
            };
            let processes: Vec<_> = (0..3).map(command).collect();
            let here = sessions.iter().enumerate().map(async |(who, session)| {
                assert_eq!(values(session, &overwrite("t", 10 + who)).await, [[(11 + who).to_string()]]);
            });
            futures::future::join_all(here).await;
            for mut process in processes {
                assert!(process.wait().unwrap().success());
            }
            assert_one("t").await;
            let there = (0..4).map(async |who: usize| values(&place.local, &overwrite("b", who)).await);
            futures::future::join_all(there).await;
            assert_one("b").await;
        }
        assert_nothing_new(&folder, &table_files(&folder)).await;
    });
}

#[test]
fn an_overwrite_in_a_bucket_replaces_what_is_there() {
    block_on(async {
        let place = Lake::new(53, 400).await;
        let Lake { texts, lake, local, remote, .. } = &place;
        let from = texts.display();
        for (name, session) in [("here", local), ("there", remote)] {
            let columns = "(id BIGINT, text VARCHAR, half BIGINT) STORED AS PARQUET PARTITIONED BY (half)";
            let ddl = format!("CREATE EXTERNAL TABLE {name} {columns} LOCATION 's3://lake/{name}/'");
            session.sql(&ddl).await.unwrap();
            let rows = format!("SELECT id, text, id % 2 AS half FROM '{from}/'");
            let sql = format!("INSERT OVERWRITE {name} {rows}");
            assert_eq!(values(session, &sql).await, [["400"]]);
            assert_eq!(values(session, &sql).await, [["400"]]);
            let sql = format!("INSERT OVERWRITE {name} {rows} WHERE id < 10 AND id % 2 = 1");
            assert_eq!(values(session, &sql).await, [["5"]]);
            let sums = format!("SELECT half, count(*), sum(id) FROM {name} GROUP BY half ORDER BY half");
            assert_eq!(values(session, &sums).await, [["0", "200", "40200"], ["1", "5", "25"]]);
        }
        // Whose turn it was stays, for who overwrites next.
        let mut left = objects(lake);
        left.retain(|name| !name.starts_with("part-"));
        assert_eq!(left, ["turn", "turn"]);
    });
}

/// Runs a statement under a key, as an attempt of a job's run does.
async fn run_as(session: &Session, sql: &str, key: &str, again: bool) -> Vec<Vec<String>> {
    let statement = parse_statements(sql).unwrap().pop().unwrap();
    let key = OutputKey::new(key.to_owned(), again, || Ok(()));
    let running = session.start_as(statement, key).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    cells(&running.rows.try_collect::<Vec<_>>().await.unwrap_or_else(|error| panic!("{sql}: {error}")))
}

#[test]
fn a_statement_that_runs_again_replaces_its_own_output() {
    block_on(async {
        let place = Lake::new(54, 400).await;
        let Lake { store, texts, lake, local, remote, .. } = &place;
        let (from, scratch) = (texts.display(), store.scratch());
        for (place, session, format) in [
            (format!("{}/here", scratch.display()), local, "PARQUET"),
            (format!("{}/there", scratch.display()), remote, "ARROW"),
            ("s3://lake/here".to_owned(), local, "ARROW"),
            ("s3://lake/there".to_owned(), remote, "PARQUET"),
            (format!("{}/json", scratch.display()), local, "JSON"),
        ] {
            let copy = |rows: &str, out: &str| {
                format!(
                    "COPY (SELECT id, id % 2 AS half FROM '{from}/' WHERE {rows}) TO '{place}/{out}/' STORED AS {format}"
                )
            };
            let held = async |out: &str| {
                let sql = format!("SELECT count(*), count(DISTINCT id) FROM '{place}/{out}/'");
                values(session, &sql).await.concat()
            };
            assert_eq!(run_as(session, &copy("true", "out"), "run1s1-a", false).await, [["400"]]);
            // The second statement of the same run, and another run.
            assert_eq!(run_as(session, &copy("id > 390", "out"), "run1s2-a", true).await, [["10"]]);
            assert_eq!(run_as(session, &copy("id > 395", "out"), "run2s1-a", false).await, [["5"]]);
            assert_eq!(held("out").await, ["415", "400"]);
            assert_eq!(run_as(session, &copy("id <= 300", "out"), "run1s1-a", true).await, [["300"]]);
            assert_eq!(held("out").await, ["315", "310"]);
            // Without a key it adds, and nobody's key is its own.
            assert_eq!(values(session, &copy("id = 1", "out")).await, [["1"]]);
            assert_eq!(run_as(session, &copy("id <= 300", "out"), "run1s1-a", true).await, [["300"]]);
            assert_eq!(held("out").await, ["316", "310"]);
            // In the folders of partitions too, also those to which nothing comes this time.
            let halves = |rows: &str| format!("{} PARTITIONED BY (half)", copy(rows, "halves"));
            assert_eq!(run_as(session, &halves("true"), "run1s1-a", false).await, [["400"]]);
            assert_eq!(run_as(session, &halves("id % 2 = 1"), "run1s1-a", true).await, [["200"]]);
            assert_eq!(held("halves").await, ["200", "200"]);
            // And where a statement overwrites partitions, and its next attempt has rows of others.
            let table = format!("h{}", place.replace([':', '/', '.', '-'], "_").to_lowercase());
            let ddl = format!(
                "CREATE EXTERNAL TABLE {table} (id BIGINT, half BIGINT) STORED AS {format} \
                 PARTITIONED BY (half) LOCATION '{place}/overwritten/'"
            );
            session.sql(&ddl).await.unwrap();
            let overwrite = |rows: &str| {
                format!("INSERT OVERWRITE {table} SELECT id, id % 2 FROM '{from}/' WHERE {rows}")
            };
            assert_eq!(run_as(session, &overwrite("id % 2 = 0"), "run3s1-a", false).await, [["200"]]);
            assert_eq!(run_as(session, &overwrite("id % 2 = 1"), "run1s1-a", false).await, [["200"]]);
            let halves = format!("SELECT half, count(*) FROM {table} GROUP BY half ORDER BY half");
            assert_eq!(values(session, &halves).await, [["0", "200"], ["1", "200"]]);
            assert_eq!(run_as(session, &overwrite("id IN (2, 4, 6)"), "run1s1-a", true).await, [["3"]]);
            assert_eq!(values(session, &halves).await, [["0", "3"]]);
            // A table, at last without any rows.
            let table = format!("t{}", place.replace([':', '/', '.', '-'], "_").to_lowercase());
            let ddl = format!(
                "CREATE EXTERNAL TABLE {table} (id BIGINT) STORED AS {format} LOCATION '{place}/table/'"
            );
            session.sql(&ddl).await.unwrap();
            let insert = |rows: &str| format!("INSERT INTO {table} SELECT id FROM '{from}/' WHERE {rows}");
            let count = format!("SELECT count(*) FROM {table}");
            assert_eq!(run_as(session, &insert("true"), "run1s1-a", false).await, [["400"]]);
            assert_eq!(run_as(session, &insert("id < 11"), "run2s1-a", false).await, [["10"]]);
            assert_eq!(run_as(session, &insert("id < 101"), "run1s1-a", true).await, [["100"]]);
            assert_eq!(values(session, &count).await, [["110"]]);
            assert_eq!(run_as(session, &insert("false"), "run1s1-a", true).await, [["0"]]);
            assert_eq!(values(session, &count).await, [["10"]]);
        }
        let is_left = |name: &String| !name.starts_with("part-") && name != "turn";
        assert!(!objects(lake).iter().any(is_left), "{:?}", objects(lake));
    });
}

#[test]
fn a_statement_that_runs_again_does_not_read_what_it_has_added() {
    block_on(async {
        let place = Lake::new(56, 400).await;
        let Lake { store, texts, local, remote, .. } = &place;
        let from = texts.display();
        let here = |name: &str| format!("{}/{name}", store.scratch().display());
        for (name, root, session) in [
            ("a", here("here"), local),
            ("b", here("there"), remote),
            ("c", "s3://lake/here".to_owned(), local),
            ("d", "s3://lake/there".to_owned(), remote),
        ] {
            for table in ["t", "counts", "n"] {
                let ddl = format!(
                    "CREATE EXTERNAL TABLE {table}{name} (id BIGINT) STORED AS PARQUET LOCATION '{root}/{table}/'"
                );
                session.sql(&ddl).await.unwrap();
            }
            let rows = async |table: &str| {
                let sql = format!("SELECT count(*), sum(id) FROM {table}{name}");
                values(session, &sql).await.concat()
            };
            // Only what is new.
            let add = format!(
                "INSERT INTO t{name} SELECT id FROM '{from}/' WHERE id NOT IN (SELECT id FROM t{name})"
            );
            values(session, &format!("INSERT INTO t{name} VALUES (1), (2)")).await;
            assert_eq!(run_as(session, &add, "run1s1-a", false).await, [["398"]]);
            assert_eq!(run_as(session, &add, "run1s1-a", true).await, [["398"]]);
            assert_eq!(rows("t").await, ["400", "80200"]);
            // Rows are counted as they are read, and those of an earlier statement are.
            let count = format!("INSERT INTO counts{name} SELECT count(*) FROM t{name}");
            assert_eq!(run_as(session, &count, "run1s0-a", true).await, [["1"]]);
            assert_eq!(rows("counts").await, ["1", "2"]);
            assert_eq!(run_as(session, &count, "run1s2-a", true).await, [["1"]]);
            assert_eq!(rows("counts").await, ["2", "402"]);
            // What it was made from is gone: it is done once.
            values(session, &format!("INSERT INTO n{name} VALUES (1)")).await;
            let next = format!("INSERT OVERWRITE n{name} SELECT id + 1 FROM n{name}");
            assert_eq!(run_as(session, &next, "run2s1-a", true).await, [["1"]]);
            assert_eq!(run_as(session, &next, "run2s1-a", true).await, [["0"]], "{name}");
            assert_eq!(rows("n").await, ["1", "2"]);
            assert_eq!(run_as(session, &next, "run3s1-a", true).await, [["1"]]);
            assert_eq!(rows("n").await, ["1", "3"]);
        }
    });
}

#[test]
fn who_reads_while_others_publish_sees_whole_statements() {
    block_on(async {
        let store = TestStore::new(57);
        let session = store.session();
        let ddl = format!(
            "CREATE EXTERNAL TABLE t (id BIGINT, g BIGINT, p BIGINT) STORED AS PARQUET PARTITIONED BY (p) LOCATION '{}/t/'",
            store.scratch().display()
        );
        session.sql(&ddl).await.unwrap();
        let rows = |g: usize| format!("SELECT value, {g}, value % 60 FROM generate_series(1, 600)");
        values(&session, &format!("INSERT INTO t {}", rows(0))).await;
        let (writer, reader) = (store.session(), store.session());
        let writing = tokio::spawn(async move {
            for g in 1..4 {
                values(&writer, &format!("INSERT INTO t {}", rows(g))).await;
            }
            values(&writer, &format!("INSERT OVERWRITE t {}", rows(4))).await;
        });
        let mut seen = std::collections::BTreeSet::new();
        while !writing.is_finished() {
            // The files of a plan may be replaced before it has read them.
            let read = async { reader.sql("SELECT count(*) FROM t").await?.collect().await };
            match read.await {
                Ok(rows) => seen.extend(cells(&rows)[0][0].parse::<usize>()),
                Err(error) => assert!(error.to_string().contains("were replaced while"), "{error}"),
            }
        }
        writing.await.unwrap();
        assert!(seen.iter().all(|count| count % 600 == 0), "{seen:?}");
        assert_eq!(values(&reader, "SELECT count(*), min(g) FROM t").await, [["600", "4"]]);
    });
}
