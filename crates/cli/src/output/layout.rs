//! How a table fits a terminal.
//!
//! Where the columns don't fit as they are, these are tried in turn: names on several lines and prose that is cut, columns that
//! are the same in all rows told once below, a few rows upright. Of many rows the last columns are left out, and named.

use std::collections::HashSet;

use super::width;

/// The narrowest that prose is cut to.
const LEAST_COLUMNS: usize = 12;

/// The widest text without a space that is taken for a name or a time, which a cut would spoil.
const WORD_COLUMNS: usize = 56;

/// The most rows that are shown upright.
const UPRIGHT_ROWS: usize = 5;

/// How a table is printed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Columns under each other.
    Columns(Columns),
    /// Row by row, a column a line.
    Upright,
}

/// What of a table stands in columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// The columns shown, and how wide each is.
    pub(super) shown: Vec<(usize, usize)>,
    /// Columns that have one value in all rows, which is told once.
    pub(super) constant: Vec<usize>,
    /// Columns that are not shown.
    pub(super) left_out: Vec<usize>,
}

/// A table as it is to be laid out.
pub(super) struct Table<'a> {
    pub(super) header: &'a [String],
    pub(super) rows: &'a [Vec<String>],
    /// The columns of numbers, truth values and times.
    pub(super) exact: &'a [bool],
}

impl Table<'_> {
    /// Returns the layout for a terminal of so many columns; all columns at their full widths where there is none.
    pub(super) fn layout(&self, terminal: Option<usize>) -> Layout {
        let all: Vec<usize> = (0..self.header.len()).collect();
        let full = |column: usize| self.cells(column).max(width::of(&self.header[column]));
        let whole = Columns {
            shown: all.iter().map(|column| (*column, full(*column))).collect(),
            constant: Vec::new(),
            left_out: Vec::new(),
        };
        let Some(terminal) = terminal.filter(|terminal| !fits(&whole.shown, *terminal)) else {
            return Layout::Columns(whole);
        };
        if let Some(shown) = self.squeezed(&all, terminal) {
            return Layout::Columns(Columns { shown, ..whole });
        }
        let (constant, varying): (Vec<usize>, Vec<usize>) =
            all.iter().partition(|column| self.is_constant(**column));
        if let Some(shown) = self.squeezed(&varying, terminal).filter(|shown| !shown.is_empty()) {
            return Layout::Columns(Columns { shown, constant, left_out: Vec::new() });
        }
        if self.rows.len() <= UPRIGHT_ROWS && !self.rows.is_empty() {
            return Layout::Upright;
        }
        for kept in (1..varying.len()).rev() {
            if let Some(shown) = self.squeezed(&varying[..kept], terminal) {
                return Layout::Columns(Columns { shown, constant, left_out: varying[kept..].to_vec() });
            }
        }
        match self.rows.is_empty() {
            true => Layout::Columns(whole),
            false => Layout::Upright,
        }
    }

    /// Returns the widths of these columns in a terminal, if they fit: names on several lines, prose cut to one width.
    fn squeezed(&self, columns: &[usize], terminal: usize) -> Option<Vec<(usize, usize)>> {
        let named = |column: usize| {
            let lines = name_lines(&self.header[column]);
            lines.iter().map(|line| width::of(line)).max().unwrap_or(0)
        };
        let prose: HashSet<usize> = columns.iter().copied().filter(|column| self.is_prose(*column)).collect();
        let at = |limit: usize| -> Vec<(usize, usize)> {
            let of = |column: usize| match prose.contains(&column) {
                true => self.cells(column).max(named(column)).min(limit),
                // A name that doesn't break is cut with the prose.
                false => self.cells(column).max(named(column).min(limit)),
            };
            columns.iter().map(|column| (*column, of(*column))).collect()
        };
        (LEAST_COLUMNS..=terminal.max(LEAST_COLUMNS)).rev().map(at).find(|shown| fits(shown, terminal))
    }

    /// Returns how wide the widest cell of a column is.
    fn cells(&self, column: usize) -> usize {
        self.rows.iter().map(|row| width::of(&row[column])).max().unwrap_or(0)
    }

    /// Whether a cut leaves something to read of a column: what is no number, no time and no name.
    fn is_prose(&self, column: usize) -> bool {
        let is_word = |text: &String| width::of(text) <= WORD_COLUMNS && !text.contains(' ');
        !self.exact[column] && !self.rows.iter().all(|row| is_word(&row[column]))
    }

    fn is_constant(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| &row[column]);
        let first = cells.next();
        self.rows.len() > 1 && cells.all(|cell| Some(cell) == first)
    }
}

/// Returns the lines that a name takes where it must be narrow: it is broken after `_`. An expression isn't.
pub(super) fn name_lines(name: &str) -> Vec<String> {
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return vec![name.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for part in name.split_inclusive('_') {
        match lines.last_mut() {
            // A word or two a line: `rows_per_`, `second`.
            Some(line) if width::of(line) + width::of(part) <= LEAST_COLUMNS - 2 => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

fn fits(shown: &[(usize, usize)], terminal: usize) -> bool {
    let cells: usize = shown.iter().map(|(_, columns)| columns).sum();
    cells + 3 * shown.len() < terminal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&str], count: usize) -> Vec<Vec<String>> {
        let row = |number: usize| cells.iter().map(|cell| cell.replace('#', &number.to_string())).collect();
        (0..count).map(row).collect()
    }

    fn layout(header: &[&str], exact: &[bool], rows: &[Vec<String>], terminal: usize) -> Layout {
        let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        Table { header: &header, rows, exact }.layout(Some(terminal))
    }

    fn columns(shown: &[(usize, usize)], constant: &[usize], left_out: &[usize]) -> Layout {
        let (constant, left_out) = (constant.to_vec(), left_out.to_vec());
        Layout::Columns(Columns { shown: shown.to_vec(), constant, left_out })
    }

    #[test]
    fn names_break_where_words_end() {
        assert_eq!(name_lines("validation_loss"), ["validation_", "loss"]);
        assert_eq!(name_lines("rows_per_second"), ["rows_per_", "second"]);
        assert_eq!(name_lines("round(a_b, 2)"), ["round(a_b, 2)"]);
    }

    #[test]
    fn prose_is_cut_before_anything_else_and_numbers_never() {
        let header = ["validation_loss", "text"];
        let table = rows(&["0.123456", "a long text of many words # and more"], 9);
        assert_eq!(layout(&header, &[true, false], &table, 80), columns(&[(0, 15), (1, 36)], &[], &[]));
        assert_eq!(layout(&header, &[true, false], &table, 40), columns(&[(0, 11), (1, 22)], &[], &[]));
    }

    #[test]
    fn columns_of_one_value_are_told_once() {
        let header = ["model", "epoch", "loss"];
        let table = rows(&["sentiment@1", "#", "0.#"], 3);
        let exact = [false, true, true];
        assert_eq!(layout(&header, &exact, &table, 20), columns(&[(1, 5), (2, 4)], &[0], &[]));
    }

    #[test]
    fn few_rows_turn_upright_and_of_many_the_last_columns_are_left_out() {
        let header = ["a", "b", "c"];
        let cells = ["1234567#", "1234567#", "1234567#"];
        assert_eq!(layout(&header, &[true; 3], &rows(&cells, 5), 30), Layout::Upright);
        let many = columns(&[(0, 8), (1, 8)], &[], &[2]);
        assert_eq!(layout(&header, &[true; 3], &rows(&cells, 9), 30), many);
    }
}
