//! Training above frozen layers: what these make of rows is computed by the first epoch and read by the others, with the same bits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use nightjar_engine::{Session, session_config};
use nightjar_functions::rounds::{Lora, RoundReport, RoundTask, TrainingPlan, TrainingSession};
use nightjar_tests::{TestStore, block_on, values};

/// Rows of each shard.
const ROWS: u64 = 50;

/// 100 rows of two shards, of 1 to 17 tokens, as feature files have them.
const FEATURES: &str = "(SELECT CAST(v % 2 AS INT) AS shard, v / 2 AS position, CAST(v % 3 AS INT) AS target, \
    arrow_cast(range(100 + v * 3 % 50, 101 + v * 3 % 50 + v * 5 % 17), 'List(Int32)') AS ids \
    FROM generate_series(0, 99) t(v))";

/// A training of two rounds an epoch and three epochs.
fn plan(session: &Session) -> TrainingPlan {
    let body = session.store().catalog().versions("tiny").unwrap()[0].card.body;
    TrainingPlan {
        body,
        task: RoundTask::Classify { classes: 3, class_weights: Vec::new(), label_smoothing: 0.0 },
        shard_rows: vec![ROWS, ROWS],
        batch_size: 8,
        epochs: 3,
        rounds_per_epoch: 2,
        seed: 11,
        dropout: 0.1,
        freeze_layers: 1,
        learning_rate: 1e-3,
        head_rate: 1.0,
        weight_decay: 0.01,
        warmup_ratio: 0.1,
        cosine: false,
        gradient_clip: 1.0,
        lora: None,
    }
}

/// A run with its plan, and its session: what a process keeps of a run without one, such as that its disk is full, goes when another
/// run begins, and the tests of this file are one process.
struct Training<'a> {
    _training_session: TrainingSession,
    session: &'a Session,
    plan: TrainingPlan,
    run: String,
    folder: PathBuf,
}

impl<'a> Training<'a> {
    fn begin(session: &'a Session, plan: &TrainingPlan, name: &str) -> Self {
        let files = session.store().files().run_files(&format!("runs/{name}")).unwrap();
        files.write(TrainingPlan::FILE, &serde_json::to_vec(plan).unwrap()).unwrap();
        let _training_session = TrainingSession::begin(&files, |_| {}).unwrap();
        let (run, folder) = (files.name().to_owned(), files.folder().to_owned());
        Training { _training_session, session, plan: plan.clone(), run, folder }
    }

    async fn round(&self, round: u32) -> RoundReport {
        let std::ops::Range { start, end } = self.plan.rows_of(round);
        let sql = format!(
            "SELECT train_round(shard, position, ids, NULL, target, '{}', {round}) FROM {FEATURES} \
             WHERE position >= {start} AND position < {end}",
            self.run
        );
        serde_json::from_str(&values(self.session, &sql).await[0][0]).unwrap()
    }

    /// Runs rounds and returns, of each, the tokens that it read and those that frozen layers have run over.
    async fn rounds(&self, rounds: std::ops::Range<u32>) -> Vec<(u64, u64)> {
        let mut tokens = Vec::new();
        for round in rounds {
            let report = self.round(round).await;
            tokens.push((report.tokens(), report.frozen_tokens()));
        }
        tokens
    }

    fn state(&self, round: u32) -> Vec<u8> {
        std::fs::read(self.folder.join(TrainingPlan::state_file(round))).unwrap()
    }

    fn frozen(&self, round: u32, shard: u32) -> PathBuf {
        self.folder.join(format!("frozen/round-{round:05}.shard-{shard:04}.f32"))
    }

    /// The stored files and what no longer is one.
    fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder.join("frozen")) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A training that can't store anything: a file is where the folder should be.
    async fn computed(session: &'a Session, plan: &TrainingPlan, name: &str) -> Self {
        let training = Training::begin(session, plan, name);
        std::fs::write(training.folder.join("frozen"), "in the way").unwrap();
        for (tokens, frozen) in training.rounds(0..plan.rounds()).await {
            assert_eq!(tokens, frozen);
        }
        training
    }
}

/// One partition: a shard is trained where its rows are.
fn session(store: &TestStore) -> Session {
    store.session_with(session_config().with_target_partitions(1))
}

#[test]
fn frozen_layers_run_in_the_first_epoch_alone() {
    block_on(async {
        let store = TestStore::with_tiny(71).await;
        let session = session(&store);
        let full = plan(&session);
        let lora = Some(Lora { rank: 2, alpha: 4.0, attention_only: false });
        let plans = [
            TrainingPlan { lora, ..full.clone() },
            // The head alone.
            TrainingPlan { freeze_layers: 2, ..full.clone() },
            full,
        ];
        for (number, plan) in plans.iter().enumerate() {
            let name = |name: &str| format!("{name}-{number}");
            let computed = Training::computed(&session, plan, &name("computed")).await;
            let stored = Training::begin(&session, plan, &name("stored"));
            let tokens = stored.rounds(0..plan.rounds()).await;
            assert!(tokens[..2].iter().all(|(read, frozen)| read == frozen && *read > 100), "{tokens:?}");
            assert!(tokens[2..].iter().all(|(_, frozen)| *frozen == 0), "{tokens:?}");
            assert_eq!(stored.files().len(), 4);
            assert!(stored.state(5) == computed.state(5), "{plan:?}");
        }
        // Nothing is stored that nobody would read.
        for plan in [
            TrainingPlan { epochs: 1, ..plans[2].clone() },
            TrainingPlan { freeze_layers: 0, ..plans[2].clone() },
        ] {
            let training = Training::begin(&session, &plan, &format!("epochs-{}", plan.epochs));
            let (tokens, frozen) = training.rounds(0..1).await[0];
            assert_eq!(frozen, if plan.freeze_layers > 0 { tokens } else { 0 });
            assert!(!training.folder.join("frozen").exists());
        }
    });
}

#[test]
fn damaged_files_are_not_trusted() {
    block_on(async {
        let store = TestStore::with_tiny(72).await;
        let session = session(&store);
        let plan = plan(&session);
        let computed = Training::computed(&session, &plan, "computed").await;
        let training = Training::begin(&session, &plan, "damaged");
        training.rounds(0..2).await;
        let bytes = |path: &Path| std::fs::read(path).unwrap();
        let whole =
            [training.frozen(0, 0), training.frozen(0, 1), training.frozen(1, 0)].map(|path| bytes(&path));
        // Torn, lost, of another shard, and with one odd byte.
        std::fs::write(training.frozen(0, 0), &whole[0][..whole[0].len() / 2]).unwrap();
        std::fs::remove_file(training.frozen(0, 1)).unwrap();
        std::fs::write(training.frozen(1, 0), bytes(&training.frozen(1, 1))).unwrap();
        let mut odd = bytes(&training.frozen(1, 1));
        odd[1000] ^= 4;
        std::fs::write(training.frozen(1, 1), &odd).unwrap();
        let second = training.rounds(2..4).await;
        // What is missing or of another size is stored again, and where a text is another one than before it is computed.
        assert_eq!(second[0].0, second[0].1);
        assert!(second[1].1 > 0 && second[1].1 <= second[1].0, "{second:?}");
        assert!(bytes(&training.frozen(0, 0)) == whole[0] && bytes(&training.frozen(0, 1)) == whole[1]);
        training.rounds(4..6).await;
        assert!(training.state(5) == computed.state(5));
        assert!(training.files().iter().all(|name| name.starts_with("round-")), "{:?}", training.files());
    });
}

/// A link to `/dev/full` in place of a file that is not whole yet: writing it meets a full disk.
#[cfg(target_os = "linux")]
fn fill_disk_at(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    std::os::unix::fs::symlink("/dev/full", path.with_file_name(format!(".unfinished-{name}"))).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_time_and_nothing_else() {
    block_on(async {
        let store = TestStore::with_tiny(73).await;
        let session = session(&store);
        let plan = plan(&session);
        let computed = Training::computed(&session, &plan, "computed").await;
        // No room for what frozen layers make.
        let training = Training::begin(&session, &plan, "no-room");
        training.rounds(0..1).await;
        fill_disk_at(&training.frozen(1, 0));
        let tokens = training.rounds(1..6).await;
        let computed_again: Vec<bool> = tokens.iter().map(|(read, frozen)| read == frozen).collect();
        assert_eq!(computed_again, [true, false, true, false, true], "{tokens:?}");
        assert_eq!(training.files(), ["round-00000.shard-0000.f32", "round-00000.shard-0001.f32"]);
        assert!(training.state(5) == computed.state(5));
        // No room for a state: what is stored makes it.
        let training = Training::begin(&session, &plan, "no-room-for-states");
        training.rounds(0..3).await;
        assert_eq!(training.files().len(), 4);
        fill_disk_at(&training.folder.join("states/round-00003.shard-0001.safetensors"));
        fill_disk_at(&training.folder.join("states/round-00004.safetensors"));
        training.rounds(3..4).await;
        assert_eq!(training.files(), [""; 0]);
        // With nothing stored the error is told.
        let sql = format!(
            "SELECT train_round(shard, position, ids, NULL, target, '{}', 4) FROM {FEATURES} WHERE position < 32",
            training.run
        );
        let error = session.sql(&sql).await.unwrap().collect().await.unwrap_err().to_string();
        assert!(error.contains("No space left"), "{error}");
        training.rounds(4..6).await;
        assert!(training.state(5) == computed.state(5));
    });
}
