//! What a round tells of itself: as JSON, the result of `train_round`.

use serde::{Deserialize, Serialize};

use super::exact::Exact;

/// What a round did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// The round's number in the training, from 0.
    pub round: u32,
    /// The shards that have rows in it, in their order.
    pub shards: Vec<ShardReport>,
}

/// What training one shard for one round did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardReport {
    /// The run's name.
    pub run: String,
    /// The round's number in the training, from 0.
    pub round: u32,
    /// The shard.
    pub shard: u32,
    /// Rows read.
    pub rows: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Tokens that frozen layers have run over.
    #[serde(default)]
    pub frozen_tokens: u64,
    /// The mean loss of each step's rows.
    pub losses: Vec<Exact>,
}

impl RoundReport {
    /// Returns the rows that all shards have read.
    pub fn rows(&self) -> u64 {
        self.shards.iter().map(|shard| shard.rows).sum()
    }

    /// Returns the tokens that all shards have read.
    pub fn tokens(&self) -> u64 {
        self.shards.iter().map(|shard| shard.tokens).sum()
    }

    /// Returns the tokens that frozen layers have run over in all shards.
    pub fn frozen_tokens(&self) -> u64 {
        self.shards.iter().map(|shard| shard.frozen_tokens).sum()
    }

    /// Returns the mean loss of each step over the shards that have taken it.
    pub fn losses(&self) -> Vec<f64> {
        let steps = self.shards.iter().map(|shard| shard.losses.len()).max().unwrap_or(0);
        let mean = |step: usize| {
            let losses: Vec<f64> =
                self.shards.iter().filter_map(|shard| shard.losses.get(step).map(|loss| loss.0)).collect();
            losses.iter().sum::<f64>() / losses.len() as f64
        };
        (0..steps).map(mean).collect()
    }
}
