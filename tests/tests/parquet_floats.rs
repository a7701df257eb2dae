//! What a query says about floating numbers doesn't depend on how a Parquet file keeps them: each query runs over files of many
//! row groups and over the same rows in memory, at every setting that lets a scan leave something out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float16Array, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StructArray,
};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use nightjar_engine::{Session, session_config};
use nightjar_tests::{Cluster, TestStore, block_on, cells};

/// Over a table `{t}` and one of its floating columns `{c}`.
const QUERIES: &[&str] = &[
    "SELECT k, {c} FROM {t} ORDER BY k",
    "SELECT max({c}), min({c}), count({c}), count(*) FROM {t}",
    "SELECT max({c}) FROM {t} WHERE k % 17 < 6",
    "SELECT sum({c}), avg({c}) FROM {t}",
    "SELECT {c} FROM {t} ORDER BY {c} DESC NULLS LAST LIMIT 3",
    "SELECT {c} FROM {t} ORDER BY {c} NULLS LAST LIMIT 3",
    "SELECT {c} FROM {t} ORDER BY {c} DESC NULLS LAST, k LIMIT 5",
    "SELECT k FROM {t} WHERE {c} > 1.5",
    "SELECT k FROM {t} WHERE {c} > 'Infinity'::double",
    "SELECT k FROM {t} WHERE {c} >= 2 AND k > 3",
    "SELECT k FROM {t} WHERE {c} < 0",
    "SELECT k FROM {t} WHERE {c} = 'NaN'::double",
    "SELECT k FROM {t} WHERE {c} <> 1.0",
    "SELECT k FROM {t} WHERE {c} = 0.0",
    "SELECT k FROM {t} WHERE {c} = -0.0",
    "SELECT k FROM {t} WHERE {c} IN (0.0, 'NaN'::double, 7)",
    "SELECT k FROM {t} WHERE {c} NOT IN (1.0, 2.0)",
    "SELECT k FROM {t} WHERE {c} BETWEEN -1 AND 1",
    "SELECT k FROM {t} WHERE isnan({c})",
    "SELECT k FROM {t} WHERE NOT ({c} <= 1)",
    "SELECT k FROM {t} WHERE {c} IS NULL",
    "SELECT count(*) FROM {t} WHERE {c} IS NOT NULL",
    "SELECT count(*) FROM {t} AS l JOIN (VALUES ('NaN'::double), (0.0), (1.0)) AS r (x) ON l.{c} = r.x",
    "SELECT k FROM {t} WHERE {c} > (SELECT max(x) FROM (VALUES (1.0), (2.0)) AS r (x))",
    "SELECT DISTINCT isnan({c}) FROM {t}",
    "SELECT k FROM {t} WHERE p['f'] > 1.5",
    "SELECT max(p['f']), min(p['f']) FROM {t}",
    "SELECT k FROM {t} WHERE p['f'] = 'NaN'::double",
    "SELECT max(l[1]) FROM {t}",
    "SELECT k, p, l FROM {t} ORDER BY k",
];

/// Settings that let a scan leave rows out, or know a value without reading it.
const SETTINGS: [&str; 6] = [
    "datafusion.execution.collect_statistics",
    "datafusion.execution.parquet.pruning",
    "datafusion.execution.parquet.enable_page_index",
    "datafusion.execution.parquet.bloom_filter_on_read",
    "datafusion.execution.parquet.pushdown_filters",
    "datafusion.optimizer.enable_dynamic_filter_pushdown",
];

/// Numbers by a seed, as good as random for this.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    /// A value that Parquet's statistics tend to lose; `few` kinds of them, so that groups have one value alone.
    fn value(&mut self, few: usize) -> Option<f64> {
        [
            Some(1.0),
            Some(f64::NAN),
            Some(0.0),
            Some(-0.0),
            None,
            Some(2.0),
            Some(-f64::NAN),
            Some(f64::INFINITY),
            Some(f64::NEG_INFINITY),
            Some(-3.0),
        ][self.next(few)]
    }
}

fn rows(seed: u64, first: i64, count: i64, few: usize) -> RecordBatch {
    let mut numbers = Numbers(seed);
    let values: Vec<Option<f64>> = (0..count).map(|_| numbers.value(few)).collect();
    let double: ArrayRef = Arc::new(Float64Array::from(values.clone()));
    let single: ArrayRef = Arc::new(values.iter().map(|v| v.map(|v| v as f32)).collect::<Float32Array>());
    let half: ArrayRef = cast(&single, &DataType::Float16).unwrap();
    assert!(half.as_any().is::<Float16Array>());
    let lists = values.iter().map(|value| Some(vec![*value, Some(1.0)]));
    let part = (Arc::new(Field::new("f", DataType::Float64, true)), Arc::clone(&double));
    RecordBatch::try_from_iter_with_nullable([
        ("k", Arc::new(Int64Array::from_iter_values(first..first + count)) as ArrayRef, false),
        ("f", double, true),
        ("g", single, true),
        ("h", half, true),
        ("p", Arc::new(StructArray::from(vec![part])), true),
        ("l", Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists)), true),
    ])
    .unwrap()
}

/// Writes rows as a file of small groups and smaller pages, with all that a scan can leave something out by.
fn write(path: &Path, rows: &RecordBatch) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(5))
        .set_data_page_row_count_limit(2)
        .set_write_batch_size(1)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_bloom_filter_enabled(true)
        .build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

async fn answer(session: &Session, sql: &str) -> Result<Vec<String>, String> {
    let rows = session.sql(sql).await.map_err(|error| error.to_string())?;
    let batches = rows.collect().await.map_err(|error| error.to_string())?;
    let mut lines: Vec<String> = cells(&batches).into_iter().map(|row| row.join(" ")).collect();
    if !sql.contains("ORDER BY") {
        lines.sort();
    }
    Ok(lines)
}

/// Asks each query of the files and of the rows in memory, and returns where the answers differ.
async fn differences(session: &Session, settings: &str, column: &str, table: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for query in QUERIES {
        let over = |table: &str| query.replace("{c}", column).replace("{t}", table);
        let (expected, found) = (answer(session, &over("m")).await, answer(session, &over(table)).await);
        if expected != found {
            wrong.push(format!("{settings}\n{}\n  rows: {expected:?}\n  file: {found:?}", over(table)));
        }
    }
    wrong
}

/// Writes three files, one of which has few values, and returns all their rows.
fn write_folder(folder: &Path, seed: u64) -> RecordBatch {
    std::fs::create_dir_all(folder).unwrap();
    let part = |(few, first): (usize, i64)| rows(seed + few as u64, first, 17, few);
    let parts: Vec<RecordBatch> = [(2, 0), (4, 17), (10, 34)].into_iter().map(part).collect();
    for (at, part) in parts.iter().enumerate() {
        write(&folder.join(format!("{at}.parquet")), part);
    }
    concat_batches(&parts[0].schema(), &parts).unwrap()
}

#[test]
fn floats_in_files_are_what_they_are_in_memory_at_every_setting() {
    block_on(async {
        let store = TestStore::new(71);
        let folder = store.scratch().join("floats");
        let all = write_folder(&folder, 5);
        let table = format!("'{}/'", folder.display());
        let mut wrong = Vec::new();
        for on in 0..1 << SETTINGS.len() {
            // A quarter of all, each setting with each.
            if on % 4 != on / 4 % 4 {
                continue;
            }
            let set = |config, (at, name): (usize, &&str)| {
                let config: datafusion::prelude::SessionConfig = config;
                config.set_bool(name, on & (1 << at) != 0)
            };
            let config = SETTINGS.iter().enumerate().fold(session_config().with_target_partitions(2), set);
            let session = store.session_with(config);
            session.context().register_batch("m", all.clone()).unwrap();
            let column = ["f", "g", "h"][on % 3];
            wrong.extend(differences(&session, &format!("{on:06b}"), column, &table).await);
        }
        assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[test]
fn floats_in_files_are_what_they_are_on_a_cluster() {
    block_on(async {
        let store = TestStore::new(72);
        let folder = store.scratch().join("floats");
        let all = write_folder(&folder, 9);
        let table = format!("'{}/'", folder.display());
        let local = store.session();
        local.context().register_batch("m", all).unwrap();
        let cluster = Cluster::start(&store, 2).await;
        let remote = cluster.session(&store).await;
        let mut wrong = Vec::new();
        for pushdown in ["true", "false"] {
            let set = format!("SET datafusion.execution.parquet.pushdown_filters = {pushdown}");
            remote.sql(&set).await.unwrap().collect().await.unwrap();
            for query in QUERIES {
                let over = |table: &str| query.replace("{c}", "f").replace("{t}", table);
                let (expected, found) =
                    (answer(&local, &over("m")).await, answer(&remote, &over(&table)).await);
                if expected != found {
                    wrong.push(format!("{pushdown} {query}\n  rows: {expected:?}\n  file: {found:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    });
}
