//! What the name of a file that is written says about what is in it: format, compression, delimiter.
//!
//! Readers go by the name, so a file is written as its name says. What STORED AS and OPTIONS leave out follows from the name
//! ([`follow_target`], [`follow_location`]); what they contradict is refused ([`check_name`]).

use std::collections::HashMap;

use datafusion::logical_expr::CreateExternalTable;
use datafusion::sql::parser::{CopyToStatement, Statement};
use datafusion::sql::sqlparser::ast::Value;

use super::sink::FileWriter;
use crate::error::EngineError;
use crate::tables::{Ending, compression_of, ending};

/// Endings of compressions and archives that are not written.
const OTHER_COMPRESSIONS: &[&str] =
    &["lz4", "br", "brotli", "z", "zip", "7z", "snappy", "sz", "lzo", "tgz", "lzma", "gzip", "zstd", "bzip2"];

/// The formats that a statement may store rows as.
const STORED_AS: &[&str] = &["parquet", "csv", "json", "avro", "arrow"];

const COMPRESSION: &str = "format.compression";
const DELIMITER: &str = "format.delimiter";

/// Completes a COPY, also below EXPLAIN, by what the name after TO says.
///
/// Errors: a name that tells no format where STORED AS is missing, a format that doesn't exist, an option that can't be followed.
pub(crate) fn follow_target(statement: &mut Statement) -> Result<(), EngineError> {
    match statement {
        Statement::CopyTo(copy) => complete(copy),
        Statement::Explain(explain) => follow_target(&mut explain.statement),
        _ => Ok(()),
    }
}

fn complete(copy: &mut CopyToStatement) -> Result<(), EngineError> {
    check_encryption(copy.options.iter().map(|(option, _)| option.as_str()))?;
    let found = ending(&copy.target);
    match (&copy.stored_as, &found) {
        (Some(format), _) if !STORED_AS.contains(&format.to_lowercase().as_str()) => {
            return Err(EngineError::UnknownStoredAs { format: format.clone() });
        }
        (Some(_), _) => {}
        (None, Some(found)) => copy.stored_as = Some(found.format.to_uppercase()),
        (None, None) => return Err(EngineError::UntoldFormat { to: copy.target.clone() }),
    }
    let is_text = copy.stored_as.as_ref().is_some_and(|format| is_text(format));
    let is_folder = copy.target.ends_with('/') || !copy.partitioned_by.is_empty();
    if !is_text || is_folder {
        return Ok(());
    }
    let has = |copy: &CopyToStatement, wanted: &str| {
        copy.options.iter().any(|(option, _)| qualified(option) == wanted)
    };
    for (option, value) in implied(&copy.target, found.as_ref()) {
        if !has(copy, option) {
            copy.options.push((option.to_owned(), Value::SingleQuotedString(value.to_owned())));
        }
    }
    Ok(())
}

/// Completes the options of a table whose location is a file by what the file's name says.
///
/// Errors: an option that can't be followed.
pub(crate) fn follow_location(create: &mut CreateExternalTable) -> Result<(), EngineError> {
    check_encryption(create.options.keys().map(String::as_str))?;
    let [location] = create.locations.as_slice() else { return Ok(()) };
    if !is_text(&create.file_type) || location.ends_with('/') {
        return Ok(());
    }
    let options: &mut HashMap<String, String> = &mut create.options;
    for (option, value) in implied(location, ending(location).as_ref()) {
        options.entry(option.to_owned()).or_insert_with(|| value.to_owned());
    }
    Ok(())
}

fn is_text(format: &str) -> bool {
    ["csv", "json"].contains(&format.to_lowercase().as_str())
}

/// Returns an option's name with its group, as the planner completes it.
fn qualified(option: &str) -> String {
    let option = option.to_lowercase();
    if option.contains('.') { option } else { format!("format.{option}") }
}

/// Returns the options of a text file that its name implies.
fn implied(name: &str, found: Option<&Ending>) -> Vec<(&'static str, &'static str)> {
    let compression = found.map_or_else(|| compression_of(name), |found| found.compression);
    let delimiter = found.and_then(|found| found.delimiter);
    let compression = compression.map(|compression| (COMPRESSION, compression));
    compression.into_iter().chain(delimiter.map(|delimiter| (DELIMITER, delimiter))).collect()
}

/// Refuses encryption: this build would take the keys and write plain text.
fn check_encryption<'a>(mut options: impl Iterator<Item = &'a str>) -> Result<(), EngineError> {
    match options.find(|option| qualified(option).starts_with("format.crypto")) {
        Some(option) => Err(EngineError::Encryption { option: option.to_owned() }),
        None => Ok(()),
    }
}

/// Checks that a file's name says what `writer` will write to it.
///
/// Errors: a name that says another format, compression or delimiter.
pub(super) fn check_name(writer: &FileWriter, to: &str) -> Result<(), EngineError> {
    let (format, compression) = (writer.format(), writer.compression());
    let misnamed = |says: String, better: String| {
        let written = described(format, compression, writer.delimiter());
        Err(EngineError::MisnamedFile { to: to.to_owned(), says, written, better })
    };
    let name = to.rsplit('/').next().unwrap_or(to);
    let Some(found) = ending(to) else {
        let last = name.rsplit_once('.').map(|(_, last)| last.to_ascii_lowercase());
        let named = compression_of(to);
        return match last {
            Some(last) if named.is_some() && named != compression => {
                misnamed(format!(".{last}"), stem(name, 1, format, compression))
            }
            Some(last) if OTHER_COMPRESSIONS.contains(&last.as_str()) => {
                misnamed(format!(".{last}"), stem(name, 1, format, compression))
            }
            _ => Ok(()),
        };
    };
    let tabs = found.delimiter.map(str::as_bytes);
    let delimiter_differs = tabs.is_some() && writer.delimiter().map(|byte| vec![byte]).as_deref() != tabs;
    if found.format == format && found.compression == compression && !delimiter_differs {
        return Ok(());
    }
    let endings = found.extension.split('.').count();
    misnamed(format!(".{}", found.extension), stem(name, endings, format, compression))
}

/// Returns the name without its last `endings`, with those of what it holds.
fn stem(name: &str, endings: usize, format: &str, compression: Option<&str>) -> String {
    let mut parts: Vec<&str> = name.split('.').collect();
    parts.truncate(parts.len().saturating_sub(endings).max(1));
    if parts.len() > 1 && parts.last() == Some(&format) {
        parts.pop();
    }
    let ending = compression.map(|compression| format!(".{}", ending_of(compression)));
    format!("{}.{format}{}", parts.join("."), ending.unwrap_or_default())
}

/// Returns the ending of a compression.
pub(super) fn ending_of(compression: &str) -> &'static str {
    match compression {
        "gzip" => "gz",
        "bzip2" => "bz2",
        "xz" => "xz",
        _ => "zst",
    }
}

fn described(format: &str, compression: Option<&str>, delimiter: Option<u8>) -> String {
    let name = match format {
        "parquet" => "Parquet",
        "arrow" => "Arrow",
        "json" => "JSON lines",
        _ => "CSV",
    };
    let delimiter = match delimiter {
        Some(b'\t') => " with tabs".to_owned(),
        Some(byte) if byte != b',' => format!(" with '{}'", char::from(byte)),
        _ => String::new(),
    };
    let compression = compression.map(|compression| format!(", compressed with {compression}"));
    format!("{name}{delimiter}{}", compression.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(target: &str, stored_as: Option<&str>, options: &[(&str, &str)]) -> CopyToStatement {
        let sql = format!("COPY (SELECT 1) TO '{target}'");
        let statement = datafusion::sql::parser::DFParser::parse_sql(&sql).unwrap().pop_front().unwrap();
        let Statement::CopyTo(mut copy) = statement else { panic!("{sql}") };
        copy.stored_as = stored_as.map(str::to_owned);
        let option = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), Value::SingleQuotedString((*value).to_owned()))
        };
        copy.options = options.iter().map(option).collect();
        copy
    }

    fn completed(mut copy: CopyToStatement) -> Result<(String, Vec<String>), EngineError> {
        complete(&mut copy)?;
        let options = copy.options.iter().map(|(name, value)| format!("{name}={value}"));
        Ok((copy.stored_as.unwrap(), options.collect()))
    }

    #[test]
    fn a_name_says_what_stored_as_and_options_leave_out() {
        let of = |target, stored_as| completed(copy(target, stored_as, &[])).unwrap();
        let options = |all: &[&str]| all.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>();
        let gzip = options(&["format.compression='gzip'"]);
        assert_eq!(of("a/x.csv.gz", None), ("CSV".to_owned(), gzip.clone()));
        assert_eq!(of("x.txt.gz", Some("CSV")), ("CSV".to_owned(), gzip));
        assert_eq!(of("x.tsv", None), ("CSV".to_owned(), options(&["format.delimiter='\t'"])));
        assert_eq!(of("x.jsonl", None), ("JSON".to_owned(), vec![]));
        assert_eq!(of("x.PARQUET", None), ("PARQUET".to_owned(), vec![]));
        assert_eq!(of("x.csv.d/", Some("csv")), ("csv".to_owned(), vec![]));
    }

    #[test]
    fn what_is_said_stays() {
        let said = copy("x.csv.gz", None, &[("compression", "zstd")]);
        assert_eq!(completed(said).unwrap().1, ["compression='zstd'"]);
        assert!(completed(copy("x", None, &[])).is_err());
        assert!(completed(copy("x.csv", Some("ORC"), &[])).is_err());
        assert!(completed(copy("x.parquet", None, &[("format.crypto.factory_id", "a")])).is_err());
    }
}
