//! A cluster of real processes: the same bits as in one, through losses and late arrivals, and clear words where it can't.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use nightjar_cluster::{Address, ClusterSession, Executor, Scheduler, connect};
use nightjar_engine::{EngineError, Session};
use nightjar_errors::Failure;
use nightjar_statements::Watch;
use nightjar_tests::{Cluster, TestStore, block_on, digests, values};

/// How many texts keep two executors busy for some seconds.
const MANY: usize = 40_000;

/// Writes a Parquet file of distinct texts and returns its path.
async fn texts(store: &TestStore, count: usize) -> String {
    let path = store.scratch().join("texts.parquet").display().to_string();
    let sql = format!(
        "COPY (SELECT value AS id, 'the ' || value || ' of ' || (value * 7) AS text, \
         CASE WHEN value % 3 = 0 THEN 'good' ELSE 'bad' END AS label FROM generate_series(1, {count})) TO '{path}'"
    );
    values(&store.session(), &sql).await;
    path
}

/// A statement that takes some seconds, and what it must give: the number of texts.
fn long_statement(texts: &str) -> String {
    format!("SELECT count(*) FROM (SELECT embed(text, 'tiny') AS e FROM '{texts}') WHERE e IS NOT NULL")
}

async fn store_with_texts(seed: u64, count: usize) -> (TestStore, String) {
    let store = TestStore::with_tiny(seed).await;
    let path = texts(&store, count).await;
    (store, path)
}

/// A statement on two executors gives what it should although something happens to the cluster in the middle of it.
async fn outlives(seed: u64, happens: impl FnOnce(&mut Cluster)) {
    let (store, texts) = store_with_texts(seed, MANY).await;
    let mut cluster = Cluster::start(&store, 2).await;
    let session = cluster.session(&store).await;
    let statement = long_statement(&texts);
    let running = tokio::spawn(async move { values(&session, &statement).await });
    tokio::time::sleep(Duration::from_millis(700)).await;
    happens(&mut cluster);
    assert_eq!(running.await.unwrap(), [[MANY.to_string()]]);
}

#[test]
fn bits_do_not_depend_on_where_a_statement_runs() {
    block_on(async {
        let (store, texts) = store_with_texts(11, 300).await;
        let train = |name: &str| {
            format!(
                "CREATE MODEL {name} FROM tiny FINE_TUNE ON (SELECT text, label FROM '{texts}') \
                 WITH (epochs = 1, shards = 2, batch_size = 16)"
            )
        };
        let ask = async |session: &Session, name: &str| {
            session.sql(&train(name)).await.unwrap();
            let questions = [
                format!(
                    "SELECT id, array_to_string(embed(text, 'tiny'), ',') AS e FROM '{texts}' ORDER BY id"
                ),
                format!("SELECT id, classify(text, '{name}') FROM '{texts}' ORDER BY id"),
                format!("EVALUATE MODEL {name} ON (SELECT text, label FROM '{texts}')"),
            ];
            let mut answers = Vec::new();
            for question in questions {
                answers.push(values(session, &question).await);
            }
            (digests(session, name).await, answers)
        };
        let (digest, local) = ask(&store.session(), "m0").await;
        assert_eq!(local[0].len(), 300);
        for executors in [1, 2, 4] {
            let cluster = Cluster::start(&store, executors).await;
            let session = cluster.session(&store).await;
            let (found, answers) = ask(&session, &format!("m{executors}")).await;
            assert_eq!(found, digest, "the tuned weights with {executors} executors");
            assert_eq!(answers, local, "with {executors} executors");
        }
    });
}

#[test]
fn plans_show_where_they_run() {
    block_on(async {
        let (store, texts) = store_with_texts(12, 200).await;
        let cluster = Cluster::start(&store, 2).await;
        let session = cluster.session(&store).await;
        let plan = async |sql: &str| values(&session, &format!("EXPLAIN {sql}")).await.concat().concat();
        let remote = plan(&format!("SELECT label, count(*) FROM '{texts}' GROUP BY label")).await;
        assert!(remote.contains("ClusterExec: scheduler=") && remote.contains("Stage 1, "), "{remote}");
        for local in ["SELECT 1", "SELECT * FROM nightjar.models", "SELECT * FROM generate_series(1, 3)"] {
            let plan = plan(local).await;
            assert!(!plan.contains("ClusterExec"), "{plan}");
        }
        let analyzed =
            values(&session, &format!("EXPLAIN ANALYZE SELECT embed(text, 'tiny') FROM '{texts}'")).await;
        let analyzed = analyzed.concat().concat();
        // Both executors encoded some, and together they are all.
        assert!(analyzed.contains("InferExec") && analyzed.contains("encoded_texts=200"), "{analyzed}");
    });
}

/// Keeps what a statement says of how it goes.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Watch for Told {
    fn phase(&self, _: &str, _: &str, _: Option<u64>) {}
    fn position(&self, _: u64) {}
    fn detail(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
}

#[test]
fn a_statement_tells_its_stages_and_tasks() {
    block_on(async {
        let (store, texts) = store_with_texts(24, MANY).await;
        let cluster = Cluster::start(&store, 2).await;
        let told = Arc::new(Told::default());
        let session = cluster.session(&store).await.with_watch(Arc::clone(&told) as _);
        let statement = nightjar_sql::parse_statements(&long_statement(&texts)).unwrap().remove(0);
        let running = session.start(statement).await.unwrap();
        let rows: Vec<_> = running.rows.try_collect().await.unwrap();
        assert_eq!(rows[0].num_rows(), 1);
        let told = told.0.lock().unwrap();
        let words = |text: &String| {
            text.starts_with("stage ")
                && text.contains(" of 3, ")
                && text.contains("partitions, 2 tasks running")
        };
        assert!(told.iter().any(words), "{told:?}");
        let last = told.last().unwrap();
        assert!(last.contains(" rows read, ") && last.ends_with(" rows/s"), "{told:?}");
    });
}

#[test]
fn a_long_row_goes_through() {
    block_on(async {
        let (store, texts) = store_with_texts(13, 10).await;
        let cluster = Cluster::start(&store, 1).await;
        let session = cluster.session(&store).await;
        let sql = format!("SELECT repeat(label, 8000000) AS t FROM '{texts}' WHERE id = 3");
        let rows = values(&session, &sql).await;
        assert_eq!(rows[0][0].len(), 32_000_000);
    });
}

#[test]
fn an_executor_that_is_killed_is_not_missed() {
    block_on(outlives(14, |cluster| cluster.kill_executor(0)));
}

#[test]
fn an_executor_that_stops_answering_is_not_waited_for() {
    block_on(outlives(15, |cluster| cluster.signal_executor(1, "STOP")));
}

#[test]
fn an_executor_may_come_late() {
    block_on(async {
        let (store, texts) = store_with_texts(16, 100).await;
        let mut cluster = Cluster::start(&store, 0).await;
        let session = cluster.session(&store).await;
        let statement = long_statement(&texts);
        let running = tokio::spawn(async move { values(&session, &statement).await });
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.add_executor();
        assert_eq!(running.await.unwrap(), [["100"]]);
    });
}

#[test]
fn a_scheduler_that_comes_back_gets_the_statement_again() {
    block_on(outlives(17, |cluster| cluster.restart_scheduler()));
}

#[test]
fn training_outlives_its_executors_and_its_scheduler() {
    block_on(async {
        let (store, texts) = store_with_texts(21, 3_000).await;
        let train = |name: &str| {
            format!(
                "CREATE MODEL {name} FROM tiny FINE_TUNE ON (SELECT text, label FROM '{texts}') \
                 WITH (epochs = 6, shards = 2, batch_size = 16)"
            )
        };
        store.session().sql(&train("undisturbed")).await.unwrap();
        let mut cluster = Cluster::start(&store, 2).await;
        let session = cluster.session(&store).await;
        let (disturbed, running) = (train("disturbed"), session.clone());
        let running = tokio::spawn(async move { running.sql(&disturbed).await.map(|_| ()) });
        tokio::time::sleep(Duration::from_millis(900)).await;
        cluster.kill_executor(1);
        tokio::time::sleep(Duration::from_millis(900)).await;
        cluster.restart_scheduler();
        running.await.unwrap().unwrap();
        assert_eq!(digests(&session, "disturbed").await, digests(&session, "undisturbed").await);
    });
}

#[test]
fn a_statement_that_is_given_up_ends_on_the_cluster() {
    block_on(async {
        let (store, texts) = store_with_texts(18, MANY).await;
        let cluster = Cluster::start(&store, 1).await;
        let session = cluster.session(&store).await;
        let statement = long_statement(&texts);
        let given_up = tokio::time::timeout(Duration::from_millis(700), values(&session, &statement)).await;
        assert!(given_up.is_err(), "the statement was over before it could be given up");
        // The executor's only place is free again long before the statement would have been over by itself.
        let began = Instant::now();
        assert_eq!(
            values(&session, &format!("SELECT count(*) FROM '{texts}' WHERE id % 2 = 0")).await,
            [["20000"]]
        );
        let jobs = || {
            let url = format!("http://{}/api/jobs", cluster.address());
            ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
        };
        while jobs().contains("\"status\":\"Running\"") {
            assert!(began.elapsed() < Duration::from_secs(30), "{}", jobs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(jobs().contains("Cancelled"), "{}", jobs());
    });
}

#[test]
fn a_training_that_is_given_up_ends_on_the_cluster() {
    block_on(async {
        let (store, texts) = store_with_texts(22, MANY / 2).await;
        let cluster = Cluster::start(&store, 1).await;
        let session = cluster.session(&store).await;
        // A round of all rows, a step each: by itself it would take far longer than the test waits, and an executor looks every two seconds.
        let train = format!(
            "CREATE MODEL long FROM tiny FINE_TUNE ON (SELECT repeat(text || ' ', 30) AS text, label FROM '{texts}') \
             WITH (epochs = 9, rounds_per_epoch = 1, batch_size = 1)"
        );
        let training = tokio::spawn(async move { session.sql(&train).await.map(|_| ()) });
        let trains = || {
            let mut runs = std::fs::read_dir(store.root().join("runs")).into_iter().flatten().flatten();
            runs.any(|run| run.path().join("session").exists())
        };
        let began = Instant::now();
        let mut before = None;
        // It is in the round once it has computed for two seconds since there is one.
        while before.is_none_or(|before| cluster.executor_ticks(0) < before + 200) {
            assert!(began.elapsed() < Duration::from_secs(300) && !training.is_finished());
            before = before.or_else(|| trains().then(|| cluster.executor_ticks(0)));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        training.abort();
        assert!(training.await.unwrap_err().is_cancelled());
        // Soon it does nothing but say that it lives.
        let stopped = Instant::now();
        loop {
            let ticks = cluster.executor_ticks(0);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if cluster.executor_ticks(0) < ticks + 20 {
                break;
            }
            assert!(stopped.elapsed() < Duration::from_secs(15), "the executor trains on");
        }
        // And not because the round was over.
        let states = store.root().join("runs/1/states");
        assert_eq!(
            std::fs::read_dir(&states).into_iter().flatten().flatten().count(),
            0,
            "{}",
            states.display()
        );
    });
}

#[test]
fn failures_of_tasks_have_their_words() {
    block_on(async {
        let (store, texts) = store_with_texts(19, 100).await;
        let cluster = Cluster::start(&store, 1).await;
        let session = cluster.session(&store).await;
        let error = collect_error(&session, &format!("SELECT CAST(text AS INT) FROM '{texts}'")).await;
        assert!(error.to_string().contains("Cannot cast string 'the 1 of 7'"), "{error}");
    });
}

async fn collect_error(session: &Session, sql: &str) -> EngineError {
    match session.sql(sql).await {
        Ok(rows) => rows.collect().await.unwrap_err(),
        Err(error) => error,
    }
}

#[test]
fn wrong_addresses_and_busy_ports_are_named() {
    block_on(async {
        let store = TestStore::new(20);
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let free = Address::loopback(nobody.local_addr().unwrap().port());
        drop(nobody);
        let error = connect(&free, store.open().unwrap()).await.err().unwrap();
        assert_eq!(error.code(), "cluster.no_scheduler");
        assert!(
            error.to_string().contains(&free.to_string())
                && error.hint().unwrap().contains("nightjar scheduler")
        );
        let error = <Session as ClusterSession>::cluster("no address", None).await.err().unwrap();
        assert_eq!(error.code(), "cluster.address");

        let files = store.open().unwrap().files().clone();
        let taken = Scheduler::bind(&Address::loopback(0), None, files.clone()).await.unwrap();
        let error = Scheduler::bind(&taken.address(), None, files.clone()).await.unwrap_err();
        assert_eq!(error.code(), "cluster.bind");
        assert!(error.to_string().contains(&taken.address().to_string()), "{error}");
        let executor = Executor {
            scheduler: taken.address(),
            bind: taken.address(),
            task_port: None,
            advertised: None,
            vcores: None,
            work_dir: None,
            files,
        };
        assert_eq!(executor.run(|_| ()).await.unwrap_err().code(), "cluster.bind");
    });
}
