//! What people watch while rounds run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nightjar_functions::rounds::{StepEvent, TrainingPlan};

use crate::Watch;

/// The rows done, told to a [`Watch`] step by step.
pub(super) struct Progress {
    watch: Arc<dyn Watch>,
    plan: TrainingPlan,
    begun: Instant,
    /// Rows done before this process, and since.
    before: u64,
    done: AtomicU64,
}

impl Progress {
    /// Begins the phase; `rounds` were done by an earlier process.
    pub(super) fn begin(watch: &Arc<dyn Watch>, plan: &TrainingPlan, rounds: u32) -> Self {
        let rows = |rounds: std::ops::Range<u32>| -> u64 {
            rounds.map(|round| (0..plan.shards()).map(|shard| plan.rows_in(shard, round)).sum::<u64>()).sum()
        };
        let before = rows(0..rounds);
        watch.phase("training", "rows", Some(rows(0..plan.rounds())));
        if before > 0 {
            watch.resumed(before);
        }
        let (watch, plan) = (Arc::clone(watch), plan.clone());
        Progress { watch, plan, begun: Instant::now(), before, done: AtomicU64::new(0) }
    }

    /// Tells of a step.
    pub(super) fn step(&self, event: &StepEvent) {
        let done = self.done.fetch_add(event.rows, Ordering::Relaxed) + event.rows;
        let per_epoch: u64 = self.plan.shard_rows.iter().sum();
        let epoch = ((self.before + done - 1) / per_epoch.max(1) + 1).min(u64::from(self.plan.epochs));
        let rate = done as f64 / self.begun.elapsed().as_secs_f64().max(1e-3);
        self.watch.position(self.before + done);
        self.watch.detail(&format!(
            "epoch {epoch}/{} · step {}/{} · loss {:.4} · {rate:.0} rows/s",
            self.plan.epochs,
            event.step,
            self.plan.total_steps(),
            event.loss,
        ));
    }
}
