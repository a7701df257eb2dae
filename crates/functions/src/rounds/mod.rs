//! Training in rounds, as functions that plans call: the aggregate `train_round` trains a shard a partition and averages the shards, the
//! function `round_outcome` runs the averaged weights over rows to validate on.
//!
//! Both read what they are about from the run's files: the plan of the training ([`TrainingPlan`]), and the state after the round before. So
//! a query names a run and a round, and no weights.

pub mod exact;
mod features;
mod frozen;
mod plan;
mod report;
mod round_outcome;
mod train_round;
mod train_shard;
mod trainers;

pub use exact::Exact;
pub use plan::{Lora, RoundTask, TrainingPlan};
pub use report::{RoundReport, ShardReport};
pub use round_outcome::RoundOutcome;
pub use train_round::TrainRound;
pub use trainers::{StepEvent, TrainingSession, with_trainer};
