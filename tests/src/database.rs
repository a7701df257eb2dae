//! The database that slt files talk to: one session on a test store.

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use nightjar_engine::{EngineError, Session};
use sqllogictest::{AsyncDB, ColumnType, DBOutput};

use crate::normalise::{Places, normalise};
use crate::render::{render_error, render_rows};

/// A session as sqllogictest sees it. Another `connection` of a file is another session on the same store.
pub struct Database {
    session: Session,
    places: Places,
    run_known_bugs: bool,
}

/// The one statement that isn't SQL: `TEST REMOVE 'path'` removes a file, for what happens then.
const REMOVE: &str = "TEST REMOVE ";

/// A failure as an slt file states it: the message and the hint.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SqlFailure(String);

/// The letters of the columns of a `query` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlType {
    /// `B`
    Boolean,
    /// `I`
    Integer,
    /// `R`: floats and decimals
    Real,
    /// `T`
    Text,
    /// `P`: points in time
    Time,
    /// `?`: lists, structs, binaries, NULL
    Other,
}

impl ColumnType for SqlType {
    fn from_char(value: char) -> Option<Self> {
        [Self::Boolean, Self::Integer, Self::Real, Self::Text, Self::Time, Self::Other]
            .into_iter()
            .find(|known| known.to_char() == value)
    }

    fn to_char(&self) -> char {
        match self {
            Self::Boolean => 'B',
            Self::Integer => 'I',
            Self::Real => 'R',
            Self::Text => 'T',
            Self::Time => 'P',
            Self::Other => '?',
        }
    }
}

impl SqlType {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => Self::Time,
            other if other.is_integer() => Self::Integer,
            other if other.is_floating() || other.is_decimal() => Self::Real,
            _ => Self::Other,
        }
    }
}

impl Database {
    /// Returns the database of a session, with the folders that its statements name.
    pub fn new(session: Session, places: Places) -> Self {
        Self { session, places, run_known_bugs: std::env::var_os("NIGHTJAR_SLT_BUGS").is_some() }
    }

    async fn rows(&self, sql: &str) -> Result<DBOutput<SqlType>, EngineError> {
        let sql = self.places.fill(sql);
        if let Some(path) = sql.strip_prefix(REMOVE) {
            std::fs::remove_file(path.trim_matches('\'')).expect("a file to remove");
            return Ok(DBOutput::StatementComplete(0));
        }
        let rows = self.session.sql(&sql).await?;
        let types = rows.schema().fields().iter().map(|field| SqlType::of(field.data_type())).collect();
        let rows = normalise(&self.places, render_rows(&rows.collect().await?));
        Ok(DBOutput::Rows { types, rows })
    }
}

#[async_trait]
impl AsyncDB for Database {
    type Error = SqlFailure;
    type ColumnType = SqlType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<SqlType>, SqlFailure> {
        self.rows(sql).await.map_err(|error| {
            let text = normalise(&self.places, vec![vec![render_error(&error)]]);
            SqlFailure(text.concat().concat())
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        // `skipif nightjar` marks known bugs; without a name nothing is skipped.
        if self.run_known_bugs { "" } else { "nightjar" }
    }
}
