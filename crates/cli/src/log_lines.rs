//! What scheduler and executor say while they serve, a line each on stderr. Whoever runs them adds the time.

use log::{LevelFilter, Log, Metadata, Record};

use crate::console::say;

/// Says warnings and errors; with NIGHTJAR_LOG=info (or debug, error, off) more or less.
struct Lines;

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            say(&format!("{}: {}", record.level().as_str().to_lowercase(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Begins to say what libraries log.
pub(crate) fn begin() {
    let asked = std::env::var("NIGHTJAR_LOG").ok().and_then(|level| level.parse().ok());
    log::set_max_level(asked.unwrap_or(LevelFilter::Warn));
    // Refused where somebody has begun already.
    let _ = log::set_logger(&Lines);
}
