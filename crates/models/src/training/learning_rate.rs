//! How the learning rate changes over the steps of a training.

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Schedule {
    /// In a straight line to zero.
    #[default]
    Linear,
    /// Along half a cosine to zero.
    Cosine,
}

/// Returns the share of the peak rate for a step, from 0, of `total` steps: it rises in a straight line over the first
/// `warmup_ratio` of the steps, then falls to zero.
pub fn learning_rate(schedule: Schedule, warmup_ratio: f32, step: u32, total: u32) -> f32 {
    // The tolerance is that of a ratio in f32.
    let warmup = (f64::from(warmup_ratio) * f64::from(total) - 1e-4).ceil();
    let step = f64::from(step);
    if step < warmup {
        return (step / warmup) as f32;
    }
    let done = (step - warmup) / (f64::from(total) - warmup).max(1.0);
    let share = match schedule {
        Schedule::Linear => 1.0 - done,
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
    };
    share.max(0.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls_to_zero() {
        let rate = |schedule, step| learning_rate(schedule, 0.1, step, 100);
        assert_eq!(
            (rate(Schedule::Linear, 0), rate(Schedule::Linear, 5), rate(Schedule::Linear, 10)),
            (0.0, 0.5, 1.0)
        );
        assert_eq!((rate(Schedule::Linear, 55), rate(Schedule::Linear, 100)), (0.5, 0.0));
        assert!((rate(Schedule::Cosine, 55) - 0.5).abs() < 1e-6);
        assert!(rate(Schedule::Cosine, 20) > rate(Schedule::Linear, 20));
        assert_eq!(learning_rate(Schedule::Linear, 0.0, 0, 1), 1.0);
        assert_eq!(learning_rate(Schedule::Linear, 1.0, 7, 7), 1.0);
    }
}
