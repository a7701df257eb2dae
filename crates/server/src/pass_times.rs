//! How long the daemon's passes take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the classes, in microseconds. What a pass is to stay below is one of them.
const BOUNDS: [u64; 10] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];

/// The times of the passes that found something to do, in classes, since the daemon began.
#[derive(Debug, Default)]
pub struct PassTimes {
    /// The last one is for what is above all bounds.
    classes: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl PassTimes {
    /// Counts a pass.
    pub fn count(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.classes[BOUNDS.partition_point(|bound| *bound < micros)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Returns, for each bound in seconds, how many passes took so long at most; then the number of all, and their sum in seconds.
    pub(crate) fn so_far(&self) -> (Vec<(f64, u64)>, u64, f64) {
        let mut all = 0;
        let mut counts = self.classes.iter().map(|class| {
            all += class.load(Ordering::Relaxed);
            all
        });
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e6);
        let classes = bounds.zip(&mut counts).collect();
        let count = counts.last().unwrap_or_default();
        (classes, count, self.micros.load(Ordering::Relaxed) as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_counted_in_all_classes_that_hold_them() {
        let times = PassTimes::default();
        for micros in [0, 1_000, 1_001, 49_000, 20_000_000] {
            times.count(Duration::from_micros(micros));
        }
        let (classes, count, seconds) = times.so_far();
        let of = |bound: f64| classes.iter().find(|(class, _)| *class == bound).unwrap().1;
        assert_eq!([0.001, 0.0025, 0.025, 0.05, 10.0].map(of), [2, 3, 3, 4, 4]);
        assert_eq!((count, seconds), (5, 20.051001));
    }
}
