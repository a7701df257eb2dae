//! Numbers that no DOUBLE holds.

use std::ops::ControlFlow;

use datafusion_sql::parser::{CopyToSource, Statement as DataFusionStatement};
use datafusion_sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Value, ValueWithSpan, VisitMut, visit_expressions_mut,
};

/// The most digits of a DECIMAL.
const MAX_DIGITS: usize = 38;

/// Writes numbers whose digits a DOUBLE would lose as decimals: `1234567890.0123456789` as DECIMAL(20, 10).
///
/// The planner reads a number with a point, and one above 64 bits, as DOUBLE. Those that name a DOUBLE, and those with an exponent, stay; so does what has more digits than
/// a DECIMAL. For the planner alone: what is kept of a statement is its text as it was typed.
pub fn exact_numbers(statement: &mut DataFusionStatement) {
    match statement {
        DataFusionStatement::Statement(statement) => exact_numbers_in(statement.as_mut()),
        DataFusionStatement::CopyTo(copy) => {
            if let CopyToSource::Query(query) = &mut copy.source {
                exact_numbers_in(query.as_mut());
            }
        }
        DataFusionStatement::Explain(explain) => exact_numbers(&mut explain.statement),
        _ => {}
    }
}

fn exact_numbers_in(syntax: &mut impl VisitMut) {
    let _: ControlFlow<()> = visit_expressions_mut(syntax, |expr| {
        if let Expr::Value(value) = expr
            && let Some(decimal) = decimal(value)
        {
            *expr = decimal;
        }
        ControlFlow::Continue(())
    });
}

fn decimal(value: &ValueWithSpan) -> Option<Expr> {
    let Value::Number(text, _) = &value.value else { return None };
    if text.parse::<u64>().is_ok() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let (before, behind) = text.split_once('.').unwrap_or((text, ""));
    let (before, trimmed) = (before.trim_start_matches('0'), behind.trim_end_matches('0'));
    // What a DOUBLE prints is the shortest text that names it.
    let double = text.parse::<f64>().ok()?.to_string();
    let (whole, fraction) = double.split_once('.').unwrap_or((&double, ""));
    let digits = before.len() + behind.len();
    if (whole.trim_start_matches('0'), fraction) == (before, trimmed) || digits > MAX_DIGITS {
        return None;
    }
    let info = ExactNumberInfo::PrecisionAndScale(digits as u64, behind.len() as i64);
    let literal = Value::SingleQuotedString(text.clone());
    Some(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(ValueWithSpan { value: literal, span: value.span })),
        data_type: DataType::Decimal(info),
        array: false,
        format: None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion_sql::parser::DFParserBuilder;

    use super::exact_numbers;

    fn read(number: &str) -> String {
        let mut parser = DFParserBuilder::new(format!("SELECT {number}").as_str()).build().unwrap();
        let mut statement = parser.parse_statement().unwrap();
        exact_numbers(&mut statement);
        statement.to_string().replace("SELECT ", "")
    }

    #[test]
    fn numbers_that_a_double_holds_stay() {
        for number in [
            "1",
            "18446744073709551615",
            "0.1",
            "1234567.89",
            "0.30000000000000004",
            "1.50",
            "1e300",
            "00.5",
            "2.",
        ] {
            assert_eq!(read(number), number);
        }
    }

    #[test]
    fn others_are_decimals() {
        for (number, precision, scale) in [
            ("1234567890.0123456789", 20, 10),
            ("18446744073709551616", 20, 0),
            ("0.10000000000000000555", 20, 20),
            ("99999999999999999999999999999999999999", 38, 0),
        ] {
            let decimal = match scale {
                0 => format!("CAST('{number}' AS DECIMAL({precision},0))"),
                _ => format!("CAST('{number}' AS DECIMAL({precision},{scale}))"),
            };
            assert_eq!(read(number), decimal);
        }
        // More digits than a decimal has.
        let long = "1".repeat(39);
        assert_eq!(read(&long), long);
    }
}
