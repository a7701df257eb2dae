//! Which expressions depend on a zone's wall clock, and what stands for them.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{ExprSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::functions::datetime;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, TryCast, lit};
use nightjar_zones::{ArrowZone, ZoneError, arrow_zone, rules};

use super::function::Operation;
use super::values;
use crate::error::EngineError;

/// Functions to which an instant is an instant, or only a value.
const ZONE_FREE: &[&str] = &[
    "coalesce",
    "nullif",
    "nvl",
    "ifnull",
    "nvl2",
    "greatest",
    "least",
    "make_array",
    "array",
    "struct",
    "named_struct",
    "row",
    "map",
    "make_map",
    "arrow_typeof",
    "arrow_metadata",
    "to_unixtime",
    "date_bin",
    "get_field",
    "cardinality",
    "flatten",
    "unnest",
    "now",
    "union_extract",
    "map_extract",
    "map_keys",
    "map_values",
    "map_entries",
    "to_timestamp",
    "to_timestamp_seconds",
    "to_timestamp_millis",
    "to_timestamp_micros",
    "to_timestamp_nanos",
    "from_unixtime",
    "isnull",
    "isnotnull",
];

/// Returns the zone in a type, also in a nested one, whose rules are others for Arrow.
pub(super) fn differing_zone(data_type: &DataType) -> Result<Option<String>, ZoneError> {
    match data_type {
        DataType::Timestamp(_, Some(zone)) => Ok(match arrow_zone(zone)? {
            ArrowZone::Differs(_) => Some(zone.to_string()),
            ArrowZone::Agrees => None,
        }),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => differing_zone(item.data_type()),
        DataType::Dictionary(_, value) => differing_zone(value),
        DataType::RunEndEncoded(_, values) => differing_zone(values.data_type()),
        DataType::Struct(fields) => {
            fields.iter().try_fold(None, |found, field| Ok(found.or(differing_zone(field.data_type())?)))
        }
        DataType::Union(fields, _) => {
            fields.iter().try_fold(None, |found, (_, field)| Ok(found.or(differing_zone(field.data_type())?)))
        }
        _ => Ok(None),
    }
}

fn differing(data_type: &DataType) -> Result<Option<String>> {
    differing_zone(data_type).map_err(zone_error)
}

pub(super) fn zone_error(error: ZoneError) -> datafusion::error::DataFusionError {
    EngineError::Zone(error).into_datafusion()
}

fn refuse<T>(what: impl Into<String>, zone: &str) -> Result<T> {
    Err(EngineError::zone_rules(what, zone).into_datafusion())
}

fn call(operation: Operation, value: Expr, zone: &str, rest: Option<Expr>) -> Expr {
    let mut args = vec![value, lit(zone), lit(rules().release())];
    args.extend(rest);
    Expr::ScalarFunction(ScalarFunction::new_udf(operation.function(), args))
}

fn cast_to(value: Expr, to: &DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(value), to.clone()))
}

/// Returns an expression as text with offsets where Arrow would write it by other rules; None where it wouldn't.
pub(super) fn as_text(value: &Expr, data_type: &DataType) -> Result<Option<Expr>> {
    match (data_type, differing(data_type)?) {
        (_, None) => Ok(None),
        (DataType::Timestamp(..), Some(zone)) => Ok(Some(call(Operation::Text, value.clone(), &zone, None))),
        (_, Some(zone)) => refuse("writing a list or struct of timestamps as text", &zone),
    }
}

/// Returns what stands for an expression; None where it stays. Its children have been rewritten.
pub(super) fn rewrite(
    expr: &Expr,
    schema: &dyn ExprSchema,
    session_zone: Option<&str>,
) -> Result<Option<Expr>> {
    match expr {
        Expr::Cast(Cast { expr, field }) => cast(expr, field.data_type(), false, schema),
        Expr::TryCast(TryCast { expr, field }) => cast(expr, field.data_type(), true, schema),
        Expr::BinaryExpr(binary) => arithmetic(binary, schema),
        Expr::ScalarFunction(call) => function(expr, call, schema, session_zone),
        _ => Ok(None),
    }
}

fn unit_text(unit: TimeUnit) -> Expr {
    lit(match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "µs",
        TimeUnit::Nanosecond => "ns",
    })
}

fn cast(value: &Expr, to: &DataType, is_try: bool, schema: &dyn ExprSchema) -> Result<Option<Expr>> {
    use DataType::{Date32, Date64, LargeUtf8, Time32, Time64, Timestamp, Utf8, Utf8View};
    let from = value.get_type(schema)?;
    let pick = |lenient: Operation, strict: Operation| if is_try { lenient } else { strict };
    let again = |value: Expr| match is_try {
        true => Expr::TryCast(TryCast::new(Box::new(value), to.clone())),
        false => cast_to(value, to),
    };
    if from == *to {
        return Ok(None);
    }
    let (from_zone, to_zone) = (differing(&from)?, differing(to)?);
    Ok(match (&from, to) {
        // An instant by another label.
        (Timestamp(_, Some(_)), Timestamp(_, Some(_))) => None,
        (Timestamp(..), Timestamp(_, None)) => match (&from, from_zone) {
            (_, Some(zone)) => Some(again(call(Operation::Wall, value.clone(), &zone, None))),
            // Arrow drops the zone and keeps UTC's wall clock.
            (Timestamp(_, Some(zone)), None) if !matches!(&**zone, "UTC" | "+00:00") => {
                let args = vec![value.clone()];
                Some(again(Expr::ScalarFunction(ScalarFunction::new_udf(datetime::to_local_time(), args))))
            }
            _ => None,
        },
        (Timestamp(..), Date32 | Date64 | Time32(_) | Time64(_)) => {
            from_zone.map(|zone| again(call(Operation::Wall, value.clone(), &zone, None)))
        }
        (Timestamp(..), Utf8 | LargeUtf8 | Utf8View) => {
            from_zone.map(|zone| again(call(Operation::Text, value.clone(), &zone, None)))
        }
        (Timestamp(_, None) | Date32 | Date64, Timestamp(unit, _)) => to_zone.map(|zone| {
            let shown = cast_to(value.clone(), &Timestamp(*unit, None));
            call(pick(Operation::TryInstant, Operation::Instant), shown, &zone, None)
        }),
        (Utf8 | LargeUtf8 | Utf8View, Timestamp(unit, zone)) => {
            let parse = pick(Operation::TryParse, Operation::Parse);
            match to_zone {
                Some(zone) => Some(call(parse, value.clone(), &zone, Some(unit_text(*unit)))),
                None if names_differing_zone(value)? => {
                    let zone = zone.as_deref().filter(|zone| !zone.starts_with(['+', '-'])).unwrap_or("UTC");
                    Some(again(call(parse, value.clone(), zone, Some(unit_text(*unit)))))
                }
                None => None,
            }
        }
        (Timestamp(..), _) | (_, Timestamp(..)) => None,
        _ => match from_zone.or(to_zone) {
            Some(zone) => return refuse(format!("a cast of {from} to {to}"), &zone),
            None => None,
        },
    })
}

/// Whether a text is a constant such as '2026-12-01 13:00 America/Vancouver', with a zone that is another one for Arrow.
fn names_differing_zone(value: &Expr) -> Result<bool> {
    let Expr::Literal(value, _) = value else { return Ok(false) };
    let Some((_, zone)) = value.try_as_str().flatten().and_then(values::split_zone) else { return Ok(false) };
    // Text that is no zone's name is for the cast to refuse.
    Ok(matches!(arrow_zone(zone), Ok(ArrowZone::Differs(_))))
}

fn arithmetic(binary: &BinaryExpr, schema: &dyn ExprSchema) -> Result<Option<Expr>> {
    let operation = match binary.op {
        Operator::Plus => Operation::Add,
        Operator::Minus => Operation::Subtract,
        _ => return Ok(None),
    };
    let (left, right) = (binary.left.get_type(schema)?, binary.right.get_type(schema)?);
    let (value, interval, data_type) = match (&left, &right) {
        (DataType::Timestamp(..), DataType::Interval(_)) => (&binary.left, &binary.right, &left),
        (DataType::Interval(_), DataType::Timestamp(..)) => (&binary.right, &binary.left, &right),
        _ => return Ok(None),
    };
    let zone = differing(data_type)?;
    Ok(zone.map(|zone| call(operation, (**value).clone(), &zone, Some((**interval).clone()))))
}

fn function(
    expr: &Expr,
    function: &ScalarFunction,
    schema: &dyn ExprSchema,
    session_zone: Option<&str>,
) -> Result<Option<Expr>> {
    let name = function.func.name();
    let zone_of = |arg: &Expr| differing(&arg.get_type(schema)?);
    match (name, &function.args[..]) {
        (name, _) if name.starts_with("zoned_") => Ok(None),
        ("current_date" | "current_time", _) => Ok(session_zone.map(|zone| now_on_the_wall(zone, name))),
        ("arrow_cast", [value, _]) => cast(value, &expr.get_type(schema)?, false, schema),
        ("to_local_time", [value]) => {
            Ok(zone_of(value)?.map(|zone| call(Operation::Wall, value.clone(), &zone, None)))
        }
        ("date_part", [part, value]) => {
            let Some(zone) = zone_of(value)? else { return Ok(None) };
            if text_of(part).is_some_and(|part| part.eq_ignore_ascii_case("epoch")) {
                return Ok(None);
            }
            let wall = call(Operation::Wall, value.clone(), &zone, None);
            Ok(Some(with_args(function, vec![part.clone(), wall])))
        }
        ("date_trunc", [unit, value]) => {
            let Some(zone) = zone_of(value)? else { return Ok(None) };
            let wall = call(Operation::Wall, value.clone(), &zone, None);
            let truncated = with_args(function, vec![unit.clone(), wall]);
            let unit = text_of(unit).unwrap_or_default().to_ascii_lowercase();
            Ok(Some(match unit.as_str() {
                // Within an hour that comes twice it stays in the turn that it is in.
                "hour" | "minute" | "second" | "millisecond" | "microsecond" => {
                    call(Operation::Move, value.clone(), &zone, Some(truncated))
                }
                _ => call(Operation::FirstInstant, truncated, &zone, None),
            }))
        }
        ("to_char", [value, format]) => {
            let Some(zone) = zone_of(value)? else { return Ok(None) };
            match text_of(format) {
                Some(text)
                    if !["%z", "%Z", "%:", "%#", "%+", "%s"].iter().any(|code| text.contains(code)) =>
                {
                    let wall = call(Operation::Wall, value.clone(), &zone, None);
                    Ok(Some(with_args(function, vec![wall, format.clone()])))
                }
                _ => refuse("to_char with an offset, or with a format that is not a constant", &zone),
            }
        }
        ("from_utc_timestamp" | "to_utc_timestamp", [_, zone]) => match text_of(zone) {
            Some(zone) if matches!(arrow_zone(zone), Ok(ArrowZone::Differs(_))) => refuse(name, zone),
            _ => Ok(None),
        },
        (name, args) if name.starts_with("to_timestamp") => to_timestamp(expr, name, args, schema),
        (name, args) if ZONE_FREE.contains(&name) || name.starts_with("array_") || args.is_empty() => {
            Ok(None)
        }
        (name, args) => {
            for arg in args {
                if let Some(zone) = zone_of(arg)? {
                    return refuse(format!("the function {name}"), &zone);
                }
            }
            Ok(None)
        }
    }
}

/// `to_timestamp` of a text reads it by the session's zone.
fn to_timestamp(expr: &Expr, name: &str, args: &[Expr], schema: &dyn ExprSchema) -> Result<Option<Expr>> {
    let to = expr.get_type(schema)?;
    let (Some(zone), Some(value)) = (differing(&to)?, args.first()) else { return Ok(None) };
    let from = value.get_type(schema)?;
    match args.len() {
        _ if from.is_numeric() || from.is_null() => Ok(None),
        1 => cast(value, &to, false, schema),
        _ => refuse(format!("the function {name} with a format"), &zone),
    }
}

fn now_on_the_wall(zone: &str, name: &str) -> Expr {
    let now = Expr::ScalarFunction(ScalarFunction::new_udf(datetime::now(&ConfigOptions::default()), vec![]));
    // By way of a number it stays the instant that it is, whatever zone the function gives it.
    let instant = DataType::Timestamp(TimeUnit::Nanosecond, Some(zone.into()));
    let now = cast_to(cast_to(now, &DataType::Int64), &instant);
    let to = if name == "current_date" { DataType::Date32 } else { DataType::Time64(TimeUnit::Nanosecond) };
    cast_to(call(Operation::Wall, now, zone, None), &to)
}

fn with_args(function: &ScalarFunction, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction { func: function.func.clone(), args })
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => ScalarValue::try_as_str(value).flatten(),
        Expr::Cast(Cast { expr, .. }) => text_of(expr),
        Expr::Alias(alias) => text_of(&alias.expr),
        _ => None,
    }
}
