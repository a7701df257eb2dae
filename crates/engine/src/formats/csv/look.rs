//! What the columns of files are.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::config::CsvOptions;
use datafusion::error::Result;

use super::super::text::{Guess, Place, without_null};
use super::columns::Columns;
use super::reader::Reader;

/// So many records are looked at together.
const BATCH: usize = 4096;

/// The columns of one file, by their names, in its order.
pub(in super::super) type Look = Vec<(String, Guess)>;

/// Returns what the columns of a file are: by its first `records` records where so many are asked for, else by those in its
/// first `bytes` bytes.
pub(in super::super) async fn look(
    place: Place,
    options: CsvOptions,
    records: Option<usize>,
    bytes: u64,
) -> Result<Look> {
    let names = if options.has_header.unwrap_or(true) {
        let mut whole = Reader::open(place.clone(), &options).await?;
        whole.header().await?
    } else {
        let width = Reader::width(place.clone(), &options).await?;
        width.map(|width| (1..=width).map(|at| format!("column_{at}")).collect())
    };
    let Some(names) = names else { return Ok(Vec::new()) };
    let mut reader = Reader::open(place, &options).await?;
    if options.has_header.unwrap_or(true) {
        reader.header().await?;
    }
    let mut guesses = vec![Guess::default(); names.len()];
    let places: Vec<_> = (0..names.len()).map(Some).collect();
    let mut left = records.unwrap_or(usize::MAX);
    let truncated = options.truncated_rows.unwrap_or(false);
    while left > 0 && reader.bytes < bytes {
        let mut columns = Columns::new(&places, names.len(), truncated, left.min(BATCH));
        let name = |column: usize| names.get(column).cloned().unwrap_or_default();
        let batch = reader.batch(&mut columns, options.null_regex.as_deref(), name).await?;
        let Some((columns, lines)) = batch else { break };
        left = left.saturating_sub(lines.len());
        for (column, guess) in columns.iter().zip(&mut guesses) {
            // An empty text is NULL in a column of numbers.
            let values = column.as_string::<i32>().iter().flatten().filter(|value| !value.is_empty());
            values.for_each(|value| guess.add(value));
        }
    }
    Ok(names.into_iter().zip(guesses).collect())
}

/// Returns the columns of a table of files, in the order of their first appearance. Types that differ become one that keeps
/// all values; where there were none it is text.
pub(in super::super) fn fields(looks: Vec<Look>, text: bool) -> Vec<Field> {
    let mut columns: Look = Vec::new();
    for (name, guess) in looks.into_iter().flatten() {
        match columns.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.merge(&guess),
            None => columns.push((name, guess)),
        }
    }
    let field = |(name, guess): (String, Guess)| {
        let data_type = if text { DataType::Utf8 } else { without_null(&guess.data_type()) };
        Field::new(name, data_type, true)
    };
    columns.into_iter().map(field).collect()
}
