//! TABLESAMPLE: DataFusion parses the clause and reads past it; here it becomes a plan.
//!
//! ```text
//! TABLESAMPLE (5 PERCENT) REPEATABLE (42)     Filter: sample_key(42, id, review) < 922337203685477580
//! TABLESAMPLE (100 ROWS) REPEATABLE (42)      the 100 rows with the smallest sample_key(42, id, review)
//! ```
//!
//! A row's key is a hash of the seed and of the row's values in all columns of the table, so whether a row is
//! sampled depends on neither partitions, files nor executors, and the columns that a query selects do not change it. The
//! sample is taken as deep in the plan as it may be: below the projections and filters of views and subqueries,
//! and so below the models that they call.

mod clause;
mod key;
mod relation;

pub(crate) use key::{SAMPLE_KEY, sample_key};
pub(crate) use relation::SampledRelations;
