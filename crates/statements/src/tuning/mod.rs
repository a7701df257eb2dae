//! Methods 'full' and 'lora': training in rounds, each a query, in a run that can be cut off anywhere and goes on with the same bits.
//!
//! 1. *prepare*: rows become features, once (`prepare`).
//! 2. *rounds*: `SELECT train_round(…) FROM features`: from one state to the next. After each the progress file is replaced.
//! 3. *validate*: after each epoch, as a query with the metric aggregates; early stopping decides.
//! 4. *commit*: encoder, head and card are published; version and end of the run are one transaction.
//!
//! # How it runs
//!
//! `statements/src/tuning/driver.rs`: prepare, then rounds, each a query over the feature files:
//! `SELECT train_round(shard, position, ids, …, folder, round)` (`functions/src/rounds`). A file is a
//! partition; a partial accumulator trains its shard from the state after the round before
//! (`train_shard.rs`), the final one averages the shards' states in their order, weighted by rows. A
//! query names a run and a round; plan (`training.json`) and states (`states/round-n.safetensors`) are
//! among the run's files, so nothing large travels in plans. A shard's state is a file before it is
//! averaged: a round that is cut off trains only the shards that it still lacks. After a round the
//! history (`history.json`) is replaced; after an epoch the state runs over the validation file
//! (`round_outcome`) under the metric aggregates. The commit writes encoder and head as artifacts, then
//! version and run in one transaction. Everything random follows from seed, round, shard and step, so a
//! training that goes on has the bits of one that was never stopped.
//!
//! `models/src/training/trainer.rs` takes the steps. A batch is cut into chunks of 1,024 tokens, which
//! bound memory, and these into parts of 128 tokens; a part goes forward and back on one thread
//! (`bert/forward.rs`, `bert/backward.rs`), packed without padding, and the gradients of a layer's
//! weights are then summed over the parts in order, a panel of weights a task: any number of threads
//! gives the same bits. Dropout's masks are functions of a seed and a place and are computed again on
//! the way back. Weights, gradients and moments share one layout, the panels that the products read. Of
//! the word table only touched rows have gradients and moments (`words.rs`). Tests compare every
//! gradient with candle's autograd over `bert/reference.rs`, and with finite differences where there is
//! dropout.
//!
//! Layers that `freeze_layers` leaves as they are run without dropout, so what they make of a text
//! never changes. The first epoch stores it, a file for each shard and round of an epoch (`frozen/` in
//! the run's folder, `rounds/frozen.rs`), and the steps read their batch's texts from it
//! (`models/src/training/frozen.rs`). A text has a checksum over its tokens and its states; what is
//! missing, damaged or finds no room on the disk is computed, with the same bits.
//!
//! Method `lora` (`models/src/training/lora.rs`): the factors A and B of each chosen product stand
//! behind the head in the trainer's run of numbers. Passes read the products' weights with `alpha /
//! rank · B · A` added, made anew after each step from the weights as loaded. The gradients of A and B
//! are summed from `[tokens, rank]` matrices, without that of the whole weight. Gradients, moments and
//! states begin with the first trained number, so a state of `lora` holds the head and the factors
//! alone; shards are averaged factor by factor. The encoder that is published includes the additions;
//! `adapter_model.safetensors` and `adapter_config.json` beside the head keep them as PEFT reads them.

mod commit;
mod driver;
mod explain;
mod history;
mod label_validation;
mod plan;
mod progress;
mod queries;
mod tuning_run;

pub(crate) use explain::tuning_phases;
pub(crate) use label_validation::LabelRows;
