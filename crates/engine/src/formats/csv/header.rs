//! The names of a file's columns, and which of the table's columns are which of its fields.

use std::collections::HashSet;

use super::super::source::Wanted;
use super::records::Sink;
use crate::error::EngineError;

/// Gathers the first record.
#[derive(Debug, Default)]
pub(super) struct First {
    pub(super) fields: Vec<Vec<u8>>,
    value: Vec<u8>,
    pub(super) line: u64,
}

impl Sink for First {
    fn part(&mut self, _: usize, bytes: &[u8]) {
        self.value.extend_from_slice(bytes);
    }

    fn end_field(&mut self, _: usize, _: bool) {
        self.fields.push(std::mem::take(&mut self.value));
    }

    fn end_record(&mut self, _: usize, line: u64) -> bool {
        self.line = line;
        false
    }

    fn blank(&mut self, _: u64) -> bool {
        true
    }

    fn has_enough(&self) -> bool {
        self.line > 0
    }
}

/// Returns the names that a header gives columns: as written; one without a name is `column_` and its place, from 1, and a
/// name that is there already gets `_1`, `_2` and so on.
pub(super) fn names(header: &[Vec<u8>]) -> Vec<String> {
    let mut taken = HashSet::new();
    let written: HashSet<String> =
        header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let named = header.iter().enumerate().map(|(at, name)| match name.is_empty() {
        true => format!("column_{}", at + 1),
        false => String::from_utf8_lossy(name).into_owned(),
    });
    named
        .map(|name| {
            if taken.insert(name.clone()) {
                return name;
            }
            let others = (1..).map(|number| format!("{name}_{number}"));
            let mut free = others.filter(|other| !written.contains(other));
            let name = free.find(|other| taken.insert(other.clone()));
            name.unwrap_or_default()
        })
        .collect()
}

/// Returns which field each of the wanted columns is: by its exact name, else by a name that differs in case or in spaces
/// around it. Without a header it is the field at the column's place.
///
/// Errors: a declared column that the file doesn't have, though it has others that nobody has declared.
pub(super) fn places(
    wanted: &Wanted,
    header: Option<&[String]>,
    file: &str,
) -> Result<Vec<Option<usize>>, EngineError> {
    let Some(header) = header else { return Ok(wanted.columns.iter().map(|column| Some(*column)).collect()) };
    let alike = |name: &str| name.trim().to_lowercase();
    let find = |name: &str| {
        header.iter().position(|other| other == name).or_else(|| {
            let mut found = header.iter().enumerate().filter(|(_, other)| alike(other) == alike(name));
            found.next().filter(|_| found.next().is_none()).map(|(at, _)| at)
        })
    };
    let of_table: Vec<_> = wanted.table.fields().iter().map(|field| find(field.name())).collect();
    let unknown = header.iter().enumerate().any(|(at, name)| {
        !of_table.contains(&Some(at)) && !wanted.folders.iter().any(|folder| alike(folder) == alike(name))
    });
    let places = wanted.columns.iter().map(|column| {
        let place = of_table.get(*column).copied().flatten();
        let field = wanted.table.field(*column);
        if place.is_none() && unknown && !wanted.exact {
            let (file, column) = (file.to_owned(), field.name().clone());
            return Err(EngineError::TextHeader { file, column, header: header.to_vec() });
        }
        if place.is_none() && !field.is_nullable() {
            return Err(EngineError::ColumnMissing { column: field.name().clone(), file: file.to_owned() });
        }
        Ok(place)
    });
    places.collect()
}
