//! Progress, notes and warnings on stderr.

use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar};
use nightjar_statements::Watch;
use parking_lot::Mutex;

use crate::console::{self, Style, say, styled};
use crate::progress_bar;

/// A bar for what takes less than this would only flicker.
const SHOWN_AFTER: Duration = Duration::from_secs(2);

/// How often a log that nobody watches gets a line.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The unit of downloads. Their bar is shown at once: a network that stalls should be seen to stall.
const BYTES: &str = "bytes";

/// Tells stderr how a statement gets on: by a bar on a terminal, else by a line now and then.
#[derive(Debug)]
pub(crate) struct Progress {
    quiet: bool,
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    began: Instant,
    phase: Option<Phase>,
    /// What is said when the statement is over.
    conclusions: Vec<String>,
}

/// A part of a statement's work.
#[derive(Debug)]
struct Phase {
    name: String,
    unit: String,
    total: Option<u64>,
    began: Instant,
    /// How much of it an earlier process did.
    resumed: u64,
    /// How it goes, in the statement's own words.
    detail: Option<String>,
    /// On a terminal, once it is shown.
    bar: Option<ProgressBar>,
    /// Elsewhere: when the last line was written.
    last_line: Instant,
}

impl Progress {
    /// Returns progress for stderr as it is; quiet shows warnings only.
    pub(crate) fn new(quiet: bool) -> Self {
        let state = State { began: Instant::now(), phase: None, conclusions: Vec::new() };
        Self { quiet, terminal: console::stderr_is_terminal(), state: Mutex::new(state) }
    }

    /// A statement begins.
    pub(crate) fn begin(&self) {
        self.end();
        let mut state = self.state.lock();
        state.began = Instant::now();
        state.conclusions.clear();
    }

    /// The statement is over: what is drawn goes away.
    pub(crate) fn end(&self) {
        let phase = self.state.lock().phase.take();
        if let Some(bar) = phase.and_then(|phase| phase.bar) {
            bar.finish_and_clear();
        }
    }

    /// Says what the statement has made.
    pub(crate) fn say_conclusions(&self) {
        let conclusions = std::mem::take(&mut self.state.lock().conclusions);
        conclusions.iter().for_each(|conclusion| self.tell(conclusion));
    }

    /// Writes to the terminal while nothing is drawn on it.
    pub(crate) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        // Not under the lock: a reader who reads slowly must not hold up whoever reports progress.
        let bar = self.state.lock().phase.as_ref().and_then(|phase| phase.bar.clone());
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Writes a line to stderr, unless quiet.
    pub(crate) fn tell(&self, line: &str) {
        if !self.quiet {
            self.suspend(|| say(line));
        }
    }
}

impl Watch for Progress {
    fn phase(&self, name: &str, unit: &str, total: Option<u64>) {
        if self.quiet {
            return;
        }
        let now = Instant::now();
        let phase = Phase {
            name: name.to_owned(),
            unit: unit.to_owned(),
            total,
            began: now,
            resumed: 0,
            detail: None,
            bar: None,
            last_line: now,
        };
        let before = self.state.lock().phase.replace(phase);
        if let Some(bar) = before.and_then(|phase| phase.bar) {
            bar.finish_and_clear();
        }
        self.position(0);
    }

    fn position(&self, done: u64) {
        let mut state = self.state.lock();
        let shown = state.began.elapsed() >= SHOWN_AFTER;
        let Some(phase) = &mut state.phase else { return };
        if self.terminal {
            if shown || phase.unit == BYTES {
                phase.bar().set_position(done);
            }
        } else if phase.last_line.elapsed() >= LINE_EVERY {
            phase.last_line = Instant::now();
            say(&phase.line(done));
        }
    }

    fn resumed(&self, done: u64) {
        if let Some(phase) = &mut self.state.lock().phase {
            phase.resumed = done;
        }
        self.position(done);
    }

    fn detail(&self, text: &str) {
        let mut state = self.state.lock();
        let Some(phase) = &mut state.phase else { return };
        let first = phase.detail.replace(text.to_owned()).is_none();
        match &phase.bar {
            // The bar that was there has no place for words.
            Some(bar) if first => {
                let done = bar.position();
                bar.finish_and_clear();
                phase.bar = None;
                phase.bar().set_position(done);
            }
            Some(bar) => bar.set_prefix(text.to_owned()),
            None => {}
        }
    }

    fn note(&self, message: &str) {
        self.tell(&format!("note: {message}"));
    }

    fn conclude(&self, message: &str) {
        self.state.lock().conclusions.push(message.to_owned());
    }

    fn warn(&self, message: &str) {
        let warning = styled("warning:", Style::Yellow, console::stderr_is_coloured());
        self.suspend(|| say(&format!("{warning} {message}")));
    }
}

impl Phase {
    fn bar(&mut self) -> &ProgressBar {
        self.bar.get_or_insert_with(|| {
            let elapsed = self.began.elapsed();
            match &self.detail {
                Some(text) => {
                    progress_bar::described(&self.name, text.clone(), self.total, self.resumed, elapsed)
                }
                None if self.unit == BYTES => progress_bar::download(&self.name, self.total, elapsed),
                None => progress_bar::counted(&self.name, &self.unit, self.total, self.resumed, elapsed),
            }
        })
    }

    /// Returns the phase's state as a line of a log.
    fn line(&self, done: u64) -> String {
        let Self { name, unit, total, .. } = self;
        if let Some(text) = &self.detail {
            let left =
                total.and_then(|total| progress_bar::left(total, done, self.resumed, self.began.elapsed()));
            let left = left.map(|left| format!(", {} left", HumanDuration(left))).unwrap_or_default();
            return format!("{name}: {text}{left}");
        }
        let rate = progress_bar::rate(done.saturating_sub(self.resumed), self.began.elapsed());
        let rate = HumanCount(rate as u64);
        let done = HumanCount(done);
        match total {
            Some(total) => format!("{name}: {done} of {} {unit}, {rate} {unit}/s", HumanCount(*total)),
            None => format!("{name}: {done} {unit}, {rate} {unit}/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let began = Instant::now();
        let mut phase = Phase {
            name: "embedding".to_owned(),
            unit: "rows".to_owned(),
            total: Some(10_000),
            began: began.checked_sub(Duration::from_secs(10)).unwrap_or(began),
            resumed: 0,
            detail: None,
            bar: None,
            last_line: began,
        };
        assert_eq!(phase.line(2_005), "embedding: 2,005 of 10,000 rows, 200 rows/s");
        phase.total = None;
        assert_eq!(phase.line(2_005), "embedding: 2,005 rows, 200 rows/s");
        // What an earlier process did is done, and tells nothing of this one's speed.
        phase.resumed = 1_000;
        assert_eq!(phase.line(2_005), "embedding: 2,005 rows, 100 rows/s");
        phase.detail = Some("epoch 2/3 · loss 0.3121".to_owned());
        assert_eq!(phase.line(2_005), "embedding: epoch 2/3 · loss 0.3121");
        phase.total = Some(10_005);
        assert_eq!(phase.line(2_005), "embedding: epoch 2/3 · loss 0.3121, 80 seconds left");
        assert_eq!(phase.line(1_000), "embedding: epoch 2/3 · loss 0.3121");
    }
}
