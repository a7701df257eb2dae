//! The session's settings under the prefix `nightjar.`, read and written by `SET` and `SHOW`.

use datafusion::common::extensions_options;
use datafusion::config::ConfigExtension;

extensions_options! {
    /// Settings of a Nightjar session: `SET nightjar.classify_model = 'sentiment'`.
    pub struct NightjarOptions {
        /// The model that CREATE MODEL starts from when it has no FROM, and that embed() uses when the
        /// catalog has no default
        pub base_model: String, default = "all-MiniLM-L6-v2".to_owned()
        /// The model of embed(), similarity(), zero-shot classify(), tokenize() and count_tokens() calls
        /// that name none. Empty: the catalog's default for the task 'embed'
        pub embed_model: String, default = String::new()
        /// The model of classify() and classify_scores() calls that name none. Empty: the catalog's default
        /// for the task 'classify'
        pub classify_model: String, default = String::new()
        /// The model of predict() calls that name none. Empty: the catalog's default for the task 'regress'
        pub predict_model: String, default = String::new()
    }
}

impl ConfigExtension for NightjarOptions {
    const PREFIX: &'static str = "nightjar";
}
