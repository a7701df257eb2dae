//! What a TABLESAMPLE clause asks for.

use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, TableSample, TableSampleQuantity, TableSampleUnit, Value, ValueWithSpan,
};

use crate::error::{EngineError, Result};

/// A sample: how much of the table, and by which seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SampleClause {
    pub(super) size: SampleSize,
    pub(super) seed: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SampleSize {
    /// Each row with this probability, in percent.
    Percent(f64),
    /// So many rows, or all where there are fewer.
    Rows(usize),
}

impl SampleClause {
    /// Reads the clause. Without REPEATABLE the seed is a new one.
    ///
    /// Errors: a form that is not supported, and a size that is no constant or is out of range.
    pub(super) fn read(sample: &TableSample) -> Result<Self> {
        let refuse =
            |reason: &str| EngineError::Sample { clause: sample.to_string(), reason: reason.to_owned() };
        if sample.bucket.is_some() {
            return Err(refuse("BUCKET is not supported"));
        }
        if sample.offset.is_some() {
            return Err(refuse("OFFSET is not supported"));
        }
        let Some(quantity) = &sample.quantity else {
            return Err(refuse("the size is missing"));
        };
        let size = size(quantity, sample.name.is_some()).map_err(refuse)?;
        let seed = match &sample.seed {
            Some(seed) => whole(&seed.value).ok_or_else(|| refuse("the seed must be a whole number"))?,
            None => fresh_seed(),
        };
        Ok(Self { size, seed })
    }
}

fn size(quantity: &TableSampleQuantity, has_method: bool) -> Result<SampleSize, &'static str> {
    let SqlExpr::Value(value) = &quantity.value else {
        return Err("the size must be a number");
    };
    let Value::Number(number, _) = &value.value else {
        return Err("the size must be a number");
    };
    match &quantity.unit {
        Some(TableSampleUnit::Rows) => {
            let rows = whole(value).and_then(|rows| usize::try_from(rows).ok());
            rows.map(SampleSize::Rows).ok_or("the number of rows must be a whole number")
        }
        // The standard's methods take a percentage; without a method tools disagree about what a bare number is.
        None if !has_method => Err("the size has no unit"),
        Some(TableSampleUnit::Percent) | None => match number.to_string().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(SampleSize::Percent(percent)),
            _ => Err("the percentage must be between 0 and 100"),
        },
    }
}

fn whole(value: &ValueWithSpan) -> Option<i64> {
    match &value.value {
        Value::Number(number, _) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn fresh_seed() -> i64 {
    // Not negative, so that what EXPLAIN shows can be written after REPEATABLE.
    (uuid::Uuid::new_v4().as_u64_pair().0 >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::{SetExpr, Statement, TableFactor, TableSampleKind};
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn read(clause: &str) -> Result<SampleClause> {
        let mut parsed = Parser::parse_sql(&GenericDialect {}, &format!("SELECT * FROM t {clause}")).unwrap();
        let Some(Statement::Query(query)) = parsed.pop() else { panic!("{clause}") };
        let SetExpr::Select(mut select) = *query.body else { panic!("{clause}") };
        let TableFactor::Table { sample: Some(TableSampleKind::AfterTableAlias(sample)), .. } =
            select.from.remove(0).relation
        else {
            panic!("{clause}")
        };
        SampleClause::read(&sample)
    }

    #[test]
    fn the_forms_of_the_clause() {
        let forms = [
            ("TABLESAMPLE (5 PERCENT) REPEATABLE (7)", SampleSize::Percent(5.0)),
            ("TABLESAMPLE BERNOULLI (0.5) REPEATABLE (7)", SampleSize::Percent(0.5)),
            ("TABLESAMPLE SYSTEM (100) SEED (7)", SampleSize::Percent(100.0)),
            ("SAMPLE ROW (1) SEED (7)", SampleSize::Percent(1.0)),
            ("TABLESAMPLE BLOCK (1 PERCENT) SEED (7)", SampleSize::Percent(1.0)),
            ("TABLESAMPLE (10 ROWS) REPEATABLE (7)", SampleSize::Rows(10)),
        ];
        for (clause, size) in forms {
            assert_eq!(read(clause).unwrap(), SampleClause { size, seed: 7 }, "{clause}");
        }
        let unseeded = read("TABLESAMPLE (5 PERCENT)").unwrap();
        assert_ne!(unseeded.seed, read("TABLESAMPLE (5 PERCENT)").unwrap().seed);
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        let refused = [
            ("TABLESAMPLE (BUCKET 1 OUT OF 10)", "BUCKET"),
            ("TABLESAMPLE (5)", "no unit"),
            ("TABLESAMPLE (x PERCENT)", "number"),
            ("TABLESAMPLE (101 PERCENT)", "between 0 and 100"),
            ("TABLESAMPLE (1.5 ROWS)", "whole number"),
            ("TABLESAMPLE (5 PERCENT) REPEATABLE (1.5)", "seed"),
            ("SAMPLE 1 ROWS OFFSET 5", "OFFSET"),
        ];
        for (clause, reason) in refused {
            let error = read(clause).unwrap_err().to_string();
            assert!(error.contains(reason), "{clause}: {error}");
        }
    }
}
