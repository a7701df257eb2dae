//! The options of training, `WITH (option = value, …)`, as data.

use std::fmt;
use std::ops::Bound;

use crate::training::method::{DEFAULT_METHOD, Method};
use crate::training::option_kind::Kind;

/// One option of training.
#[derive(Debug)]
pub struct TrainingOption {
    /// Its name.
    pub name: &'static str,
    /// The methods that have it.
    pub methods: &'static [Method],
    /// What it takes.
    pub kind: Kind,
    /// Its value if it is not given.
    pub default: OptionDefault,
    /// What it does.
    pub summary: &'static str,
    /// Why the default is what it is.
    pub reason: &'static str,
}

/// The value of an option that is not given. It prints itself as the reference shows it.
#[derive(Debug, Clone, Copy)]
pub enum OptionDefault {
    /// This value, as SQL.
    Sql(&'static str),
    /// A value for each method, as SQL.
    ByMethod(&'static [(Method, &'static str)]),
    /// What the data or the model says, in words.
    Words(&'static str),
}

/// Shorthand for the list below.
const ALL: &[Method] = Method::ALL;
const GRADIENT: &[Method] = Method::GRADIENT;

/// A share: from 0 to below 1.
const SHARE: Kind = Kind::Float { min: Bound::Included(0.0), max: Bound::Excluded(1.0), or: None };

/// The options of training.
pub static TRAINING_OPTIONS: &[TrainingOption] = &[
    TrainingOption {
        name: "method",
        methods: ALL,
        kind: Kind::Text { allowed: &["full", "lora", "head"] },
        default: OptionDefault::Sql(DEFAULT_METHOD.sql()),
        summary: "How to train: 'full' moves all weights of the encoder, 'lora' moves small low-rank additions to its \
            projections, 'head' keeps the encoder as it is and fits a linear layer on its embeddings.",
        reason: DEFAULT_METHOD.reason(),
    },
    TrainingOption {
        name: "task",
        methods: ALL,
        kind: Kind::Text { allowed: &["classify", "regress", "embed"] },
        default: OptionDefault::Words("by the target's type"),
        summary: "What to learn: 'classify' a label, or any number of labels where the target is a list, 'regress' a number, or 'embed', which moves the encoder so that \
            the texts of a pair come near one another: rows have two texts, and a score if TARGET names one, a column is \
            called `label`, or one holds numbers. The cosine of the texts' embeddings is trained towards the score, \
            which is spread from 0 to 1 unless all are from -1 to 1; without scores each first text is trained to find its \
            second among those of the batch.",
        reason: "text, booleans and integers are nearly always labels, and floats nearly always measures",
    },
    TrainingOption {
        name: "epochs",
        methods: GRADIENT,
        kind: Kind::Integer { min: 1, max: 1000, or: Some("auto") },
        default: OptionDefault::Sql("'auto'"),
        summary: "How often training reads all rows. 'auto' is 3, and more where that is less than 150 steps, at most 20.",
        reason: "BERT's authors tuned with 2 to 4 epochs on every task, of thousands of rows each; with some hundreds that is too few \
            steps to learn from (Mosbach et al. 2021, arXiv:2006.04884)",
    },
    TrainingOption {
        name: "learning_rate",
        methods: GRADIENT,
        kind: Kind::Float { min: Bound::Excluded(0.0), max: Bound::Included(1.0), or: None },
        default: OptionDefault::ByMethod(&[(Method::Full, "5e-5"), (Method::Lora, "5e-4")]),
        summary: "The size of the steps at the end of the warm-up, where it is largest.",
        reason: "2e-5 to 5e-5 serves pretrained encoders, and small ones take the upper end; low-rank additions \
            start at zero and learn best at about ten times that",
    },
    TrainingOption {
        name: "head_rate",
        methods: GRADIENT,
        kind: Kind::Float { min: Bound::Excluded(0.0), max: Bound::Included(1000.0), or: None },
        default: OptionDefault::ByMethod(&[(Method::Full, "20"), (Method::Lora, "2")]),
        summary: "What the learning rate is multiplied by for the head. 1 trains all alike.",
        reason: "the head begins with random weights and has far to go, the encoder begins with good ones: where there are many \
            classes or few rows, one rate for both leaves the head behind",
    },
    TrainingOption {
        name: "schedule",
        methods: GRADIENT,
        kind: Kind::Text { allowed: &["linear", "cosine"] },
        default: OptionDefault::Sql("'linear'"),
        summary: "How the learning rate falls to 0 after the warm-up.",
        reason: "it is what BERT was tuned with, and over a few epochs the two hardly differ",
    },
    TrainingOption {
        name: "warmup_ratio",
        methods: GRADIENT,
        kind: SHARE,
        default: OptionDefault::Sql("0.1"),
        summary: "The part of all steps in which the learning rate rises from 0.",
        reason: "the first steps follow a head that knows nothing yet, and large ones would spoil the encoder",
    },
    TrainingOption {
        name: "batch_size",
        methods: GRADIENT,
        kind: Kind::Integer { min: 1, max: 65_536, or: None },
        default: OptionDefault::Sql("32"),
        summary: "The rows of one step.",
        reason: "16 to 32 generalise well in fine-tuning; larger batches make fewer steps of the same epoch",
    },
    TrainingOption {
        name: "weight_decay",
        methods: GRADIENT,
        kind: Kind::Float { min: Bound::Included(0.0), max: Bound::Included(1.0), or: None },
        default: OptionDefault::Sql("0.01"),
        summary: "How much weights shrink at each step, times the learning rate. Biases and norms do not.",
        reason: "it is AdamW's usual value for encoders, too small to hurt with few rows",
    },
    TrainingOption {
        name: "gradient_clip",
        methods: GRADIENT,
        kind: Kind::Float { min: Bound::Included(0.0), max: Bound::Unbounded, or: None },
        default: OptionDefault::Sql("1.0"),
        summary: "The greatest length of a step's gradient; a longer one is scaled down. 0 clips none.",
        reason: "one odd batch cannot throw the encoder off, and ordinary steps stay as they are",
    },
    TrainingOption {
        name: "dropout",
        methods: GRADIENT,
        kind: SHARE,
        default: OptionDefault::Sql("0.1"),
        summary: "The share of activations set to 0 at random while training.",
        reason: "encoders of this family were trained with it",
    },
    TrainingOption {
        name: "label_smoothing",
        methods: GRADIENT,
        kind: SHARE,
        default: OptionDefault::Sql("0"),
        summary: "The share of each label's probability that is spread over all classes. For one label a row only.",
        reason: "smoothing helps with noisy labels, and otherwise makes probabilities less sharp than the data",
    },
    TrainingOption {
        name: "class_weights",
        methods: ALL,
        kind: Kind::Text { allowed: &["none", "balanced"] },
        default: OptionDefault::Sql("'none'"),
        summary: "'balanced' weighs each row by the inverse of its class's frequency, so that rare classes count as much \
            as common ones. Of lists of labels it weighs, for each label, the rows that have it by how many times as many do not, at \
            most 100.",
        reason: "unweighted training gives probabilities that fit the frequencies of the data",
    },
    TrainingOption {
        name: "threshold",
        methods: ALL,
        kind: Kind::Float { min: Bound::Excluded(0.0), max: Bound::Excluded(1.0), or: Some("auto") },
        default: OptionDefault::Sql("'auto'"),
        summary: "From which probability on a label is predicted, for lists of labels only. 'auto' takes for each label what gives \
            the greatest F1 on the validation rows; for a label of fewer than 10 of them what gives all labels together the greatest \
            micro F1; and without validation rows one half. The metrics of a training follow from these thresholds, on the same rows: \
            measure on others with EVALUATE MODEL.",
        reason: "labels that few rows have seldom reach one half, and a model of many such labels would predict none",
    },
    TrainingOption {
        name: "freeze_layers",
        methods: GRADIENT,
        kind: Kind::Integer { min: 0, max: 1000, or: None },
        default: OptionDefault::Sql("0"),
        summary: "How many of the encoder's lower layers stay as they are; above 0 the embeddings do too. They run without \
            dropout and in the first epoch alone: what they make of the text is kept in the run's folder until the run ends, four bytes per \
            token and dimension, where the disk has room.",
        reason: "all layers together learn most; frozen ones save time where rows are few or the text is ordinary",
    },
    TrainingOption {
        name: "lora_rank",
        methods: &[Method::Lora],
        kind: Kind::Integer { min: 1, max: 1024, or: None },
        default: OptionDefault::Sql("16"),
        summary: "The rank of the additions: the higher, the more they can learn, and the larger they are.",
        reason: "8 to 16 is enough for one task, and costs about a hundredth of the encoder",
    },
    TrainingOption {
        name: "lora_alpha",
        methods: &[Method::Lora],
        kind: Kind::Float { min: Bound::Excluded(0.0), max: Bound::Unbounded, or: None },
        default: OptionDefault::Sql("32"),
        summary: "How strongly the additions count: they are scaled by lora_alpha / lora_rank.",
        reason: "twice the rank is the usual choice, and the learning rate's default goes with it",
    },
    TrainingOption {
        name: "lora_targets",
        methods: &[Method::Lora],
        kind: Kind::Text { allowed: &["all", "attention"] },
        default: OptionDefault::Sql("'all'"),
        summary: "The projections that get an addition: 'all' linear layers, or those of 'attention' alone.",
        reason: "additions everywhere come closest to moving the whole encoder",
    },
    TrainingOption {
        name: "early_stopping",
        methods: GRADIENT,
        kind: Kind::Integer { min: 0, max: 1000, or: None },
        default: OptionDefault::Sql("0"),
        summary: "Stops after this many epochs without a better validation metric. 0 never stops early. Either way the epoch \
            with the best metric is kept, the first of equals: accuracy for labels, micro F1 for lists of labels, RMSE for \
            numbers, Spearman's correlation or MRR for embeddings. Without validation rows it is the last.",
        reason: "three epochs seldom overfit, and one that looks worse is often followed by a better one",
    },
    TrainingOption {
        name: "shards",
        methods: GRADIENT,
        kind: Kind::Integer { min: 1, max: 1024, or: None },
        default: OptionDefault::Sql("1"),
        summary: "Into how many parts the rows are split. Shards train at the same time from the same weights, and are \
            averaged after each round. Each takes its part of the steps, with the learning rate times their number (at most 8), \
            so that together they learn as much as one.",
        reason: "one shard is ordinary training, whose results are known from elsewhere",
    },
    TrainingOption {
        name: "rounds_per_epoch",
        methods: GRADIENT,
        kind: Kind::Integer { min: 1, max: 10_000, or: Some("auto") },
        default: OptionDefault::Sql("'auto'"),
        summary: "How often in an epoch the shards are averaged and the state is saved, from which an interrupted training \
            resumes.",
        reason: "shards that drift apart learn less and averaging costs time: the right number depends on rows and shards",
    },
    TrainingOption {
        name: "regularization",
        methods: &[Method::Head],
        kind: Kind::Float { min: Bound::Excluded(0.0), max: Bound::Unbounded, or: Some("auto") },
        default: OptionDefault::Sql("'auto'"),
        summary: "The inverse strength C of the L2 penalty on the head's weights: the smaller, the stronger. 'auto' takes \
            the C with the least validation loss.",
        reason: "the best C varies by orders of magnitude with the number of rows, and trying several costs little \
            once the rows are embedded",
    },
    TrainingOption {
        name: "validation_fraction",
        methods: ALL,
        kind: Kind::Float { min: Bound::Included(0.0), max: Bound::Excluded(0.9), or: None },
        default: OptionDefault::Sql("0.1"),
        summary: "The part of the rows set aside to measure on, the same part of each class. 0 sets none aside. With \
            VALIDATE ON none are either.",
        reason: "a tenth measures well from some hundred rows on, and leaves most rows to learn from",
    },
    TrainingOption {
        name: "seed",
        methods: ALL,
        kind: Kind::Integer { min: 0, max: i64::MAX, or: None },
        default: OptionDefault::Sql("42"),
        summary: "The seed of everything random, such as the split.",
        reason: "the same statement on the same rows gives the same model",
    },
    TrainingOption {
        name: "max_length",
        methods: ALL,
        kind: Kind::Integer { min: 4, max: u32::MAX as i64, or: None },
        default: OptionDefault::Words("the model's window"),
        summary: "The most tokens of a text that are read; the rest is cut off.",
        reason: "the model was trained with that window; a shorter one is faster where the start of a text tells enough",
    },
    TrainingOption {
        name: "precision",
        methods: ALL,
        kind: Kind::Text { allowed: &["auto", "f32", "bf16", "int8"] },
        default: OptionDefault::Sql("'auto'"),
        summary: "The numbers that the encoder multiplies, in training and in each call of the model, unless the session's \
            nightjar.precision is not 'auto'. 'auto' trains in f32 and leaves calls to the machine: bf16 where the CPU has \
            it, else f32.",
        reason: "training once in f32 gives the same model on every machine; calls in bf16 are faster and hardly differ",
    },
];

impl TrainingOption {
    /// Returns the option of this name.
    pub fn named(name: &str) -> Option<&'static TrainingOption> {
        TRAINING_OPTIONS.iter().find(|option| option.name == name)
    }
}

impl OptionDefault {
    /// Returns the value without quotes for a method, none where only the data or the model knows.
    pub(crate) fn value(&self, method: Method) -> Option<&'static str> {
        let sql = match self {
            OptionDefault::Sql(sql) => *sql,
            OptionDefault::ByMethod(values) => values.iter().find(|(of, _)| *of == method)?.1,
            OptionDefault::Words(_) => return None,
        };
        Some(sql.trim_matches('\''))
    }
}

impl fmt::Display for OptionDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionDefault::Sql(text) | OptionDefault::Words(text) => f.write_str(text),
            OptionDefault::ByMethod(values) => {
                let values: Vec<_> =
                    values.iter().map(|(method, value)| format!("{value} for {}", method.sql())).collect();
                f.write_str(&values.join(", "))
            }
        }
    }
}
