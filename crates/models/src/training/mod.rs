//! Training of an encoder by gradient descent: of all its weights, or of low-rank additions to them.
//!
//! A [`Trainer`] holds the weights, their gradients and the optimizer's state, and takes one [`step`](Trainer::step) a batch. A batch is
//! cut into parts of some 128 tokens; each part's forward and backward pass runs on one thread, packed without padding, and
//! the gradients of a layer's weights are then summed over the parts in their order, one panel of weights a task. So the result has
//! the same bits for any number of threads.

mod adapter;
mod batch;
mod frozen;
mod head;
mod learning_rate;
mod lora;
#[cfg(test)]
mod lora_tests;
mod objective;
mod optimizer;
mod pairs;
mod part;
mod region;
mod save;
mod state;
mod trainer;
mod words;

pub use adapter::Adapter;
pub use frozen::{FrozenBatch, FrozenStates};
pub use learning_rate::{Schedule, learning_rate};
pub use lora::LoraOptions;
pub use objective::{Objective, Target};
pub use optimizer::OptimizerOptions;
pub use pairs::PairOutcome;
pub use save::HeadWeights;
pub use trainer::{StepReport, Trainer, TrainerOptions, TrainingRow};

pub(crate) use frozen::Below;
pub(crate) use part::{Gradients, LayerPass, Noise, Part, PartScratch, each_text, sized};
pub(crate) use words::WordTable;
