//! `EXPLAIN CREATE MODEL`.

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::common::DataFusionError;
use datafusion::physical_plan::displayable;
use datafusion::prelude::DataFrame;
use nightjar_catalog::OnConflict;
use std::fmt;
use std::sync::Arc;

use crate::base_model::find_base;
use crate::labelled_rows::LabelledRows;
use crate::method::Method;
use crate::training::Training;
use crate::tuning::tuning_phases;
use crate::{OptionValues, StatementContext};

use datafusion::sql::parser::DFParser;

use crate::create_model::{CreateModel, is_create_model};
use crate::error::Result;
use crate::grammar::{at, expect};
use crate::statement::{Execute, StatementKind};

pub(crate) static KIND: StatementKind = StatementKind {
    name: "EXPLAIN CREATE MODEL",
    syntax: "EXPLAIN CREATE [OR REPLACE] MODEL …",
    summary: "Shows the plan of each phase of a `CREATE MODEL`. It trains nothing and makes nothing.",
    example: "EXPLAIN CREATE MODEL sentiment FROM 'all-MiniLM-L6-v2' FINE_TUNE ON reviews TARGET stars",
    starts: |parser| at(parser, &["EXPLAIN"]) && is_create_model(parser, 1),
    parse: |parser| Ok(Box::new(ExplainCreateModel::parse(parser)?)),
};

/// Shows how a model would be made.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainCreateModel {
    /// The statement to explain.
    pub create: CreateModel,
}

impl ExplainCreateModel {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        expect(&mut parser.parser, &["EXPLAIN"])?;
        Ok(ExplainCreateModel { create: CreateModel::parse(parser)? })
    }
}

impl fmt::Display for ExplainCreateModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EXPLAIN {}", self.create)
    }
}

impl Execute for ExplainCreateModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let create = &self.create;
        let options = OptionValues::parse(&create.options)?;
        let base = find_base(context, create.base.as_deref(), false).await?;
        let Some(fine_tune) = &create.fine_tune else {
            return phases(context, vec![("commit", format!("{} from {}", create.name, base.name))]);
        };
        let training = Training {
            name: &create.name,
            base,
            fine_tune,
            options,
            on_conflict: OnConflict::Fail,
            keeps: None,
        };
        training.check()?;
        if training.options.method() != Method::Head {
            return phases(context, tuning_phases(context, &training).await?);
        }
        let (roles, rows) = training.roles(context).await?;
        let prepare = LabelledRows::plan(context, rows, &roles, &training.pinned())?;
        let plan = prepare.create_physical_plan().await?;
        let mut listed = vec![("prepare", displayable(plan.as_ref()).indent(false).to_string())];
        if let Some(data) = &fine_tune.validate {
            let rows = context.rows(data).await?;
            let plan = LabelledRows::plan(context, rows, &roles, &training.pinned())?;
            let plan = plan.create_physical_plan().await?;
            listed.push(("validate", displayable(plan.as_ref()).indent(false).to_string()));
        }
        listed.push(("fit", training.describe_fit(&roles)));
        listed.push(("commit", format!("one version of {}, with its artifact and card", create.name)));
        phases(context, listed)
    }
}

/// Returns the phases as EXPLAIN prints plans: a type and a text.
fn phases(context: &StatementContext, phases: Vec<(&str, String)>) -> Result<DataFrame> {
    let (names, plans): (Vec<_>, Vec<_>) = phases.into_iter().unzip();
    let columns: [(&str, ArrayRef); 2] =
        [("phase", Arc::new(StringArray::from(names))), ("plan", Arc::new(StringArray::from(plans)))];
    let batch = RecordBatch::try_from_iter(columns).map_err(DataFusionError::from)?;
    Ok(context.session.read_batch(batch)?)
}
