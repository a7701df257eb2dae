//! The two engines that a record runs in: plain DataFusion as its own runner sets it up, and a session of ours.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::Dialect;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::FutureExt;
use nightjar_engine::{Session, session_config};
use nightjar_tests::{TestStore, render_error};
use sqllogictest::{AsyncDB, ColumnType, DBOutput};

use crate::cells::lines;

/// How long a record may run.
const LIMIT: Duration = Duration::from_secs(120);

/// The letters of the columns of a `query` record, as these files use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Letter(char);

impl ColumnType for Letter {
    fn from_char(value: char) -> Option<Self> {
        Some(Self(if "BDIPRT".contains(value) { value } else { '?' }))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

impl Letter {
    fn of(kind: &DataType) -> Self {
        Self(match kind {
            DataType::Boolean => 'B',
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 'T',
            DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => 'D',
            DataType::Timestamp(_, _) => 'P',
            DataType::Dictionary(_, values) if Self::of(values) == Self('T') => 'T',
            kind if kind.is_integer() => 'I',
            kind if kind.is_floating() || kind.is_decimal() => 'R',
            _ => '?',
        })
    }
}

/// Why a record failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(String);

/// An engine as sqllogictest sees it.
#[derive(Clone)]
pub(crate) struct Peer {
    engine: Engine,
    spark: bool,
    root: String,
    crash: Arc<Mutex<Option<String>>>,
}

#[derive(Clone)]
enum Engine {
    Plain(SessionContext),
    Ours(Box<Session>),
}

impl Peer {
    /// Returns plain DataFusion; `root` is what plans call WORKSPACE_ROOT.
    pub(crate) fn plain(spark: bool, root: &str) -> Self {
        let mut config = SessionConfig::new().with_target_partitions(4);
        if spark {
            config.options_mut().sql_parser.dialect = Dialect::Spark;
        }
        let context = SessionContext::new_with_config(config);
        if spark {
            for function in datafusion_spark::all_default_scalar_functions() {
                context.register_udf((*function).clone());
            }
            for function in datafusion_spark::all_default_aggregate_functions() {
                context.register_udaf((*function).clone());
            }
            for function in datafusion_spark::all_default_window_functions() {
                context.register_udwf((*function).clone());
            }
        }
        Self { engine: Engine::Plain(context), spark, root: root.to_owned(), crash: Arc::default() }
    }

    /// Returns a session of ours on a store.
    pub(crate) fn ours(store: &TestStore, spark: bool, root: &str) -> Self {
        let mut config = session_config().with_target_partitions(4);
        if spark {
            config.options_mut().sql_parser.dialect = Dialect::Spark;
        }
        Self {
            engine: Engine::Ours(Box::new(store.session_with(config))),
            spark,
            root: root.to_owned(),
            crash: Arc::default(),
        }
    }

    /// Returns the session's context, for the tables that a file expects.
    pub(crate) fn context(&self) -> &SessionContext {
        match &self.engine {
            Engine::Plain(context) => context,
            Engine::Ours(session) => session.context(),
        }
    }

    /// Returns how the last statement ended if not in rows or an error, once.
    pub(crate) fn crash(&self) -> Option<String> {
        self.crash.lock().expect("no panic holds it").take()
    }

    fn crashed(&self, how: &str) -> Failed {
        *self.crash.lock().expect("no panic holds it") = Some(how.to_owned());
        Failed(how.to_owned())
    }

    async fn rows(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
        match &self.engine {
            Engine::Plain(context) => {
                let told = |error: datafusion::error::DataFusionError| {
                    format!("DataFusion error: {}", error.strip_backtrace())
                };
                let rows = context.sql(sql).await.map_err(told)?;
                let plan_schema = SchemaRef::new(rows.schema().as_arrow().clone());
                Ok((plan_schema, rows.collect().await.map_err(told)?))
            }
            Engine::Ours(session) => {
                let rows = session.sql(sql).await.map_err(|error| render_error(&error))?;
                let schema = rows.schema().clone();
                Ok((schema, rows.collect().await.map_err(|error| render_error(&error))?))
            }
        }
    }

    async fn output(&self, sql: &str) -> Result<DBOutput<Letter>, String> {
        let (schema, batches) = self.rows(sql).await?;
        let schema = batches.first().map_or(schema, RecordBatch::schema);
        let types: Vec<Letter> = schema.fields().iter().map(|field| Letter::of(field.data_type())).collect();
        let rows = lines(&batches, self.spark, &self.root).map_err(|error| error.to_string())?;
        Ok(match types.is_empty() && rows.is_empty() {
            true => DBOutput::StatementComplete(0),
            false => DBOutput::Rows { types, rows },
        })
    }
}

#[async_trait]
impl AsyncDB for Peer {
    type Error = Failed;
    type ColumnType = Letter;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Letter>, Failed> {
        let output = AssertUnwindSafe(self.output(sql)).catch_unwind();
        match tokio::time::timeout(LIMIT, output).await {
            Ok(Ok(output)) => output.map_err(Failed),
            Ok(Err(_)) => Err(self.crashed("it panics")),
            Err(_) => Err(self.crashed("it hangs")),
        }
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "DataFusion"
    }
}
