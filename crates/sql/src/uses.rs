//! What a statement names: for whoever asks what uses a table or a model.

use datafusion_sql::parser::Statement as DataFusionStatement;
use nightjar_names::ModelReference;

use crate::parse::syntax_tree::SyntaxTree;

/// What a statement needs and makes, by name.
#[derive(Debug, Default)]
pub struct Uses {
    /// The queries in it.
    pub queries: Vec<SyntaxTree<DataFusionStatement>>,
    /// The tables that it names outside of queries.
    pub tables: Vec<Vec<String>>,
    /// The models that it names outside of queries.
    pub models: Vec<ModelReference>,
    /// The table or view that it makes or drops.
    pub makes_table: Option<Vec<String>>,
    /// The model that it makes or drops.
    pub makes_model: Option<String>,
}
