//! The values of the training options of one statement, checked.

use std::collections::BTreeMap;
use std::fmt;

use datafusion_sql::sqlparser::ast::Value;
use nightjar_errors::nearest;

use crate::error::{Result, SqlError};
use crate::parse::with_clause::value_sql;
use crate::training::method::{ClassWeights, DEFAULT_METHOD, LoraTargets, Method, Schedule};
use crate::training::options::{OptionDefault, TRAINING_OPTIONS, TrainingOption};

/// The values of the training options: those given, checked, and the defaults of the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OptionValues {
    given: BTreeMap<&'static str, OptionValue>,
}

/// One value, of the kind its option takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OptionValue {
    Word(&'static str),
    Integer(i64),
    Float(f64),
}

impl OptionValues {
    /// The values of these options, as a statement holds them.
    ///
    /// # Errors
    /// An option that is unknown, of another method, given twice, or has a value that it does not take.
    pub fn parse(options: &[(String, Value)]) -> Result<Self> {
        let mut values = OptionValues::default();
        // The method first: the error of an option of another method names it.
        let (methods, others): (Vec<_>, Vec<_>) = options.iter().partition(|(name, _)| name == "method");
        for (name, value) in methods.into_iter().chain(others) {
            let option = values.find(name)?;
            let value = option.kind.read(value).ok_or_else(|| SqlError::OptionValue {
                option: option.name,
                value: value_sql(value),
                allowed: option.kind.to_string(),
            })?;
            if values.given.insert(option.name, value).is_some() {
                return Err(SqlError::RepeatedOption { option: option.name });
            }
        }
        Ok(values)
    }

    fn find(&self, name: &str) -> Result<&'static TrainingOption> {
        let method = self.method();
        match TrainingOption::named(name) {
            Some(option) if option.methods.contains(&method) => Ok(option),
            Some(TrainingOption { name: option, methods, .. }) => {
                Err(SqlError::OptionOfOtherMethod { option, methods, method })
            }
            None => {
                let known = TRAINING_OPTIONS.iter().map(|option| option.name);
                Err(SqlError::UnknownOption { option: name.to_string(), nearest: nearest(name, known) })
            }
        }
    }

    /// The method of training.
    pub fn method(&self) -> Method {
        match self.given.get("method") {
            Some(OptionValue::Word(word)) => Method::of(word).unwrap_or(DEFAULT_METHOD),
            _ => DEFAULT_METHOD,
        }
    }

    /// The task, `classify`, `regress` or `embed`, if it is given; otherwise the target's type decides.
    pub fn task(&self) -> Option<&'static str> {
        self.word("task")
    }

    /// How often training reads all rows, at least once; `None` is 'auto'.
    pub fn epochs(&self) -> Option<u32> {
        self.integer("epochs").and_then(|epochs| u32::try_from(epochs).ok())
    }

    /// The largest learning rate, above 0.
    pub fn learning_rate(&self) -> f64 {
        self.number("learning_rate")
    }

    /// What the learning rate is multiplied by for the head, above 0.
    pub fn head_rate(&self) -> f64 {
        self.number("head_rate")
    }

    /// How the learning rate falls.
    pub fn schedule(&self) -> Schedule {
        match self.word("schedule") {
            Some("cosine") => Schedule::Cosine,
            _ => Schedule::Linear,
        }
    }

    /// The part of all steps that warm up, from 0 to below 1.
    pub fn warmup_ratio(&self) -> f64 {
        self.number("warmup_ratio")
    }

    /// The rows of a step.
    pub fn batch_size(&self) -> usize {
        self.count("batch_size")
    }

    /// The decoupled weight decay.
    pub fn weight_decay(&self) -> f64 {
        self.number("weight_decay")
    }

    /// The greatest norm of a gradient; `None` clips none.
    pub fn gradient_clip(&self) -> Option<f64> {
        Some(self.number("gradient_clip")).filter(|clip| *clip > 0.0)
    }

    /// The share of activations dropped, from 0 to below 1.
    pub fn dropout(&self) -> f64 {
        self.number("dropout")
    }

    /// The share of a label's probability that is spread, from 0 to below 1.
    pub fn label_smoothing(&self) -> f64 {
        self.number("label_smoothing")
    }

    /// How many lower layers stay as they are; above 0 the embeddings do too.
    pub fn freeze_layers(&self) -> usize {
        self.count("freeze_layers")
    }

    /// The rank of low-rank additions.
    pub fn lora_rank(&self) -> usize {
        self.count("lora_rank")
    }

    /// The scale of low-rank additions, times their rank.
    pub fn lora_alpha(&self) -> f64 {
        self.number("lora_alpha")
    }

    /// Where low-rank additions go.
    pub fn lora_targets(&self) -> LoraTargets {
        match self.word("lora_targets") {
            Some("attention") => LoraTargets::Attention,
            _ => LoraTargets::All,
        }
    }

    /// The patience in epochs; 0 never stops early.
    pub fn early_stopping(&self) -> u32 {
        self.count("early_stopping")
    }

    /// The number of shards, at least 1.
    pub fn shards(&self) -> usize {
        self.count("shards")
    }

    /// The rounds of an epoch, at least 1; `None` is 'auto'.
    pub fn rounds_per_epoch(&self) -> Option<usize> {
        self.integer("rounds_per_epoch").and_then(|rounds| usize::try_from(rounds).ok())
    }

    /// The inverse strength C of the L2 penalty, above 0; `None` is 'auto'.
    pub fn regularization(&self) -> Option<f64> {
        self.float("regularization")
    }

    /// How classes are weighed.
    pub fn class_weights(&self) -> ClassWeights {
        match self.word("class_weights") {
            Some("balanced") => ClassWeights::Balanced,
            _ => ClassWeights::None,
        }
    }

    /// From which probability on a label is predicted, between 0 and 1; `None` is 'auto'.
    pub fn threshold(&self) -> Option<f32> {
        self.float("threshold").map(|threshold| threshold as f32)
    }

    /// The part of the rows to set aside, at least 0 and below 0.9.
    pub fn validation_fraction(&self) -> f64 {
        self.number("validation_fraction")
    }

    /// The seed of everything random.
    pub fn seed(&self) -> u64 {
        self.count("seed")
    }

    /// The most tokens of a text, at least 4, if it is given; otherwise the model's window.
    pub fn max_length(&self) -> Option<usize> {
        self.integer("max_length").and_then(|length| usize::try_from(length).ok())
    }

    /// The precision of training and calls, `f32`, `bf16` or `int8`, where it is not left to the machine.
    pub fn precision(&self) -> Option<&'static str> {
        self.word("precision").filter(|name| *name != "auto")
    }

    /// Whether the statement gives this option.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Every option of the method with its value as text, those not given with their default: what a model's card
    /// keeps.
    pub fn to_card(&self) -> BTreeMap<String, String> {
        let method = self.method();
        let text = |option: &TrainingOption| match (self.given.get(option.name), option.default) {
            (Some(value), _) => value.to_string(),
            (None, OptionDefault::Words(words)) => words.to_string(),
            (None, default) => default.value(method).unwrap_or_default().to_string(),
        };
        let options = TRAINING_OPTIONS.iter().filter(|option| option.methods.contains(&method));
        options.map(|option| (option.name.to_string(), text(option))).collect()
    }

    /// The default of an option as text; none where the data or the model decides.
    fn default_of(&self, name: &str) -> Option<&'static str> {
        TrainingOption::named(name)?.default.value(self.method())
    }

    fn word(&self, name: &str) -> Option<&'static str> {
        match self.given.get(name) {
            Some(OptionValue::Word(word)) => Some(word),
            Some(_) => None,
            None => self.default_of(name),
        }
    }

    fn float(&self, name: &str) -> Option<f64> {
        match self.given.get(name) {
            Some(OptionValue::Float(number)) => Some(*number),
            Some(_) => None,
            None => self.default_of(name)?.parse().ok(),
        }
    }

    fn integer(&self, name: &str) -> Option<i64> {
        match self.given.get(name) {
            Some(OptionValue::Integer(number)) => Some(*number),
            Some(_) => None,
            None => self.default_of(name)?.parse().ok(),
        }
    }

    /// A number of an option that always has one: a test reads every default.
    fn number(&self, name: &str) -> f64 {
        self.float(name).unwrap_or_default()
    }

    fn count<N: TryFrom<i64> + Default>(&self, name: &str) -> N {
        self.integer(name).and_then(|number| N::try_from(number).ok()).unwrap_or_default()
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionValue::Word(word) => f.write_str(word),
            OptionValue::Integer(number) => number.fmt(f),
            OptionValue::Float(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use nightjar_errors::Failure;

    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<OptionValues> {
        let value = |text: &str| match text.strip_prefix('\'') {
            Some(text) => Value::SingleQuotedString(text.trim_end_matches('\'').to_string()),
            None if text == "true" => Value::Boolean(true),
            None => Value::Number(text.to_string(), false),
        };
        let options: Vec<_> = options.iter().map(|(name, text)| (name.to_string(), value(text))).collect();
        OptionValues::parse(&options)
    }

    fn error(options: &[(&str, &str)]) -> String {
        parse(options).unwrap_err().to_string()
    }

    #[test]
    fn every_default_is_a_value_that_its_option_takes() {
        for option in TRAINING_OPTIONS {
            for method in option.methods {
                let Some(text) = option.default.value(*method) else {
                    assert!(matches!(option.default, OptionDefault::Words(_)), "{}", option.name);
                    continue;
                };
                let quoted = Value::SingleQuotedString(text.to_owned());
                let plain = Value::Number(text.to_owned(), false);
                let value = option.kind.read(&plain).or_else(|| option.kind.read(&quoted));
                assert!(value.is_some(), "{} = {text}", option.name);
            }
        }
    }

    #[test]
    fn defaults_are_those_of_the_method() {
        let values = |method| parse(&[("method", method)]).unwrap();
        let (full, lora, head) = (values("'full'"), values("'lora'"), values("'head'"));
        assert_eq!(OptionValues::default().method(), DEFAULT_METHOD);
        assert_eq!((full.learning_rate(), lora.learning_rate()), (5e-5, 5e-4));
        assert_eq!((full.epochs(), full.batch_size(), full.schedule()), (None, 32, Schedule::Linear));
        assert_eq!((full.warmup_ratio(), full.weight_decay(), full.gradient_clip()), (0.1, 0.01, Some(1.0)));
        assert_eq!((full.dropout(), full.label_smoothing(), full.freeze_layers()), (0.1, 0.0, 0));
        assert_eq!((full.early_stopping(), full.shards(), full.rounds_per_epoch()), (0, 1, None));
        assert_eq!((lora.lora_rank(), lora.lora_alpha(), lora.lora_targets()), (16, 32.0, LoraTargets::All));
        assert_eq!((head.task(), head.regularization(), head.max_length()), (None, None, None));
        assert_eq!((head.validation_fraction(), head.seed()), (0.1, 42));
        assert_eq!((head.class_weights(), head.precision()), (ClassWeights::None, None));
    }

    #[test]
    fn a_card_keeps_the_options_of_its_method() {
        let card = |method| parse(&[("method", method)]).unwrap().to_card();
        let (full, lora, head) = (card("'full'"), card("'lora'"), card("'head'"));
        assert_eq!((full["learning_rate"].as_str(), lora["learning_rate"].as_str()), ("5e-5", "5e-4"));
        assert_eq!(
            (head["regularization"].as_str(), head["max_length"].as_str()),
            ("auto", "the model's window")
        );
        assert!(
            !head.contains_key("epochs")
                && !full.contains_key("lora_rank")
                && !lora.contains_key("regularization")
        );
    }

    #[test]
    fn options_of_gradient_training_are_read() {
        let values = parse(&[
            ("method", "'LoRA'"),
            ("learning_rate", "0.001"),
            ("schedule", "'Cosine'"),
            ("gradient_clip", "0"),
            ("lora_targets", "'attention'"),
            ("rounds_per_epoch", "4"),
            ("shards", "8"),
            ("freeze_layers", "2"),
        ])
        .unwrap();
        assert_eq!((values.method(), values.learning_rate()), (Method::Lora, 0.001));
        assert_eq!((values.schedule(), values.gradient_clip()), (Schedule::Cosine, None));
        assert_eq!((values.lora_targets(), values.rounds_per_epoch()), (LoraTargets::Attention, Some(4)));
        assert_eq!((values.shards(), values.freeze_layers()), (8, 2));
        assert_eq!(values.to_card()["learning_rate"], "0.001");
        let auto = parse(&[("method", "'full'"), ("rounds_per_epoch", "'auto'")]).unwrap();
        assert_eq!(auto.rounds_per_epoch(), None);
    }

    #[test]
    fn values_are_read() {
        let values = parse(&[
            ("task", "'Classify'"),
            ("regularization", "1e-2"),
            ("class_weights", "'balanced'"),
            ("validation_fraction", "0"),
            ("seed", "7"),
            ("max_length", "128"),
            ("method", "'HEAD'"),
        ])
        .unwrap();
        assert_eq!((values.method(), values.task()), (Method::Head, Some("classify")));
        assert_eq!((values.regularization(), values.validation_fraction()), (Some(0.01), 0.0));
        assert_eq!((values.seed(), values.max_length()), (7, Some(128)));
        assert_eq!(values.class_weights(), ClassWeights::Balanced);
        assert_eq!(
            parse(&[("method", "'head'"), ("regularization", "'auto'")]).unwrap().regularization(),
            None
        );
        assert_eq!(values.to_card()["regularization"], "0.01");
        assert_eq!(OptionValues::default().to_card()["method"], "full");
    }

    #[test]
    fn wrong_values_name_what_is_taken() {
        for (name, value, allowed) in [
            ("method", "'magic'", "'full', 'lora' or 'head'"),
            ("task", "'rank'", "'classify', 'regress' or 'embed'"),
            ("task", "1", "'classify', 'regress' or 'embed'"),
            ("class_weights", "true", "'none' or 'balanced'"),
            ("regularization", "0", "a number above 0 or 'auto'"),
            ("regularization", "'best'", "a number above 0 or 'auto'"),
            ("regularization", "1e999", "a number above 0 or 'auto'"),
            ("validation_fraction", "0.9", "a number from 0 to below 0.9"),
            ("validation_fraction", "-0.1", "a number from 0 to below 0.9"),
            ("validation_fraction", "'0.1'", "a number from 0 to below 0.9"),
            ("seed", "1.5", "a whole number from 0"),
            ("seed", "-1", "a whole number from 0"),
            ("seed", "99999999999999999999", "a whole number from 0"),
            ("max_length", "3", "a whole number from 4"),
        ] {
            // Named first, so that the options of a head are known to be its own.
            let method = ("method", "'head'");
            let given: &[(&str, &str)] =
                if name == "method" { &[(name, value)] } else { &[method, (name, value)] };
            assert_eq!(error(given), format!("option {name} cannot be {value}: it takes {allowed}"));
        }
        for (name, value, allowed) in [
            ("epochs", "0", "a whole number from 1 to 1000 or 'auto'"),
            ("learning_rate", "0", "a number above 0 to 1"),
            ("batch_size", "'32'", "a whole number from 1 to 65536"),
            ("dropout", "1", "a number from 0 to below 1"),
            ("warmup_ratio", "-0.1", "a number from 0 to below 1"),
            ("gradient_clip", "-1", "a number from 0"),
            ("schedule", "'step'", "'linear' or 'cosine'"),
            ("rounds_per_epoch", "0", "a whole number from 1 to 10000 or 'auto'"),
            ("rounds_per_epoch", "'many'", "a whole number from 1 to 10000 or 'auto'"),
        ] {
            assert_eq!(
                error(&[("method", "'full'"), (name, value)]),
                format!("option {name} cannot be {value}: it takes {allowed}")
            );
        }
    }

    #[test]
    fn unknown_repeated_and_later_options() {
        let unknown = parse(&[("sed", "1")]).unwrap_err();
        assert_eq!(unknown.to_string(), "unknown training option sed");
        assert_eq!(unknown.hint().as_deref(), Some("did you mean seed?"));
        let far = parse(&[("quantum", "1")]).unwrap_err();
        assert!(far.hint().unwrap().starts_with("the options are method, task"), "{far:?}");
        assert_eq!(error(&[("seed", "1"), ("seed", "1")]), "option seed is given twice");
        assert_eq!(
            error(&[("epochs", "2"), ("method", "'head'")]),
            "option epochs is for method 'full' or 'lora', and the method is 'head'"
        );
        assert_eq!(
            error(&[("lora_rank", "2"), ("method", "'full'")]),
            "option lora_rank is for method 'lora', and the method is 'full'"
        );
        let head = parse(&[("regularization", "2"), ("method", "'lora'")]).unwrap_err();
        assert_eq!(head.hint().as_deref(), Some("leave regularization out, or say method = 'head'"));
    }

    #[test]
    fn every_option_refuses_the_methods_that_lack_it() {
        for option in TRAINING_OPTIONS {
            for method in Method::ALL.iter().filter(|method| !option.methods.contains(method)) {
                let found = parse(&[("method", method.sql()), (option.name, "1")]).unwrap_err();
                assert_eq!(found.code(), "training_option_of_other_method", "{} {method}", option.name);
            }
        }
    }
}
