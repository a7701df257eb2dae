//! A table of files: listed anew for each query, pruned by the folders of its partition columns, read by a format.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{ScanArgs, ScanResult, Session};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Constraints, SchemaExt, Statistics, project_schema};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::{ListingTableUrl, PartitionedFile};
use datafusion::datasource::physical_plan::{
    FileGroup, FileOutputMode, FileScanConfig, FileScanConfigBuilder, FileSinkConfig,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::SchemaFingerprint;
use datafusion::execution::cache::TableScopedPath;
use datafusion::execution::cache::cache_manager::{CachedFileMetadata, FileStatisticsCache};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, SortExpr, TableProviderFilterPushDown};
use datafusion::physical_expr::{LexOrdering, create_lex_ordering};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};

use super::data_files::data_files;
use super::partitions::PartitionColumns;
use super::pruning::{is_of_partitions, prune};
use super::settled::whole;

/// Files of one format at one or more places, as a table. The columns of the files come first, then those of the folders.
///
/// A scan has all of what a statement has published into the folders, or nothing.
#[derive(Debug, Clone)]
pub(crate) struct FileTable {
    places: Vec<ListingTableUrl>,
    format: Arc<dyn FileFormat>,
    /// How the names of the files end.
    ending: String,
    partitions: PartitionColumns,
    /// The orders that the rows of each file have, as declared.
    orders: Vec<Vec<SortExpr>>,
    columns: TableSchema,
    definition: Option<String>,
    constraints: Constraints,
    defaults: HashMap<String, Expr>,
    /// What is known of files from earlier queries, and what tells their columns from those of another table.
    statistics: Option<(Arc<FileStatisticsCache>, Arc<SchemaFingerprint>)>,
    /// Whether it is one of the files of another table, and may lack columns of it.
    is_part: bool,
}

/// A file of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableFile {
    /// The place that it was found at.
    pub(crate) place: ListingTableUrl,
    /// The file.
    pub(crate) object: ObjectMeta,
    /// The values of the partition columns.
    pub(crate) values: Vec<ScalarValue>,
}

impl FileTable {
    /// Returns the table of files at `places` whose names end with `ending`. `columns` are those in the files.
    pub(crate) fn new(
        places: Vec<ListingTableUrl>,
        format: Arc<dyn FileFormat>,
        ending: String,
        columns: SchemaRef,
        partitions: PartitionColumns,
    ) -> Self {
        let columns = TableSchema::builder(columns).with_table_partition_cols(partitions.fields()).build();
        Self {
            places,
            format,
            ending,
            partitions,
            columns,
            orders: Vec::new(),
            definition: None,
            constraints: Constraints::default(),
            defaults: HashMap::new(),
            statistics: None,
            is_part: false,
        }
    }

    /// Keeps what is found out about files for the queries that follow.
    pub(crate) fn with_statistics_cache(self, cache: Option<Arc<FileStatisticsCache>>) -> Self {
        let statistics =
            cache.map(|cache| (cache, Arc::new(SchemaFingerprint::from_schema(self.columns.file_schema()))));
        Self { statistics, ..self }
    }

    /// States the orders that the rows of each file have.
    pub(crate) fn with_orders(self, orders: Vec<Vec<SortExpr>>) -> Self {
        Self { orders, ..self }
    }

    /// States how the table was declared.
    pub(crate) fn with_declaration(
        self,
        definition: Option<String>,
        constraints: Constraints,
        defaults: HashMap<String, Expr>,
    ) -> Self {
        Self { definition, constraints, defaults, ..self }
    }

    /// Where the files are.
    pub(crate) fn places(&self) -> &[ListingTableUrl] {
        &self.places
    }

    /// How they are read and written.
    pub(crate) fn format(&self) -> &Arc<dyn FileFormat> {
        &self.format
    }

    /// How their names end.
    pub(crate) fn ending(&self) -> &str {
        &self.ending
    }

    /// The columns that their folders give.
    pub(crate) fn partitions(&self) -> &PartitionColumns {
        &self.partitions
    }

    /// The columns that are in the files.
    pub(crate) fn file_columns(&self) -> &SchemaRef {
        self.columns.file_schema()
    }

    /// Returns one file as a table of its own, without the columns that its folders give.
    pub(crate) fn of_file(&self, file: ListingTableUrl) -> Self {
        let (format, columns) = (Arc::clone(&self.format), Arc::clone(self.file_columns()));
        let file = Self::new(vec![file], format, String::new(), columns, PartitionColumns::default())
            .with_statistics_cache(self.statistics.as_ref().map(|(cache, _)| Arc::clone(cache)));
        Self { is_part: true, ..file }
    }

    /// Whether a column is declared with a value for rows that have none.
    pub(super) fn has_default(&self, column: &str) -> bool {
        self.defaults.contains_key(column)
    }

    /// Returns the files of now that have rows.
    ///
    /// Errors: a folder's value that is none of its column's type; files of a table of another format.
    pub(crate) async fn files(&self, session: &dyn Session) -> Result<Vec<TableFile>> {
        whole(session.runtime_env(), &self.places, || self.list(session)).await
    }

    async fn list(&self, session: &dyn Session) -> Result<Vec<TableFile>> {
        let mut found = Vec::new();
        // Places may overlap, and a row is there once.
        let mut seen = HashSet::new();
        for place in &self.places {
            for object in data_files(session, place, &self.ending).await? {
                // Neither empty files have rows, nor are those the table's that lie outside the folders of its columns.
                let values = match self.partitions.is_empty() {
                    true => Some(Vec::new()),
                    false => self.partitions.values(place, &object.location)?,
                };
                if let Some(values) = values.filter(|_| object.size > 0)
                    && seen.insert(object.location.clone())
                {
                    found.push(TableFile { place: place.clone(), object, values });
                }
            }
        }
        Ok(found)
    }

    /// Returns what a scan reads, with what is known of it.
    async fn scanned(
        &self,
        session: &dyn Session,
        of_partitions: &[Expr],
        limit: Option<usize>,
    ) -> Result<(Vec<FileGroup>, Statistics)> {
        let files = self.list(session).await?;
        let files = prune(&self.partitions, of_partitions, files, |file| &file.values)?;
        let collects = session.config().collect_statistics();
        let (files, all) = self.with_statistics(session, files, limit.filter(|_| collects)).await?;
        let groups = FileGroup::new(files).split_files(session.config().target_partitions());
        let schema = self.schema();
        let known = |group: FileGroup| {
            let files = group.iter().filter_map(|file| file.statistics.as_deref());
            let merged = Statistics::try_merge_iter(files, &schema)?;
            Ok(if collects { group.with_statistics(Arc::new(merged)) } else { group })
        };
        let groups = groups.into_iter().map(known).collect::<Result<Vec<_>>>()?;
        let statistics = Statistics::try_merge_iter(
            groups.iter().filter_map(|group| group.file_statistics(None)),
            &schema,
        )?;
        Ok((groups, if all { statistics } else { statistics.to_inexact() }))
    }

    /// Looks at files, until they have `limit` rows. Returns whether these are all.
    async fn with_statistics(
        &self,
        session: &dyn Session,
        files: Vec<TableFile>,
        limit: Option<usize>,
    ) -> Result<(Vec<PartitionedFile>, bool)> {
        let Some(place) = self.places.first() else { return Ok((Vec::new(), true)) };
        let store = session.runtime_env().object_store(place)?;
        let at_once = session.config_options().execution.meta_fetch_concurrency.get();
        let count = files.len();
        let looks: Vec<_> = files.into_iter().map(|file| self.look(session, &store, file)).collect();
        let mut looks = stream::iter(looks).buffered(at_once);
        let (mut found, mut rows) = (Vec::with_capacity(count), Some(0));
        while let Some(file) = looks.try_next().await? {
            let known = file.statistics.as_ref().map(|statistics| statistics.num_rows);
            rows = match (rows, known) {
                (Some(rows), Some(Precision::Exact(more))) => Some(rows + more),
                _ => None,
            };
            found.push(file);
            if limit.zip(rows).is_some_and(|(limit, rows)| rows > limit) {
                break;
            }
        }
        let all = found.len() == count;
        Ok((found, all))
    }

    async fn look(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        file: TableFile,
    ) -> Result<PartitionedFile> {
        let table = file.place.get_table_ref().clone();
        let (statistics, ordering) = if session.config().collect_statistics() {
            self.known(session, store, &file.object, table.clone()).await?
        } else {
            (Arc::new(Statistics::new_unknown(self.file_columns())), None)
        };
        let mut found = PartitionedFile::from(file.object).with_ordering(ordering);
        found.statistics = Some(with_partitions(statistics, &file.values));
        found.partition_values = file.values;
        found.table_reference = table;
        Ok(found)
    }

    async fn known(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        file: &ObjectMeta,
        table: Option<datafusion::common::TableReference>,
    ) -> Result<(Arc<Statistics>, Option<LexOrdering>)> {
        let key = TableScopedPath { table, path: file.location.clone() };
        if let Some((cache, columns)) = &self.statistics
            && let Some(known) = cache.get(&key)
            && known.is_valid_for(file, columns)
        {
            return Ok((Arc::clone(&known.statistics), known.ordering.clone()));
        }
        let columns = Arc::clone(self.file_columns());
        let found = self.format.infer_stats_and_ordering(session, store, columns, file).await?;
        let (statistics, ordering) = (Arc::new(found.statistics), found.ordering);
        if let Some((cache, columns)) = &self.statistics {
            let (columns, statistics) = (Arc::clone(columns), Arc::clone(&statistics));
            cache.put(&key, CachedFileMetadata::new(file.clone(), columns, statistics, ordering.clone()));
        }
        Ok((statistics, ordering))
    }

    /// Returns the orders of each file's rows: as declared, or what all files say of themselves.
    fn orders(&self, session: &dyn Session, groups: &[FileGroup]) -> Result<Vec<LexOrdering>> {
        if !self.orders.is_empty() {
            return create_lex_ordering(&self.schema(), &self.orders, session.execution_props());
        }
        let mut files = groups.iter().flat_map(FileGroup::iter).map(|file| file.ordering.as_ref());
        let Some(Some(first)) = files.next() else { return Ok(Vec::new()) };
        let mut common: Vec<_> = first.iter().cloned().collect();
        for other in files {
            let same =
                other.map_or(0, |other| common.iter().zip(other.iter()).take_while(|(a, b)| a == b).count());
            common.truncate(same);
        }
        Ok(LexOrdering::new(common).into_iter().collect())
    }

    /// Returns the writer of rows that are added to the table, as an operator. `input` has the table's columns.
    pub(crate) async fn writer(
        &self,
        session: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        mode: FileOutputMode,
        op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.schema().logically_equivalent_names_and_types(&input.schema())?;
        let Some(place) = self.places.first() else {
            return Err(DataFusionError::Internal("a table of files has no place".to_owned()));
        };
        let config = FileSinkConfig {
            original_url: String::new(),
            object_store_url: place.object_store(),
            file_group: FileGroup::default(),
            table_paths: self.places.clone(),
            output_schema: self.schema(),
            table_partition_cols: self.partitions.columns().to_vec(),
            insert_op: op,
            keep_partition_by_columns: session.config_options().execution.keep_partition_by_columns,
            file_extension: self.format.get_ext(),
            file_output_mode: mode,
        };
        let order = match self.orders.is_empty() {
            true => None,
            false => self.orders(session, &[])?.into_iter().next().map(Into::into),
        };
        self.format.create_writer_physical_plan(input, session, config, order).await
    }

    async fn plan(&self, session: &dyn Session, args: &ScanArgs<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = args.projection().map(<[usize]>::to_vec);
        let filters = args.filters().unwrap_or_default();
        let (of_partitions, others): (Vec<_>, Vec<_>) =
            filters.iter().cloned().partition(|filter| is_of_partitions(&self.partitions, filter));
        let limit = args.limit().filter(|_| others.is_empty());
        let (mut groups, statistics) = self.scanned(session, &of_partitions, limit).await?;
        let (Some(place), false) = (self.places.first(), groups.is_empty()) else {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection.as_ref())?)));
        };
        if !self.is_part {
            self.check_columns(session, args.projection(), filters, &groups).await?;
        }
        let orders = self.orders(session, &groups)?;
        if let (true, Some(order)) =
            (session.config_options().execution.split_file_groups_by_statistics, orders.first())
        {
            let most = session.config().target_partitions();
            let split = FileScanConfig::split_groups_by_statistics_with_target_partitions(
                &self.schema(),
                &groups,
                order,
                most,
            );
            // Where the files' ranges can't be told apart the groups stay, and the rows are sorted.
            groups = split.ok().filter(|split| split.len() <= most).unwrap_or(groups);
        }
        let source = self.format.file_source(self.columns.clone());
        let config = FileScanConfigBuilder::new(place.object_store(), source)
            .with_file_groups(groups)
            .with_constraints(self.constraints.clone())
            .with_statistics(statistics)
            .with_projection_indices(projection)?
            .with_limit(args.limit())
            .with_output_ordering(orders)
            .build();
        self.format.create_physical_plan(session, config).await
    }
}

/// Adds what is known of the values that a file's folders give.
fn with_partitions(of_file: Arc<Statistics>, values: &[ScalarValue]) -> Arc<Statistics> {
    if values.is_empty() {
        return of_file;
    }
    let mut statistics = Arc::unwrap_or_clone(of_file);
    let rows = statistics.num_rows;
    let of_value = |value: &ScalarValue| {
        let mut known = ColumnStatistics::new_unknown();
        if value.is_null() {
            known.null_count = rows;
            return known;
        }
        known.null_count = Precision::Exact(0);
        // No order of floating values holds for NaN and both zeros.
        if !matches!(value.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64) {
            known.min_value = Precision::Exact(value.clone());
            known.max_value = Precision::Exact(value.clone());
            known.distinct_count = Precision::Exact(1);
        }
        known
    };
    statistics.column_statistics.extend(values.iter().map(of_value));
    Arc::new(statistics)
}

/// Returns a table as one of files, if it is.
pub(crate) fn file_table(table: &dyn TableProvider) -> Option<&FileTable> {
    table.downcast_ref()
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.table_schema())
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.definition.as_deref()
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.defaults.get(column)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match is_of_partitions(&self.partitions, filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let args = ScanArgs::default()
            .with_projection(projection.map(Vec::as_slice))
            .with_filters(Some(filters))
            .with_limit(limit);
        Ok(self.scan_with_args(session, args).await?.into_inner())
    }

    async fn scan_with_args<'a>(&self, session: &dyn Session, args: ScanArgs<'a>) -> Result<ScanResult> {
        let plan = || self.plan(session, &args);
        Ok(ScanResult::new(whole(session.runtime_env(), &self.places, plan).await?))
    }

    async fn insert_into(
        &self,
        session: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(place) = self.places.first().filter(|place| !place.is_collection()) {
            return datafusion::common::plan_err!(
                "rows can't be added to the single file {place}: name a folder, which ends with '/'"
            );
        }
        self.writer(session, input, FileOutputMode::Automatic, op).await
    }
}

/// Returns the columns of a schema but for those that folders give.
pub(super) fn without(schema: &Schema, partitions: &PartitionColumns) -> SchemaRef {
    let fields = schema.fields().iter().filter(|field| partitions.names().all(|name| name != field.name()));
    Arc::new(Schema::new_with_metadata(fields.cloned().collect::<Vec<_>>(), schema.metadata().clone()))
}
