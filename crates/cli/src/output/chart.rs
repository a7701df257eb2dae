//! Charts on a terminal, in braille: a character is two dots wide and four high.

use std::fmt::Write;

use nightjar_statements::{Chart, Series};

use super::width;
use crate::console::{Style, styled};

/// The height of the drawing, in lines.
const LINES: usize = 12;

/// What is narrower can't be read.
const LEAST_COLUMNS: usize = 16;

/// A point that counts.
const MARK: char = '◆';

/// The empty braille character; the bits above it are its dots.
const BLANK: u32 = 0x2800;

/// The bit of each dot, by line and column within a character.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// The styles of the lines, in order.
const STYLES: [Style; 2] = [Style::Cyan, Style::Yellow];

/// Returns the chart as lines for a terminal of so many columns; nothing where that is too narrow.
pub(crate) fn draw(chart: &Chart, terminal_columns: usize, coloured: bool) -> String {
    let y = Range::of(chart.series.iter().flat_map(|series| series.points.iter().map(|(_, y)| *y)));
    let x = Range::of(chart.series.iter().flat_map(|series| series.points.iter().map(|(x, _)| *x)));
    let (Some(x), Some(y)) = (x, y) else { return String::new() };
    let labels =
        [0, LINES / 2, LINES - 1].map(|line| (line, y.label(1.0 - line as f64 / (LINES - 1) as f64)));
    let margin = labels.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
    let columns = terminal_columns.saturating_sub(margin + 2);
    if columns < LEAST_COLUMNS {
        return String::new();
    }
    let mut canvas = Canvas::new(columns);
    for (n, series) in chart.series.iter().enumerate() {
        canvas.add(n, series, x, y);
    }
    let mut text = format!("{}\n", width::cut(&chart.title, terminal_columns));
    for line in 0..LINES {
        let label = labels.iter().find(|(at, _)| *at == line).map_or("", |(_, label)| label);
        let axis = if label.is_empty() { '│' } else { '┤' };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:>margin$} {axis}{}", canvas.line(line, coloured));
    }
    let _ = writeln!(text, "{:margin$} └{}", "", "─".repeat(columns));
    let _ = writeln!(text, "{:margin$}  {}", "", horizontal(chart.x, x, columns));
    let _ = writeln!(text, "{:margin$}  {}", "", legend(&chart.series, coloured));
    text
}

/// The labels below the drawing: the least and the greatest at its ends, and what they count.
fn horizontal(name: &str, x: Range, columns: usize) -> String {
    let (least, greatest) = (format!("{name} {}", x.least), x.greatest.to_string());
    let gap = columns.saturating_sub(least.len() + greatest.len()).max(1);
    format!("{least}{:gap$}{greatest}", "")
}

fn legend(series: &[Series], coloured: bool) -> String {
    let entries = series.iter().enumerate().map(|(n, series)| {
        let sign = if series.marked { MARK } else { '⠒' };
        format!("{} {}", styled(&sign.to_string(), STYLES[n % STYLES.len()], coloured), series.name)
    });
    entries.collect::<Vec<_>>().join("   ")
}

/// From the least to the greatest value that is drawn.
#[derive(Debug, Clone, Copy)]
struct Range {
    least: f64,
    greatest: f64,
}

impl Range {
    fn of(values: impl Iterator<Item = f64>) -> Option<Range> {
        values.filter(|value| value.is_finite()).fold(None, |range: Option<Range>, value| {
            let range = range.unwrap_or(Range { least: value, greatest: value });
            Some(Range { least: range.least.min(value), greatest: range.greatest.max(value) })
        })
    }

    /// Where a value lies, from 0 to 1; in the middle where all are the same.
    fn share(self, value: f64) -> f64 {
        // Halved first: the width of the widest range is more than a float can hold.
        let (least, greatest) = (self.least / 2.0, self.greatest / 2.0);
        if greatest > least { ((value / 2.0 - least) / (greatest - least)).clamp(0.0, 1.0) } else { 0.5 }
    }

    /// The value at a share of the range, with as many digits as tell it from the others.
    fn label(self, share: f64) -> String {
        let value = self.least * (1.0 - share) + self.greatest * share;
        let largest = self.least.abs().max(self.greatest.abs());
        let span = if self.greatest > self.least { self.greatest - self.least } else { largest };
        let decimals = (2.0 - span.log10().floor()).clamp(0.0, 9.0);
        if largest >= 1e6 || (largest > 0.0 && largest < 1e-6) {
            format!("{value:.2e}")
        } else {
            format!("{value:.*}", if decimals.is_finite() { decimals as usize } else { 2 })
        }
    }
}

/// What is drawn so far: for each character its dots, or a mark, and whose they are.
struct Canvas {
    columns: usize,
    cells: Vec<(u32, bool, usize)>,
}

impl Canvas {
    fn new(columns: usize) -> Canvas {
        Canvas { columns, cells: vec![(0, false, 0); columns * LINES] }
    }

    fn add(&mut self, n: usize, series: &Series, x: Range, y: Range) {
        let (wide, high) = (self.columns * 2, LINES * 4);
        let line = |value: f64| ((1.0 - y.share(value)) * (high - 1) as f64).round() as usize;
        let column = |value: f64| (x.share(value) * (wide - 1) as f64).round() as usize;
        if series.marked {
            for (at, value) in &series.points {
                let cell = self.cell(column(*at), line(*value));
                *cell = (0, true, n);
            }
            return;
        }
        // Several points on one column of dots are drawn as their mean.
        let mut means = vec![(0.0, 0.0); wide];
        for (at, value) in &series.points {
            let (sum, count) = &mut means[column(*at)];
            *count += 1.0;
            *sum += (value - *sum) / *count;
        }
        let means = means.iter().enumerate().filter(|(_, (_, count))| *count > 0.0);
        let mut before: Option<(usize, usize)> = None;
        for (to, height) in means.map(|(column, (mean, _))| (column, line(*mean))) {
            let (from, start) = before.unwrap_or((to, height));
            let steps = (to - from).max(start.abs_diff(height)).max(1);
            for step in 0..=steps {
                let between = |a: usize, b: usize| {
                    (a as f64 + (b as f64 - a as f64) * step as f64 / steps as f64).round() as usize
                };
                self.dot(between(from, to), between(start, height), n);
            }
            before = Some((to, height));
        }
    }

    fn dot(&mut self, column: usize, line: usize, n: usize) {
        let cell = self.cell(column, line);
        cell.0 |= DOTS[line % 4][column % 2];
        cell.2 = n;
    }

    fn cell(&mut self, column: usize, line: usize) -> &mut (u32, bool, usize) {
        &mut self.cells[line / 4 * self.columns + column / 2]
    }

    fn line(&self, line: usize, coloured: bool) -> String {
        let cells = &self.cells[line * self.columns..(line + 1) * self.columns];
        let drawn = cells.iter().rposition(|(dots, mark, _)| *dots > 0 || *mark).map_or(0, |last| last + 1);
        let mut text = String::new();
        for (dots, mark, n) in &cells[..drawn] {
            let sign = match (*mark, *dots) {
                (true, _) => MARK,
                (false, 0) => ' ',
                (false, dots) => char::from_u32(BLANK + dots).unwrap_or(' '),
            };
            text.push_str(&styled(&sign.to_string(), STYLES[n % STYLES.len()], coloured && sign != ' '));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(training: Vec<(f64, f64)>, validation: Vec<(f64, f64)>) -> Chart {
        let series = [
            Series { name: "training loss", marked: false, points: training },
            Series { name: "validation loss", marked: true, points: validation },
        ];
        let series = series.into_iter().filter(|series| !series.points.is_empty()).collect();
        Chart { title: "run 3, done".to_owned(), x: "step", series }
    }

    #[test]
    fn losses_go_down() {
        let training = (1..=300).map(|step| (step as f64, 0.7 / (1.0 + step as f64 / 60.0))).collect();
        let drawn = draw(&chart(training, vec![(100.0, 0.4), (200.0, 0.28), (300.0, 0.26)]), 44, false);
        let expected = "\
run 3, done
0.689 ┤⢆
      │⠘⡄
      │ ⠱⡀
      │  ⠱⡀
      │   ⠱⡀
      │    ⠑⡄
0.377 ┤     ⠈⠢⡀    ◆
      │       ⠈⠢⡀
      │         ⠈⠑⠤⣀           ◆           ◆
      │             ⠉⠒⠤⣀⡀
      │                 ⠈⠉⠒⠒⠤⢄⣀⣀
0.117 ┤                         ⠉⠉⠑⠒⠒⠒⠤⠤⠤⢄⣀⣀
      └─────────────────────────────────────
       step 1                            300
       ⠒ training loss   ◆ validation loss
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn every_width_and_every_number_is_drawn() {
        let hostile = [
            vec![(0.0, 0.0)],
            vec![(5.0, 1.0), (5.0, 1.0)],
            vec![(0.0, f64::MAX), (1.0, f64::MIN)],
            vec![(0.0, 1e-300), (i64::MAX as f64, 1e300)],
            vec![(0.0, f64::NAN), (1.0, 1.0), (2.0, f64::INFINITY)],
        ];
        for points in hostile {
            for columns in 0..120 {
                let points: Vec<_> =
                    points.iter().copied().filter(|(_, y): &(f64, f64)| y.is_finite()).collect();
                let drawn = draw(&chart(points.clone(), points.clone()), columns, false);
                let lines: Vec<&str> = drawn.lines().collect();
                if !lines.is_empty() {
                    assert_eq!(lines.len(), LINES + 4);
                    assert!(
                        lines[..LINES + 2].iter().all(|line| width::of(line) <= columns),
                        "{columns}\n{drawn}"
                    );
                    assert!(drawn.contains(MARK));
                }
            }
        }
        assert_eq!(draw(&chart(Vec::new(), Vec::new()), 80, false), "");
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        let points = vec![(1.0, 0.5), (2.0, 0.25)];
        assert!(!draw(&chart(points.clone(), points.clone()), 60, false).contains('\x1b'));
        assert!(draw(&chart(points.clone(), points), 60, true).contains("\x1b[33m◆"));
    }
}
