//! How files are read whose columns may be others than the table's, or the same in another order.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Constraints, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    ArrowSource, FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchemaBuilder;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use crate::error::EngineError;

/// What a file is found to be.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) columns: SchemaRef,
    /// Whether it is a stream, with neither footer nor magic.
    pub(super) stream: bool,
}

/// Files that are read alike: their columns, in their own order, as [`own_columns`] has them.
struct Alike {
    columns: SchemaRef,
    stream: bool,
    /// One of them, for messages.
    file: String,
}

/// Returns the scan of the files of `config`. `looks` are what they are, in the order of the groups.
///
/// DataFusion's source reads the n-th column of a file as the n-th of its schema, so each kind of file has a source with
/// the schema that its files have, and what is asked of the table's columns is asked of the file's columns of these names:
/// cast where the type is another, NULL where there's none. Like that Parquet is read too.
///
/// Errors: a column that can't be cast, or that a file lacks though it is NOT NULL; only of those that are asked for.
pub(super) fn scan(config: &FileScanConfig, looks: &[Look]) -> Result<Arc<dyn ExecutionPlan>> {
    let table = config.file_schema();
    let mut kinds: Vec<Alike> = Vec::new();
    let mut groups: Vec<Vec<FileGroup>> = Vec::new();
    let mut looks = looks.iter();
    for group in &config.file_groups {
        let mut files: Vec<Vec<PartitionedFile>> = Vec::new();
        for (file, look) in group.iter().zip(looks.by_ref()) {
            let columns = own_columns(&look.columns, table);
            let known = kinds.iter().position(|kind| kind.stream == look.stream && kind.columns == columns);
            let kind = known.unwrap_or(kinds.len());
            if known.is_none() {
                let file = format!("{}{}", config.object_store_url.as_str(), file.object_meta.location);
                kinds.push(Alike { columns, stream: look.stream, file });
            }
            files.resize_with(files.len().max(kind + 1), Vec::new);
            if let Some(files) = files.get_mut(kind) {
                files.push(file.clone());
            }
        }
        groups.resize_with(kinds.len(), Vec::new);
        for (groups, files) in groups.iter_mut().zip(files).filter(|(_, files)| !files.is_empty()) {
            groups.push(FileGroup::new(files));
        }
    }
    if let ([kind], true) = (kinds.as_slice(), kinds.iter().all(|kind| kind.columns == *table)) {
        let source = source(config, kind)?;
        let config = FileScanConfigBuilder::from(config.clone()).with_source(source).build();
        return Ok(DataSourceExec::from_data_source(config));
    }
    let scans = kinds.iter().zip(groups).map(|(kind, groups)| {
        let source = source(config, kind)?;
        // What is known of the table's columns is by their places in the table, and these files have others.
        let unknown = Statistics::new_unknown(source.table_schema().table_schema());
        let groups = groups.into_iter().map(|group| {
            let bare = |file| PartitionedFile { statistics: None, ordering: None, ..file };
            FileGroup::new(group.into_inner().into_iter().map(bare).collect())
        });
        let config = FileScanConfigBuilder::from(config.clone())
            .with_source(source)
            .with_file_groups(groups.collect())
            .with_statistics(unknown)
            .with_constraints(Constraints::default())
            .with_output_ordering(Vec::new())
            .with_output_partitioning(None)
            .build();
        Ok(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>)
    });
    UnionExec::try_new(scans.collect::<Result<_>>()?)
}

/// Returns the columns of a file in their order, all but their types as the table has them. Those that it doesn't have are
/// without a name: nothing asks for them, and a folder may be named by what is a column in the file too.
fn own_columns(file: &Schema, table: &Schema) -> SchemaRef {
    let own = file.fields().iter().map(|field| match table.field_with_name(field.name()) {
        Ok(known) => known.clone().with_data_type(field.data_type().clone()),
        Err(_) => Field::new("", field.data_type().clone(), true),
    });
    Arc::new(Schema::new_with_metadata(own.collect::<Vec<_>>(), table.metadata.clone()))
}

/// Returns the source of files that are alike, which gives what the source of `config` was asked for.
fn source(config: &FileScanConfig, kind: &Alike) -> Result<Arc<dyn FileSource>> {
    let folders = config.table_partition_cols().clone();
    let schema = TableSchemaBuilder::from(&kind.columns).with_table_partition_cols(folders.to_vec()).build();
    let source = if kind.stream {
        ArrowSource::new_stream_file_source(schema)
    } else {
        ArrowSource::new_file_source(schema)
    };
    let Some(asked) = config.file_source.projection() else { return Ok(Arc::new(source)) };
    let table = config.file_schema();
    let adapter = match &config.expr_adapter_factory {
        Some(factory) => factory.create(Arc::clone(table), Arc::clone(&kind.columns))?,
        None => DefaultPhysicalExprAdapterFactory.create(Arc::clone(table), Arc::clone(&kind.columns))?,
    };
    let asked = asked.clone().try_map_exprs(|expression| {
        let own = expression.transform_down(|node| match node.downcast_ref::<Column>() {
            Some(column) => {
                let own = own_column(column, table, kind, adapter.as_ref())?;
                Ok(Transformed::new(own, true, TreeNodeRecursion::Jump))
            }
            None => Ok(Transformed::no(node)),
        });
        own.data()
    })?;
    let pushed = source.try_pushdown_projection(&asked)?;
    pushed
        .ok_or_else(|| DataFusionError::Internal("a source of Arrow's files takes no projection".to_owned()))
}

/// Returns what a column of the table is in the files.
fn own_column(
    column: &Column,
    table: &Schema,
    kind: &Alike,
    adapter: &dyn PhysicalExprAdapter,
) -> Result<Arc<dyn PhysicalExpr>> {
    let of_files = table.fields().len();
    // Those that name folders follow the files' own.
    if let Some(folder) = column.index().checked_sub(of_files) {
        return Ok(Arc::new(Column::new(column.name(), kind.columns.fields().len() + folder)));
    }
    let wanted = table.field(column.index());
    let name = || (wanted.name().clone(), kind.file.clone());
    let found = kind.columns.field_with_name(wanted.name()).ok();
    if found.is_none() && !wanted.is_nullable() {
        let (column, file) = name();
        return Err(EngineError::ColumnMissing { column, file }.into_datafusion());
    }
    let own = adapter.rewrite(Arc::new(Column::new(wanted.name(), column.index())));
    own.map_err(|error| match found {
        Some(found) => {
            let (column, file) = name();
            let (found, wanted) = (found.data_type().clone(), wanted.data_type().clone());
            EngineError::ColumnUnlike { column, file, found, wanted }.into_datafusion()
        }
        None => error,
    })
}
