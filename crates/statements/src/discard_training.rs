//! `DISCARD TRAINING OF`.

use std::fmt;

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;
use nightjar_catalog::TrainingOutcome;

use crate::StatementContext;
use crate::context::done;
use crate::error::Result;
use crate::grammar::{at, expect, expect_end};
use crate::names::{parse_model_name, quote_identifier};
use crate::resume_training::newest_resumable;
use crate::statement::{Execute, StatementKind};
use crate::tensorboard_folder;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "DISCARD TRAINING",
    syntax: "DISCARD TRAINING OF name",
    summary: "Gives up the trainings of a model that wait to be resumed: their files are removed, and \
        `nightjar.training_runs` shows them as failed. Versions, and trainings at work, stay as they are.",
    example: "DISCARD TRAINING OF sentiment",
    starts: |parser| at(parser, &["DISCARD", "TRAINING"]),
    parse: |parser| Ok(Box::new(DiscardTraining::parse(parser)?)),
};

/// Gives up a model's resumable trainings.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscardTraining {
    /// The model's name.
    pub model: String,
}

impl DiscardTraining {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["DISCARD", "TRAINING", "OF"])?;
        let model = parse_model_name(parser)?;
        expect_end(parser, &[])?;
        Ok(DiscardTraining { model })
    }
}

impl fmt::Display for DiscardTraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DISCARD TRAINING OF {}", quote_identifier(&self.model))
    }
}

impl Execute for DiscardTraining {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        let mut next = Some(newest_resumable(context, &self.model)?);
        while let Some(run) = next {
            // The folder first: whoever has it knows that nobody is still writing.
            let folder = context.store.run_folder(run.run_id)?;
            catalog.adopt_run(run.run_id)?;
            let outcome = TrainingOutcome::Failed { error: "discarded by DISCARD TRAINING".to_owned() };
            catalog.finish_training(run.run_id, &outcome)?;
            folder.finish()?;
            tensorboard_folder::hide_run(&context.store, &self.model, run.run_id);
            next = catalog.resumable_run(&self.model, None)?;
        }
        done(context)
    }
}
