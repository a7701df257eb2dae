//! `EXPLAIN CREATE MODEL`.

use crate::StatementContext;
use crate::base_model::find_base;
use crate::error::Result;
use crate::execute::Execute;
use crate::labelled_rows::LabelledRows;
use crate::training::Training;
use crate::tuning::tuning_phases;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::common::DataFusionError;
use datafusion::physical_plan::displayable;
use datafusion::prelude::DataFrame;
use nightjar_catalog::OnConflict;
use nightjar_sql::{ExplainCreateModel, Method, OptionValues};
use std::sync::Arc;

impl Execute for ExplainCreateModel {
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
