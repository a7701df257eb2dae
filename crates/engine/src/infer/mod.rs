//! The model operator: model calls lifted out of expressions, run once per distinct text.
//!
//! ```text
//! ProjectionExec: id, __infer_1 AS label
//!   InferExec: model=sentiment@3 calls=[classify(review)]
//!     DataSourceExec: reviews.parquet, projection=[id, review]
//! ```
//!
//! [`LiftModelCalls`] rewrites logical plans, [`InferNode`] is the logical operator, [`InferPlanner`] turns it
//! into [`InferExec`], which runs it; [`InferLogicalCodec`] and `PhysicalCodec` carry both to another process.

mod caches;
mod codec;
mod exec;
mod expose;
mod gather;
mod guard;
mod join;
mod lift;
mod lifting;
mod node;
mod planner;
mod pool;
mod prune;
mod sink_sort;

pub use codec::InferLogicalCodec;
pub(crate) use codec::{TAG, broken, decode, encode};
pub use exec::InferExec;
pub use lift::LiftModelCalls;
pub use node::{InferCall, InferNode};
pub use planner::{InferPlanner, NightjarQueryPlanner};
pub use prune::PruneModelCalls;
