//! Partition columns: columns whose values name the folders that a table's files lie in, as Hive writes them.
//!
//! `day=2026-12-01/tag=k%3Dv/part-0.parquet`: a column a folder, in the order of the columns, the value percent-encoded.
//! Spark, pyarrow and DuckDB write and read the same.

use std::borrow::Cow;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::Result;
use object_store::path::Path;

use super::data_files::below;
use crate::error::EngineError;

/// What names the folder of rows whose value is NULL, in every tool.
pub(crate) const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// The partition columns of a table, in the order of its folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PartitionColumns {
    columns: Vec<(String, DataType)>,
    /// Those that are declared NOT NULL.
    not_null: Vec<String>,
}

impl PartitionColumns {
    /// Returns columns of these names and types, any of which may be NULL.
    pub(crate) fn new(columns: Vec<(String, DataType)>) -> Self {
        Self { columns, not_null: Vec::new() }
    }

    /// Returns columns as they were declared.
    pub(crate) fn declared(fields: Vec<FieldRef>) -> Self {
        let not_null = fields.iter().filter(|field| !field.is_nullable());
        let not_null = not_null.map(|field| field.name().clone()).collect();
        let columns = fields.iter().map(|field| (field.name().clone(), field.data_type().clone())).collect();
        Self { columns, not_null }
    }

    /// Returns columns that nobody has declared: their values are text, each kept once per batch.
    pub(crate) fn inferred(names: Vec<String>) -> Self {
        let text = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8));
        Self::new(names.into_iter().map(|name| (name, text.clone())).collect())
    }

    /// Returns whether the table has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Returns the columns with their types.
    pub(crate) fn columns(&self) -> &[(String, DataType)] {
        &self.columns
    }

    /// Returns the columns' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the columns as fields. One that is not declared NOT NULL may be NULL: its folder may come at any time.
    pub(crate) fn fields(&self) -> Vec<FieldRef> {
        self.columns
            .iter()
            .map(|(name, data_type)| {
                FieldRef::new(Field::new(name, data_type.clone(), !self.not_null.contains(name)))
            })
            .collect()
    }

    /// Returns a schema of these columns alone.
    pub(crate) fn schema(&self) -> Schema {
        Schema::new(self.fields())
    }

    /// Returns a file's values, or None for a file that does not lie in folders of these columns: it is no file of the
    /// table.
    ///
    /// Errors: a value that is none of its column's type.
    pub(crate) fn values(&self, place: &ListingTableUrl, file: &Path) -> Result<Option<Vec<ScalarValue>>> {
        let folders = partition_folders(place, file);
        if folders.len() < self.columns.len() {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for ((name, encoded), (column, data_type)) in folders.iter().zip(&self.columns) {
            if name != column {
                return Ok(None);
            }
            let text = decode(encoded);
            if text.is_none() && self.not_null.contains(column) {
                let (folder, column) = (folder_of(file, encoded), column.clone());
                return Err(EngineError::PartitionNull { folder, column }.into_datafusion());
            }
            let invalid = || {
                EngineError::PartitionValue {
                    folder: folder_of(file, encoded),
                    column: column.clone(),
                    value: text.as_deref().unwrap_or_default().to_owned(),
                    wanted: data_type.clone(),
                }
                .into_datafusion()
            };
            values.push(value(text.as_deref(), data_type).ok_or_else(invalid)?);
        }
        Ok(Some(values))
    }
}

/// Returns the names of the partition columns that all files of a place have in their paths.
///
/// Errors: two files whose folders name different columns.
pub(crate) fn infer_partitions<'a>(
    place: &ListingTableUrl,
    files: impl IntoIterator<Item = &'a Path>,
) -> Result<Vec<String>, EngineError> {
    let mut found: Option<(&Path, Vec<String>)> = None;
    for file in files {
        let names: Vec<_> =
            partition_folders(place, file).into_iter().map(|(name, _)| name.into_owned()).collect();
        match &found {
            None => found = Some((file, names)),
            Some((_, known)) if *known == names => {}
            Some((other, known)) => {
                return Err(EngineError::PartitionFolders {
                    file: other.to_string(),
                    columns: known.clone(),
                    other: file.to_string(),
                    other_columns: names,
                });
            }
        }
    }
    Ok(found.map(|(_, names)| names).unwrap_or_default())
}

/// Returns the folders below a place that a file lies in and that name a column's value: name and encoded value.
pub(crate) fn partition_folders<'a>(place: &ListingTableUrl, file: &'a Path) -> Vec<(Cow<'a, str>, &'a str)> {
    let Some((_, folders)) = below(place, file).and_then(|segments| {
        let (name, folders) = segments.split_last()?;
        Some((*name, folders.to_vec()))
    }) else {
        return Vec::new();
    };
    let named = folders.into_iter().filter_map(|folder| folder.split_once('='));
    named.map(|(name, value)| (percent_decode(name), value)).collect()
}

/// Returns the folder of a file whose name ends with a value.
fn folder_of(file: &Path, value: &str) -> String {
    let folder =
        file.as_ref().split('/').find(|name| name.split_once('=').is_some_and(|(_, of)| of == value));
    folder.unwrap_or(value).to_owned()
}

/// Returns the value that a text stands for, or None where it stands for none of the type.
fn value(text: Option<&str>, data_type: &DataType) -> Option<ScalarValue> {
    let Some(text) = text else { return ScalarValue::try_new_null(data_type).ok() };
    let parsed = ScalarValue::try_from_string(text.to_owned(), data_type).ok()?;
    let whole = match data_type {
        DataType::Dictionary(_, values) if is_text(values) => true,
        other if is_text(other) => true,
        // A date with a time, or more digits than the type has, would be another value.
        DataType::Date32 | DataType::Date64 => !text.contains(':'),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => fraction_digits(text) <= i64::from(*scale),
        _ => !parsed.is_null(),
    };
    (whole && !parsed.is_null()).then_some(parsed)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Returns how many digits behind the point a decimal number has, zeros at its end aside.
fn fraction_digits(text: &str) -> i64 {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let fraction = digits.split_once('.').map_or("", |(_, fraction)| fraction).trim_end_matches('0');
    fraction.len() as i64 - exponent.parse::<i64>().unwrap_or(0)
}

/// Returns the text that the name of a folder stands for, or None for NULL.
pub(crate) fn decode(name: &str) -> Option<Cow<'_, str>> {
    (name != NULL_FOLDER).then(|| percent_decode(name))
}

/// Returns the name of the folder for a text, or for NULL. Not for texts that no folder can stand for: an empty one, and
/// that which stands for NULL.
pub(crate) fn encode(text: Option<&str>) -> String {
    text.map_or_else(|| NULL_FOLDER.to_owned(), percent_encode)
}

/// Percent-encodes what is no plain character of a path, in Hive, in an object store or on a file system.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        // A name that begins with one of these is no data.
        let hides = at == 0 && char == '.';
        let special = matches!(
            char,
            '"' | '#'
                | '%'
                | '\''
                | '*'
                | '/'
                | ':'
                | '='
                | '?'
                | '\\'
                | '{'
                | '}'
                | '['
                | ']'
                | '^'
                | '<'
                | '>'
                | '|'
                | '~'
                | '`'
                | '&'
                | '+'
                | ' '
        );
        if hides || special || char.is_control() {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(char);
        }
    }
    out
}

/// Decodes percent-encoding. What is none stays as it is, and so does a whole text that would not be UTF-8.
fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let digit = |place: usize| bytes.get(place).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn texts_come_back_from_the_names_of_folders() {
        for text in [
            "k=v",
            "a/b",
            "50%",
            "50%25",
            "12:30",
            "a b",
            "a+b",
            "é",
            "..",
            ".",
            "_x",
            "\t\n",
            "'\"#?*[]{}\\^~",
        ] {
            let name = encode(Some(text));
            assert_eq!(decode(&name).as_deref(), Some(text), "{name}");
            assert_eq!(Path::parse(&name).unwrap().as_ref(), name, "an object store keeps the name");
        }
        assert_eq!(encode(Some("k=v/é 1")), "k%3Dv%2Fé%201");
        assert_eq!((encode(None).as_str(), decode(NULL_FOLDER)), (NULL_FOLDER, None));
        // Of other writers.
        for (name, text) in
            [("k%3dv", "k=v"), ("a+b", "a+b"), ("%C3%A9", "é"), ("%FF", "%FF"), ("5%", "5%"), ("%zz", "%zz")]
        {
            assert_eq!(decode(name).as_deref(), Some(text));
        }
    }

    #[test]
    fn values_are_of_their_types_or_none() {
        let parsed =
            |text: &str, data_type: DataType| value(Some(text), &data_type).map(|value| value.to_string());
        for text in ["6", "06", "006"] {
            assert_eq!(parsed(text, DataType::Int32).as_deref(), Some("6"));
        }
        assert_eq!(
            parsed("1.50", DataType::Decimal128(5, 1)).as_deref(),
            parsed("1.5", DataType::Decimal128(5, 1)).as_deref()
        );
        assert_eq!(parsed("2026-12-01", DataType::Date32).as_deref(), Some("2026-12-01"));
        assert_eq!(parsed("TRUE", DataType::Boolean).as_deref(), Some("true"));
        assert!(parsed("2026-12-01 10:00:00", DataType::Timestamp(TimeUnit::Microsecond, None)).is_some());
        for (text, data_type) in [
            ("x", DataType::Int32),
            ("", DataType::Int32),
            ("6.5", DataType::Int32),
            ("300", DataType::Int8),
            ("1.55", DataType::Decimal128(5, 1)),
            ("155e-2", DataType::Decimal128(5, 1)),
            ("2026-12-01T10:00:00", DataType::Date32),
            ("2026-13-01", DataType::Date32),
            ("maybe", DataType::Boolean),
        ] {
            assert_eq!(parsed(text, data_type.clone()), None, "{text} as {data_type}");
        }
        assert!(value(None, &DataType::Date32).unwrap().is_null());
        let text = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8));
        assert!(value(None, &text).unwrap().is_null());
        assert_eq!(parsed("", text).as_deref(), Some(""));
    }

    #[test]
    fn files_lie_in_the_folders_of_columns() {
        let place = ListingTableUrl::parse("s3://bucket/t/").unwrap();
        let columns = PartitionColumns::new(vec![
            ("_y".to_owned(), DataType::Int32),
            ("a b".to_owned(), DataType::Utf8),
        ]);
        let values = |path: &str| columns.values(&place, &Path::parse(path).unwrap());
        let found = values("t/_y=07/a%20b=x%2Fy/f.csv").unwrap().unwrap();
        assert_eq!(found, [ScalarValue::from(7_i32), ScalarValue::from("x/y")]);
        assert_eq!(values("t/a%20b=x/_y=7/f.csv").unwrap(), None);
        assert_eq!(values("t/_y=7/f.csv").unwrap(), None);
        assert_eq!(values("t/_y=7/a%20b=1").unwrap(), None, "a file names no column");
        let error = values("t/_y=x/a%20b=1/f.csv").unwrap_err();
        assert!(error.to_string().contains("'_y=x'"), "{error}");
    }
}
