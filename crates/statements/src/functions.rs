//! The functions that the plans of statements call, beside those that people call.
//!
//! Plans name functions, so every process registers these as well. They are in no reference.

use datafusion::logical_expr::ScalarUDF;
use nightjar_functions::Models;

use crate::label_set::label_set;
use crate::prepare::{row_key, row_place, text_features};

/// Returns the functions that plans of statements call, bound to a store's models, for a session or an executor to register.
pub fn plan_functions(models: &Models) -> Vec<ScalarUDF> {
    vec![label_set(), row_key(), row_place(), text_features(models.clone())]
}
