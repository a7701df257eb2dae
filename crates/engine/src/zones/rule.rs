//! The analyzer rule.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;
use nightjar_zones::{ArrowZone, arrow_zone};

use super::rewrite::{as_text, differing_zone, rewrite, zone_error};
use crate::error::EngineError;
use crate::expressions::rewrite_expressions;

/// Puts functions of ours where Arrow would go by other rules of time zones than those that decide. It comes after the rules that settle types.
#[derive(Debug)]
pub(crate) struct CurrentZones;

impl AnalyzerRule for CurrentZones {
    fn name(&self) -> &str {
        "current_zones"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let session_zone = config.execution.time_zone.as_deref();
        let session_zone = match session_zone.map(arrow_zone).transpose().map_err(zone_error)? {
            Some(ArrowZone::Differs(zone)) => Some(zone.name().to_owned()),
            _ => None,
        };
        let analyzed = plan.transform_up_with_subqueries(|plan| {
            if let LogicalPlan::TableScan(scan) = &plan
                && matches!(scan.table_name.table(), "generate_series()" | "range()")
            {
                check_columns(&scan.source.schema(), "a series of timestamps")?;
            }
            let rewritten = rewrite_expressions(plan, |expr, schema| {
                expr.transform_up(|expr| {
                    Ok(match rewrite(&expr, schema, session_zone.as_deref())? {
                        Some(new) => Transformed::yes(new),
                        None => Transformed::no(expr),
                    })
                })
            })?;
            match rewritten.data {
                LogicalPlan::Copy(copy) => written_as_text(copy),
                plan => Ok(Transformed::new_transformed(plan, rewritten.transformed)),
            }
        })?;
        Ok(analyzed.data)
    }
}

/// Refuses what no zone is called as the zone of a session, before it is set: a refused SET leaves the session as it was.
pub(crate) fn check_setting(variable: &str, value: &str) -> Result<()> {
    if variable.eq_ignore_ascii_case("datafusion.execution.time_zone") {
        arrow_zone(value).map_err(zone_error)?;
    }
    Ok(())
}

/// Refuses columns of timestamps in a zone whose rules are others for Arrow, where they are filled by it and not by an expression: read
/// from files into what is declared, or made as a series.
pub(crate) fn check_columns(schema: &Schema, what: &str) -> Result<()> {
    for field in schema.fields() {
        if let Some(zone) = differing_zone(field.data_type()).map_err(zone_error)? {
            return Err(
                EngineError::zone_rules(format!("{what} ({})", field.name()), &zone).into_datafusion()
            );
        }
    }
    Ok(())
}

/// Writes timestamps as text in the formats that have only text.
fn written_as_text(copy: CopyTo) -> Result<Transformed<LogicalPlan>> {
    if !matches!(copy.file_type.get_ext().as_str(), "csv" | "tsv" | "json") {
        return Ok(Transformed::no(LogicalPlan::Copy(copy)));
    }
    let mut is_changed = false;
    let columns = copy.input.schema().iter().map(|(qualifier, field)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        Ok(match as_text(&column, field.data_type())? {
            Some(text) => {
                is_changed = true;
                text.alias_qualified(qualifier.cloned(), field.name())
            }
            None => column,
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    if !is_changed {
        return Ok(Transformed::no(LogicalPlan::Copy(copy)));
    }
    let input =
        LogicalPlanBuilder::from(Arc::unwrap_or_clone(copy.input.clone())).project(columns)?.build()?;
    let copy = CopyTo { input: Arc::new(input), ..copy };
    Ok(Transformed::yes(LogicalPlan::Copy(copy)))
}
