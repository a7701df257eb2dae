//! Preparing from SQL to Parquet, on a tiny model.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use datafusion::sql::parser::DFParserBuilder;
use nightjar_catalog::{OnConflict, Store, Task};
use nightjar_errors::Failure;
use nightjar_functions::Models;
use nightjar_models::testing::write_tiny_model;
use tempfile::TempDir;

use super::{Prepared, prepare, prepare_plans};
use crate::base_model::find_base;
use crate::error::{Result, StatementError};
use crate::labelled_rows::LabelledRows;
use crate::training::Training;
use crate::{StatementContext, Watch};
use nightjar_sql::{CreateModel, OptionValues};

mod lists;

/// Remembers what was warned of.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Watch for Heard {
    fn phase(&self, _: &str, _: &str, _: Option<u64>) {}
    fn position(&self, _: u64) {}
    fn note(&self, _: &str) {}
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// A store with a tiny model, and a session with the table `rows`.
struct Bench {
    folder: TempDir,
    context: StatementContext,
    heard: Arc<Heard>,
}

/// A row of a feature file.
#[derive(Debug, Clone, PartialEq)]
struct Feature {
    position: i64,
    ids: Vec<i32>,
    target: f64,
    excerpt: String,
}

/// Training makes no views.
struct NoViews;

#[async_trait::async_trait]
impl crate::MaterializedViews for NoViews {
    async fn create(
        &self,
        _: &StatementContext,
        _: &nightjar_sql::CreateMaterializedView,
    ) -> crate::Result<datafusion::prelude::DataFrame> {
        unreachable!()
    }

    async fn refresh(
        &self,
        _: &StatementContext,
        _: &nightjar_sql::RefreshMaterializedView,
    ) -> crate::Result<datafusion::prelude::DataFrame> {
        unreachable!()
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_tiny_model(&folder.path().join("tiny"), 3).unwrap();
        let store = Store::open(Some(folder.path().join("store").to_str().unwrap())).unwrap();
        let heard = Arc::new(Heard::default());
        let context = StatementContext {
            session: SessionContext::new(),
            models: Models::new(store.clone()),
            store,
            views: Arc::new(NoViews),
            watch: Arc::clone(&heard) as Arc<dyn Watch>,
            sql: String::new(),
            resuming: None,
        };
        Self { folder, context, heard }
    }

    /// A bench whose table `rows` has these texts and labels, in so many partitions.
    fn with(rows: &[(Option<&str>, Option<&str>)], partitions: usize) -> Self {
        let bench = Self::new();
        bench.table("rows", rows, partitions);
        bench
    }

    fn table(&self, name: &str, rows: &[(Option<&str>, Option<&str>)], partitions: usize) {
        let batch = |rows: &[(Option<&str>, Option<&str>)]| {
            let texts: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>());
            let labels: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>());
            RecordBatch::try_from_iter_with_nullable([("text", texts, true), ("label", labels, true)])
                .unwrap()
        };
        let size = rows.len().div_ceil(partitions).max(1);
        let batches: Vec<Vec<RecordBatch>> = rows.chunks(size).map(|part| vec![batch(part)]).collect();
        let batches = if batches.is_empty() { vec![vec![batch(&[])]] } else { batches };
        let table = MemTable::try_new(batches[0][0].schema(), batches).unwrap();
        self.context.session.register_table(name, Arc::new(table)).unwrap();
    }

    /// A table `rows` of texts and numbers.
    fn numbers(rows: &[(&str, f64)]) -> Self {
        let bench = Self::new();
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)));
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.1)));
        let batch = RecordBatch::try_from_iter([("text", texts), ("label", numbers)]).unwrap();
        bench.context.session.register_batch("rows", batch).unwrap();
        bench
    }

    fn features(&self) -> PathBuf {
        self.folder.path().join("features")
    }

    /// Prepares `FINE_TUNE` and what follows, as CREATE MODEL would.
    async fn prepare(&self, clauses: &str) -> Result<Prepared> {
        self.prepare_into(clauses, "features", "fingerprint").await
    }

    async fn prepare_into(&self, clauses: &str, folder: &str, fingerprint: &str) -> Result<Prepared> {
        let create = self.statement(clauses);
        let training = self.training(&create).await?;
        prepare(&self.context, &training, &self.folder.path().join(folder), fingerprint).await
    }

    fn statement(&self, clauses: &str) -> CreateModel {
        let tiny = self.folder.path().join("tiny");
        let sql = format!("CREATE MODEL m FROM '{}' FINE_TUNE ON {clauses}", tiny.display());
        CreateModel::parse(&mut DFParserBuilder::new(sql.as_str()).build().unwrap()).unwrap()
    }

    async fn training<'a>(&self, create: &'a CreateModel) -> Result<Training<'a>> {
        let base = find_base(&self.context, create.base.as_deref(), false).await?;
        let fine_tune = create.fine_tune.as_ref().unwrap();
        let options = OptionValues::parse(&create.options)?;
        Ok(Training {
            name: &create.name,
            base,
            fine_tune,
            options,
            on_conflict: OnConflict::Fail,
            keeps: None,
        })
    }

    fn warned(&self, words: &str) -> bool {
        self.heard.0.lock().unwrap().iter().any(|message| message.contains(words))
    }
}

/// The rows of a feature file in their order.
async fn read(path: &Path) -> Vec<Feature> {
    let session = SessionContext::new();
    let path = path.to_str().unwrap();
    let rows = session.read_parquet(path, ParquetReadOptions::default()).await.unwrap();
    let mut features = Vec::new();
    for batch in rows.collect().await.unwrap() {
        let of = |name: &str| batch.column_by_name(name).unwrap();
        let excerpts =
            datafusion::arrow::compute::cast(of("excerpt"), &datafusion::arrow::datatypes::DataType::Utf8);
        let excerpts = excerpts.unwrap();
        for row in 0..batch.num_rows() {
            let ids = of("ids").as_list::<i32>().value(row);
            let target = match of("target").as_primitive_opt::<Float64Type>() {
                Some(numbers) => numbers.value(row),
                None => f64::from(of("target").as_primitive::<Int32Type>().value(row)),
            };
            features.push(Feature {
                position: of("position").as_primitive::<Int64Type>().value(row),
                ids: ids.as_primitive::<Int32Type>().values().to_vec(),
                target,
                excerpt: excerpts.as_string::<i32>().value(row).to_owned(),
            });
        }
    }
    features
}

async fn read_all(prepared: &Prepared) -> (Vec<Vec<Feature>>, Vec<Feature>) {
    let mut train = Vec::new();
    for file in &prepared.train {
        train.push(read(&file.path).await);
        assert_eq!(train.last().unwrap().len() as u64, file.rows);
        let tokens: usize = train.last().unwrap().iter().map(|row| row.ids.len()).sum();
        assert_eq!(tokens as u64, file.tokens);
    }
    let validation = match &prepared.validation {
        Some(file) => read(&file.path).await,
        None => Vec::new(),
    };
    (train, validation)
}

/// Unoptimised, DataFusion's planner needs more stack than threads have.
fn block_on<F: Future<Output = ()> + Send + 'static>(future: F) {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(future);
    };
    let thread = std::thread::Builder::new().stack_size(32 << 20).spawn(run).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A hundred rows: `good` and `bad` in turn.
fn hundred() -> Vec<(String, &'static str)> {
    (0..100)
        .map(|row| (format!("the movie number {row} is"), if row % 2 == 0 { "good" } else { "bad" }))
        .collect()
}

fn given<'a>(rows: &'a [(String, &'a str)]) -> Vec<(Option<&'a str>, Option<&'a str>)> {
    rows.iter().map(|(text, label)| (Some(text.as_str()), Some(*label))).collect()
}

fn assert_fails(result: Result<Prepared>, code: &str, message: &str) -> StatementError {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(message), "{error}");
    error
}

#[test]
fn split_and_order_do_not_depend_on_the_order_of_rows() {
    block_on(async {
        let rows = hundred();
        let mut turned = given(&rows);
        turned.reverse();
        let (one, other) = (Bench::with(&given(&rows), 1), Bench::with(&turned, 7));
        let clauses = "rows WITH (method = 'full', shards = 3)";
        let (a, b) = (one.prepare(clauses).await.unwrap(), other.prepare(clauses).await.unwrap());
        assert_eq!(a.data_digest, b.data_digest);
        let (of_a, of_b) = (read_all(&a).await, read_all(&b).await);
        assert_eq!(of_a, of_b);
        assert_eq!(
            (a.rows, &a.labels, &a.class_counts),
            (100, &vec!["bad".to_owned(), "good".to_owned()], &vec![45, 45])
        );
        let (train, validation) = of_a;
        assert_eq!((validation.len(), validation.iter().filter(|row| row.target == 0.0).count()), (10, 5));
        assert_eq!(train.iter().map(Vec::len).collect::<Vec<_>>(), vec![30, 30, 30]);
        for file in train.iter().chain([&validation]) {
            assert!(file.iter().zip(0..).all(|(row, position)| row.position == position));
        }
        let mut texts: Vec<&str> =
            train.iter().flatten().chain(&validation).map(|row| row.excerpt.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 100);
        // Another seed deals otherwise.
        let seeded = one.prepare_into("rows WITH (method = 'full', seed = 7)", "b", "f");
        let seeded = seeded.await.unwrap();
        assert_eq!(seeded.data_digest, a.data_digest);
        assert_ne!(read_all(&seeded).await.1, validation);
        assert!(!one.features().join("rows.parquet").exists());
    });
}

#[test]
fn shards_are_one_order_dealt_in_turn() {
    block_on(async {
        let rows = hundred();
        let bench = Bench::with(&given(&rows), 2);
        let one = bench.prepare("rows WITH (method = 'full')").await.unwrap();
        let four = bench.prepare_into("rows WITH (method = 'full', shards = 4)", "4", "f");
        let four = four.await.unwrap();
        let (whole, parts) = (read_all(&one).await.0.remove(0), read_all(&four).await.0);
        for (place, row) in whole.iter().enumerate() {
            let dealt = &parts[place % 4][place / 4];
            assert_eq!((&dealt.excerpt, &dealt.ids), (&row.excerpt, &row.ids));
        }
    });
}

#[test]
fn the_digest_is_the_one_a_head_has() {
    block_on(async {
        let rows = hundred();
        let mut rows = given(&rows);
        rows.push((Some("only a text"), None));
        let bench = Bench::with(&rows, 3);
        let prepared = bench.prepare("rows WITH (method = 'full')").await.unwrap();
        let create = bench.statement("rows WITH (method = 'head')");
        let training = bench.training(&create).await.unwrap();
        let (roles, rows) = training.roles(&bench.context).await.unwrap();
        let plan = LabelledRows::plan(&bench.context, rows, &roles, &training.pinned()).unwrap();
        let keys = plan.select_columns(&["text", "target"]).unwrap().collect().await.unwrap();
        let mut keys: Vec<nightjar_catalog::Digest> = keys
            .iter()
            .flat_map(|batch| {
                let text = nightjar_functions::TextColumn::read("t", batch.column(0), false).unwrap();
                let target = nightjar_functions::TextColumn::read("t", batch.column(1), false).unwrap();
                let keys = text.iter().zip(target.iter()).filter_map(|(text, target)| {
                    Some(nightjar_catalog::Digest::of(format!("{}\0{}", text?, target?).as_bytes()))
                });
                keys.collect::<Vec<_>>()
            })
            .collect();
        keys.sort();
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.0).collect();
        assert_eq!(prepared.data_digest, nightjar_catalog::Digest::of(&bytes));
        assert_eq!((prepared.rows, prepared.skipped), (100, 1));
        assert!(bench.warned("1 rows with NULL as text or label were left out"));
    });
}

#[test]
fn prepared_files_are_found_again_and_only_for_their_fingerprint() {
    block_on(async {
        let rows = hundred();
        let bench = Bench::with(&given(&rows), 1);
        let (clauses, folder) = ("rows WITH (method = 'full')", "features");
        let first = bench.prepare(clauses).await.unwrap();
        // The query could not run any more, and need not.
        bench.context.session.deregister_table("rows").unwrap();
        assert_eq!(bench.prepare(clauses).await.unwrap(), first);
        assert!(bench.prepare_into(clauses, folder, "other").await.is_err());
        // What failed has taken the word back that the folder is complete.
        assert!(bench.prepare(clauses).await.is_err());
        bench.table("rows", &given(&rows), 4);
        let again = bench.prepare(clauses).await.unwrap();
        assert_eq!((again.data_digest, read_all(&again).await), (first.data_digest, read_all(&first).await));
        // A file cut short is written anew.
        let file = std::fs::OpenOptions::new().write(true).open(&again.train[0].path).unwrap();
        file.set_len(100).unwrap();
        let mended = bench.prepare(clauses).await.unwrap();
        assert_eq!(std::fs::metadata(&mended.train[0].path).unwrap().len(), mended.train[0].bytes);
    });
}

#[test]
fn rows_that_cannot_be_learned_from_are_refused() {
    block_on(async {
        let full = "rows WITH (method = 'full')";
        assert_fails(
            Bench::with(&[], 1).prepare(full).await,
            "training.no_rows",
            "the rows to learn from are none",
        );
        let nulls = Bench::with(&[(Some("a"), None), (Some("b"), None)], 1);
        assert_fails(
            nulls.prepare(full).await,
            "training.all_null",
            "all 2 rows to learn from have NULL as 'label'",
        );
        let nulls = Bench::with(&[(None, Some("x")), (None, Some("y"))], 1);
        assert_fails(nulls.prepare(full).await, "training.all_null", "NULL as 'text'");
        let one = Bench::with(&[(Some("a"), Some("x")), (Some("b"), Some("x"))], 1);
        assert_fails(one.prepare(full).await, "training.one_class", "all 2 rows have the same label 'x'");
        let names: Vec<String> = (0..21).map(|row| row.to_string()).collect();
        let rows: Vec<_> = names.iter().map(|name| (Some("text"), Some(name.as_str()))).collect();
        assert_fails(
            Bench::with(&rows, 1).prepare(full).await,
            "training.too_many_classes",
            "21 different labels in 21 rows",
        );
        let two = Bench::with(&[(Some("a"), Some("x")), (Some("b"), Some("y"))], 1);
        let error = assert_fails(
            two.prepare("rows WITH (method = 'full', shards = 3)").await,
            "training.more_shards_than_rows",
            "3 shards can't share 2 rows to learn from",
        );
        assert_eq!(error.hint().as_deref(), Some("shards takes 1 to 2 here"));
        for value in [f64::NAN, f64::INFINITY] {
            let bench = Bench::numbers(&[("a", 1.0), ("b", value)]);
            assert_fails(bench.prepare(full).await, "training.not_finite", &value.to_string());
        }
    });
}

#[test]
fn labels_are_kept_apart_exactly() {
    block_on(async {
        let labels = ["a", "A", " a", "a ", "", "'a'", "\"a\"", "a b", "ä"];
        let rows: Vec<_> =
            labels.iter().flat_map(|label| [(Some("x"), Some(*label)), (Some("y"), Some(*label))]).collect();
        let prepared = Bench::with(&rows, 2).prepare("rows WITH (method = 'full')").await.unwrap();
        let mut sorted: Vec<String> = labels.iter().map(ToString::to_string).collect();
        sorted.sort();
        assert_eq!((prepared.labels, prepared.class_counts), (sorted, vec![2; 9]));
        // Whole numbers are in the order of numbers.
        let rows = [(Some("x"), Some("10")), (Some("y"), Some("9")), (Some("z"), Some("-1"))];
        let prepared = Bench::with(&rows, 1).prepare("rows WITH (method = 'full')").await.unwrap();
        assert_eq!(prepared.labels, ["-1", "9", "10"]);
    });
}

#[test]
fn every_class_keeps_a_row_to_learn_from() {
    block_on(async {
        let rows =
            [(Some("a"), Some("x")), (Some("b"), Some("y")), (Some("c"), Some("y")), (Some("d"), Some("y"))];
        let bench = Bench::with(&rows, 1);
        let prepared =
            bench.prepare("rows WITH (method = 'full', validation_fraction = 0.89)").await.unwrap();
        assert_eq!(prepared.class_counts, vec![1, 1]);
        assert_eq!(prepared.validation.unwrap().rows, 2);
        let none = bench.prepare_into("rows WITH (method = 'full', validation_fraction = 0)", "n", "f");
        assert_eq!(none.await.unwrap().validation, None);
    });
}

#[test]
fn ten_thousand_classes_are_prepared() {
    block_on(async {
        let rows: Vec<(String, String)> =
            (0..20_000).map(|row| (format!("a {row}"), format!("c{}", row % 10_000))).collect();
        let rows: Vec<_> =
            rows.iter().map(|(text, label)| (Some(text.as_str()), Some(label.as_str()))).collect();
        let bench = Bench::with(&rows, 4);
        let prepared = bench.prepare("rows WITH (method = 'full', shards = 2)").await.unwrap();
        assert_eq!((prepared.labels.len(), prepared.class_counts.iter().sum::<u64>()), (10_000, 20_000));
        assert!(bench.warned(
            "10000 classes have fewer than 5 rows: 'c0', 'c1', 'c10', 'c100', 'c1000' and 9995 more"
        ));
    });
}

#[test]
fn long_and_empty_texts_are_read_as_the_model_reads_them() {
    block_on(async {
        let long = "good ".repeat(200_000);
        let rows = [(Some(long.as_str()), Some("x")), (Some(""), Some("y")), (Some("bad"), Some("y"))];
        let bench = Bench::with(&rows, 1);
        let prepared = bench
            .prepare("rows WITH (method = 'full', validation_fraction = 0, max_length = 16)")
            .await
            .unwrap();
        let rows = read(&prepared.train[0].path).await;
        let ids = |begin: &str| {
            rows.iter()
                .find(|row| row.excerpt.starts_with(begin) && row.excerpt.is_empty() == begin.is_empty())
                .unwrap()
                .ids
                .clone()
        };
        assert_eq!((ids("good").len(), ids("bad").len(), ids("").len()), (16, 3, 2));
        assert_eq!(
            (prepared.truncated, &ids("good")[..1], &ids("")[..1]),
            (1, &ids("bad")[..1], &ids("bad")[..1])
        );
        assert!(bench.warned("1 of 3 rows (33 %) are longer than 16 tokens and were truncated"));
    });
}

#[test]
fn numbers_are_kept_as_they_are() {
    block_on(async {
        let rows: Vec<(String, f64)> =
            (0..20).map(|row| (format!("text {row}"), f64::from(row) / 3.0)).collect();
        let rows: Vec<(&str, f64)> = rows.iter().map(|(text, number)| (text.as_str(), *number)).collect();
        let bench = Bench::numbers(&rows);
        let prepared = bench.prepare("rows WITH (method = 'lora')").await.unwrap();
        assert_eq!(
            (prepared.task, prepared.labels.len(), prepared.class_counts.len()),
            (Task::Regress, 0, 0)
        );
        let (train, validation) = read_all(&prepared).await;
        assert_eq!((train[0].len(), validation.len()), (18, 2));
        for row in train[0].iter().chain(&validation) {
            assert!(rows.contains(&(row.excerpt.as_str(), row.target)), "{row:?}");
        }
    });
}

#[test]
fn labels_that_training_never_sees_count_as_wrong() {
    block_on(async {
        let bench = Bench::with(&[(Some("a"), Some("x")), (Some("b"), Some("y"))], 1);
        bench.table("held", &[(Some("c"), Some("x")), (Some("d"), Some("z")), (None, Some("x"))], 1);
        let prepared = bench.prepare("rows VALIDATE ON held WITH (method = 'full')").await.unwrap();
        let (train, validation) = read_all(&prepared).await;
        assert_eq!((train[0].len(), validation.len(), prepared.skipped), (2, 2, 1));
        let target = |text: &str| validation.iter().find(|row| row.excerpt == text).unwrap().target;
        assert_eq!((target("c"), target("d")), (0.0, -1.0));
        assert!(bench.warned(
            "1 validation rows have labels that training never sees, such as 'z'; they count as wrong"
        ));
        bench.table("none", &[], 1);
        let none = bench.prepare_into("rows VALIDATE ON none WITH (method = 'full')", "features", "n").await;
        assert_fails(none, "training.no_rows", "the rows to validate on are none");
    });
}

#[test]
fn pairs_are_one_sequence_with_the_first_text_told() {
    block_on(async {
        let bench = Bench::new();
        let pairs =
            "(SELECT * FROM (VALUES ('good movie', 'bad', 'x'), ('bad', 'good', 'y')) AS t(a, b, label))";
        let clauses = format!("{pairs} WITH (method = 'full', validation_fraction = 0)");
        let prepared = bench.prepare(&clauses).await.unwrap();
        assert!(prepared.pairs);
        let rows = read(&prepared.train[0].path).await;
        let ids = &rows.iter().find(|row| row.excerpt == "good movie").unwrap().ids;
        let other = &rows.iter().find(|row| row.excerpt == "bad").unwrap().ids;
        // [CLS] good movie [SEP] bad [SEP] and [CLS] bad [SEP] good [SEP].
        assert_eq!((ids.len(), other.len()), (6, 5));
        assert_eq!(
            (ids[0], ids[1], ids[3], ids[4], ids[5]),
            (other[0], other[3], other[2], other[1], other[4])
        );
        let session = SessionContext::new();
        let path = prepared.train[0].path.to_str().unwrap();
        let first = session.read_parquet(path, ParquetReadOptions::default()).await.unwrap();
        let first = first.select_columns(&["first_tokens"]).unwrap().collect().await.unwrap();
        let mut first = first[0].column(0).as_primitive::<Int32Type>().values().to_vec();
        first.sort_unstable();
        assert_eq!(first, [3, 4]);
        let head = bench.prepare_into(&format!("{pairs} WITH (method = 'head')"), "features", "h").await;
        assert_fails(head, "training.several_texts", "method 'head' reads one");
    });
}

#[test]
fn the_texts_of_a_pair_to_embed_are_read_apart() {
    block_on(async {
        let bench = Bench::with(&[(Some("good movie"), Some("bad bad bad bad"))], 1);
        let pairs = "(SELECT text, label AS other FROM rows)";
        let one =
            |texts: &str| format!("(SELECT {texts} AS text, label FROM (VALUES ('x'), ('y')) v(label))");
        let options = "WITH (validation_fraction = 0, max_length = 5)";
        let mut expected = Vec::new();
        for text in ["'good movie'", "'bad bad bad bad'"] {
            let prepared = bench.prepare_into(&format!("{} {options}", one(text)), text, text).await.unwrap();
            expected.push(read_all(&prepared).await.0[0][0].ids.clone());
        }
        assert_eq!((expected[0].len(), expected[1].len()), (4, 5));
        let embed = format!("{pairs} WITH (task = 'embed', validation_fraction = 0, max_length = 5)");
        let prepared = bench.prepare(&embed).await.unwrap();
        assert_eq!((prepared.task, prepared.scored, prepared.truncated), (Task::Embed, false, 1));
        assert_eq!(read_all(&prepared).await.0[0][0].ids, expected.concat());
        let session = SessionContext::new();
        let path = prepared.train[0].path.to_str().unwrap();
        let border = session.read_parquet(path, ParquetReadOptions::default()).await.unwrap();
        let border = border.select_columns(&["first_tokens"]).unwrap().collect().await.unwrap();
        assert_eq!(border[0].column(0).as_primitive::<Int32Type>().value(0), 4);
    });
}

#[test]
fn the_checks_find_what_is_there() {
    block_on(async {
        let bench = Bench::with(
            &[
                (Some("Great movie!"), Some("x")),
                (Some("great  movie"), Some("y")),
                (Some("awful"), Some("x")),
                (Some("awful"), Some("y")),
                (Some("fine"), Some("y")),
            ],
            1,
        );
        bench.table(
            "held",
            &[(Some("fine"), Some("y")), (Some("GREAT MOVIE"), Some("x")), (Some("new"), Some("x"))],
            1,
        );
        let prepared = bench.prepare("rows VALIDATE ON held WITH (method = 'full')").await.unwrap();
        let found: Vec<(&str, u64)> =
            prepared.warnings.iter().map(|warning| (warning.check.as_str(), warning.rows)).collect();
        assert_eq!(
            found,
            [
                ("duplicates_across_split", 1),
                ("near_duplicates_across_split", 1),
                ("conflicting_labels", 2),
                ("rare_classes", 8),
            ]
        );
        assert!(prepared.warnings[0].message.contains("'fine'"), "{:?}", prepared.warnings);
        assert!(prepared.warnings[1].message.contains("'GREAT MOVIE'"), "{:?}", prepared.warnings);
        assert!(prepared.warnings[2].message.contains("'awful'"), "{:?}", prepared.warnings);
        assert!(prepared.warnings.iter().all(|warning| bench.warned(&warning.message)));
    });
}

#[test]
fn clean_rows_have_no_warnings_and_a_constant_text_has() {
    block_on(async {
        let rows = hundred();
        let bench = Bench::with(&given(&rows), 1);
        assert_eq!(bench.prepare("rows WITH (method = 'full')").await.unwrap().warnings, []);
        let same: Vec<_> =
            (0..20).map(|row| (Some("same"), Some(if row % 2 == 0 { "x" } else { "y" }))).collect();
        let bench = Bench::with(&same, 1);
        let prepared = bench.prepare("rows WITH (method = 'full', validation_fraction = 0)").await.unwrap();
        let found: Vec<(&str, u64)> =
            prepared.warnings.iter().map(|warning| (warning.check.as_str(), warning.rows)).collect();
        assert_eq!(found, [("conflicting_labels", 20), ("constant_text", 20)]);
    });
}

#[test]
fn plans_are_printed_without_running() {
    block_on(async {
        let rows = hundred();
        let bench = Bench::with(&given(&rows), 1);
        let create = bench.statement("rows VALIDATE ON rows WITH (method = 'full')");
        let training = bench.training(&create).await.unwrap();
        let plans = prepare_plans(&bench.context, &training).await.unwrap();
        let phases: Vec<&str> = plans.iter().map(|(phase, _)| *phase).collect();
        assert_eq!(
            phases,
            ["prepare: read", "prepare: read validation", "prepare: classes", "prepare: deal"]
        );
        let printed: Vec<String> =
            plans.iter().map(|(_, plan)| displayable(plan.as_ref()).indent(false).to_string()).collect();
        assert!(printed[0].contains("text_features(") && printed[0].contains("row_key("), "{}", printed[0]);
        assert!(printed[2].contains("AggregateExec") && printed[3].contains("SortExec"), "{printed:?}");
    });
}
