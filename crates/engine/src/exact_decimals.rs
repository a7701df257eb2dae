//! Decimals that meet floating numbers, without a digit lost.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Join, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::expressions::{rewrite_comparison, rewrite_expressions};

/// The most digits of a decimal of 128 bits.
const MAX_DIGITS: usize = 38;

/// Compares decimals with numbers as they are written, and with floating values as DOUBLE.
///
/// DataFusion compares `d = 1234567.89` in DECIMAL(30, 15), into which it multiplies the nearest DOUBLE: 1234567.889999999897555, which no
/// decimal is. Literals, and sums, differences and products of them, are compared by the digits that name their DOUBLEs, which are those that were typed (numbers with more of them are no DOUBLE
/// here, see `sql/src/parse/numbers.rs`); a column or a computed value as Spark and DuckDB do: both as DOUBLE, NaN and infinity among them. A cast of a
/// literal to a decimal, as INSERT makes it, reads the digits too.
#[derive(Debug)]
pub(crate) struct ExactDecimals;

impl AnalyzerRule for ExactDecimals {
    fn name(&self) -> &str {
        "exact_decimals"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let exact = plan.transform_up_with_subqueries(|node| {
            let node = match node {
                LogicalPlan::Join(mut join) => {
                    join.on = compared_keys(&join)?;
                    LogicalPlan::Join(join)
                }
                node => node,
            };
            rewrite_expressions(node, |expr, schema| expr.transform_up(|expr| exact(expr, schema)))
        })?;
        Ok(exact.data)
    }
}

fn exact(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Cast(Cast { expr, field }) if field.data_type().is_decimal() => Ok(match digits(&expr) {
            Some(digits) => Transformed::yes(Expr::Cast(Cast { expr: Box::new(lit(digits)), field })),
            None => Transformed::no(Expr::Cast(Cast { expr, field })),
        }),
        Expr::TryCast(TryCast { expr, field }) if field.data_type().is_decimal() => Ok(match digits(&expr) {
            Some(digits) => Transformed::yes(Expr::TryCast(TryCast { expr: Box::new(lit(digits)), field })),
            None => Transformed::no(Expr::TryCast(TryCast { expr, field })),
        }),
        other => rewrite_comparison(other, |sides| {
            compared(sides.into_iter().map(|side| typed(side, schema)).collect())
        }),
    }
}

/// Returns the keys of a join, each of them a comparison of a value of one side with one of the other.
fn compared_keys(join: &Join) -> Result<Vec<(Expr, Expr)>> {
    let keys = join.on.iter().cloned().map(|(left, right)| {
        let sides = compared(vec![typed(left, join.left.schema()), typed(right, join.right.schema())]);
        match <[Transformed<Expr>; 2]>::try_from(sides) {
            Ok([left, right]) => Ok((left.data, right.data)),
            Err(_) => internal_err!("a side of a join's key is gone"),
        }
    });
    keys.collect()
}

fn typed(side: Expr, schema: &DFSchema) -> (Expr, Option<DataType>) {
    let of = side.get_type(schema).ok();
    (side, of)
}

/// Returns the sides of a comparison: unchanged unless decimals meet floating numbers in it.
fn compared(sides: Vec<(Expr, Option<DataType>)>) -> Vec<Transformed<Expr>> {
    let (sides, types): (Vec<Expr>, Vec<Option<DataType>>) = sides.into_iter().unzip();
    let is_decimal = |of: &Option<DataType>| of.as_ref().is_some_and(DataType::is_decimal);
    let is_floating = |of: &Option<DataType>| of.as_ref().is_some_and(DataType::is_floating);
    if !types.iter().any(is_decimal) || !types.iter().any(is_floating) {
        return sides.into_iter().map(Transformed::no).collect();
    }
    let written: Option<Vec<Option<Number>>> = sides
        .iter()
        .zip(&types)
        .map(|(side, of)| if is_floating(of) { Number::of(side).map(Some) } else { Some(None) })
        .collect();
    let written = written.filter(|written| fit(&types, written));
    let sides = sides.into_iter().zip(types);
    match written {
        Some(written) => sides
            .zip(written)
            .map(|((side, _), number)| match number {
                Some(number) => Transformed::yes(number.decimal),
                None => Transformed::no(side),
            })
            .collect(),
        None => sides
            .map(|(side, of)| match is_decimal(&of) {
                true => Transformed::yes(cast(side, DataType::Float64)),
                false => Transformed::no(side),
            })
            .collect(),
    }
}

/// Whether one decimal type holds all decimals and all numbers of a comparison.
fn fit(types: &[Option<DataType>], written: &[Option<Number>]) -> bool {
    let of_types = types.iter().flatten().filter_map(|of| match of {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => {
            let scale = usize::try_from(*scale).unwrap_or(0);
            Some((usize::from(*precision).saturating_sub(scale), scale))
        }
        DataType::Decimal256(..) => Some((MAX_DIGITS, 1)),
        _ => None,
    });
    let of_numbers = written.iter().flatten().map(|number| (number.whole, number.scale));
    let (whole, scale) = of_types
        .chain(of_numbers)
        .fold((0, 0), |(whole, scale), (of, behind)| (of.max(whole), behind.max(scale)));
    whole + scale <= MAX_DIGITS
}

/// A number as it is written: a literal, or a sum, difference or product of literals, `0.06 + 0.01`.
struct Number {
    decimal: Expr,
    /// The most digits before the point.
    whole: usize,
    /// The digits behind it.
    scale: usize,
}

impl Number {
    /// Returns the number that literals name; none of what has another value in it, or more digits than a decimal.
    fn of(side: &Expr) -> Option<Number> {
        let number = match side {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (left, right) = (Number::of(left)?, Number::of(right)?);
                let (whole, scale) = match op {
                    Operator::Plus | Operator::Minus => {
                        (left.whole.max(right.whole) + 1, left.scale.max(right.scale))
                    }
                    Operator::Multiply => (left.whole + right.whole, left.scale + right.scale),
                    _ => return None,
                };
                let both = BinaryExpr::new(Box::new(left.decimal), *op, Box::new(right.decimal));
                Number { decimal: Expr::BinaryExpr(both), whole, scale }
            }
            side => {
                let digits = match side {
                    Expr::Literal(ScalarValue::Int64(Some(value)), _) => value.to_string(),
                    side => digits(side)?,
                };
                let plain = digits.trim_start_matches('-');
                let (before, behind) = plain.split_once('.').unwrap_or((plain, ""));
                let (whole, scale) = (before.trim_start_matches('0').len(), behind.len());
                let precision = u8::try_from((whole + scale).clamp(1, MAX_DIGITS)).ok()?;
                let data_type = DataType::Decimal128(precision, i8::try_from(scale).ok()?);
                Number { decimal: cast(lit(digits), data_type), whole, scale }
            }
        };
        (number.whole + number.scale <= MAX_DIGITS).then_some(number)
    }
}

/// Returns the shortest digits that name a floating literal, without an exponent.
fn digits(expr: &Expr) -> Option<String> {
    let (expr, is_negative) = match expr {
        Expr::Negative(expr) => (expr.as_ref(), true),
        expr => (expr, false),
    };
    let digits = match expr {
        Expr::Literal(ScalarValue::Float64(Some(value)), _) if value.is_finite() => value.to_string(),
        Expr::Literal(ScalarValue::Float32(Some(value)), _) if value.is_finite() => value.to_string(),
        _ => return None,
    };
    Some(match (is_negative, digits.strip_prefix('-')) {
        (true, Some(positive)) => positive.to_owned(),
        (true, None) => format!("-{digits}"),
        (false, _) => digits,
    })
}
