//! How progress looks on a terminal.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressState, ProgressStyle};

/// How often a bar is drawn anew while nothing is reported.
const TICK: Duration = Duration::from_millis(200);

/// Returns a bar for a phase that counts units and has run for `elapsed`.
pub(crate) fn counted(
    name: &str,
    unit: &str,
    total: Option<u64>,
    resumed: u64,
    elapsed: Duration,
) -> ProgressBar {
    let template = match total {
        Some(_) => {
            format!("{{msg}} [{{bar:24}}] {{human_pos}}/{{human_len}} {unit}, {{rate}} {unit}/s{{left}}")
        }
        None => "{spinner} {msg}: {counted}{elapsed}".to_owned(),
    };
    bar(name, unit, &template, total, resumed, elapsed)
}

/// Returns a bar for a phase that says in its own words how it goes.
pub(crate) fn described(
    name: &str,
    text: String,
    total: Option<u64>,
    resumed: u64,
    elapsed: Duration,
) -> ProgressBar {
    let template = match total {
        Some(_) => "{msg} [{bar:24}] {prefix}{left}",
        None => "{spinner} {msg}: {prefix}",
    };
    bar(name, "steps", template, total, resumed, elapsed).with_prefix(text)
}

/// Returns a bar for a file that arrives.
pub(crate) fn download(name: &str, total: Option<u64>, elapsed: Duration) -> ProgressBar {
    let template = match total {
        Some(_) => "{msg} [{bar:24}] {bytes}/{total_bytes}, {bytes_per_sec}{left}",
        None => "{spinner} {msg}: {bytes}, {bytes_per_sec}",
    };
    bar(name, "bytes", template, total, 0, elapsed)
}

/// Returns how many units a second were done, over the whole phase: a bar that appears late knows what went before.
pub(crate) fn rate(done: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { done as f64 / seconds } else { 0.0 }
}

/// Returns how long the rest will take at the speed of this process, once that is known.
pub(crate) fn left(total: u64, done: u64, resumed: u64, elapsed: Duration) -> Option<Duration> {
    let rate = rate(done.saturating_sub(resumed), elapsed);
    // A rate near zero would give a time that no Duration holds.
    let seconds = (rate > 0.0).then(|| total.saturating_sub(done) as f64 / rate)?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn bar(
    name: &str,
    unit: &str,
    template: &str,
    total: Option<u64>,
    resumed: u64,
    elapsed: Duration,
) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    // The templates are ours, so they are valid.
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("rate", move |state: &ProgressState, out: &mut dyn Write| write_rate(state, resumed, out))
        .with_key("left", move |state: &ProgressState, out: &mut dyn Write| write_left(state, resumed, out))
        .with_key("counted", write_counted(unit));
    let bar = bar.with_style(style).with_message(name.to_owned()).with_elapsed(elapsed);
    bar.enable_steady_tick(TICK);
    bar
}

fn write_rate(state: &ProgressState, resumed: u64, out: &mut dyn Write) {
    let done = state.pos().saturating_sub(resumed);
    let _ = write!(out, "{}", HumanCount(rate(done, state.elapsed()) as u64));
}

/// Writes what is done and how fast. Some plans count nothing, and then only time passes.
fn write_counted(unit: &str) -> impl Fn(&ProgressState, &mut dyn Write) + Clone + Send + Sync + 'static {
    let unit = unit.to_owned();
    move |state, out| {
        if state.pos() > 0 {
            let rate = HumanCount(rate(state.pos(), state.elapsed()) as u64);
            let _ = write!(out, "{} {unit}, {rate} {unit}/s, ", HumanCount(state.pos()));
        }
    }
}

fn write_left(state: &ProgressState, resumed: u64, out: &mut dyn Write) {
    let left = state.len().and_then(|total| left(total, state.pos(), resumed, state.elapsed()));
    if let Some(left) = left {
        let _ = write!(out, ", {} left", HumanDuration(left));
    }
}
