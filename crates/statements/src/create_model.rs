//! `CREATE MODEL`.

use datafusion::prelude::DataFrame;
use nightjar_catalog::{CatalogError, ModelCard, NewModel, OnConflict};
use nightjar_names::ModelReference;
use std::fmt;

use crate::base_model::{BaseModel, find_base, measure};
use crate::context::done;
use crate::training::Training;
use crate::training_rows::TrainingRows;
use crate::{OptionValues, StatementContext};

use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::ast::Value;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::dependents::Uses;
use crate::error::{Result, StatementError};
use crate::fine_tune::FineTune;
use crate::grammar::{accept, at, error_at, expect, expect_end, unexpected};
use crate::names::{parse_model_name, parse_model_reference, quote_identifier, quote_literal};
use crate::statement::{Execute, StatementKind};
use crate::with_clause::{accept_with, write_with};

pub(crate) static KIND: StatementKind = StatementKind {
    name: "CREATE MODEL",
    syntax: "CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name
    [FROM 'base']
    [FINE_TUNE ON { table | 'file' | (query) }
        [TARGET column]
        [VALIDATE ON { table | 'file' | (query) }]]
    [WITH (option = value, …)]",
    summary: "Makes a model, or with `OR REPLACE` another version of one. `FROM` names what it starts from: a model of \
        the catalog (`name` or `name@version`), a known name, `hf://org/repo[@revision]`, or a path; without it, \
        the default base. `FINE_TUNE ON` names labelled rows: the target is the column `label` unless `TARGET` \
        names another, and the other columns are the inputs: a text, or two that are read as one, by \
        `classify(first, second, 'name')` later. With `task = 'embed'` the rows are pairs of texts, with a \
        score or without. Without `VALIDATE ON` a part of the rows is set \
        aside to measure on. Returns the metrics of the training and the version created.",
    example: "CREATE MODEL sentiment FROM 'all-MiniLM-L6-v2'
    FINE_TUNE ON (SELECT review, label FROM reviews WHERE label IS NOT NULL)
    WITH (class_weights = 'balanced')",
    starts: |parser| is_create_model(parser, 0),
    parse: |parser| Ok(Box::new(CreateModel::parse(parser)?)),
};

/// Makes a model, or another version of one.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateModel {
    /// Whether a model of that name gets another version.
    pub or_replace: bool,
    /// Whether a model of that name makes the statement do nothing.
    pub if_not_exists: bool,
    /// The model's name.
    pub name: String,
    /// What it starts from, as written; the default base if it is not given.
    pub base: Option<String>,
    /// What to train on; the base as it is if it is not given.
    pub fine_tune: Option<FineTune>,
    /// The options as written.
    pub options: Vec<(String, Value)>,
}

/// Whether `CREATE MODEL` or `CREATE OR REPLACE MODEL` begins `skip` tokens ahead.
pub(crate) fn is_create_model(parser: &Parser<'_>, skip: usize) -> bool {
    let word = |n| crate::grammar::word_at(parser, skip + n);
    let is = |n, keyword: &str| word(n).as_deref() == Some(keyword);
    is(0, "CREATE") && (is(1, "MODEL") || (is(1, "OR") && is(2, "REPLACE") && is(3, "MODEL")))
}

impl CreateModel {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["CREATE"])?;
        let or_replace = accept(parser, &["OR", "REPLACE"]);
        expect(parser, &["MODEL"])?;
        let conflict = parser.peek_token();
        let if_not_exists = accept(parser, &["IF", "NOT", "EXISTS"]);
        if or_replace && if_not_exists {
            return Err(error_at(&conflict, "OR REPLACE and IF NOT EXISTS exclude each other"));
        }
        let name = parse_model_name(parser)?;
        let base = accept_base(parser)?;
        let fine_tune = FineTune::accept(parser)?;
        let options = accept_with(parser)?;
        let following: &[&str] = match (&base, &fine_tune) {
            _ if !options.is_empty() => &[],
            (_, Some(fine_tune)) => fine_tune.following(),
            (Some(_), None) => &["FINE_TUNE ON", "WITH"],
            (None, None) => &["FROM", "FINE_TUNE ON", "WITH"],
        };
        expect_end(parser, following)?;
        Ok(CreateModel { or_replace, if_not_exists, name, base, fine_tune, options })
    }
}

/// Reads `FROM 'base'` if it comes next. A bare model name will do as well.
fn accept_base(parser: &mut Parser<'_>) -> Result<Option<String>> {
    if !accept(parser, &["FROM"]) {
        return Ok(None);
    }
    let token = parser.peek_token();
    match token.token.clone() {
        Token::SingleQuotedString(base) if base.trim().is_empty() => {
            Err(error_at(&token, "the base is empty"))
        }
        Token::SingleQuotedString(base) => {
            parser.advance_token();
            Ok(Some(base))
        }
        Token::Word(_) if !at(parser, &["FINE_TUNE"]) => {
            let model = parse_model_reference(parser)?;
            Ok(Some(match model.version {
                Some(version) => format!("{}@{version}", model.name),
                None => model.name,
            }))
        }
        _ => Err(unexpected(parser, &["a base in quotes"])),
    }
}

impl fmt::Display for CreateModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_replace = if self.or_replace { " OR REPLACE" } else { "" };
        let if_not_exists = if self.if_not_exists { " IF NOT EXISTS" } else { "" };
        write!(f, "CREATE{or_replace} MODEL{if_not_exists} {}", quote_identifier(&self.name))?;
        if let Some(base) = &self.base {
            write!(f, " FROM {}", quote_literal(base))?;
        }
        if let Some(fine_tune) = &self.fine_tune {
            write!(f, " {fine_tune}")?;
        }
        write_with(f, &self.options)
    }
}

impl Execute for CreateModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn check(&self, context: &StatementContext) -> Result<()> {
        let options = OptionValues::parse(&self.options)?;
        let Some(fine_tune) = &self.fine_tune else { return Ok(()) };
        // One that is still to be fetched can't say what fits it.
        let Ok(base) = find_base(context, self.base.as_deref(), false).await else {
            return context.rows(&fine_tune.data).await.map(drop);
        };
        let on_conflict = OnConflict::Fail;
        let training = Training { name: &self.name, base, fine_tune, options, on_conflict, keeps: None };
        training.check()?;
        training.roles(context).await.map(drop)
    }

    fn uses(&self) -> Uses {
        let base = self.base.as_ref().and_then(|base| base.parse().ok());
        Uses {
            queries: self.fine_tune.iter().flat_map(FineTune::queries).collect(),
            models: base.into_iter().collect(),
            makes_model: Some(self.name.clone()),
            ..Uses::default()
        }
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        let existing = catalog.model_version(&ModelReference::current(&self.name));
        // Refused before hours of work and not after; the commit checks again, for two at once.
        if let (Ok(existing), false) = (&existing, self.or_replace) {
            if !self.if_not_exists {
                return Err(CatalogError::ModelExists { name: self.name.clone() }.into());
            }
            context.watch.note(&format!("model {} exists already; nothing was done", existing.name));
            return done(context);
        }
        let options = OptionValues::parse(&self.options)?;
        let on_conflict = match (self.or_replace, self.if_not_exists) {
            (true, _) => OnConflict::Replace,
            (_, true) => OnConflict::Ignore,
            _ => OnConflict::Fail,
        };
        let base = find_base(context, self.base.as_deref(), true).await?;
        let Some(fine_tune) = &self.fine_tune else {
            return self.keep_base(context, base, on_conflict).await;
        };
        let training = Training { name: &self.name, base, fine_tune, options, on_conflict, keeps: None };
        training.run(context).await
    }
}

impl CreateModel {
    /// Makes a version that is its base, untrained: another name for it, with a history of its own.
    async fn keep_base(
        &self,
        context: &StatementContext,
        base: BaseModel,
        on_conflict: OnConflict,
    ) -> Result<DataFrame> {
        if let Some((option, _)) = self.options.first() {
            return Err(StatementError::OptionWithoutTraining { option: option.clone() });
        }
        let card = measure(context, base.card).await?;
        let card = ModelCard { base: Some(base.name), ..card };
        let new = NewModel { name: self.name.clone(), card, digest: base.pinned.digest, run: None };
        let created = context.store.catalog().create_model(&new, on_conflict)?;
        context.watch.conclude(&TrainingRows::conclusion(&created, None, 0));
        Ok(context.session.read_batch(TrainingRows::untrained(&created)?)?)
    }
}
