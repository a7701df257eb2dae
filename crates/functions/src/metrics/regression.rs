//! `rmse`, `mae`, `r2` and `pearson` of (truth, prediction).

use datafusion::arrow::datatypes::DataType;
use nightjar_models::RegressionMoments;

use super::MetricFunction;
use super::argument::Argument::Number;
use super::argument::Forms;
use super::regression_sums::{RegressionSums, state};
use crate::FunctionDoc;

/// The root of the mean squared error.
pub(crate) static RMSE: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "rmse",
        syntax: "rmse(truth, prediction)",
        summary: "Aggregate: the root of the mean squared error.",
        returns: "Float64",
        notes: "Numbers are read as Float64. Rows with NULL are skipped; no rows give NULL, NaN gives NaN.",
        example: "SELECT rmse(stars, predict(review, 'stars')) FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |_| RegressionSums::boxed(RegressionMoments::rmse),
    of_lists: None,
};

/// The mean absolute error.
pub(crate) static MAE: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "mae",
        syntax: "mae(truth, prediction)",
        summary: "Aggregate: the mean absolute error.",
        returns: "Float64",
        notes: "NULLs as in rmse.",
        example: "SELECT mae(stars, predict(review, 'stars')) FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |_| RegressionSums::boxed(RegressionMoments::mae),
    of_lists: None,
};

/// The share of the variance that is explained.
pub(crate) static R2: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "r2",
        syntax: "r2(truth, prediction)",
        summary: "Aggregate: the share of the truth's variance that the predictions explain, at most 1.",
        returns: "Float64",
        notes: "Below 0 where the mean of the truth would err less; 0 where the truth is constant. NULLs as in rmse.",
        example: "SELECT r2(stars, predict(review, 'stars')) FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |_| RegressionSums::boxed(RegressionMoments::r2),
    of_lists: None,
};

/// The linear correlation.
pub(crate) static PEARSON: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "pearson",
        syntax: "pearson(truth, prediction)",
        summary: "Aggregate: the linear correlation of two numbers, from -1 to 1.",
        returns: "Float64",
        notes: "0 where either side is constant, where corr gives NULL. NULLs as in rmse.",
        example: "SELECT pearson(stars, predict(review, 'stars')) FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |_| RegressionSums::boxed(RegressionMoments::pearson),
    of_lists: None,
};

const FORMS: Forms = &[&[Number, Number]];
