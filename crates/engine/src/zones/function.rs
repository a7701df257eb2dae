//! The functions that stand in a plan where Arrow's rules of a zone are not those that decide.
//!
//! Their arguments are the value, the zone's name and the release of the rules that the plan was made by, then what the function needs. A
//! process with rules of another release refuses them: an executor must not answer by other rules than its coordinator.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use nightjar_zones::{WallTime, Zone, rules};

use super::values;
use crate::error::EngineError;

/// What a function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// Instant → what the wall clock shows.
    Wall,
    /// What a wall clock shows → instant; an error for none or two.
    Instant,
    /// The same, NULL for none or two.
    TryInstant,
    /// The same; the first of two, and for none the moment at which the clock was put forward.
    FirstInstant,
    /// Instant, and a time on its wall clock → the instant moved by their difference.
    Move,
    /// Instant → text with its offset.
    Text,
    /// Text → instant.
    Parse,
    /// Text → instant, NULL for any other text.
    TryParse,
    /// Instant, interval → instant.
    Add,
    /// Instant, interval → instant.
    Subtract,
}

impl Operation {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Wall, "zoned_wall_time"),
        (Self::Instant, "zoned_instant"),
        (Self::TryInstant, "zoned_try_instant"),
        (Self::FirstInstant, "zoned_first_instant"),
        (Self::Move, "zoned_move"),
        (Self::Text, "zoned_text"),
        (Self::Parse, "zoned_parse"),
        (Self::TryParse, "zoned_try_parse"),
        (Self::Add, "zoned_add"),
        (Self::Subtract, "zoned_subtract"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(operation, _)| *operation == self).map_or("", |(_, name)| name)
    }

    /// Returns the function.
    pub(super) fn function(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(ZonedFunction {
            operation: self,
            signature: Signature::variadic_any(Volatility::Immutable),
        }))
    }
}

/// Returns all functions, for sessions and executors alike.
pub(crate) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    Operation::ALL.into_iter().map(|(operation, _)| operation.function())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ZonedFunction {
    operation: Operation,
    signature: Signature,
}

fn text(value: Option<&ScalarValue>) -> Result<&str> {
    match value.and_then(|value| value.try_as_str().flatten()) {
        Some(text) => Ok(text),
        None => internal_err!("a zone's function needs constants"),
    }
}

/// The unit that a parsed timestamp is to have, as Arrow abbreviates it.
fn unit_of(text: &str) -> TimeUnit {
    match text {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "µs" => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

impl ScalarUDFImpl for ZonedFunction {
    fn name(&self) -> &str {
        self.operation.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("its type depends on its arguments")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let zone = || text(args.scalar_arguments.get(1).copied().flatten());
        let unit = match args.arg_fields.first().map(|field| field.data_type()) {
            Some(DataType::Timestamp(unit, _)) => *unit,
            _ => unit_of(text(args.scalar_arguments.get(3).copied().flatten()).unwrap_or_default()),
        };
        let returned = match self.operation {
            Operation::Wall => DataType::Timestamp(unit, None),
            Operation::Text => DataType::Utf8,
            _ => DataType::Timestamp(unit, Some(zone()?.into())),
        };
        Ok(Arc::new(Field::new(self.name(), returned, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = |index: usize| match args.args.get(index) {
            Some(ColumnarValue::Scalar(value)) => text(Some(value)),
            _ => internal_err!("a zone's function needs constants"),
        };
        let (name, release) = (constant(1)?, constant(2)?);
        if release != rules().release() {
            let failure =
                EngineError::OtherZoneRules { planned_by: release.to_owned(), here: rules().to_string() };
            return Err(failure.into_datafusion());
        }
        let zone = rules().zone(name).map_err(|error| EngineError::Zone(error).into_datafusion())?;
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let value = args.args[0].to_array(rows)?;
        let other = args.args.get(3).map(|other| other.to_array(rows)).transpose()?;
        let found = self.operation.run(&zone, &value, other.as_ref(), args.return_field.data_type())?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

impl Operation {
    fn run(self, zone: &Zone, value: &ArrayRef, other: Option<&ArrayRef>, to: &DataType) -> Result<ArrayRef> {
        let unit = match (value.data_type(), to) {
            (DataType::Timestamp(unit, _), _) | (_, DataType::Timestamp(unit, _)) => *unit,
            _ => TimeUnit::Nanosecond,
        };
        if matches!(self, Self::Parse | Self::TryParse) {
            return timestamps(parsed(zone, unit, value, self == Self::TryParse)?, to);
        }
        let numbers = cast(value, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        if self == Self::Text {
            let texts = numbers.iter().map(|value| {
                let Some(value) = value else { return Ok(None) };
                values::text(zone, unit, value).map(Some).ok_or_else(|| failure(zone, value, unit))
            });
            return Ok(Arc::new(texts.collect::<Result<StringArray>>()?));
        }
        let others = match (self, other) {
            (Self::Move, Some(other)) => Some(cast(other, &DataType::Int64)?),
            (Self::Add | Self::Subtract, Some(other)) => {
                Some(cast(other, &DataType::Interval(IntervalUnit::MonthDayNano))?)
            }
            _ => None,
        };
        let found = numbers.iter().enumerate().map(|(row, value)| {
            let Some(value) = value else { return Ok(None) };
            if others.as_ref().is_some_and(|others| others.is_null(row)) {
                return Ok(None);
            }
            let found = self.value(zone, unit, value, others.as_ref(), row);
            match found {
                None if self != Self::TryInstant => Err(failure(zone, value, unit)),
                found => Ok(found),
            }
        });
        timestamps(found.collect::<Result<Int64Array>>()?, to)
    }

    fn value(
        self,
        zone: &Zone,
        unit: TimeUnit,
        value: i64,
        others: Option<&ArrayRef>,
        row: usize,
    ) -> Option<i64> {
        match (self, others) {
            (Self::Wall, _) => values::wall(zone, unit, value),
            (Self::Instant | Self::TryInstant, _) => values::instant(zone, unit, value, values::only),
            (Self::FirstInstant, _) => {
                values::instant(zone, unit, value, |shown: WallTime| Some(shown.first()))
            }
            (Self::Move, Some(walls)) => {
                let to = walls.as_primitive::<Int64Type>().value(row);
                value.checked_add(to.checked_sub(values::wall(zone, unit, value)?)?)
            }
            (Self::Add | Self::Subtract, Some(intervals)) => {
                let interval = intervals.as_primitive::<IntervalMonthDayNanoType>().value(row);
                values::add(zone, unit, value, interval, if self == Self::Add { 1 } else { -1 })
            }
            _ => None,
        }
    }
}

fn timestamps(values: Int64Array, to: &DataType) -> Result<ArrayRef> {
    Ok(cast(&values, to)?)
}

fn parsed(zone: &Zone, unit: TimeUnit, value: &ArrayRef, is_lenient: bool) -> Result<Int64Array> {
    let texts = cast(value, &DataType::Utf8)?;
    let values =
        texts.as_string::<i32>().iter().map(|text| match text.map(|text| values::parse(zone, unit, text)) {
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(reason)) if !is_lenient => {
                Err(EngineError::ZonedTime { zone: zone.name().to_owned(), reason }.into_datafusion())
            }
            _ => Ok(None),
        });
    values.collect()
}

fn failure(zone: &Zone, value: i64, unit: TimeUnit) -> datafusion::error::DataFusionError {
    let time = chrono::DateTime::from_timestamp(value.div_euclid(values::per_second(unit)), 0);
    let reason = match time {
        Some(time) => format!("{} is out of range, or stands for no single moment", time.naive_utc()),
        None => format!("{value} is out of range"),
    };
    EngineError::ZonedTime { zone: zone.name().to_owned(), reason }.into_datafusion()
}
