//! Timestamps beyond the years that 64 bits of nanoseconds reach, 1677 to 2262.

use std::cell::Cell;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::expressions::{rewrite_comparison, rewrite_expressions};

/// Reads literals as microseconds where nanoseconds can't hold them, and where they are compared with a column of a coarser unit.
///
/// SQL's TIMESTAMP is in nanoseconds here, and so is what a comparison of a timestamp with a date or a text is made in: a literal
/// or a row of the year 9999 would be an error.
#[derive(Debug)]
pub(crate) struct WideTimestamps;

impl AnalyzerRule for WideTimestamps {
    fn name(&self) -> &str {
        "wide_timestamps"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let any = Cell::new(false);
        let widened = plan.transform_up_with_subqueries(|node| {
            let node =
                rewrite_expressions(node, |expr, schema| expr.transform_up(|expr| widened(expr, schema)))?;
            any.set(any.get() || node.transformed);
            // What stands above a column whose type is another now has it too.
            if any.get() { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })?;
        Ok(widened.data)
    }
}

fn widened(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Cast(Cast { expr: text, field }) => {
            let wide = match (text.as_ref(), field.data_type()) {
                (Expr::Literal(text, _), DataType::Timestamp(TimeUnit::Nanosecond, zone))
                    if is_text(text) =>
                {
                    let wide = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                    let only_wide = text.cast_to(field.data_type()).is_err() && text.cast_to(&wide).is_ok();
                    only_wide.then_some(wide)
                }
                _ => None,
            };
            Ok(match wide {
                Some(wide) => Transformed::yes(cast(*text, wide)),
                None => Transformed::no(Expr::Cast(Cast { expr: text, field })),
            })
        }
        other => rewrite_comparison(other, |sides| compared(sides, schema)),
    }
}

/// Returns the sides of a comparison, in microseconds where one of them is a timestamp of a coarser unit than nanoseconds, or a
/// date, and nothing is lost.
fn compared(sides: Vec<Expr>, schema: &DFSchema) -> Vec<Transformed<Expr>> {
    let types: Vec<Option<DataType>> = sides.iter().map(|side| side.get_type(schema).ok()).collect();
    let known = || types.iter().flatten();
    let zones = || {
        known().filter_map(|data_type| match data_type {
            DataType::Timestamp(_, zone) => Some(zone.clone()),
            _ => None,
        })
    };
    let is_date = |data_type: &DataType| matches!(data_type, DataType::Date32);
    let is_coarse = |data_type: &DataType| match data_type {
        DataType::Timestamp(unit, _) => *unit != TimeUnit::Nanosecond,
        other => is_date(other),
    };
    let dates = known().any(is_date);
    // A comparison with a date forgets the zone, as DataFusion's does.
    let zone = if dates { None } else { zones().flatten().next() };
    let wide = DataType::Timestamp(TimeUnit::Microsecond, zone);
    let apply = zones().next().is_some()
        && known().any(is_coarse)
        && sides.iter().zip(&types).all(|(side, data_type)| fits(side, data_type.as_ref(), &wide));
    let sides = sides.into_iter().zip(types);
    sides
        .map(|(side, data_type)| match data_type {
            _ if !apply => Transformed::no(side),
            // Of a coarser unit: DataFusion takes the finer one.
            Some(DataType::Timestamp(unit, _)) if unit != TimeUnit::Nanosecond && !dates => {
                Transformed::no(side)
            }
            Some(DataType::Null) => Transformed::no(side),
            _ => Transformed::yes(wide_cast(side, &wide)),
        })
        .collect()
}

/// Whether a side of a comparison loses nothing in microseconds: a timestamp in nanoseconds must be a literal of whole ones.
fn fits(side: &Expr, data_type: Option<&DataType>, wide: &DataType) -> bool {
    match (side, data_type) {
        (_, Some(DataType::Timestamp(unit, _))) if *unit != TimeUnit::Nanosecond => true,
        (_, Some(DataType::Date32 | DataType::Null)) => true,
        (Expr::Literal(text, _), Some(_)) if is_text(text) => {
            text.cast_to(wide).is_ok() && is_whole(text, wide)
        }
        (Expr::Cast(Cast { expr: text, .. }), Some(DataType::Timestamp(..))) => {
            matches!(text.as_ref(), Expr::Literal(text, _) if is_text(text) && is_whole(text, wide))
        }
        _ => false,
    }
}

/// Whether a text is the same moment in nanoseconds, where they reach it.
fn is_whole(text: &ScalarValue, wide: &DataType) -> bool {
    let DataType::Timestamp(_, zone) = wide else { return false };
    let fine = text.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()));
    match fine {
        Ok(ScalarValue::TimestampNanosecond(Some(fine), _)) => fine % 1_000 == 0,
        Ok(_) => false,
        Err(_) => text.cast_to(wide).is_ok(),
    }
}

fn wide_cast(side: Expr, wide: &DataType) -> Expr {
    match side {
        // The text itself: by way of nanoseconds it may not be read. Its zone stays what it was.
        Expr::Cast(Cast { expr: text, field })
            if matches!(text.as_ref(), Expr::Literal(text, _) if is_text(text))
                && !matches!(field.data_type(), DataType::Date32) =>
        {
            let zone = match field.data_type() {
                DataType::Timestamp(_, zone) => zone.clone(),
                _ => None,
            };
            cast(*text, DataType::Timestamp(TimeUnit::Microsecond, zone))
        }
        side => cast(side, wide.clone()),
    }
}

fn is_text(value: &ScalarValue) -> bool {
    matches!(
        value,
        ScalarValue::Utf8(Some(_)) | ScalarValue::LargeUtf8(Some(_)) | ScalarValue::Utf8View(Some(_))
    )
}
