//! Time on the processor, as far as the system tells it.

use std::fs::File;
use std::io::{Read, Seek};
use std::time::{Duration, Instant};

/// Measures work on the thread that made it: time on the clock, less the time that the thread waited for a processor
/// (on Linux; elsewhere all of it). So other programs take little from a figure.
pub(crate) struct Clock {
    waits: Option<File>,
}

impl Clock {
    /// Returns the clock of this thread.
    pub(crate) fn of_this_thread() -> Self {
        Clock { waits: File::open("/proc/thread-self/schedstat").ok() }
    }

    /// Returns what `work` returns, and how long it took.
    pub(crate) fn time<R>(&mut self, work: impl FnOnce() -> R) -> (R, Duration) {
        let waited = self.waited();
        let start = Instant::now();
        let result = work();
        let elapsed = start.elapsed();
        (result, elapsed.saturating_sub(self.waited() - waited))
    }

    /// Returns how long the thread has been ready to run without running: the second number of its schedstat.
    fn waited(&mut self) -> Duration {
        let mut text = [0; 64];
        let read = self.waits.as_mut().map(|file| {
            file.rewind().unwrap();
            file.read(&mut text).unwrap()
        });
        let text = std::str::from_utf8(&text[..read.unwrap_or(0)]).unwrap();
        let nanos = text.split_whitespace().nth(1).map_or(0, |nanos| nanos.parse().unwrap());
        Duration::from_nanos(nanos)
    }
}
