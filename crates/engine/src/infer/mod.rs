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
//!
//! # How a model call runs
//!
//! `embed`, `classify`, `classify_scores`, `predict` and `similarity` cost an encoder pass
//! (`Work::Encode`); `tokenize` and `count_tokens` only the tokenizer (`Work::Tokenize`) and stay plain
//! functions. `LiftModelCalls` works before DataFusion pushes filters down: a lifted call can't be
//! pushed into a scan, and the filters that cost nothing sink below it. A filter's conjuncts are split
//! by cost. A call that an operator below has computed over the same columns is reused, and one that
//! reads the same texts with the same body joins the operator there, because the encoder pass is paid
//! for. A sort that keeps n rows by plain columns is copied below the operator, and calls whose results
//! nobody reads are dropped at the end (`PruneModelCalls`).
//!
//! A call in a branch costs the branch's rows only: `CASE WHEN c THEN classify(t) ELSE x END` lifts
//! `classify(CASE WHEN c THEN t END)`, and a NULL text costs nothing. The mask mirrors the branches
//! around the call (`guard.rs`), so it never evaluates what they keep from being evaluated; COALESCE,
//! NVL and NVL2 are CASEs by then; `free AND call`, `free OR call` and an aggregate's FILTER are masked
//! alike. A call that reads another's result, through a condition or as an argument, stands in an
//! operator above it. Where a condition can't be asked twice (`random()`, a subquery), the calls of its
//! branches stay plain functions; so do those in lambdas.
//!
//! A call in a join's condition runs below the join, on the side whose columns it reads; `similarity`
//! over both sides becomes `cosine_similarity` of one `embed` per side, which gives the same bits.
//! Other calls over both sides stay plain functions of an outer join. The conditions of an inner join
//! with keys are a filter above it: the model sees only the rows that match.
//!
//! Plans travel by `PhysicalCodec` (`engine/src/physical_codec.rs`) and `InferLogicalCodec`
//! (`codec.rs`): function, pinned model, labels, texts. The receiving process brings its own functions
//! and store. A text that holds a scalar subquery is computed below the operator, because a subquery's
//! result does not reach the expressions of foreign operators there.
//!
//! `InferExec` gathers rows in groups that grow from 128 to the session's batch size, so that a LIMIT
//! wastes little and a long scan repeats little. For each body and precision it runs one pass over the
//! distinct texts of all calls, sorted by length and cut into micro-batches of 512 tokens. A model that
//! was tuned on labels or numbers of pairs (its card has two inputs) reads two texts as one sequence
//! (`Sequence::Pair`), tokenised and cut as training did: for the pass such a pair is one text. The
//! pass runs on the process's arithmetic pool (rayon, a thread a core) and not on the threads that wait
//! for files, one micro-batch a thread: partitions that fill the cores have a thread each, a lone one
//! has them all, and nobody configures it. While one partition tokenises, others compute. A cancelled
//! statement stops between two micro-batches. Memory is bounded by one group per partition.

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
