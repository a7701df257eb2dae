//! `SHOW LOG OF RUN`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use nightjar_sql::ShowLog;
use std::sync::Arc;

impl Execute for ShowLog {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let lines = context.store.catalog().read_jobs(|ledger| {
            ledger.run(self.run)?;
            ledger.lines(self.run)
        })?;
        let at = lines.iter().map(|line| Some(line.at)).collect::<TimestampMicrosecondArray>();
        let columns: [(&str, ArrayRef); 3] = [
            ("at", Arc::new(at.with_timezone("UTC"))),
            ("attempt", Arc::new(lines.iter().map(|line| Some(line.attempt)).collect::<UInt32Array>())),
            ("line", Arc::new(lines.iter().map(|line| Some(&line.line)).collect::<StringArray>())),
        ];
        let rows = RecordBatch::try_from_iter(columns).map_err(DataFusionError::from)?;
        Ok(context.session.read_batch(rows)?)
    }
}
