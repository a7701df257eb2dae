//! The inference cache: the same bits with it and without, in every place a plan runs, and whatever happens to its files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::physical_plan::{ExecutionPlan, collect};
use futures::StreamExt;
use nightjar_catalog::{ObjectStores, Store};
use nightjar_engine::infer::InferExec;
use nightjar_engine::{Session, session_config};
use nightjar_tests::{Cluster, Fixtures, S3Server, TestStore, binary, block_on, cells, values};

/// A store with the base `tiny`, the head `sentiment` over it and `counts`, tuned on pairs; and a file of texts.
struct Place {
    _fixtures: Fixtures,
    store: TestStore,
    texts: PathBuf,
}

/// Texts of the file, each twice.
const DISTINCT: usize = 300;

impl Place {
    async fn new(seed: u64) -> Self {
        let (store, fixtures) = (TestStore::with_tiny(seed).await, Fixtures::write().await);
        let reviews = fixtures.path().join("reviews.parquet").display().to_string();
        let texts = store.scratch().join("texts.parquet");
        let session = store.session();
        for sql in [
            format!(
                "COPY (SELECT r.id * 10 + n AS id, r.review || ' ' || (n % 5) AS text FROM '{reviews}' r, \
                 generate_series(0, 9) AS s(n)) TO '{}'",
                texts.display()
            ),
            format!(
                "CREATE MODEL sentiment FROM tiny FINE_TUNE ON (SELECT review, label FROM '{reviews}') WITH (method = 'head')"
            ),
            format!(
                "CREATE MODEL counts FROM tiny FINE_TUNE ON (SELECT r.review AS a, s.review AS b, r.label FROM '{reviews}' r \
                 JOIN '{reviews}' s ON s.id = 61 - r.id) WITH (epochs = 1)"
            ),
        ] {
            values(&session, &sql).await;
        }
        Self { _fixtures: fixtures, store, texts }
    }

    async fn session(&self, settings: &[&str]) -> Session {
        let session =
            self.store.session_with(session_config().with_target_partitions(2).with_batch_size(128));
        for (name, value) in settings.iter().filter_map(|setting| setting.split_once('=')) {
            values(&session, &format!("SET nightjar.{name} = '{value}'")).await;
        }
        session
    }

    fn sql(&self, sql: &str) -> String {
        sql.replace("$texts", &format!("'{}'", self.texts.display()))
    }

    fn segments(&self) -> Vec<PathBuf> {
        segments_in(&self.store.root().join("cache"))
    }
}

fn segments_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "segment")).collect()
}

/// What a query gave: its rows, and metrics of its model operators.
#[derive(Debug)]
struct Ran {
    rows: Vec<Vec<String>>,
    plan: Arc<dyn ExecutionPlan>,
}

impl Ran {
    async fn of(session: &Session, sql: &str) -> Self {
        let frame = session.context().sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let plan = frame.create_physical_plan().await.unwrap();
        let batches = collect(Arc::clone(&plan), session.context().task_ctx()).await;
        let rows = cells(&batches.unwrap_or_else(|error| panic!("{sql}: {error}")));
        Self { rows, plan }
    }

    fn metric(&self, name: &str) -> Option<usize> {
        fn sum(plan: &Arc<dyn ExecutionPlan>, name: &str) -> Option<usize> {
            let own = plan.downcast_ref::<InferExec>().and_then(|operator| operator.metrics());
            let own = own.and_then(|metrics| metrics.sum_by_name(name)).map(|value| value.as_usize());
            let below = plan.children().into_iter().filter_map(|child| sum(child, name));
            own.into_iter().chain(below).reduce(|a, b| a + b)
        }
        sum(&self.plan, name)
    }

    /// Hits, misses, tokens.
    fn figures(&self) -> (usize, usize, usize) {
        let of = |name| self.metric(name).unwrap_or_else(|| panic!("the metric {name}"));
        (of("cache_hits"), of("cache_misses"), of("tokens"))
    }
}

#[test]
fn results_have_the_same_bits_without_the_cache_and_with_it_cold_and_warm() {
    block_on(async {
        let place = Place::new(201).await;
        let queries = [
            ("SELECT id, embed(text, 'tiny') FROM $texts ORDER BY id", DISTINCT),
            ("SELECT id, classify(text, 'sentiment') FROM $texts ORDER BY id", 0),
            ("SELECT id, classify_scores(text, 'sentiment') FROM $texts ORDER BY id", 0),
            ("SELECT id, classify_scores(text, ['great', 'awful'], 'tiny') FROM $texts ORDER BY id", 0),
            ("SELECT id, similarity(text, 'a b' || text, 'tiny') FROM $texts ORDER BY id", DISTINCT),
            ("SELECT id, classify_scores(text, 'so ' || text, 'counts') FROM $texts ORDER BY id", DISTINCT),
            ("SELECT id, classify_scores('so ' || text, text, 'counts') FROM $texts ORDER BY id", DISTINCT),
            ("SELECT id, embed(text, 'counts') FROM $texts ORDER BY id", DISTINCT),
        ];
        for precision in ["f32", "bf16", "int8"] {
            let precision = format!("precision={precision}");
            for (sql, new) in queries {
                let sql = place.sql(sql);
                let off = Ran::of(&place.session(&[&precision]).await, &sql).await;
                assert_eq!(off.metric("cache_hits"), None, "{sql}");
                let cold = Ran::of(&place.session(&[&precision, "cache=on"]).await, &sql).await;
                let (hits, misses, tokens) = cold.figures();
                assert!(cold.rows == off.rows && off.rows.len() == 2 * DISTINCT, "cold: {sql}");
                // What another function has had computed is known; a text that two groups hold may count in both.
                assert!(misses >= new && misses <= 2 * new && (tokens == 0) == (new == 0), "{sql}: {misses}");
                assert_eq!(hits + misses, cold.metric("distinct_texts").unwrap(), "{sql}");
                let warm = Ran::of(&place.session(&[&precision, "cache=on"]).await, &sql).await;
                let distinct = warm.metric("distinct_texts").unwrap();
                assert!(warm.rows == off.rows, "warm: {sql}");
                assert_eq!(warm.figures(), (distinct, 0, 0), "{sql}");
                assert_eq!(warm.metric("encoded_texts"), off.metric("encoded_texts"), "{sql}");
                assert_eq!(warm.metric("texts"), off.metric("texts"), "{sql}");
            }
        }
        let bodies = values(&place.session(&[]).await, "SELECT precision, entries FROM nightjar.cache").await;
        assert_eq!(bodies.len(), 6, "two bodies in three precisions: {bodies:?}");
    });
}

#[test]
fn texts_that_were_cut_are_counted_as_such_when_they_are_known() {
    block_on(async {
        let place = Place::new(202).await;
        let sql = place.sql("SELECT embed(CASE WHEN id % 3 = 0 THEN repeat(text || ' ', 20) ELSE text END, 'tiny') FROM $texts");
        let off = Ran::of(&place.session(&[]).await, &sql).await;
        let session = place.session(&["cache=on"]).await;
        let (cold, warm) = (Ran::of(&session, &sql).await, Ran::of(&session, &sql).await);
        assert!(off.metric("truncated_texts").unwrap() > 100);
        for ran in [cold, warm] {
            assert_eq!(ran.metric("truncated_texts"), off.metric("truncated_texts"));
        }
    });
}

#[test]
fn part_that_is_known_costs_nothing() {
    block_on(async {
        let place = Place::new(203).await;
        let session = place.session(&["cache=on"]).await;
        Ran::of(&session, &place.sql("SELECT embed(text, 'tiny') FROM $texts WHERE id < 400")).await;
        let sql = place.sql("SELECT id, classify(text, 'sentiment') FROM $texts ORDER BY id");
        let (off, part) = (Ran::of(&place.session(&[]).await, &sql).await, Ran::of(&session, &sql).await);
        assert_eq!(off.rows, part.rows);
        let (hits, misses, tokens) = part.figures();
        assert!(hits > 0 && misses > 0 && tokens < off.metric("tokens").unwrap(), "{hits} {misses} {tokens}");
    });
}

#[test]
fn a_statement_that_is_given_up_keeps_what_it_computed() {
    block_on(async {
        let place = Place::new(204).await;
        let session = place.session(&["cache=on"]).await;
        let sql = place.sql("SELECT embed(text, 'tiny') FROM $texts");
        let plan = session.context().sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
        let mut rows = plan.execute(0, session.context().task_ctx()).unwrap();
        rows.next().await.unwrap().unwrap();
        drop(rows);
        assert_eq!(place.segments().len(), 1);
        assert!(Ran::of(&session, &sql).await.figures().0 > 0);
    });
}

#[test]
fn the_bound_holds_and_statements_show_and_clear() {
    block_on(async {
        let place = Place::new(205).await;
        // A tenth of what all texts need.
        let session = place.session(&["cache=on", "cache_size=5 KB"]).await;
        let sql = place.sql("SELECT id, embed(text, 'tiny') FROM $texts ORDER BY id");
        let off = Ran::of(&place.session(&[]).await, &sql).await;
        for _ in 0..3 {
            assert_eq!(Ran::of(&session, &sql).await.rows, off.rows);
            let bytes: u64 = place.segments().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
            assert!(bytes <= 5000, "{bytes}");
        }
        let session = place.session(&["cache=on"]).await;
        Ran::of(&session, &sql).await;
        let shown = values(&session, "SHOW CACHE").await;
        assert_eq!(shown.len(), 1);
        assert!(shown[0][1].contains("tiny@1") && shown[0][1].contains("sentiment@1"), "{shown:?}");
        assert!(!shown[0][1].contains("counts"), "a body of its own: {shown:?}");
        assert!(values(&session, "CLEAR CACHE").await.is_empty());
        assert!(values(&session, "SHOW CACHE").await.is_empty() && place.segments().is_empty());
        assert_eq!(Ran::of(&session, &sql).await.rows, off.rows);
    });
}

#[test]
fn damaged_segments_cost_their_entries() {
    block_on(async {
        let place = Place::new(206).await;
        let session = place.session(&["cache=on"]).await;
        let sql = place.sql("SELECT id, embed(text, 'tiny') FROM $texts ORDER BY id");
        let off = Ran::of(&place.session(&[]).await, &sql).await;
        for damage in [
            |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2),
            |bytes: &mut Vec<u8>| bytes.clear(),
            |bytes: &mut Vec<u8>| bytes[500..].iter_mut().for_each(|byte| *byte ^= 0xff),
            |bytes: &mut Vec<u8>| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            },
        ] {
            Ran::of(&session, &sql).await;
            for path in place.segments() {
                let mut bytes = fs::read(&path).unwrap();
                damage(&mut bytes);
                fs::write(path, bytes).unwrap();
            }
            // The second time, what was sound in a segment that has gone is computed again.
            for _ in 0..2 {
                assert_eq!(Ran::of(&session, &sql).await.rows, off.rows);
            }
            assert_eq!(Ran::of(&session, &sql).await.figures().1, 0, "it is whole again");
        }
    });
}

fn nightjar(place: &Place, sql: &str) -> Command {
    let mut command = Command::new(binary());
    command.args(["sql", "-q", "--format", "csv", "-c", "SET nightjar.precision = 'f32'"]);
    command.args(["-c", "SET nightjar.cache = 'on'", "-c", sql]).env("NIGHTJAR_STORE", place.store.root());
    command.env_remove("NIGHTJAR_CLUSTER").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn processes_that_write_at_once_and_one_that_is_killed_leave_it_sound() {
    block_on(async {
        let place = Place::new(207).await;
        let sql =
            place.sql("SELECT id, array_to_string(embed(text || $n, 'tiny'), ' ') FROM $texts ORDER BY id");
        let of = |n: usize| sql.replace("$n", &format!("' {}'", n % 2));
        let writers: Vec<_> = (0..4).map(|n| nightjar(&place, &of(n)).spawn().unwrap()).collect();
        let outputs: Vec<_> = writers.into_iter().map(|writer| writer.wait_with_output().unwrap()).collect();
        assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
        assert!(outputs[0].stdout == outputs[2].stdout && outputs[1].stdout == outputs[3].stdout);
        let session = place.session(&["cache=on"]).await;
        for n in 0..2 {
            let (_, misses, _) = Ran::of(&session, &of(n)).await.figures();
            assert_eq!(misses, 0);
        }
        // Killed at any moment of its writing; small segments, so that it writes often.
        let many = place.sql(
            "SET nightjar.cache_size = '100 KB'; \
             SELECT count(embed(text || ' ' || n, 'tiny')) FROM $texts, generate_series(1, 1000) AS s(n)",
        );
        for round in 0..5 {
            let mut writer = nightjar(&place, &many).spawn().unwrap();
            let began = Instant::now();
            let before = place.segments();
            while place.segments() == before {
                assert!(began.elapsed() < Duration::from_secs(120), "round {round}: it writes nothing");
                assert!(writer.try_wait().unwrap().is_none(), "round {round}: it is over");
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(7 * round));
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
        let off = Ran::of(&place.session(&[]).await, &of(0)).await;
        for _ in 0..2 {
            assert_eq!(Ran::of(&session, &of(0)).await.rows, off.rows);
        }
        assert_eq!(Ran::of(&session, &of(0)).await.figures().1, 0);
    });
}

#[test]
fn a_full_disk_costs_no_statement() {
    block_on(async {
        let place = Place::new(208).await;
        let sql = place.sql(
            "SELECT max(embed(text || ' ' || n, 'tiny')[1]) AS most FROM $texts, generate_series(1, 4) AS s(n)",
        );
        let whole = nightjar(&place, &sql).output().unwrap();
        assert!(whole.status.success() && whole.stderr.is_empty() && !place.segments().is_empty());
        values(&place.session(&[]).await, "CLEAR CACHE").await;
        let command = nightjar(&place, &sql);
        let mut shell = Command::new("sh");
        // Files can't grow beyond 80 kB: enough to open the catalog, which is not written to here.
        shell.args(["-c", "trap '' XFSZ; ulimit -f 160; exec \"$0\" \"$@\""]).arg(command.get_program());
        shell.args(command.get_args()).env("NIGHTJAR_STORE", place.store.root());
        let full = shell.env_remove("NIGHTJAR_CLUSTER").output().unwrap();
        assert!(full.status.success(), "{}", String::from_utf8_lossy(&full.stderr));
        assert_eq!(full.stdout, whole.stdout);
        let said = String::from_utf8_lossy(&full.stderr);
        assert!(
            said.starts_with("warn: the inference cache does without: ") && said.lines().count() == 1,
            "{said}"
        );
        assert!(place.segments().is_empty());
        let left = fs::read_dir(place.store.root().join("cache")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".unfinished-")), "{left:?}");
    });
}

#[test]
fn executors_use_it_too() {
    block_on(async {
        let place = Place::new(209).await;
        let cluster = Cluster::start(&place.store, 2).await;
        let session = cluster.session(&place.store).await;
        values(&session, "SET nightjar.cache = 'on'").await;
        let sql = place.sql("SELECT id, embed(text, 'tiny') AS e FROM $texts ORDER BY id");
        let off = values(&place.session(&[]).await, &sql).await;
        assert_eq!(values(&session, &sql).await, off);
        assert!(!place.segments().is_empty());
        assert_eq!(values(&session, &sql).await, off);
        let analyzed = values(&session, &format!("EXPLAIN ANALYZE {sql}")).await.concat().concat();
        assert!(analyzed.contains("cache=on") && analyzed.contains("cache_misses=0"), "{analyzed}");
        assert!(analyzed.contains(", tokens=0") && !analyzed.contains("cache_hits=0"), "{analyzed}");
    });
}

#[test]
fn a_store_in_a_bucket_shares_it_among_machines() {
    block_on(async {
        let place = Place::new(210).await;
        let mut server = S3Server::start();
        let bucket = server.bucket("models");
        let machine = || tempfile::tempdir().unwrap();
        let session = |server: &S3Server, folder: &Path| {
            let mut settings = server.settings();
            settings.cache = Some(folder.to_owned());
            settings.patience = Duration::from_secs(1);
            let store = Store::open_with(Some("s3://models/team"), ObjectStores::new(settings)).unwrap();
            let config = session_config().with_target_partitions(2).with_batch_size(128);
            Session::new(store, config.set_str("nightjar.precision", "f32").set_str("nightjar.cache", "on"))
        };
        let (here, there) = (machine(), machine());
        let model = format!("CREATE MODEL tiny FROM '{}'", place.store.tiny().display());
        let sql = place.sql("SELECT id, embed(text, 'tiny') FROM $texts ORDER BY id");
        let off = Ran::of(&place.session(&[]).await, &sql).await;
        let first = session(&server, here.path());
        values(&first, &model).await;
        assert_eq!(Ran::of(&first, &sql).await.rows, off.rows);
        let objects = segments_in(&bucket.join("team/cache"));
        assert!(!objects.is_empty());
        let second = session(&server, there.path());
        values(&second, &model).await;
        assert_eq!(values(&second, "SHOW CACHE").await.len(), 1, "without fetching it");
        let warm = Ran::of(&second, &sql).await;
        assert_eq!((warm.figures(), &warm.rows), ((warm.metric("distinct_texts").unwrap(), 0, 0), &off.rows));
        // A damaged copy is fetched again, a damaged object goes.
        let copies = fs::read_dir(there.path()).unwrap().next().unwrap().unwrap().path().join("cache");
        for path in segments_in(&copies) {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, vec![0; bytes.len()]).unwrap();
        }
        assert_eq!(Ran::of(&second, &sql).await.figures().1, 0);
        for path in objects.iter().chain(&segments_in(&copies)) {
            fs::write(path, "no segment").unwrap();
        }
        assert_eq!(Ran::of(&second, &sql).await.rows, off.rows);
        assert_eq!(Ran::of(&session(&server, machine().path()), "SELECT 1").await.rows, [["1"]]);
        assert_eq!(Ran::of(&second, &sql).await.figures().1, 0, "it is whole again");
        // A bucket that is lost costs the cache only.
        server.stop();
        let lost = sql.replace("text,", "text || ' again',");
        assert_eq!(Ran::of(&second, &lost).await.rows.len(), 2 * DISTINCT);
        server.start_again();
        values(&second, "CLEAR CACHE").await;
        assert!(segments_in(&bucket.join("team/cache")).is_empty());
    });
}

#[test]
fn a_training_reads_it() {
    block_on(async {
        let place = Place::new(211).await;
        let session = place.session(&["cache=on"]).await;
        let rows =
            place.sql("(SELECT text, CASE WHEN id % 2 = 0 THEN 'even' ELSE 'odd' END AS label FROM $texts)");
        let train =
            |name: &str| format!("CREATE MODEL {name} FROM tiny FINE_TUNE ON {rows} WITH (method = 'head')");
        values(&place.session(&[]).await, &train("without")).await;
        values(&session, &train("cold")).await;
        assert!(!place.segments().is_empty());
        values(&session, &train("warm")).await;
        let digests =
            "SELECT DISTINCT digest FROM nightjar.model_versions WHERE model IN ('without', 'cold', 'warm')";
        assert_eq!(values(&session, digests).await.len(), 1);
    });
}

#[test]
fn the_bodies_of_jobs_use_and_clear_it() {
    block_on(async {
        let place = Place::new(212).await;
        let session = place.session(&[]).await;
        let run = async |name: &str| {
            values(&session, &format!("RUN JOB {name}")).await;
            let mut command = Command::new(binary());
            command.args(["jobs", "run-due"]).env("NIGHTJAR_STORE", place.store.root());
            let ran = command.env_remove("NIGHTJAR_CLUSTER").output().unwrap();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            let runs =
                values(&session, "SELECT status, error FROM nightjar.job_runs ORDER BY run_id DESC").await;
            assert_eq!(runs[0][0], "succeeded", "{runs:?}");
        };
        let label = place.sql("SELECT count(embed(text, 'tiny')) FROM $texts");
        for sql in [
            format!(
                "CREATE JOB label SCHEDULE CRON '0 3 * * *' AS BEGIN SET nightjar.cache = 'on'; {label}; SHOW CACHE; END"
            ),
            "CREATE JOB tidy SCHEDULE CRON '0 3 * * 0' AS CLEAR CACHE".to_owned(),
        ] {
            values(&session, &sql).await;
        }
        run("label").await;
        assert!(!place.segments().is_empty());
        run("tidy").await;
        assert!(place.segments().is_empty());
    });
}
