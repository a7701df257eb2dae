//! Columns that a table is declared with and that none of its files has.

use std::collections::HashSet;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use object_store::ObjectMeta;

use super::file_table::FileTable;
use crate::error::EngineError;

/// The formats whose files say what their columns are without being read. Readers of CSV look at each header; an object of JSON may lack any key.
const FORMATS: [&str; 3] = ["parquet", "arrow", "avro"];

impl FileTable {
    /// Checks that what a scan reads is in some file of the table: a column that is in none was renamed, or declared by a wrong name, and would read as
    /// NULL in silence. Files of another time may lack it, and one with a DEFAULT is there for files to come.
    ///
    /// Cost: none where statistics show a value of each column; else the footers of files, up to the first that has it.
    pub(super) async fn check_columns(
        &self,
        session: &dyn Session,
        projection: Option<&[usize]>,
        filters: &[Expr],
        scanned: &[FileGroup],
    ) -> Result<()> {
        let ending = self.format().get_ext();
        if !FORMATS.contains(&ending.as_str()) || scanned.is_empty() {
            return Ok(());
        }
        let mut wanted = self.wanted(projection, filters);
        let files: Vec<_> = scanned.iter().flat_map(FileGroup::iter).collect();
        wanted.retain(|(column, _)| !files.iter().any(|file| has_value(file, *column)));
        let Some(first) = files.first().filter(|_| !wanted.is_empty()) else { return Ok(()) };
        let listed = self.files(session).await?;
        let others = listed.into_iter().map(|file| file.object);
        let mut columns = None;
        for object in std::iter::once(first.object_meta.clone()).chain(others) {
            let found = self.own_columns(session, &object).await?;
            wanted.retain(|(_, name)| found.field_with_name(name).is_err());
            if wanted.is_empty() {
                return Ok(());
            }
            columns.get_or_insert((object, found));
        }
        let (Some((_, column)), Some((object, found))) = (wanted.into_iter().next(), columns) else {
            return Ok(());
        };
        let url = self.places().first().map(|place| place.object_store());
        let file = format!("{}{}", url.as_ref().map_or("", |url| url.as_str()), object.location);
        let columns = found.fields().iter().map(|field| field.name().clone()).collect();
        Err(EngineError::ColumnInNoFile { column, file, columns }.into_datafusion())
    }

    /// Returns the columns of files that a scan reads, by place and name, but for those that may be in no file.
    fn wanted(&self, projection: Option<&[usize]>, filters: &[Expr]) -> Vec<(usize, String)> {
        let filtered: HashSet<_> =
            filters.iter().flat_map(Expr::column_refs).map(|column| column.name()).collect();
        let columns = self.file_columns().fields().iter().enumerate();
        let is_read = |column: usize, name: &str| {
            projection.is_none_or(|read| read.contains(&column)) || filtered.contains(name)
        };
        columns
            // One that is NOT NULL is refused by each file that lacks it.
            .filter(|(column, field)| field.is_nullable() && is_read(*column, field.name()))
            .filter(|(_, field)| !self.has_default(field.name()))
            .map(|(column, field)| (column, field.name().clone()))
            .collect()
    }

    async fn own_columns(&self, session: &dyn Session, object: &ObjectMeta) -> Result<Schema> {
        let Some(place) = self.places().first() else { return Ok(Schema::empty()) };
        let store = session.runtime_env().object_store(place)?;
        let found = self.format().infer_schema(session, &store, std::slice::from_ref(object)).await?;
        Ok(found.as_ref().clone())
    }
}

/// Returns whether a file is known to have a value in a column.
fn has_value(file: &PartitionedFile, column: usize) -> bool {
    let Some(statistics) = &file.statistics else { return false };
    let nulls = statistics.column_statistics.get(column).map(|known| known.null_count);
    match (statistics.num_rows, nulls) {
        (Precision::Exact(rows), Some(Precision::Exact(nulls))) => nulls < rows,
        _ => false,
    }
}
