//! What a function can refuse, and what to type next.

use nightjar_catalog::CatalogError;
use nightjar_errors::Failure;
use nightjar_models::ModelError;

/// The result of this crate's operations.
pub type Result<T, E = FunctionError> = std::result::Result<T, E>;

/// Why a function call can't be planned or run.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The number or kind of arguments fits no form of the function.
    #[error("{function} takes {expected}, got {found}")]
    Arguments {
        /// The function's name.
        function: String,
        /// The forms that it takes.
        expected: String,
        /// The types that it was given.
        found: String,
    },
    /// An argument is of a type that the function does not take there.
    #[error("argument {position} of {function} must be {expected}, got {found}")]
    ArgumentType {
        /// The function's name.
        function: String,
        /// The argument's position, from 1.
        position: usize,
        /// What it takes, in words.
        expected: String,
        /// The type found.
        found: String,
    },
    /// A label of two classes that is neither the positive nor the negative one.
    #[error("{function} got the label '{label}', which is neither true nor false, nor 1 or 0")]
    NotBinary {
        /// The function's name.
        function: String,
        /// The label.
        label: String,
    },
    /// DISTINCT in an aggregate that counts every row.
    #[error("{function} does not take DISTINCT: each row counts")]
    Distinct {
        /// The function's name.
        function: String,
    },
    /// An argument that must be text is of another type.
    #[error("argument {position} of {function} must be text, got {found}")]
    NotText {
        /// The function's name.
        function: String,
        /// The argument's position, from 1.
        position: usize,
        /// The type found.
        found: String,
    },
    /// A vector argument isn't a list of floats.
    #[error("argument {position} of {function} must be a list of Float32 or Float64, got {found}")]
    NotVector {
        /// The function's name.
        function: String,
        /// The argument's position, from 1.
        position: usize,
        /// The type found.
        found: String,
    },
    /// Two vectors of one row differ in length.
    #[error("{function} got vectors of {left} and {right} dimensions in row {row}")]
    Dimensions {
        /// The function's name.
        function: String,
        /// The row within the batch, from 0.
        row: usize,
        /// The first vector's length.
        left: usize,
        /// The second vector's length.
        right: usize,
    },
    /// The model, the labels or the class are an expression instead of a constant.
    #[error("the {what} of {function} must be a constant, got an expression")]
    NotConstant {
        /// The function's name.
        function: String,
        /// 'model', 'labels' or 'class'.
        what: &'static str,
    },
    /// A zero-shot call without a usable list of labels.
    #[error("{function} got {found} as its labels")]
    Labels {
        /// The function's name.
        function: String,
        /// What is wrong with them.
        found: String,
    },
    /// A setting that names no precision.
    #[error("'{found}' is no precision")]
    Precision {
        /// What it says.
        found: String,
    },
    /// The plan of a training, in its run's folder, can't be read.
    #[error("the plan of the training in '{}' can't be read: {reason}", path.display())]
    Round {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The loss or a gradient of a training is no finite number.
    #[error(
        "training diverged: the loss of step {step} of shard {shard} is no finite number{}",
        at_positions(positions)
    )]
    Diverged {
        /// The step, from 1.
        step: u32,
        /// The shard.
        shard: u32,
        /// The positions in the shard of rows whose outputs are no finite numbers.
        positions: Vec<i64>,
        /// The greatest learning rate.
        learning_rate: f32,
    },
    /// Some shards of a round were not trained, or twice.
    #[error("round {round} needs the shards {expected:?} once each, and got {found:?}")]
    ShardsMissing {
        /// The round, from 0.
        round: u32,
        /// The shards that have rows in it.
        expected: Vec<u32>,
        /// The shards that were trained.
        found: Vec<u32>,
    },
    /// A row holds bytes that aren't UTF-8.
    #[error("{function} got bytes that are not valid UTF-8 in row {row} of a batch")]
    InvalidUtf8 {
        /// The function's name.
        function: String,
        /// The row within the batch, from 0.
        row: usize,
    },
    /// The call names no model and there's no default.
    #[error("{function} names no model, and there is no default model for the task '{task}'")]
    NoDefault {
        /// The function's name.
        function: String,
        /// The task that the function needs.
        task: String,
    },
    /// The model is for another task.
    #[error("{function} needs a model for the task '{expected}', and {model} is for '{found}'")]
    WrongTask {
        /// The function's name.
        function: String,
        /// The model, as name@version.
        model: String,
        /// The task that the function needs.
        expected: String,
        /// The model's task.
        found: String,
    },
    /// The model reads pairs of texts and the call has single ones, or the other way round.
    #[error(
        "the model {model} reads {}, and {function} got {}",
        if *pairs { "pairs of texts" } else { "single texts" }, if *pairs { "one text" } else { "two" }
    )]
    TextsOfModel {
        /// The function's name.
        function: String,
        /// The model, as name@version.
        model: String,
        /// What the call says of the model; none where it is the default.
        name: Option<String>,
        /// Whether the model reads pairs.
        pairs: bool,
    },
    /// A call reached execution without its model pinned.
    #[error("the model '{model}' of a call was not resolved while planning")]
    Unresolved {
        /// What stood in the model's place.
        model: String,
    },
    /// An expression function was used without a session.
    #[error("{function} is not bound to a session")]
    Unbound {
        /// The function's name.
        function: String,
    },
    /// The catalog or the artifact store failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Returns the positions of rows as a part of a message.
fn at_positions(positions: &[i64]) -> String {
    match positions {
        [] => String::new(),
        [position] => format!(", in the row at position {position}"),
        several => format!(", in the rows at positions {several:?}"),
    }
}

/// Returns what to type for a model of pairs, or of single texts.
fn of_texts(function: &str, name: Option<&str>, pairs: bool) -> String {
    let named = name.map(|name| format!(", '{}'", name.replace('\'', "''"))).unwrap_or_default();
    match (pairs, name) {
        (true, _) => format!("write {function}(first, second{named})"),
        (false, Some(_)) => format!("write {function}(text{named})"),
        (false, None) => format!(
            "name a model that was tuned on pairs: {function}(first, second, 'model'); a model's name and labels are \
             literals: {function}(text, 'model')"
        ),
    }
}

impl Failure for FunctionError {
    fn code(&self) -> &'static str {
        match self {
            Self::Arguments { .. } => "function.arguments",
            Self::ArgumentType { .. } => "function.argument_type",
            Self::NotBinary { .. } => "function.not_binary",
            Self::Distinct { .. } => "function.distinct",
            Self::NotText { .. } => "function.not_text",
            Self::NotVector { .. } => "function.not_vector",
            Self::Dimensions { .. } => "function.dimensions",
            Self::NotConstant { .. } => "function.not_constant",
            Self::Labels { .. } => "function.labels",
            Self::Precision { .. } => "function.precision",
            Self::InvalidUtf8 { .. } => "function.invalid_utf8",
            Self::NoDefault { .. } => "function.no_default",
            Self::WrongTask { .. } => "function.wrong_task",
            Self::TextsOfModel { .. } => "function.texts_of_model",
            Self::Unresolved { .. } => "function.unresolved",
            Self::Unbound { .. } => "function.unbound",
            Self::Catalog(error) => error.code(),
            Self::Model(error) => error.code(),
            Self::Round { .. } => "function.round_plan",
            Self::Diverged { .. } => "training.diverged",
            Self::ShardsMissing { .. } => "training.shards_missing",
            Self::Internal(_) => "internal",
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Catalog(error) => error.retryable(),
            Self::Model(error) => error.retryable(),
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotText { .. } => Some("convert it, for instance with CAST(column AS VARCHAR)".to_owned()),
            Self::NotVector { .. } => {
                Some("vectors are lists, FLOAT[] or the result of embed(text)".to_owned())
            }
            Self::NotBinary { function, label } => {
                let label = label.replace('\'', "''");
                Some(format!("say which label is the positive one: {function}(label = '{label}', score)"))
            }
            Self::Distinct { .. } => {
                Some("leave DISTINCT out, or take the metric of a SELECT DISTINCT".to_owned())
            }
            Self::NotConstant { function, what: "class" } => {
                Some(format!("write a literal: {function}(label, …, 'good')"))
            }
            Self::NotConstant { .. } => Some(
                "write a literal: classify(review, 'sentiment') or classify(review, ['a', 'b'])".to_owned(),
            ),
            Self::Labels { .. } => {
                Some("give at least two different labels: classify(review, ['a', 'b'])".to_owned())
            }
            Self::Precision { .. } => {
                Some("SET nightjar.precision = 'auto', or 'f32', 'bf16', 'int8'".to_owned())
            }
            Self::InvalidUtf8 { function, .. } => Some(format!("try_{function}(…) gives NULL for such rows")),
            Self::NoDefault { task, .. } if task == "embed" => {
                Some("run: nightjar model pull all-MiniLM-L6-v2".to_owned())
            }
            Self::NoDefault { task, .. } => Some(format!(
                "make one: CREATE MODEL name FINE_TUNE ON (SELECT text, label FROM …), or choose one: \
                 ALTER MODEL name SET DEFAULT (SHOW MODELS lists the models of the task '{task}')"
            )),
            Self::TextsOfModel { function, name, pairs, .. } => {
                Some(of_texts(function, name.as_deref(), *pairs))
            }
            Self::WrongTask { .. } => Some("SHOW MODELS lists each model's task".to_owned()),
            Self::Unbound { .. } => Some("use it in a DataFrame made by a nightjar Session".to_owned()),
            Self::Catalog(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Diverged { learning_rate, .. } => Some(format!(
                "lower the rate: WITH (learning_rate = {:e}); numbers or texts far from the others can also be the cause",
                learning_rate / 5.0
            )),
            Self::Arguments { .. }
            | Self::ArgumentType { .. }
            | Self::Dimensions { .. }
            | Self::Unresolved { .. }
            | Self::Round { .. }
            | Self::ShardsMissing { .. }
            | Self::Internal(_) => None,
        }
    }
}
