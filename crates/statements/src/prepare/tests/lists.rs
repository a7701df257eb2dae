//! Rows with any number of labels.

use datafusion::arrow::array::{ListBuilder, StringBuilder};

use super::*;

/// A row: its text and its labels, one a word; "-" is an empty list, "NULL" none, and a NULL among others one of them.
type Row<'a> = (&'a str, &'a str);

impl Bench {
    /// A bench whose table `rows` has these texts and lists, in so many partitions.
    fn with_lists(rows: &[Row<'_>], partitions: usize) -> Self {
        let bench = Self::new();
        bench.lists("rows", rows, partitions);
        bench
    }

    fn lists(&self, name: &str, rows: &[Row<'_>], partitions: usize) {
        let batch = |rows: &[Row<'_>]| {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)));
            let mut lists = ListBuilder::new(StringBuilder::new());
            for (_, labels) in rows {
                match *labels {
                    "NULL" => lists.append_null(),
                    "-" => lists.append(true),
                    labels => {
                        lists.append_value(labels.split(' ').map(|label| (label != "NULL").then_some(label)))
                    }
                }
            }
            let lists: ArrayRef = Arc::new(lists.finish());
            RecordBatch::try_from_iter_with_nullable([("text", texts, true), ("label", lists, true)]).unwrap()
        };
        let size = rows.len().div_ceil(partitions).max(1);
        let batches: Vec<Vec<RecordBatch>> = rows.chunks(size).map(|part| vec![batch(part)]).collect();
        let table = MemTable::try_new(batches[0][0].schema(), batches).unwrap();
        self.context.session.register_table(name, Arc::new(table)).unwrap();
    }
}

/// How a row's text begins, and its classes.
type Classes = (String, Vec<i32>);

async fn classes_in(path: &Path) -> Vec<Classes> {
    let session = SessionContext::new();
    let rows = session.read_parquet(path.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
    let rows = rows.select_columns(&["excerpt", "target"]).unwrap();
    let mut found = Vec::new();
    for batch in rows.collect().await.unwrap() {
        let excerpts = nightjar_functions::TextColumn::read("", batch.column(0), false).unwrap();
        for row in 0..batch.num_rows() {
            let classes = batch.column(1).as_list::<i32>().value(row);
            let classes = classes.as_primitive::<Int32Type>().values().to_vec();
            found.push((excerpts.get(row).unwrap().to_owned(), classes));
        }
    }
    found
}

async fn classes_of(prepared: &Prepared) -> (Vec<Classes>, Vec<Classes>) {
    let mut train = Vec::new();
    for file in &prepared.train {
        train.extend(classes_in(&file.path).await);
    }
    let validation = match &prepared.validation {
        Some(file) => classes_in(&file.path).await,
        None => Vec::new(),
    };
    (train, validation)
}

/// Two hundred rows: all but each fourth bear `common`, each tenth `rare` too, each fourth none.
fn two_hundred() -> Vec<(String, &'static str)> {
    let labels = |row| match (row % 4 == 3, row % 10 == 0) {
        (true, _) => "-",
        (_, true) => "rare common",
        _ => "common",
    };
    (0..200).map(|row| (format!("the movie number {row} is"), labels(row))).collect()
}

fn given<'a>(rows: &'a [(String, &'a str)]) -> Vec<Row<'a>> {
    rows.iter().map(|(text, labels)| (text.as_str(), *labels)).collect()
}

#[test]
fn the_rarest_label_of_a_row_decides_where_it_goes_and_order_nothing() {
    block_on(async {
        let rows = two_hundred();
        let one = Bench::with_lists(&given(&rows), 1);
        let turned: Vec<_> = rows
            .iter()
            .rev()
            .map(|(text, labels)| {
                (text.clone(), if *labels == "rare common" { "common rare common NULL" } else { labels })
            })
            .collect();
        let other = Bench::with_lists(&given(&turned), 7);
        let clauses = "rows WITH (shards = 3)";
        let (a, b) = (one.prepare(clauses).await.unwrap(), other.prepare(clauses).await.unwrap());
        assert_eq!(
            (a.multi_label, a.labels.as_slice(), a.rows),
            (true, ["common", "rare"].map(String::from).as_slice(), 200)
        );
        assert_eq!(a.data_digest, b.data_digest);
        let (of_a, of_b) = (classes_of(&a).await, classes_of(&b).await);
        assert_eq!(of_a, of_b);
        let (train, validation) = of_a;
        assert_eq!((train.len(), validation.len()), (180, 20));
        let counts = |rows: &[Classes], classes: &[i32]| rows.iter().filter(|row| row.1 == classes).count();
        // A tenth of each stratum: 20 rows, 130 and 50.
        assert_eq!([&[0, 1][..], &[0], &[]].map(|classes| counts(&validation, classes)), [2, 13, 5]);
        assert_eq!([&[0, 1][..], &[0], &[]].map(|classes| counts(&train, classes)), [18, 117, 45]);
        let seeded = one.prepare_into("rows WITH (shards = 3, seed = 1)", "seeded", "s").await.unwrap();
        assert_ne!(classes_of(&seeded).await.1, validation);
    });
}

#[test]
fn labels_of_few_rows_give_their_share_together() {
    block_on(async {
        let rows: Vec<(String, String)> =
            (0..100).map(|row| (format!("row {row}"), format!("all l{}", row / 2))).collect();
        let rows: Vec<Row<'_>> = rows.iter().map(|(text, labels)| (text.as_str(), labels.as_str())).collect();
        let bench = Bench::with_lists(&rows, 1);
        let prepared = bench.prepare("rows").await.unwrap();
        let (train, validation) = classes_of(&prepared).await;
        assert_eq!((train.len(), validation.len()), (90, 10));
        // Each label is still learned.
        let learned: std::collections::BTreeSet<i32> =
            train.into_iter().flat_map(|(_, classes)| classes).collect();
        assert_eq!(learned.len(), 51);
    });
}

#[test]
fn null_lists_are_left_out_and_empty_ones_are_not() {
    block_on(async {
        let rows = [("a", "x NULL"), ("b", "-"), ("c", "NULL"), ("d", "NULL NULL"), ("e", "y x x")];
        let bench = Bench::with_lists(&rows, 2);
        let prepared = bench.prepare("rows WITH (validation_fraction = 0)").await.unwrap();
        assert_eq!((prepared.rows, prepared.skipped), (4, 1));
        assert!(bench.warned("1 rows with NULL as text or label were left out"));
        let mut train = classes_of(&prepared).await.0;
        train.sort();
        let expected = [("a", vec![0]), ("b", vec![]), ("d", vec![]), ("e", vec![0, 1])];
        assert_eq!(train, expected.map(|(text, classes)| (text.to_owned(), classes)));
    });
}

#[test]
fn labels_that_training_never_sees_are_one_class_of_a_row() {
    block_on(async {
        let bench = Bench::with_lists(&[("a", "x"), ("b", "y"), ("c", "-")], 1);
        bench.lists("held", &[("d", "z x w"), ("e", "z"), ("f", "-"), ("g", "y")], 1);
        let prepared = bench.prepare("rows VALIDATE ON held").await.unwrap();
        let (train, mut validation) = classes_of(&prepared).await;
        validation.sort();
        let expected = [("d", vec![0, -1]), ("e", vec![-1]), ("f", vec![]), ("g", vec![1])];
        assert_eq!(validation, expected.map(|(text, classes)| (text.to_owned(), classes)));
        assert_eq!(train.len(), 3);
        assert!(bench.warned(
            "2 validation rows have labels that training never sees, such as 'w', 'z'; they count as wrong"
        ));
        let one = "rows VALIDATE ON (SELECT text, label[1] AS label FROM held)";
        let found = bench.prepare_into(one, "one", "o").await;
        assert_fails(
            found,
            "training.other_target",
            "is of type Utf8, and the model learns a list of labels a row",
        );
    });
}

#[test]
fn the_checks_work_on_lists() {
    block_on(async {
        let rows = [
            ("awful", "x y"),
            ("awful", "y"),
            ("great", "y x"),
            ("great", "x y"),
            ("fine", "-"),
            ("fine", "-"),
            ("one", "y"),
            ("two", "y"),
            ("three", "x"),
            ("four", "x"),
            ("five", "x z"),
        ];
        let bench = Bench::with_lists(&rows, 1);
        bench.lists("held", &[("fine", "y"), ("GREAT", "x y"), ("new", "x")], 1);
        let prepared = bench.prepare("rows VALIDATE ON held").await.unwrap();
        let found: Vec<(&str, u64)> =
            prepared.warnings.iter().map(|warning| (warning.check.as_str(), warning.rows)).collect();
        // `awful` and `fine` bear different lists; the two lists of `great` are one set.
        let expected = [
            ("duplicates_across_split", 1),
            ("near_duplicates_across_split", 1),
            ("conflicting_labels", 5),
            ("rare_classes", 1),
        ];
        assert_eq!(found, expected);
        assert!(bench.warned("1 classes have fewer than 5 rows: 'z'"), "{:?}", prepared.warnings);
        let rows = two_hundred();
        let bench = Bench::with_lists(&given(&rows), 1);
        assert_eq!(bench.prepare("rows").await.unwrap().warnings, []);
    });
}

#[test]
fn lists_that_can_not_be_learned_from_are_refused() {
    block_on(async {
        let refuse = async |rows: &[Row<'_>], code: &str, message: &str| {
            let bench = Bench::with_lists(rows, 1);
            assert_fails(bench.prepare("rows").await, code, message);
        };
        refuse(
            &[("a", "-"), ("b", "NULL NULL")],
            "training.no_labels",
            "all 2 rows have an empty list as 'label'",
        )
        .await;
        refuse(&[("a", "NULL"), ("b", "NULL")], "training.all_null", "all 2 rows").await;
        refuse(&[("a", "x y"), ("b", "y x")], "training.one_label_set", "have the same labels (x, y)").await;
        let names: Vec<(String, String)> =
            (0..30).map(|row| (format!("text {row}"), format!("id-{row}"))).collect();
        let names: Vec<Row<'_>> = names.iter().map(|(text, label)| (text.as_str(), label.as_str())).collect();
        refuse(&names, "training.too_many_classes", "has 30 different labels in 30 rows").await;
        // One label that some rows bear and others don't can be learned.
        let bench = Bench::with_lists(&[("a", "x"), ("b", "-")], 1);
        assert_eq!(bench.prepare("rows").await.unwrap().labels, ["x"]);
    });
}

#[test]
fn ten_thousand_labels() {
    block_on(async {
        let labels = |row: usize| {
            let labels: Vec<String> = (0..5).map(|at| ((row * 5 + at) % 10_000).to_string()).collect();
            labels.join(" ")
        };
        let rows: Vec<(String, String)> = (0..8000).map(|row| (format!("row {row}"), labels(row))).collect();
        let rows: Vec<Row<'_>> = rows.iter().map(|(text, labels)| (text.as_str(), labels.as_str())).collect();
        let bench = Bench::with_lists(&rows, 4);
        let prepared = bench.prepare("rows WITH (validation_fraction = 0.25)").await.unwrap();
        assert_eq!(prepared.labels.len(), 10_000);
        // Whole numbers sort as such.
        assert_eq!(prepared.labels[..3], ["0", "1", "2"]);
        let (train, validation) = classes_of(&prepared).await;
        // Each four rows have the same labels, of which the first decides: one of four is held out.
        assert_eq!((train.len(), validation.len()), (6000, 2000));
        assert!(train.iter().all(|(_, classes)| classes.len() == 5 && classes.is_sorted()));
        assert!(bench.warned("10000 classes have fewer than 5 rows: '0', '1', '2', '3', '4' and 9995 more"));
    });
}
