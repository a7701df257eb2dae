//! Tables: columns under each other.

use std::io::Write;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;

use super::cells::Cells;
use super::{Printer, ValueFormats, width};
use crate::error::Result;

/// Rows that set the widths of the columns; those after them follow at these widths.
const PAGE_ROWS: usize = 1_000;

/// The most rows on a terminal.
pub(crate) const TERMINAL_ROWS: usize = 10_000;

/// The narrowest that a column is cut to.
const LEAST_COLUMNS: usize = 8;

/// Prints a table. On a terminal it fits the columns to the width, and ends after [`TERMINAL_ROWS`]; elsewhere it
/// prints everything whole, in pages, so that it holds no more than one.
pub(crate) struct TablePrinter {
    header: Vec<String>,
    to_the_right: Vec<bool>,
    terminal_columns: Option<usize>,
    /// Whether the result is a plan, as EXPLAIN prints it: a text of many lines, shown as such and never cut.
    is_plan: bool,
    page: Vec<Vec<String>>,
    /// Set by the first page.
    widths: Option<Vec<usize>>,
    rows: usize,
    formats: ValueFormats,
}

impl TablePrinter {
    pub(super) fn new(schema: &SchemaRef, terminal_columns: Option<usize>, formats: ValueFormats) -> Self {
        let fields = schema.fields();
        let is_plan = fields.len() == 2 && fields[1].name() == "plan";
        let terminal_columns = terminal_columns.filter(|_| !is_plan);
        Self {
            is_plan,
            header: fields.iter().map(|field| field.name().clone()).collect(),
            to_the_right: fields.iter().map(|field| field.data_type().is_numeric()).collect(),
            terminal_columns,
            page: Vec::new(),
            widths: None,
            rows: 0,
            formats,
        }
    }

    fn flush(&mut self, out: &mut dyn Write) -> Result<()> {
        let first = self.widths.is_none();
        let widths = match self.widths.take() {
            Some(widths) => widths,
            None => self.measure(),
        };
        if first {
            rule(&widths, out)?;
            // Headers stand to the left, as SQL tools have them.
            let left = vec![false; widths.len()];
            line(&self.header, &widths, &left, self.terminal_columns.is_some(), out)?;
            rule(&widths, out)?;
        }
        for row in self.page.drain(..) {
            line(&row, &widths, &self.to_the_right, self.terminal_columns.is_some(), out)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn measure(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.header.iter().map(|name| width::of(name)).collect();
        for row in &self.page {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = width::of(cell).max(*widest);
            }
        }
        if let Some(columns) = self.terminal_columns {
            fit(&mut widths, columns);
        }
        widths
    }
}

impl Printer for TablePrinter {
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()> {
        let formats = self.formats.clone();
        let columns = batch.columns().iter().map(|column| Cells::new(column, &formats));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            if self.is_full() {
                return Ok(());
            }
            match batch.columns().get(1).and_then(|plan| plan.as_string_opt::<i32>()) {
                Some(plan) if self.is_plan => {
                    let mut name = columns[0].text(row);
                    for line in plan.value(row).lines() {
                        self.page.push(vec![std::mem::take(&mut name), line.to_owned()]);
                    }
                }
                _ => self.page.push(columns.iter().map(|cells| cells.text(row)).collect()),
            }
            self.rows += 1;
            if self.terminal_columns.is_none() && self.page.len() >= PAGE_ROWS {
                self.flush(out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<()> {
        self.flush(out)?;
        rule(self.widths.as_deref().unwrap_or_default(), out)
    }

    fn is_full(&self) -> bool {
        self.terminal_columns.is_some() && self.rows >= TERMINAL_ROWS
    }
}

/// Cuts the widest columns, all to the same width, until the table fits or none can be cut further.
fn fit(widths: &mut [usize], terminal_columns: usize) {
    let available = terminal_columns.saturating_sub(3 * widths.len() + 1);
    let mut limit = widths.iter().copied().max().unwrap_or(0);
    while limit > LEAST_COLUMNS && widths.iter().map(|width| (*width).min(limit)).sum::<usize>() > available {
        limit -= 1;
    }
    for width in widths {
        *width = (*width).min(limit);
    }
}

fn rule(widths: &[usize], out: &mut dyn Write) -> Result<()> {
    for width in widths {
        write!(out, "+{}", "-".repeat(width + 2))?;
    }
    writeln!(out, "+")?;
    Ok(())
}

fn line(
    cells: &[String],
    widths: &[usize],
    to_the_right: &[bool],
    cut: bool,
    out: &mut dyn Write,
) -> Result<()> {
    for ((cell, columns), right) in cells.iter().zip(widths).zip(to_the_right) {
        let cell = if cut { width::cut(cell, *columns) } else { cell.into() };
        let padding = " ".repeat(columns.saturating_sub(width::of(&cell)));
        if *right {
            write!(out, "| {padding}{cell} ")?;
        } else {
            write!(out, "| {cell}{padding} ")?;
        }
    }
    writeln!(out, "|")?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Int64Array, StringArray};

    use super::super::testing::{batch, print};
    use super::*;

    fn table(terminal_columns: Option<usize>, batches: &[RecordBatch]) -> String {
        print(TablePrinter::new(&batches[0].schema(), terminal_columns, ValueFormats::default()), batches)
    }

    #[test]
    fn whole_where_nobody_reads_along() {
        insta::assert_snapshot!(table(None, &[batch()]), @r#"
        +------+------------------+-------+------------------------+-----------+---------------+
        | id   | text             | score | vector                 | list      | entry         |
        +------+------------------+-------+------------------------+-----------+---------------+
        |    1 | a "b", | c\nd\té |   0.5 | [0.0000, 0.0100, … 12] | [1, NULL] | {label: good} |
        | NULL | NULL             |  NULL | NULL                   | NULL      | {label: NULL} |
        +------+------------------+-------+------------------------+-----------+---------------+
        "#);
    }

    #[test]
    fn fitted_to_a_terminal() {
        let table = table(Some(72), &[batch()]);
        assert!(table.lines().all(|line| width::of(line) <= 72), "{table}");
        insta::assert_snapshot!(table, @r#"
        +------+-------------+-------+-------------+-----------+-------------+
        | id   | text        | score | vector      | list      | entry       |
        +------+-------------+-------+-------------+-----------+-------------+
        |    1 | a "b", | c… |   0.5 | [0.0000, 0… | [1, NULL] | {label: go… |
        | NULL | NULL        |  NULL | NULL        | NULL      | {label: NU… |
        +------+-------------+-------+-------------+-----------+-------------+
        "#);
    }

    #[test]
    fn a_result_without_rows_has_a_header() {
        insta::assert_snapshot!(table(None, &[batch().slice(0, 0)]), @"
        +----+------+-------+--------+------+-------+
        | id | text | score | vector | list | entry |
        +----+------+-------+--------+------+-------+
        +----+------+-------+--------+------+-------+
        ");
    }

    #[test]
    fn pages_keep_the_first_ones_widths_and_terminals_end() {
        let numbers = Int64Array::from_iter_values(0..1_500);
        let rows = RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).unwrap();
        let wide = StringArray::from(vec!["wider than the first page"]);
        assert_eq!(table(None, std::slice::from_ref(&rows)).lines().count(), 1_500 + 4);
        let texts = StringArray::from_iter_values((0..PAGE_ROWS).map(|n| n.to_string()));
        let first = RecordBatch::try_from_iter([("n", Arc::new(texts) as _)]).unwrap();
        let second = RecordBatch::try_from_iter([("n", Arc::new(wide) as _)]).unwrap();
        let paged = table(None, &[first, second]);
        assert!(paged.contains("| 999 |\n| wider than the first page |\n+-----+\n"), "{paged}");

        let mut printer = TablePrinter::new(&rows.schema(), Some(80), ValueFormats::default());
        for _ in 0..7 {
            printer.write(&rows, &mut Vec::new()).unwrap();
        }
        assert!(printer.is_full() && printer.rows == TERMINAL_ROWS);
    }
}
