//! Decimals that meet floating numbers, without a digit lost.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, Cast, InList, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::AnalyzerRule;

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
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let node = match node {
                LogicalPlan::Join(mut join) => {
                    let keys = join.on.clone();
                    join.on = keys
                        .into_iter()
                        .map(|(left, right)| {
                            let [left, right] = compared(
                                [left, right],
                                &[join.left.schema().as_ref(), join.right.schema().as_ref()],
                            )?;
                            Ok((left.data, right.data))
                        })
                        .collect::<Result<_>>()?;
                    LogicalPlan::Join(join)
                }
                node => node,
            };
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let exact = expr.transform_up(|expr| exact(expr, &schema))?;
                Ok(if exact.transformed { exact.update_data(|expr| name.restore(expr)) } else { exact })
            })
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
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            let [left, right] = compared([*left, *right], &[schema; 2])?;
            let transformed = left.transformed || right.transformed;
            let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(left.data), op, Box::new(right.data)));
            Ok(Transformed::new_transformed(expr, transformed))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let [expr, low, high] = compared([*expr, *low, *high], &[schema; 3])?;
            let transformed = expr.transformed || low.transformed || high.transformed;
            let between = Between::new(Box::new(expr.data), negated, Box::new(low.data), Box::new(high.data));
            Ok(Transformed::new_transformed(Expr::Between(between), transformed))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let sides = [vec![*expr], list].concat();
            let schemas = vec![schema; sides.len()];
            let all = compared_all(sides, &schemas);
            let transformed = all.iter().any(|side| side.transformed);
            let mut sides = all.into_iter().map(|side| side.data);
            let Some(expr) = sides.next() else {
                return datafusion::common::internal_err!("IN without a side");
            };
            let list = InList::new(Box::new(expr), sides.collect(), negated);
            Ok(Transformed::new_transformed(Expr::InList(list), transformed))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn compared<const N: usize>(sides: [Expr; N], schemas: &[&DFSchema; N]) -> Result<[Transformed<Expr>; N]> {
    let sides = compared_all(sides.to_vec(), schemas);
    <[_; N]>::try_from(sides).or_else(|_| datafusion::common::internal_err!("a side of a comparison is gone"))
}

/// Returns the sides of a comparison: unchanged unless decimals meet floating numbers in it.
fn compared_all(sides: Vec<Expr>, schemas: &[&DFSchema]) -> Vec<Transformed<Expr>> {
    let types: Vec<Option<DataType>> =
        sides.iter().zip(schemas).map(|(side, schema)| side.get_type(*schema).ok()).collect();
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

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
