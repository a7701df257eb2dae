//! What can be wrong with the rows and the base of a training or an evaluation.

use nightjar_catalog::{RunId, TrainingStatus};
use nightjar_errors::{Failure, nearest};

use nightjar_sql::{Method, quote_identifier};

/// Why rows can't be learned from or measured on.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The rows lack the target column.
    #[error("the rows have no column '{target}' to learn; they have {}", list(columns))]
    NoTarget {
        /// The column asked for.
        target: String,
        /// The columns that are there.
        columns: Vec<String>,
    },
    /// The target can't be learned.
    #[error("the target '{target}' is of type {found}, which is neither a label nor a number")]
    TargetType {
        /// The target column.
        target: String,
        /// Its type.
        found: String,
    },
    /// A list that holds no labels.
    #[error("the target '{target}' is of type {found}; a list of labels holds text, booleans or integers")]
    TargetListType {
        /// The target column.
        target: String,
        /// Its type.
        found: String,
        /// Whether it is a list of lists.
        nested: bool,
    },
    /// A list of labels to learn as a number.
    #[error("the target '{target}' is of type {found}, which is no number")]
    TargetNotNumber {
        /// The target column.
        target: String,
        /// Its type.
        found: String,
    },
    /// One label a row where there should be lists, or the other way round.
    #[error(
        "the target '{target}' is of type {found}, and the model learns {} a row",
        if *multi_label { "a list of labels" } else { "one label" }
    )]
    OtherTarget {
        /// The target column.
        target: String,
        /// Its type.
        found: String,
        /// Whether there should be lists.
        multi_label: bool,
    },
    /// Lists of labels that are all empty.
    #[error("all {rows} rows have an empty list as '{target}', so there is no label to learn")]
    NoLabels {
        /// The number of rows.
        rows: u64,
        /// The target column.
        target: String,
    },
    /// The same list in all rows.
    #[error("all {rows} rows have the same labels ({}), which tells none from another", list(labels))]
    OneLabelSet {
        /// The number of rows.
        rows: u64,
        /// The labels.
        labels: Vec<String>,
    },
    /// Besides the target there's no column.
    #[error("the rows have no text column besides the target '{target}'")]
    NoInput {
        /// The target column.
        target: String,
    },
    /// A column besides text and target.
    #[error("the rows have columns that can't be learned from: {}", list(columns))]
    ExtraColumns {
        /// Those columns with their types.
        columns: Vec<String>,
        /// The text columns to keep, quoted where SQL needs it, if it is known which.
        text: Option<String>,
        /// The target column.
        target: String,
    },
    /// Two or more text columns.
    #[error(
        "the rows have {} text columns ({}); method '{method}' reads {}",
        columns.len(), list(columns), if *method == Method::Head { "one" } else { "one or two" }
    )]
    SeveralTexts {
        /// The text columns.
        columns: Vec<String>,
        /// The target column.
        target: String,
        /// The method.
        method: Method,
    },
    /// Task 'embed' with one text column, or three.
    #[error("the rows have {} text columns ({}); task 'embed' reads two", columns.len(), list(columns))]
    PairColumns {
        /// The text columns.
        columns: Vec<String>,
    },
    /// A score that is no number.
    #[error("the score '{target}' of the pairs is of type {found}, which is no number")]
    ScoreType {
        /// The target column.
        target: String,
        /// Its type.
        found: String,
    },
    /// Scores of which none says more than another.
    #[error("all pairs have the same score {score}, which tells none from another")]
    OneScore {
        /// The score.
        score: f64,
    },
    /// The query gave no rows.
    #[error("the rows to {purpose} are none")]
    NoRows {
        /// 'learn from', 'validate on' or 'evaluate on'.
        purpose: &'static str,
    },
    /// All rows lack a label or a text.
    #[error("all {rows} rows to {purpose} have NULL as '{column}'")]
    AllNull {
        /// The number of rows.
        rows: u64,
        /// What the rows are for.
        purpose: &'static str,
        /// The target or text column.
        column: String,
    },
    /// A classifier needs two classes.
    #[error("all {rows} rows have the same label '{label}'; a classifier needs at least two")]
    OneClass {
        /// The number of rows.
        rows: usize,
        /// The one label.
        label: String,
    },
    /// As many labels as rows: an identifier or a text, not a label.
    #[error("the target '{target}' has {classes} different labels in {rows} rows")]
    TooManyClasses {
        /// The target column.
        target: String,
        /// The number of labels.
        classes: usize,
        /// The number of rows.
        rows: usize,
    },
    /// A number to learn that isn't finite.
    #[error("the target '{target}' holds {value}, which is no finite number")]
    NotFinite {
        /// The target column.
        target: String,
        /// The value.
        value: f64,
    },
    /// The base isn't in the store, where fetching it isn't allowed.
    #[error("the base '{base}' is not in the store")]
    BaseMissing {
        /// The base as written.
        base: String,
    },
    /// Evaluating embeddings on pairs without scores.
    #[error(
        "{model} is for the task 'embed', which is measured on the scores of pairs, and the rows have none"
    )]
    NotEvaluable {
        /// The model as name@version.
        model: String,
    },
    /// Evaluating a model of pairs on single texts, or the other way round.
    #[error(
        "{model} reads {}, and the rows have {} text {} ({})",
        if *pairs { "pairs of texts" } else { "single texts" },
        columns.len(), if columns.len() == 1 { "column" } else { "columns" }, list(columns)
    )]
    TextsOfModel {
        /// The model as name@version.
        model: String,
        /// Whether it reads pairs.
        pairs: bool,
        /// The text columns that it was trained on; none where its card does not say.
        inputs: Vec<String>,
        /// The text columns of the rows.
        columns: Vec<String>,
        /// The target column.
        target: String,
    },
    /// A metric that this model is not measured by, on these rows.
    #[error("{model} is not measured by {name} on these rows")]
    NotMeasured {
        /// The model as name@version.
        model: String,
        /// The metric.
        name: String,
        /// Those that it is measured by.
        known: Vec<String>,
    },
    /// Two models that were measured on different rows.
    #[error("the rows changed between the two models: {before} and {after} of them counted")]
    RowsChanged {
        /// The rows of the first evaluation.
        before: u64,
        /// The rows of the second one.
        after: u64,
    },
    /// Shards that would have no row.
    #[error("{shards} shards can't share {rows} rows to learn from")]
    MoreShardsThanRows {
        /// The shards asked for.
        shards: usize,
        /// The rows that are left after the split.
        rows: u64,
    },
    /// The file system refused something in the run's folder.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The file or folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// ALTER MODEL FINE_TUNE with a task other than the model's.
    #[error("{model} is for the task '{found}', and the rows are for '{expected}'")]
    OtherTask {
        /// The model as name@version.
        model: String,
        /// The model's task.
        found: String,
        /// The task of the rows.
        expected: String,
    },
    /// RESUME TRAINING of a model that has no run.
    #[error("model '{model}' was never trained")]
    NeverTrained {
        /// The model.
        model: String,
    },
    /// RESUME TRAINING or DISCARD TRAINING of a model none of whose runs is resumable.
    #[error("no training of '{model}' waits to be resumed: the last one, run {run}, is {status}")]
    NothingToResume {
        /// The model.
        model: String,
        /// Its last run.
        run: RunId,
        /// Where that stands.
        status: TrainingStatus,
        /// The statement that began it.
        statement: String,
    },
    /// RESUME TRAINING of a run that would no longer do the same.
    #[error(
        "training run {run} of '{model}' cannot go on: its rows, its base or its options are not what they were"
    )]
    RunDiffers {
        /// The model.
        model: String,
        /// The run.
        run: RunId,
        /// The statement that began it.
        statement: String,
    },
}

fn list(columns: &[String]) -> String {
    match columns {
        [] => "none".to_owned(),
        _ => columns.join(", "),
    }
}

impl Failure for TrainingError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoTarget { .. } => "training.no_target",
            Self::TargetType { .. } => "training.target_type",
            Self::TargetListType { .. } => "training.target_list_type",
            Self::TargetNotNumber { .. } => "training.target_not_number",
            Self::OtherTarget { .. } => "training.other_target",
            Self::NoLabels { .. } => "training.no_labels",
            Self::OneLabelSet { .. } => "training.one_label_set",
            Self::NoInput { .. } => "training.no_input",
            Self::ExtraColumns { .. } => "training.extra_columns",
            Self::SeveralTexts { .. } => "training.several_texts",
            Self::PairColumns { .. } => "training.pair_columns",
            Self::ScoreType { .. } => "training.score_type",
            Self::OneScore { .. } => "training.one_score",
            Self::NoRows { .. } => "training.no_rows",
            Self::AllNull { .. } => "training.all_null",
            Self::OneClass { .. } => "training.one_class",
            Self::TooManyClasses { .. } => "training.too_many_classes",
            Self::NotFinite { .. } => "training.not_finite",
            Self::BaseMissing { .. } => "training.base_missing",
            Self::NotEvaluable { .. } => "training.not_evaluable",
            Self::TextsOfModel { .. } => "training.texts_of_model",
            Self::NotMeasured { .. } => "training.not_measured",
            Self::RowsChanged { .. } => "training.rows_changed",
            Self::MoreShardsThanRows { .. } => "training.more_shards_than_rows",
            Self::Folder { .. } => "training.folder",
            Self::OtherTask { .. } => "training.other_task",
            Self::NeverTrained { .. } => "training.never_trained",
            Self::NothingToResume { .. } => "training.nothing_to_resume",
            Self::RunDiffers { .. } => "training.run_differs",
        }
    }

    fn hint(&self) -> Option<String> {
        let select = |text: &str, target: &str| match target {
            "" => format!("name them: FINE_TUNE ON (SELECT {text} FROM …)"),
            target => format!("name them: FINE_TUNE ON (SELECT {text}, {} FROM …)", quote_identifier(target)),
        };
        Some(match self {
            Self::NoTarget { target, columns } => {
                let near = nearest(target, columns.iter().map(String::as_str)).or(match columns.as_slice() {
                    [only] => Some(only.as_str()),
                    _ => None,
                });
                {
                    let near = near.map_or_else(|| "column".to_owned(), quote_identifier);
                    format!("say which column holds the labels: TARGET {near}")
                }
            }
            Self::TargetType { target, .. } => {
                let target = quote_identifier(target);
                format!("make it text: CAST({target} AS VARCHAR) AS {target}")
            }
            Self::TargetListType { target, nested: true, .. } => {
                let target = quote_identifier(target);
                format!("make one list of them: flatten({target}) AS {target}")
            }
            Self::TargetListType { target, .. } => {
                let target = quote_identifier(target);
                format!("make them text: CAST({target} AS VARCHAR[]) AS {target}")
            }
            Self::TargetNotNumber { target, .. } => format!("leave task out to learn the labels in {target}"),
            Self::OtherTarget { target, multi_label: true, .. } => {
                let target = quote_identifier(target);
                format!("make it a list: [{target}] AS {target}")
            }
            Self::OtherTarget { target, .. } => {
                let target = quote_identifier(target);
                format!("take one of them: {target}[1] AS {target}")
            }
            Self::NoLabels { target, .. } => {
                let target = quote_identifier(target);
                format!("look at the query: SELECT * FROM … WHERE cardinality({target}) > 0")
            }
            Self::OneLabelSet { .. } => "add rows with other labels, or with none".to_owned(),
            Self::NoInput { target } => select("text", target),
            Self::ExtraColumns { text, target, .. } => select(text.as_deref().unwrap_or("text"), target),
            Self::SeveralTexts { columns, target, method } => {
                let quoted: Vec<_> = columns.iter().map(|column| quote_identifier(column)).collect();
                let (joined, target) = (quoted.join(" || ' ' || "), quote_identifier(target));
                let pairs = match (method, columns.len()) {
                    (Method::Head, 2) => ", or have them read as a pair: WITH (method = 'full')",
                    _ => "",
                };
                format!(
                    "keep one, or join them: FINE_TUNE ON (SELECT {joined} AS text, {target} FROM …){pairs}"
                )
            }
            Self::PairColumns { .. } => {
                "name them: FINE_TUNE ON (SELECT question, answer FROM …), and a score if there is one"
                    .to_owned()
            }
            Self::ScoreType { target, .. } => {
                format!("leave {target} out to learn that the two texts belong together, or make it a number")
            }
            Self::OneScore { .. } => {
                "leave the score out: pairs without one are told apart from the others of their batch"
                    .to_owned()
            }
            Self::NoRows { .. } => "run the query by itself and look at its WHERE".to_owned(),
            Self::AllNull { column, .. } => {
                format!("rows count only where {} is not NULL", quote_identifier(column))
            }
            Self::OneClass { .. } => "add rows with another label".to_owned(),
            Self::TooManyClasses { .. } => {
                "is it an identifier? A number is learned with WITH (task = 'regress')".to_owned()
            }
            // NaN sorts after infinity, so it is left out too.
            Self::NotFinite { target, .. } => {
                format!("leave such rows out: WHERE abs({}) < 'Infinity'", quote_identifier(target))
            }
            Self::BaseMissing { base } => format!("run: nightjar model pull '{base}'"),
            Self::NotEvaluable { .. } => "name a score: ON (SELECT first, second, score FROM …)".to_owned(),
            Self::TextsOfModel { pairs, inputs, columns, target, .. } => {
                let kept = if inputs.is_empty() {
                    columns.iter().take(1).cloned().collect()
                } else {
                    inputs.clone()
                };
                let named: Vec<_> =
                    kept.iter().chain([target]).map(|column| quote_identifier(column)).collect();
                let what = if *pairs { "name both" } else { "keep one" };
                format!("{what}: ON (SELECT {} FROM …)", named.join(", "))
            }
            Self::NotMeasured { known, .. } => format!("choose one of {}", known.join(", ")),
            Self::RowsChanged { .. } => "run it again once they stay as they are".to_owned(),
            Self::MoreShardsThanRows { rows, .. } => format!("shards takes 1 to {rows} here"),
            Self::Folder { .. } => {
                "is the disk full, or the store's folder read-only? The run resumes where it stopped"
                    .to_owned()
            }
            Self::OtherTask { .. } => "make another model: CREATE MODEL name FINE_TUNE ON …".to_owned(),
            Self::NeverTrained { model } => {
                format!("train it: ALTER MODEL {} FINE_TUNE ON …", quote_identifier(model))
            }
            Self::NothingToResume { model, status, statement, .. } => {
                let model = quote_identifier(model);
                match status {
                    TrainingStatus::Running => {
                        format!("another process is at it: SHOW TRAINING OF {model} says how far it is")
                    }
                    TrainingStatus::Done => format!("train it once more: ALTER MODEL {model} FINE_TUNE ON …"),
                    TrainingStatus::Failed => format!(
                        "SHOW TRAINING OF {model} says why it failed; that mended, start it anew: {statement}"
                    ),
                    _ => format!("start it anew: {statement}"),
                }
            }
            Self::RunDiffers { statement, .. } => format!("start it anew: {statement}"),
        })
    }
}
