//! What is logged, a line each on stderr. Whoever runs a server adds the time.

use log::{LevelFilter, Log, Metadata, Record};

use crate::console::say;

/// Whose warnings and errors are said where NIGHTJAR_LOG asks for nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voices {
    /// Those of all libraries: a server's only way to say what goes wrong.
    All,
    /// Nightjar's: who runs a statement sees what fails of it, and what it does without.
    Ours,
}

/// Says what is logged; with NIGHTJAR_LOG=info (or debug, error, off) more or less, and of everybody.
struct Lines {
    voices: Voices,
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let heard = self.voices == Voices::All || metadata.target().starts_with("nightjar");
        heard && metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            say(&format!("{}: {}", record.level().as_str().to_lowercase(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Begins to say what is logged.
pub(crate) fn begin(voices: Voices) {
    let asked = std::env::var("NIGHTJAR_LOG").ok().and_then(|level| level.parse().ok());
    let voices = if asked.is_some() { Voices::All } else { voices };
    log::set_max_level(asked.unwrap_or(LevelFilter::Warn));
    // Refused where somebody has begun already.
    let _ = log::set_logger(Box::leak(Box::new(Lines { voices })));
}
