//! A query that maps the rows of one table of files: it can be run over each file by itself.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::datasource::{TableProvider, provider_as_source, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, Volatility, lit};
use nightjar_catalog::{Digest, SourceFile};
use object_store::ObjectMeta;
use url::Url;

use crate::sample::SAMPLE_KEY;
use crate::tables::{FileTable, TableFile, file_table};

/// A query that maps the rows of one table of files.
pub(super) struct FileQuery {
    plan: LogicalPlan,
    table: Arc<dyn TableProvider>,
}

/// A file of the table.
pub(super) struct FoundFile {
    /// As the ledger knows it.
    pub(super) source: SourceFile,
    url: ListingTableUrl,
    /// Of the columns that its path gives.
    partition: Vec<ScalarValue>,
}

impl FileQuery {
    /// Returns the query of a plan, or why it is none.
    pub(super) fn of(plan: &LogicalPlan) -> Result<Result<Self, String>> {
        let mut why = None;
        let mut scans = Vec::new();
        plan.apply(|node| {
            why = match node {
                LogicalPlan::TableScan(scan) => {
                    scans.push(scan.clone());
                    None
                }
                other => refused_node(other),
            };
            if why.is_none() {
                node.apply_expressions(|expr| {
                    expr.apply(|expr| {
                        why = refused_expression(expr);
                        Ok(if why.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
                    })
                })?;
            }
            Ok(if why.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if let Some(why) = why {
            return Ok(Err(format!("the query has {why}")));
        }
        let [scan] = scans.as_slice() else {
            return Ok(Err("the query reads no table of files".to_owned()));
        };
        let table = source_as_provider(&scan.source)?;
        let plain = scan.projection.is_none() && scan.filters.is_empty() && scan.fetch.is_none();
        if !plain || file_table(table.as_ref()).is_none() {
            return Ok(Err(format!("{} is not a table of files", scan.table_name)));
        }
        Ok(Ok(Self { plan: plan.clone(), table }))
    }

    /// Returns the same query with its model calls pinned.
    pub(super) fn pinned(self, plan: LogicalPlan) -> Self {
        Self { plan, ..self }
    }

    /// Digests what the query means: plan, columns, places and format.
    pub(super) fn fingerprint(&self) -> Result<String> {
        let table = self.file_table()?;
        let format = table.format().get_ext();
        let mut digest = Digest::of_parts();
        let mut add = |part: String| {
            digest.add(part.as_bytes());
            digest.add(b"\0");
        };
        add(self.plan.display_indent_schema().to_string());
        add(format!("{:?}", self.table.schema().fields()));
        table.places().iter().for_each(|path| {
            add(format!("{path} {:?}", path.get_glob().as_ref().map(|glob| glob.as_str().to_owned())));
        });
        add(format!("{} {:?} {format}", table.ending(), table.partitions().columns()));
        // How Parquet is read is in its columns; the rest of its options are a session's, and change no row.
        if !format.contains("parquet") {
            add(format!("{:?}", table.format()));
        }
        Ok(digest.finish().to_string())
    }

    /// Lists the files of now.
    pub(super) async fn files(&self, state: &SessionState) -> Result<Vec<FoundFile>> {
        let found = self.file_table()?.files(state).await?;
        let found = found.into_iter().map(|TableFile { place, object, values }| {
            let url = file_url(&place, &object)?;
            Ok(FoundFile { source: source_file(&url, &object), url, partition: values })
        });
        found.collect()
    }

    /// Returns the plan of the query over one file.
    pub(super) fn over(&self, file: &FoundFile) -> Result<LogicalPlan> {
        let plan = self.plan.clone().transform_up(|node| match node {
            LogicalPlan::TableScan(scan) => Ok(Transformed::yes(self.scan(&scan, file)?)),
            other => Ok(Transformed::yes(other.recompute_schema()?)),
        })?;
        Ok(plan.data)
    }

    /// The table, as if the file were all of it. The columns that its path gives are constants.
    fn scan(&self, scan: &TableScan, file: &FoundFile) -> Result<LogicalPlan> {
        let table = self.file_table()?;
        let columns = table.partitions().columns();
        let source = provider_as_source(Arc::new(table.of_file(file.url.clone())));
        let name = &scan.table_name;
        let plan = LogicalPlanBuilder::scan(name.clone(), source, None)?;
        if columns.is_empty() {
            return plan.build();
        }
        let in_file = table.file_columns().fields();
        let read =
            in_file.iter().map(|field| Expr::Column(Column::new(Some(name.clone()), field.name().clone())));
        let known = file.partition.iter().zip(columns).map(|(value, (column, _))| {
            lit(value.clone()).alias_qualified(Some(name.clone()), column.clone())
        });
        plan.project(read.chain(known).collect::<Vec<_>>())?.build()
    }

    fn file_table(&self) -> Result<&FileTable> {
        file_table(self.table.as_ref())
            .ok_or_else(|| DataFusionError::Internal("a table of files is none any more".to_owned()))
    }
}

fn file_url(table: &ListingTableUrl, file: &ObjectMeta) -> Result<ListingTableUrl> {
    let store = table.object_store();
    let mut url = Url::parse(store.as_str()).map_err(|error| DataFusionError::External(Box::new(error)))?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(file.location.parts().map(|part| part.as_ref().to_owned()));
    }
    ListingTableUrl::try_new(url, None)
}

fn source_file(url: &ListingTableUrl, file: &ObjectMeta) -> SourceFile {
    SourceFile {
        name: url.as_str().to_owned(),
        size: file.size,
        modified: file.last_modified.timestamp_micros(),
        etag: file.e_tag.clone(),
    }
}

/// Says what is in the way of running a query file by file.
fn refused_node(node: &LogicalPlan) -> Option<String> {
    let what = match node {
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => return None,
        LogicalPlan::Aggregate(_) => "an aggregate",
        LogicalPlan::Distinct(_) => "DISTINCT",
        LogicalPlan::Join(_) => "a join",
        LogicalPlan::Sort(_) => "a sort",
        LogicalPlan::Limit(_) => "a limit",
        LogicalPlan::Window(_) => "a window",
        LogicalPlan::Union(_) => "a union",
        LogicalPlan::Unnest(_) => "unnest",
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => "rows that come from no file",
        LogicalPlan::RecursiveQuery(_) => "a recursion",
        _ => "an operation over more than one row",
    };
    Some(what.to_owned())
}

fn refused_expression(expr: &Expr) -> Option<String> {
    match expr {
        Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
            Some("a subquery".to_owned())
        }
        Expr::ScalarFunction(call) if call.func.name() == SAMPLE_KEY => Some("a sample".to_owned()),
        Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
            Some(format!("{}(), which may give another value each time", call.func.name()))
        }
        _ => None,
    }
}
