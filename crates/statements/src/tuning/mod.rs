//! Methods 'full' and 'lora': training in rounds, each a query, in a run that can be cut off anywhere and goes on with the same bits.
//!
//! 1. *prepare*: rows become features, once (`prepare`).
//! 2. *rounds*: `SELECT train_round(…) FROM features`: from one state to the next. After each the progress file is replaced.
//! 3. *validate*: after each epoch, as a query with the metric aggregates; early stopping decides.
//! 4. *commit*: encoder, head and card are published; version and end of the run are one transaction.

mod commit;
mod driver;
mod explain;
mod history;
mod plan;
mod progress;
mod queries;
mod tuning_run;

pub(crate) use explain::tuning_phases;
