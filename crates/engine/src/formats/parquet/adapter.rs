//! Reads the columns of a file that are stored otherwise than they are read, where the scan's expressions ask for them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

use super::stored::{as_read, field_as_read, values_as_read};

/// Adapts as DataFusion does, to the columns as they are read.
#[derive(Debug)]
pub(super) struct StoredColumns;

impl PhysicalExprAdapterFactory for StoredColumns {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let Some(read) = as_read(&file) else {
            return DefaultPhysicalExprAdapterFactory.create(table, file);
        };
        let inner = DefaultPhysicalExprAdapterFactory.create(table, Arc::new(read))?;
        Ok(Arc::new(StoredColumnsAdapter { inner, file }))
    }
}

#[derive(Debug)]
struct StoredColumnsAdapter {
    inner: Arc<dyn PhysicalExprAdapter>,
    file: SchemaRef,
}

impl PhysicalExprAdapter for StoredColumnsAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let adapted = self.inner.rewrite(expr)?;
        adapted
            .transform_up(|node| {
                let at = node.downcast_ref::<Column>().map(Column::index);
                let field = at.and_then(|at| self.file.fields().get(at));
                let Some(field) = field.filter(|field| field_as_read(field) != **field) else {
                    return Ok(Transformed::no(node));
                };
                let read = ReadColumn { column: node, field: Arc::clone(field) };
                Ok(Transformed::yes(Arc::new(read) as Arc<dyn PhysicalExpr>))
            })
            .data()
    }
}

/// A column's values as they are read.
#[derive(Debug, Clone)]
struct ReadColumn {
    column: Arc<dyn PhysicalExpr>,
    field: FieldRef,
}

impl PartialEq for ReadColumn {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.field == other.field
    }
}

impl Eq for ReadColumn {}

impl Hash for ReadColumn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.field.name().hash(state);
    }
}

impl fmt::Display for ReadColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt(f)
    }
}

impl PhysicalExpr for ReadColumn {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(field_as_read(&self.field).data_type().clone())
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.column.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let values = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(values_as_read(&self.field, &values)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [column] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("a column that is read has one child".to_owned()))?;
        Ok(Arc::new(Self { column, field: Arc::clone(&self.field) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}
