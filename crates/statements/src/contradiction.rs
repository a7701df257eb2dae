//! Options of training that contradict each other, the model, or the task.

use nightjar_catalog::Task;
use nightjar_errors::Failure;

use nightjar_sql::{ClassWeights, Method, OptionValues};

/// Options that can't be meant together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Contradiction {
    /// Stopping by a validation metric without rows to validate on.
    #[error("early_stopping = {patience} looks at validation rows, and validation_fraction is 0")]
    NothingToValidate {
        /// The patience in epochs.
        patience: u32,
    },
    /// Validation rows from two places.
    #[error(
        "validation_fraction = {fraction} sets rows aside, and VALIDATE ON names other rows to validate on"
    )]
    ValidatedTwice {
        /// The fraction as given.
        fraction: f64,
    },
    /// More layers to freeze than there are.
    #[error("freeze_layers = {frozen} is more than the {layers} layers of {base}")]
    TooManyFrozen {
        /// The layers to freeze.
        frozen: usize,
        /// The layers of the base.
        layers: usize,
        /// The base as the catalog names it.
        base: String,
    },
    /// An embedding model, which has no head, without a layer to train.
    #[error("freeze_layers = {layers} freezes every layer of {base}, which leaves none for the task 'embed'")]
    NothingToMove {
        /// The layers of the base.
        layers: usize,
        /// The base as the catalog names it.
        base: String,
    },
    /// Low-rank additions without a layer to add to.
    #[error("freeze_layers = {layers} freezes every layer of {base}, which leaves none for method 'lora'")]
    NothingToAdapt {
        /// The layers of the base.
        layers: usize,
        /// The base as the catalog names it.
        base: String,
    },
    /// An option for labels in a task that has none.
    #[error("option {option} is for labels, and the task is '{task}'")]
    NoLabels {
        /// The option.
        option: &'static str,
        /// The task.
        task: Task,
    },
    /// An option for rows with one label each.
    #[error("option {option} is for one label a row, and the target is a list of labels")]
    OneLabelOnly {
        /// The option.
        option: &'static str,
    },
    /// A threshold where one label of a row excludes the others, or there are none.
    #[error("option threshold is for lists of labels, and the target is not a list")]
    NoLists,
    /// Telling pairs apart one by one.
    #[error("pairs without scores are told apart from the others of their batch, and batch_size is 1")]
    NothingToContrast,
    /// Tuning an embedding with a method that leaves it as it is.
    #[error("task 'embed' moves the encoder, which method 'head' keeps as it is")]
    HeadCannotEmbed,
}

impl Contradiction {
    /// Finds what contradicts in the options of a training from a base of so many layers; `task` is what is known of it before
    /// the rows are, `validated` is whether the statement has VALIDATE ON.
    pub(crate) fn check(
        options: &OptionValues,
        task: Option<Task>,
        validated: bool,
        base: &str,
        layers: usize,
    ) -> Result<(), Contradiction> {
        let (method, fraction) = (options.method(), options.validation_fraction());
        if method == Method::Head && task == Some(Task::Embed) {
            return Err(Self::HeadCannotEmbed);
        }
        if validated && fraction > 0.0 && options.is_given("validation_fraction") {
            return Err(Self::ValidatedTwice { fraction });
        }
        if method == Method::Head {
            return Ok(());
        }
        let patience = options.early_stopping();
        if patience > 0 && fraction == 0.0 && !validated {
            return Err(Self::NothingToValidate { patience });
        }
        let frozen = options.freeze_layers();
        if frozen > layers {
            return Err(Self::TooManyFrozen { frozen, layers, base: base.to_owned() });
        }
        if method == Method::Lora && frozen == layers {
            return Err(Self::NothingToAdapt { layers, base: base.to_owned() });
        }
        if frozen == layers && task == Some(Task::Embed) {
            return Err(Self::NothingToMove { layers, base: base.to_owned() });
        }
        Ok(())
    }

    /// Finds what contradicts learning from pairs without scores.
    pub(crate) fn check_contrast(options: &OptionValues) -> Result<(), Contradiction> {
        if options.batch_size() == 1 { Err(Self::NothingToContrast) } else { Ok(()) }
    }

    /// Finds what contradicts learning from lists of labels.
    pub(crate) fn check_multi_label(options: &OptionValues) -> Result<(), Contradiction> {
        if options.method() != Method::Head && options.label_smoothing() > 0.0 {
            return Err(Self::OneLabelOnly { option: "label_smoothing" });
        }
        Ok(())
    }

    /// Finds what contradicts learning one label a row, or none.
    pub(crate) fn check_single_label(options: &OptionValues) -> Result<(), Contradiction> {
        if options.is_given("threshold") { Err(Self::NoLists) } else { Ok(()) }
    }

    /// Finds the options that this task has no use for.
    pub(crate) fn check_task(options: &OptionValues, task: Task) -> Result<(), Contradiction> {
        if task == Task::Classify {
            return Ok(());
        }
        let weighed = options.class_weights() == ClassWeights::Balanced;
        let smoothed = options.method() != Method::Head && options.label_smoothing() > 0.0;
        match (weighed, smoothed) {
            (true, _) => Err(Self::NoLabels { option: "class_weights", task }),
            (_, true) => Err(Self::NoLabels { option: "label_smoothing", task }),
            _ => Ok(()),
        }
    }
}

impl Failure for Contradiction {
    fn code(&self) -> &'static str {
        match self {
            Self::NothingToValidate { .. } => "training_option_nothing_to_validate",
            Self::ValidatedTwice { .. } => "training_option_validated_twice",
            Self::TooManyFrozen { .. } => "training_option_too_many_frozen",
            Self::NothingToMove { .. } => "training_option_nothing_to_move",
            Self::NothingToAdapt { .. } => "training_option_nothing_to_adapt",
            Self::NoLabels { .. } => "training_option_no_labels",
            Self::OneLabelOnly { .. } => "training_option_one_label_only",
            Self::NoLists => "training_option_no_lists",
            Self::NothingToContrast => "training_option_nothing_to_contrast",
            Self::HeadCannotEmbed => "training_option_head_cannot_embed",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NothingToValidate { .. } => {
                "set validation_fraction = 0.1, or add VALIDATE ON (SELECT …)".to_owned()
            }
            Self::ValidatedTwice { .. } => "leave validation_fraction or VALIDATE ON out".to_owned(),
            Self::TooManyFrozen { layers, .. } => format!("freeze_layers takes 0 to {layers} here"),
            Self::NothingToMove { layers, .. } => format!("freeze_layers takes 0 to {} here", layers - 1),
            Self::NothingToAdapt { layers, .. } => {
                format!("freeze_layers takes 0 to {} here; method 'head' keeps the whole encoder", layers - 1)
            }
            Self::NoLabels { option, .. } | Self::OneLabelOnly { option } => format!("leave {option} out"),
            Self::NoLists => "leave threshold out, or make the target a list: [label] AS label".to_owned(),
            Self::NothingToContrast => "batch_size takes 2 or more here; more teach more".to_owned(),
            Self::HeadCannotEmbed => "say method = 'full' or method = 'lora'".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Value;

    use super::*;

    fn options(given: &[(&str, &str)]) -> OptionValues {
        let value = |text: &str| match text.parse::<f64>() {
            Ok(_) => Value::Number(text.to_owned(), false),
            Err(_) => Value::SingleQuotedString(text.to_owned()),
        };
        let given: Vec<_> = given.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect();
        OptionValues::parse(&given).unwrap()
    }

    fn check(given: &[(&str, &str)], validated: bool) -> Result<(), Contradiction> {
        let task = given.contains(&("task", "embed")).then_some(Task::Embed);
        Contradiction::check(&options(given), task, validated, "tiny@1", 2)
    }

    #[test]
    fn stopping_early_needs_rows_to_look_at() {
        let none = [("method", "full"), ("early_stopping", "2"), ("validation_fraction", "0")];
        let found = check(&none, false).unwrap_err();
        assert_eq!(
            found.to_string(),
            "early_stopping = 2 looks at validation rows, and validation_fraction is 0"
        );
        assert_eq!(check(&none, true), Ok(()));
        assert_eq!(check(&none[..2], false), Ok(()));
        assert_eq!(check(&[none[0], none[2]], false), Ok(()));
    }

    #[test]
    fn rows_to_validate_on_come_from_one_place() {
        let found = check(&[("validation_fraction", "0.2")], true).unwrap_err();
        assert_eq!(found, Contradiction::ValidatedTwice { fraction: 0.2 });
        assert_eq!(check(&[("validation_fraction", "0")], true), Ok(()));
        assert_eq!(check(&[], true), Ok(()));
    }

    #[test]
    fn layers_to_freeze_are_those_there_are() {
        let freeze = |method, layers| check(&[("method", method), ("freeze_layers", layers)], false);
        assert_eq!(freeze("full", "2"), Ok(()));
        let found = freeze("full", "3").unwrap_err();
        assert_eq!(found.to_string(), "freeze_layers = 3 is more than the 2 layers of tiny@1");
        assert_eq!(found.hint().as_deref(), Some("freeze_layers takes 0 to 2 here"));
        assert_eq!(freeze("lora", "1"), Ok(()));
        let found = freeze("lora", "2").unwrap_err();
        assert_eq!(found, Contradiction::NothingToAdapt { layers: 2, base: "tiny@1".to_owned() });
        let embed = |layers| check(&[("task", "embed"), ("freeze_layers", layers)], false);
        assert_eq!(embed("1"), Ok(()));
        let found = embed("2").unwrap_err();
        assert_eq!(found, Contradiction::NothingToMove { layers: 2, base: "tiny@1".to_owned() });
        assert_eq!(found.hint().as_deref(), Some("freeze_layers takes 0 to 1 here"));
    }

    #[test]
    fn options_for_labels_need_labels() {
        let smoothed = options(&[("method", "full"), ("label_smoothing", "0.1")]);
        assert_eq!(Contradiction::check_task(&smoothed, Task::Classify), Ok(()));
        let found = Contradiction::check_task(&smoothed, Task::Regress).unwrap_err();
        assert_eq!(found.to_string(), "option label_smoothing is for labels, and the task is 'regress'");
        let weighed = options(&[("class_weights", "balanced")]);
        let found = Contradiction::check_task(&weighed, Task::Regress).unwrap_err();
        assert_eq!(found, Contradiction::NoLabels { option: "class_weights", task: Task::Regress });
        assert_eq!(Contradiction::check_task(&options(&[]), Task::Regress), Ok(()));
    }

    #[test]
    fn options_for_one_label_do_not_go_with_lists() {
        let check = |given: &[(&str, &str)]| {
            Contradiction::check_multi_label(&options(given)).map_err(|e| e.to_string())
        };
        assert_eq!(check(&[("method", "full"), ("label_smoothing", "0")]), Ok(()));
        assert_eq!(check(&[("method", "lora"), ("class_weights", "balanced")]), Ok(()));
        assert_eq!(check(&[("method", "head"), ("threshold", "0.2")]), Ok(()));
        let found = check(&[("method", "full"), ("label_smoothing", "0.1")]).unwrap_err();
        assert_eq!(
            found,
            "option label_smoothing is for one label a row, and the target is a list of labels"
        );
        let single = |given: &[(&str, &str)]| Contradiction::check_single_label(&options(given));
        assert_eq!(single(&[("method", "head"), ("threshold", "auto")]), Err(Contradiction::NoLists));
        assert_eq!(single(&[("method", "full")]), Ok(()));
    }

    #[test]
    fn pairs_without_scores_need_others() {
        assert_eq!(Contradiction::check_contrast(&options(&[("method", "full")])), Ok(()));
        let alone = options(&[("method", "full"), ("batch_size", "1")]);
        assert_eq!(Contradiction::check_contrast(&alone), Err(Contradiction::NothingToContrast));
    }

    #[test]
    fn a_head_cannot_tune_an_embedding() {
        assert_eq!(
            check(&[("method", "head"), ("task", "embed")], false),
            Err(Contradiction::HeadCannotEmbed)
        );
        assert_eq!(check(&[("method", "lora"), ("task", "embed")], false), Ok(()));
    }
}
