//! Types that a format has no form for.

use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, Schema};

use crate::error::EngineError;

/// Checks that a format can hold the columns of a schema, so that other tools read the values that were written.
///
/// Errors: the first column that it can't hold, with what to write in its place.
pub(super) fn check_types(format: &'static str, schema: &Schema) -> Result<(), EngineError> {
    for field in schema.fields() {
        let found = match format {
            "csv" => csv(field),
            "json" => below(field, &json),
            "parquet" => below(field, &parquet),
            _ => None,
        };
        if let Some((column, kind, instead)) = found {
            let format = match format {
                "csv" => "CSV",
                "json" => "JSON",
                _ => "Parquet",
            };
            return Err(EngineError::UnwritableType { column, kind, format, instead });
        }
    }
    Ok(())
}

/// A field, its type, and what to write instead.
type Found = (String, DataType, String);

/// Looks for a field that `test` finds an answer for, from the column down.
fn below(field: &Field, test: &dyn Fn(&str, &DataType) -> Option<String>) -> Option<Found> {
    let inner = |field: &Field, inside: &Field| {
        let (path, kind, instead) = below(inside, test)?;
        Some((format!("{}.{path}", field.name()), kind, instead))
    };
    if let Some(instead) = test(field.name(), field.data_type()) {
        return Some((field.name().clone(), field.data_type().clone(), instead));
    }
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().find_map(|inside| inner(field, inside)),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => inner(field, item),
        DataType::Dictionary(_, values) => {
            let (_, kind, instead) = below(&field.clone().with_data_type(values.as_ref().clone()), test)?;
            Some((field.name().clone(), kind, instead))
        }
        _ => None,
    }
}

fn csv(field: &Field) -> Option<Found> {
    let (name, kind) = (field.name(), field.data_type());
    let instead = match kind {
        DataType::Dictionary(..) => return None,
        DataType::Union(..) => as_text(name),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if !item.data_type().is_nested() =>
        {
            format!("write it as text, CAST({name} AS VARCHAR), or STORED AS PARQUET or JSON")
        }
        kind if kind.is_nested() => {
            format!("write its fields as columns, {name}['…'], or STORED AS PARQUET or JSON")
        }
        _ => return None,
    };
    Some((name.clone(), kind.clone(), instead))
}

fn as_text(name: &str) -> String {
    format!("write it as text, CAST({name} AS VARCHAR)")
}

fn json(name: &str, kind: &DataType) -> Option<String> {
    if matches!(kind, DataType::Union(..)) {
        return Some(as_text(name));
    }
    let DataType::Map(entries, _) = kind else { return None };
    let DataType::Struct(fields) = entries.data_type() else { return None };
    let is_text = fields.first().is_some_and(|key| key.data_type().is_string());
    (!is_text).then(|| {
        format!("write its keys as text, map(arrow_cast(map_keys({name}), 'List(Utf8)'), map_values({name}))")
    })
}

fn parquet(name: &str, kind: &DataType) -> Option<String> {
    match kind {
        DataType::Interval(IntervalUnit::MonthDayNano) | DataType::Union(..) => Some(as_text(name)),
        // The file would say that it is a number.
        DataType::Date64 => Some(format!("write it as a date, CAST({name} AS DATE)")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_type_is_found_below_a_column() {
        let date = Field::new("d", DataType::Date64, true);
        let list = Field::new("l", DataType::List(Arc::new(date)), true);
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true), list]);
        let error = check_types("parquet", &schema).unwrap_err().to_string();
        assert!(error.contains("'l.d'"), "{error}");
        assert!(check_types("json", &schema).is_ok());
        assert!(check_types("csv", &schema).is_err());
    }
}
