//! What can go wrong in a statement.

use datafusion::common::DataFusionError;
use nightjar_catalog::CatalogError;
use nightjar_errors::Failure;
use nightjar_functions::FunctionError;
use nightjar_models::ModelError;
use nightjar_sql::{JobClauseError, SqlError};

use crate::contradiction::Contradiction;
use crate::job::error::JobError;
use crate::training_error::TrainingError;

/// The result of this crate's functions.
pub type Result<T, E = StatementError> = std::result::Result<T, E>;

/// An error in a statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The text is no statement, or a clause or an option of it can't be.
    #[error(transparent)]
    Sql(#[from] SqlError),

    /// Options that can't be meant together.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),

    /// Options of training in a statement that trains nothing.
    #[error("option {option} is for training, and the statement has no FINE_TUNE ON")]
    OptionWithoutTraining {
        /// The first option.
        option: String,
    },

    /// A call for one statement got none or several.
    #[error("one statement was expected, got '{found}'")]
    NotOne {
        /// The text.
        found: String,
    },

    /// The rows or the base of a training can't be used.
    #[error(transparent)]
    Training(#[from] TrainingError),

    /// A job can't be, or can't be changed.
    #[error(transparent)]
    Job(#[from] JobError),

    /// The catalog or the artifact store failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),

    /// A model call failed.
    #[error(transparent)]
    Function(#[from] FunctionError),

    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),

    /// DataFusion failed, or carries a failure of ours.
    #[error("{}", nightjar_functions::readable(.0))]
    DataFusion(#[source] Box<DataFusionError>),

    /// A name is in a catalog that is not there.
    #[error("there is no catalog '{name}'")]
    CatalogUnknown {
        /// The catalog.
        name: String,
    },

    /// A name is in a schema that is not there.
    #[error("there is no schema '{name}'")]
    SchemaUnknown {
        /// The schema.
        name: String,
        /// The schema whose name comes nearest.
        nearest: Option<String>,
        /// A file of the working folder that the whole name may mean.
        file: Option<String>,
    },

    /// A table that is not there, where one has a similar name.
    #[error("table '{name}' not found")]
    TableUnknown {
        /// The name as written.
        name: String,
        /// The table whose name comes nearest.
        nearest: String,
    },

    /// Something that is to be dropped is in use.
    #[error("{what} is used by {}", by.join(", "))]
    InUse {
        /// What.
        what: String,
        /// The views, materialized views and jobs that use it.
        by: Vec<String>,
    },

    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<DataFusionError> for StatementError {
    fn from(error: DataFusionError) -> Self {
        StatementError::DataFusion(Box::new(error))
    }
}

impl From<JobClauseError> for StatementError {
    fn from(error: JobClauseError) -> Self {
        StatementError::Sql(error.into())
    }
}

impl Failure for StatementError {
    fn code(&self) -> &'static str {
        match self {
            StatementError::Sql(error) => error.code(),
            StatementError::Contradiction(error) => error.code(),
            StatementError::OptionWithoutTraining { .. } => "training_option_without_training",
            StatementError::NotOne { .. } => "statement_not_one",
            StatementError::Training(error) => error.code(),
            StatementError::Job(error) => error.code(),
            StatementError::Catalog(error) => error.code(),
            StatementError::Function(error) => error.code(),
            StatementError::Model(error) => error.code(),
            StatementError::DataFusion(_) => "datafusion",
            StatementError::CatalogUnknown { .. } => "catalog_unknown",
            StatementError::SchemaUnknown { .. } => "schema_unknown",
            StatementError::TableUnknown { .. } => "table_unknown",
            StatementError::InUse { .. } => "in_use",
            StatementError::Internal(_) => "internal",
        }
    }

    fn retryable(&self) -> bool {
        match self {
            StatementError::Job(error) => error.retryable(),
            StatementError::Catalog(error) => error.retryable(),
            StatementError::Function(error) => error.retryable(),
            StatementError::Model(error) => error.retryable(),
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            StatementError::Sql(error) => error.hint(),
            StatementError::Contradiction(error) => error.hint(),
            StatementError::OptionWithoutTraining { .. } => {
                Some("add FINE_TUNE ON (SELECT text, label FROM …), or leave WITH out".to_string())
            }
            StatementError::NotOne { .. } => Some("run a script with nightjar sql -f file".to_string()),
            StatementError::Training(error) => error.hint(),
            StatementError::Job(error) => error.hint(),
            StatementError::Catalog(error) => error.hint(),
            StatementError::Function(error) => error.hint(),
            StatementError::Model(error) => error.hint(),
            StatementError::CatalogUnknown { .. } => {
                Some("a table is named schema.table, without a catalog before it".to_owned())
            }
            StatementError::SchemaUnknown { file: Some(file), .. } => {
                Some(format!("a file is named in quotes: '{file}'"))
            }
            StatementError::SchemaUnknown { nearest: Some(nearest), .. } => {
                Some(format!("did you mean '{nearest}'?"))
            }
            StatementError::SchemaUnknown { name, .. } => Some(format!(
                "SHOW SCHEMAS lists the schemas, CREATE SCHEMA {} makes it",
                nightjar_sql::quote_identifier(name)
            )),
            StatementError::TableUnknown { nearest, .. } => Some(format!(
                "did you mean {}? SHOW TABLES lists the tables",
                nightjar_sql::quote_identifier(nearest)
            )),
            StatementError::InUse { .. } => {
                Some("change or drop those first, or add CASCADE: it drops the views too".to_owned())
            }
            StatementError::DataFusion(error) => nightjar_functions::instead(error),
            StatementError::Internal(_) => None,
        }
    }
}

impl StatementError {
    /// Whether a training is refused for what the statement or its rows are, before anything was trained.
    pub(crate) fn refuses_training(&self) -> bool {
        match self {
            Self::Training(TrainingError::Folder { .. } | TrainingError::RowsChanged { .. }) => false,
            Self::Training(_) | Self::Contradiction(_) => true,
            _ => false,
        }
    }
}
