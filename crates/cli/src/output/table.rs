//! Tables: columns under each other, or row by row where a terminal is too narrow for them.

use std::io::Write;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};

use super::cells::Cells;
use super::layout::{Columns, Layout, Table, name_lines};
use super::{Printer, ValueFormats, width};
use crate::error::Result;

/// Rows that set the widths of the columns; those after them follow at these widths.
const PAGE_ROWS: usize = 1_000;

/// The most rows on a terminal.
pub(crate) const TERMINAL_ROWS: usize = 10_000;

/// The most of a value that is told below a table.
const TOLD_COLUMNS: usize = 60;

/// Prints a table. On a terminal it is laid out for the width, and ends after [`TERMINAL_ROWS`]; elsewhere it prints everything
/// whole, in pages, so that it holds no more than one.
pub(crate) struct TablePrinter {
    header: Vec<String>,
    to_the_right: Vec<bool>,
    /// Columns whose values a cut would spoil.
    exact: Vec<bool>,
    terminal_columns: Option<usize>,
    /// Whether the result is a plan, as EXPLAIN prints it: a text of many lines, shown as such and never cut.
    is_plan: bool,
    page: Vec<Vec<String>>,
    /// Set by the first page.
    columns: Option<Columns>,
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
            exact: fields.iter().map(|field| is_exact(field.data_type())).collect(),
            terminal_columns,
            page: Vec::new(),
            columns: None,
            rows: 0,
            formats,
        }
    }

    /// Writes the page; the first one sets the widths.
    fn flush(&mut self, out: &mut dyn Write) -> Result<()> {
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => {
                let table = Table { header: &self.header, rows: &self.page, exact: &self.exact };
                let columns = match table.layout(self.terminal_columns) {
                    Layout::Columns(columns) => columns,
                    Layout::Upright => return self.write_upright(out),
                };
                rule(&columns, out)?;
                self.write_names(&columns, out)?;
                rule(&columns, out)?;
                columns
            }
        };
        for row in &self.page {
            let cells =
                columns.shown.iter().map(|(column, _)| (row[*column].as_str(), self.to_the_right[*column]));
            line(cells, &columns, self.terminal_columns.is_some(), out)?;
        }
        if self.terminal_columns.is_none() {
            self.page.clear();
        }
        self.columns = Some(columns);
        Ok(())
    }

    /// Writes the names, each on as many lines as it needs. They stand to the left, as SQL tools have them.
    fn write_names(&self, columns: &Columns, out: &mut dyn Write) -> Result<()> {
        let lines = |(column, columns): &(usize, usize)| match width::of(&self.header[*column]) <= *columns {
            true => vec![self.header[*column].clone()],
            false => name_lines(&self.header[*column]),
        };
        let names: Vec<Vec<String>> = columns.shown.iter().map(lines).collect();
        for number in 0..names.iter().map(Vec::len).max().unwrap_or(0) {
            let cells = names.iter().map(|lines| (lines.get(number).map_or("", String::as_str), false));
            line(cells, columns, self.terminal_columns.is_some(), out)?;
        }
        Ok(())
    }

    /// Writes row by row, a column a line.
    fn write_upright(&self, out: &mut dyn Write) -> Result<()> {
        let terminal = self.terminal_columns.unwrap_or(usize::MAX);
        let name_columns =
            self.header.iter().map(|name| width::of(name)).max().unwrap_or(0).min(terminal / 2);
        let value_columns = terminal.saturating_sub(name_columns + 3).max(1);
        for (number, row) in self.page.iter().enumerate() {
            let title = format!("-[ row {} ]", number + 1);
            writeln!(out, "{title}{}", "-".repeat(terminal.saturating_sub(title.len())))?;
            for (name, value) in self.header.iter().zip(row) {
                let name = width::cut(name, name_columns);
                let padding = " ".repeat(name_columns.saturating_sub(width::of(&name)));
                writeln!(out, "{name}{padding} | {}", width::cut(value, value_columns))?;
            }
        }
        Ok(())
    }

    /// Writes what of the result doesn't stand in its columns.
    fn write_below(&self, columns: &Columns, out: &mut dyn Write) -> Result<()> {
        let name = |column: &usize| self.header[*column].as_str();
        if let (false, Some(row)) = (columns.constant.is_empty(), self.page.first()) {
            let told =
                |column: &usize| format!("{} = {}", name(column), width::cut(&row[*column], TOLD_COLUMNS));
            let told: Vec<String> = columns.constant.iter().map(told).collect();
            writeln!(out, "the same in all rows: {}", told.join(", "))?;
        }
        if !columns.left_out.is_empty() {
            let names: Vec<&str> = columns.left_out.iter().map(name).collect();
            writeln!(out, "left out, select them by name to see them: {}", names.join(", "))?;
        }
        Ok(())
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
        // Without columns it stands upright.
        let Some(columns) = &self.columns else { return Ok(()) };
        rule(columns, out)?;
        self.write_below(columns, out)
    }

    fn is_full(&self) -> bool {
        self.terminal_columns.is_some() && self.rows >= TERMINAL_ROWS
    }
}

/// Whether a cut spoils values of a type.
fn is_exact(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_temporal() || *data_type == DataType::Boolean
}

fn rule(columns: &Columns, out: &mut dyn Write) -> Result<()> {
    for (_, columns) in &columns.shown {
        write!(out, "+{}", "-".repeat(columns + 2))?;
    }
    writeln!(out, "+")?;
    Ok(())
}

/// Writes a line of cells, each with whether it stands to the right.
fn line<'a>(
    cells: impl Iterator<Item = (&'a str, bool)>,
    columns: &Columns,
    cut: bool,
    out: &mut dyn Write,
) -> Result<()> {
    for ((cell, right), (_, columns)) in cells.zip(&columns.shown) {
        let cell = if cut { width::cut(cell, *columns) } else { cell.into() };
        let padding = " ".repeat(columns.saturating_sub(width::of(&cell)));
        if right {
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
        -[ row 1 ]--------------------------------------------------------------
        id     | 1
        text   | a "b", | c\nd\té
        score  | 0.5
        vector | [0.0000, 0.0100, … 12]
        list   | [1, NULL]
        entry  | {label: good}
        -[ row 2 ]--------------------------------------------------------------
        id     | NULL
        text   | NULL
        score  | NULL
        vector | NULL
        list   | NULL
        entry  | {label: NULL}
        "#);
    }

    #[test]
    fn upright_where_the_terminal_is_too_narrow() {
        let table = table(Some(40), &[batch()]);
        assert!(table.lines().all(|line| width::of(line) <= 40), "{table}");
        insta::assert_snapshot!(table, @r#"
        -[ row 1 ]------------------------------
        id     | 1
        text   | a "b", | c\nd\té
        score  | 0.5
        vector | [0.0000, 0.0100, … 12]
        list   | [1, NULL]
        entry  | {label: good}
        -[ row 2 ]------------------------------
        id     | NULL
        text   | NULL
        score  | NULL
        vector | NULL
        list   | NULL
        entry  | {label: NULL}
        "#);
    }

    #[test]
    fn what_is_the_same_in_all_rows_or_has_no_room_is_told_below() {
        let numbers = || Arc::new(Int64Array::from_iter_values(1_000_000..1_000_009)) as _;
        let same = Arc::new(StringArray::from(vec!["sentiment@1"; 9])) as _;
        let rows =
            [("model", same), ("validation_loss", numbers()), ("accuracy", numbers()), ("f1", numbers())];
        insta::assert_snapshot!(table(Some(28), &[RecordBatch::try_from_iter(rows).unwrap().slice(0, 6)]), @"
        +-------------+----------+
        | validation_ | accuracy |
        | loss        |          |
        +-------------+----------+
        |     1000000 |  1000000 |
        |     1000001 |  1000001 |
        |     1000002 |  1000002 |
        |     1000003 |  1000003 |
        |     1000004 |  1000004 |
        |     1000005 |  1000005 |
        +-------------+----------+
        the same in all rows: model = sentiment@1
        left out, select them by name to see them: f1
        ");
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
