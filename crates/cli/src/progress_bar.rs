//! How progress looks on a terminal.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressState, ProgressStyle};

/// How often a bar is drawn anew while nothing is reported.
const TICK: Duration = Duration::from_millis(200);

/// Returns a bar for a phase that counts units and has run for `elapsed`.
pub(crate) fn counted(name: &str, unit: &str, total: Option<u64>, elapsed: Duration) -> ProgressBar {
    let template = match total {
        Some(_) => {
            format!("{{msg}} [{{bar:24}}] {{human_pos}}/{{human_len}} {unit}, {{rate}} {unit}/s{{left}}")
        }
        None => "{spinner} {msg}: {counted}{elapsed}".to_owned(),
    };
    bar(name, unit, &template, total, elapsed)
}

/// Returns a bar for a file that arrives.
pub(crate) fn download(name: &str, total: Option<u64>, elapsed: Duration) -> ProgressBar {
    let template = match total {
        Some(_) => "{msg} [{bar:24}] {bytes}/{total_bytes}, {bytes_per_sec}{left}",
        None => "{spinner} {msg}: {bytes}, {bytes_per_sec}",
    };
    bar(name, "bytes", template, total, elapsed)
}

/// Returns how many units a second were done, over the whole phase: a bar that appears late knows what went before.
pub(crate) fn rate(done: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { done as f64 / seconds } else { 0.0 }
}

fn bar(name: &str, unit: &str, template: &str, total: Option<u64>, elapsed: Duration) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    // The templates are ours, so they are valid.
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("rate", write_rate)
        .with_key("left", write_left)
        .with_key("counted", write_counted(unit));
    let bar = bar.with_style(style).with_message(name.to_owned()).with_elapsed(elapsed);
    bar.enable_steady_tick(TICK);
    bar
}

fn write_rate(state: &ProgressState, out: &mut dyn Write) {
    let _ = write!(out, "{}", HumanCount(rate(state.pos(), state.elapsed()) as u64));
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

fn write_left(state: &ProgressState, out: &mut dyn Write) {
    let rate = rate(state.pos(), state.elapsed());
    let Some(total) = state.len().filter(|_| rate > 0.0) else {
        return;
    };
    let seconds = total.saturating_sub(state.pos()) as f64 / rate;
    // A rate near zero would give a time that no Duration holds.
    if let Ok(left) = Duration::try_from_secs_f64(seconds) {
        let _ = write!(out, ", {} left", HumanDuration(left));
    }
}
