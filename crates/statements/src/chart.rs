//! What can be drawn of a statement's result, as data: the terminal draws it, a page would draw it otherwise.

/// Lines over one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What is shown.
    pub title: String,
    /// What the horizontal axis counts.
    pub x: &'static str,
    /// The lines, at least one, each with at least one point.
    pub series: Vec<Series>,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: &'static str,
    /// Whether its points are few and each of them matters, rather than a course with noise on it.
    pub marked: bool,
    /// Its points from left to right; all are finite.
    pub points: Vec<(f64, f64)>,
}
