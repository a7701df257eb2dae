//! What is looked at before training, because it makes a model worse than its metrics say: each check is a plan over
//! the feature files.

use std::path::PathBuf;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::JoinType;
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::{count, max, min, sum};
use datafusion::logical_expr::{cast, col, lit};
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext};
use nightjar_catalog::{Task, TrainingWarning};

use super::deal::Unseen;
use super::prepared::Prepared;
use crate::error::Result;

/// Fewer rows than this teach a class by chance.
const FEW_ROWS: i64 = 5;
/// The most labels that a warning names.
const NAMED_LABELS: usize = 5;
/// The share of truncated rows above which a warning says so.
const TRUNCATED_SHARE: f64 = 0.01;

/// The feature files as tables.
struct Features<'a> {
    prepared: &'a Prepared,
    /// What the VALIDATE ON rows hold that training never sees.
    unseen: &'a Unseen,
    /// The tokens that the model reads of a row.
    window: usize,
    train: DataFrame,
    /// Absent without rows to validate on.
    validation: Option<DataFrame>,
}

/// Returns what is wrong with prepared rows, in the order of the checks; at most one warning of each.
///
/// Cost: reads the hashes of all rows a few times, and their ids never.
pub(crate) async fn check(
    session: &SessionContext,
    prepared: &Prepared,
    unseen: &Unseen,
    window: usize,
) -> Result<Vec<TrainingWarning>> {
    let paths = prepared.train.iter().map(|file| file.path.clone());
    let train = read(session, paths.collect()).await?;
    let validation = match &prepared.validation {
        Some(file) => Some(read(session, vec![file.path.clone()]).await?),
        None => None,
    };
    let features = Features { prepared, unseen, window, train, validation };
    let found = [
        duplicates_across_split(&features).await?,
        near_duplicates_across_split(&features).await?,
        conflicting_labels(&features).await?,
        rare_classes(&features).await?,
        constant_text(&features).await?,
        truncated_rows(&features),
        unseen_labels(&features),
    ];
    Ok(found.into_iter().flatten().collect())
}

async fn read(session: &SessionContext, paths: Vec<PathBuf>) -> Result<DataFrame> {
    let paths: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    Ok(session.read_parquet(paths, ParquetReadOptions::default()).await?)
}

/// Rows whose very text is in training too: what is measured on them is memory.
async fn duplicates_across_split(features: &Features<'_>) -> Result<Option<TrainingWarning>> {
    let Some(validation) = &features.validation else {
        return Ok(None);
    };
    let same = sharing(validation, &features.train, "text_hash", JoinType::LeftSemi)?;
    let found = counted(same).await?;
    Ok(found.map(|(rows, example)| {
        let message = format!(
            "{rows} validation rows have a text that is among the training rows, such as '{example}': what is measured \
             on them is memory"
        );
        warning("duplicates_across_split", rows, message)
    }))
}

/// Rows that are in training too but for case, punctuation and white space.
async fn near_duplicates_across_split(features: &Features<'_>) -> Result<Option<TrainingWarning>> {
    let Some(validation) = &features.validation else {
        return Ok(None);
    };
    let near = sharing(validation, &features.train, "plain_hash", JoinType::LeftSemi)?;
    let near = sharing(&near, &features.train, "text_hash", JoinType::LeftAnti)?;
    let found = counted(near).await?;
    Ok(found.map(|(rows, example)| {
        let message = format!(
            "{rows} validation rows are among the training rows but for case, punctuation and white space, such as \
             '{example}'"
        );
        warning("near_duplicates_across_split", rows, message)
    }))
}

/// Rows of one text that bear different labels.
async fn conflicting_labels(features: &Features<'_>) -> Result<Option<TrainingWarning>> {
    if features.prepared.task != Task::Classify {
        return Ok(None);
    }
    // Lists compare as text: they are sorted.
    let target = match features.prepared.multi_label {
        true => cast(col("target"), DataType::Utf8),
        false => col("target"),
    };
    let texts = features.all()?.aggregate(
        vec![col("text_hash")],
        vec![
            count(lit(1)).alias("rows"),
            min(target.clone()).alias("least"),
            max(target).alias("greatest"),
            min(col("excerpt")).alias("excerpt"),
        ],
    )?;
    let texts = texts.filter(col("least").not_eq(col("greatest")))?;
    let one = texts.aggregate(vec![], vec![sum(col("rows")), min(col("excerpt"))])?;
    Ok(first(one).await?.map(|(rows, example)| {
        let message = format!("{rows} rows have a text that bears different labels, such as '{example}'");
        warning("conflicting_labels", rows, message)
    }))
}

/// Classes that a model can't learn or be measured on.
async fn rare_classes(features: &Features<'_>) -> Result<Option<TrainingWarning>> {
    let labels = &features.prepared.labels;
    let mut rows = features.all()?.select_columns(&["target"])?;
    if features.prepared.multi_label {
        rows = rows.unnest_columns(&["target"])?;
    }
    let classes = rows.aggregate(vec![col("target")], vec![count(lit(1)).alias("rows")])?;
    let rare = classes.filter(col("rows").lt(lit(FEW_ROWS)).and(col("target").gt_eq(lit(0))))?;
    if labels.is_empty() {
        return Ok(None);
    }
    let rare = collected(rare.sort(vec![col("target").sort(true, false)])?).await?;
    let Some(rare) = rare.filter(|rare| rare.num_rows() > 0) else {
        return Ok(None);
    };
    let rows = rare.column(1).as_primitive::<Int64Type>();
    let named = rare.column(0).as_primitive::<Int32Type>().values().iter().take(NAMED_LABELS);
    let named = named.filter_map(|class| labels.get(*class as usize)).map(|label| format!("'{label}'"));
    let message = format!(
        "{} classes have fewer than {FEW_ROWS} rows: {}",
        rare.num_rows(),
        listed(named.collect(), rare.num_rows())
    );
    Ok(Some(warning("rare_classes", rows.values().iter().sum::<i64>() as u64, message)))
}

/// One text in all rows, which tells nothing of the target.
async fn constant_text(features: &Features<'_>) -> Result<Option<TrainingWarning>> {
    let texts = features.train.clone().aggregate(
        vec![col("text_hash")],
        vec![count(lit(1)).alias("rows"), min(col("excerpt")).alias("excerpt")],
    )?;
    // Two are enough to know.
    let texts = collected(texts.limit(0, Some(2))?).await?;
    let Some(texts) = texts.filter(|texts| texts.num_rows() == 1) else {
        return Ok(None);
    };
    let rows = texts.column(1).as_primitive::<Int64Type>().value(0) as u64;
    let example = texts.column(2).as_string::<i32>().value(0);
    let message = format!("all {rows} training rows have the same text, '{example}'");
    Ok((rows > 1).then(|| warning("constant_text", rows, message)))
}

/// Rows that the model reads the begin of only.
fn truncated_rows(features: &Features<'_>) -> Option<TrainingWarning> {
    let Prepared { truncated, train, validation, .. } = features.prepared;
    let all: u64 = train.iter().chain(validation).map(|file| file.rows).sum();
    let share = *truncated as f64 / all as f64;
    let message = format!(
        "{truncated} of {all} rows ({:.0} %) are longer than {} tokens and were truncated",
        share * 100.0,
        features.window
    );
    (share > TRUNCATED_SHARE).then(|| warning("truncated_rows", *truncated, message))
}

/// Labels that only the rows to validate on have.
fn unseen_labels(features: &Features<'_>) -> Option<TrainingWarning> {
    let Unseen { rows, labels } = features.unseen;
    let names: Vec<String> = labels.iter().map(|label| format!("'{label}'")).collect();
    let message = format!(
        "{rows} validation rows have labels that training never sees, such as {}; they count as wrong",
        names.join(", ")
    );
    (*rows > 0).then(|| warning("unseen_labels", *rows, message))
}

impl Features<'_> {
    /// The rows of all files. Those of VALIDATE ON too: a text may be labelled one way here and another there.
    fn all(&self) -> Result<DataFrame> {
        let train = self.train.clone();
        Ok(match &self.validation {
            Some(validation) => train.union(validation.clone())?,
            None => train,
        })
    }
}

/// The rows whose hash is among those of other rows, or is not.
fn sharing(rows: &DataFrame, others: &DataFrame, hash: &str, join: JoinType) -> Result<DataFrame> {
    let others = others.clone().select(vec![col(hash).alias("other_hash")])?;
    Ok(rows.clone().join(others, join, &[hash], &["other_hash"], None)?)
}

async fn counted(rows: DataFrame) -> Result<Option<(u64, String)>> {
    first(rows.aggregate(vec![], vec![count(lit(1)), min(col("excerpt"))])?).await
}

/// The number of rows and the example of a plan's one row; none where the number is 0 or NULL.
async fn first(one: DataFrame) -> Result<Option<(u64, String)>> {
    let Some(row) = collected(one).await?.filter(|row| row.num_rows() > 0) else {
        return Ok(None);
    };
    let rows = row.column(0).as_primitive::<Int64Type>();
    let rows = if rows.is_valid(0) { rows.value(0) as u64 } else { 0 };
    let example = row.column(1).as_string::<i32>();
    Ok((rows > 0).then(|| (rows, example.value(0).to_owned())))
}

async fn collected(rows: DataFrame) -> Result<Option<RecordBatch>> {
    let batches = rows.collect().await?;
    let Some(schema) = batches.first().map(RecordBatch::schema) else {
        return Ok(None);
    };
    Ok(Some(concat_batches(&schema, &batches).map_err(DataFusionError::from)?))
}

fn listed(named: Vec<String>, all: usize) -> String {
    let more = all - named.len();
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

fn warning(check: &str, rows: u64, message: String) -> TrainingWarning {
    TrainingWarning { check: check.to_owned(), rows, message }
}
