//! Curves as inline SVG: colours and dashes come from the page's style, so both colour schemes are served.

use nightjar_catalog::TrainingMetric;

use super::figures;
use super::html::Html;

// The places on the canvas, which letters of 18 units have room on: on a phone they are that large.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;

/// How many points of a curve are drawn: more than these can't be told apart.
const MOST_POINTS: usize = 1_000;

/// How many curves stand in one chart: each has a look of its own.
const MOST_CURVES: usize = LOOKS.len();

const LOOKS: [&str; 4] = ["curve curve0", "curve curve1", "curve curve2", "curve curve3"];

/// A named run of points.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Returns the chart of the losses among a run's metrics; `None` if there is none to draw.
pub(super) fn losses(metrics: &[TrainingMetric]) -> Option<Html> {
    let mut curves: Vec<Curve> = Vec::new();
    for metric in metrics.iter().filter(|metric| metric.name.contains("loss") && metric.value.is_finite()) {
        let point = (metric.step as f64, metric.value);
        match curves.iter().position(|curve| curve.name == metric.name) {
            Some(place) => curves[place].points.push(point),
            None if curves.len() < MOST_CURVES => {
                curves.push(Curve { name: metric.name.clone(), points: vec![point] });
            }
            None => (),
        }
    }
    curves.iter_mut().for_each(thin);
    (!curves.is_empty()).then(|| draw(&curves))
}

/// Leaves every n-th point, and the last.
fn thin(curve: &mut Curve) {
    let (count, step) = (curve.points.len(), curve.points.len().div_ceil(MOST_POINTS));
    if step > 1 {
        let mut at = 0;
        curve.points.retain(|_| {
            at += 1;
            (at - 1) % step == 0 || at == count
        });
    }
}

/// The lowest and the highest of some numbers; apart, so that they span something.
fn range(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if high > low { (low, high) } else { (low - 0.5, low + 0.5) }
}

fn draw(curves: &[Curve]) -> Html {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let (first, last) = range(points().map(|point| point.0));
    let (low, high) = range(points().map(|point| point.1));
    let x = |step: f64| LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let mut svg = Html::default();
    svg.raw("<figure><svg role=\"img\" viewBox=\"0 0 520 250\" aria-label=\"");
    svg.text(describe(curves)).raw("\">");
    for part in 0..=4 {
        let value = low + (high - low) * f64::from(part) / 4.0;
        line(&mut svg, (LEFT, y(value)), (WIDTH - RIGHT, y(value)));
        label(&mut svg, (LEFT - 8.0, y(value) + 4.0), "end", &figures::value(value));
    }
    let steps = points().map(|point| point.0);
    let (begin, end) =
        steps.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), step| (a.min(step), b.max(step)));
    if begin < end {
        label(&mut svg, (x(begin), HEIGHT - 10.0), "start", &format!("step {begin}"));
    }
    label(
        &mut svg,
        (x(end), HEIGHT - 10.0),
        if begin < end { "end" } else { "middle" },
        &format!("step {end}"),
    );
    for (place, curve) in curves.iter().enumerate() {
        let class = LOOKS[place % LOOKS.len()];
        svg.raw("<path class=\"").raw(class).raw("\" d=\"");
        for (at, (step, value)) in curve.points.iter().enumerate() {
            svg.raw(if at == 0 { "M" } else { "L" }).text(format_args!("{:.1} {:.1}", x(*step), y(*value)));
        }
        // One point is no line: a short one stands for it.
        if let [(step, value)] = curve.points[..] {
            svg.text(format_args!("M{:.1} {:.1}h8", x(step) - 4.0, y(value)));
        }
        svg.raw("\"/>");
    }
    svg.raw("</svg><figcaption>");
    for (curve, class) in curves.iter().zip(LOOKS) {
        svg.raw("<span><svg class=\"key\" viewBox=\"0 0 28 8\" aria-hidden=\"true\"><path class=\"")
            .raw(class);
        svg.raw("\" d=\"M0 4H28\"/></svg> ").text(&curve.name).raw("</span> ");
    }
    svg.raw("</figcaption></figure>");
    svg
}

fn line(svg: &mut Html, from: (f64, f64), to: (f64, f64)) {
    svg.raw("<path class=\"axis\" d=\"");
    svg.text(format_args!("M{:.1} {:.1}L{:.1} {:.1}", from.0, from.1, to.0, to.1)).raw("\"/>");
}

fn label(svg: &mut Html, at: (f64, f64), anchor: &'static str, text: &str) {
    svg.raw("<text x=\"").text(format_args!("{:.1}", at.0)).raw("\" y=\"").text(format_args!("{:.1}", at.1));
    svg.raw("\" text-anchor=\"").raw(anchor).raw("\">").text(text).raw("</text>");
}

fn describe(curves: &[Curve]) -> String {
    let each = curves.iter().filter_map(|curve| {
        let ((from, begin), (until, end)) = (curve.points.first()?, curve.points.last()?);
        let (begin, end) = (figures::value(*begin), figures::value(*end));
        Some(format!("{} from {begin} at step {from} to {end} at step {until}", curve.name))
    });
    format!("Loss by step: {}", each.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use nightjar_catalog::RunId;

    use super::*;

    fn metric(name: &str, step: i64, value: f64) -> TrainingMetric {
        TrainingMetric { run_id: RunId(1), step, name: name.to_owned(), value }
    }

    #[test]
    fn losses_are_drawn_whatever_they_are() {
        assert!(losses(&[metric("accuracy", 1, 0.5), metric("train_loss", 1, f64::NAN)]).is_none());
        let one = losses(&[metric("train_loss", 3, 0.25)]).unwrap().into_string();
        assert!(one.contains("step 3") && !one.contains("NaN") && !one.contains("inf"), "{one}");
        let many: Vec<_> =
            (0..5_000).map(|step| metric("train_loss", step, 1.0 / (step + 1) as f64)).collect();
        let many = losses(&many).unwrap().into_string();
        assert!(many.len() < 30_000, "{}", many.len());
        assert!(many.contains("train_loss from 1 at step 0 to 2.000e-4 at step 4999"));
        let hostile = losses(&[metric("<b>loss", 1, 1.0), metric("<b>loss", 2, 2.0)]).unwrap().into_string();
        assert!(!hostile.contains("<b>"), "{hostile}");
    }
}
