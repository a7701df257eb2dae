//! Writes rows into the folders of their partition values.
//!
//! ```text
//! rows ──► the first 32 folders of a task: a file each, open until the rows end
//!      └─► rows of further folders: sorted by folder, spilled where memory ends, then one file after the other
//! ```
//!
//! So a task has no more files open at once, however many folders its rows have, and one file for each folder. The rows of
//! a folder keep their order.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray, RecordBatch, UInt32Array, UInt64Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::location::Location;
use super::partition_keys::PartitionKeys;
use super::sink::FileWriter;

/// How many files a task has open at once. Spark's writers sort from the first row on, and have one.
const MOST_OPEN_FILES: usize = 32;

/// How many batches wait for a file's writer.
const WAITING_BATCHES: usize = 2;

/// Writes rows into folders below `folder`, and returns how many there were.
pub(super) async fn write_partitioned(
    writer: &FileWriter,
    folder: &Location,
    mut rows: SendableRecordBatchStream,
    context: &Arc<TaskContext>,
) -> Result<u64> {
    let config = writer.config()?;
    let schema = rows.schema();
    let keys = PartitionKeys::new(&schema, &config.table_partition_cols, config.keep_partition_by_columns)?;
    let mut files = Files { writer, folder, keys: &keys, context, count: 0 };
    let mut open: HashMap<Box<[u8]>, OpenFile> = HashMap::new();
    let mut later: Option<Later> = None;
    let mut sequence = 0;
    while let Some(batch) = rows.try_next().await? {
        let of_rows = keys.of(&batch)?;
        let mut folders: Vec<(&[u8], Vec<u32>)> = Vec::new();
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        for (row, key) in (0_u32..).zip(of_rows.iter()) {
            let key = key.data();
            let place = *places.entry(key).or_insert_with(|| {
                folders.push((key, Vec::new()));
                folders.len() - 1
            });
            if let Some((_, of_folder)) = folders.get_mut(place) {
                of_folder.push(row);
            }
        }
        let mut waits = Vec::new();
        for (key, of_folder) in folders {
            let first = of_folder.first().map_or(0, |row| *row as usize);
            if !open.contains_key(key) {
                // For all of them, also those whose files come later: what can't be written fails here.
                let names = keys.folders(&batch, first)?;
                if open.len() == MOST_OPEN_FILES {
                    waits.extend(of_folder);
                    continue;
                }
                open.insert(key.into(), files.open(&names)?);
            }
            if let Some(file) = open.get_mut(key) {
                let of_folder = take_record_batch(&batch, &UInt32Array::from(of_folder))?;
                file.write(keys.in_file(&of_folder)?).await?;
            }
        }
        if !waits.is_empty() {
            // As they came.
            waits.sort_unstable();
            let keyed = keyed(&batch, &of_rows, &waits, &mut sequence)?;
            let later = match &mut later {
                Some(later) => later,
                None => later.insert(Later::begin(keyed.schema(), context)?),
            };
            later.add(keyed).await?;
        }
    }
    let mut written = 0;
    for (_, file) in open {
        written += file.end().await?;
    }
    if let Some(later) = later {
        written += write_sorted(&mut files, later.sorted().await?).await?;
    }
    Ok(written)
}

/// Writes rows that are sorted by their keys, one file after the other.
async fn write_sorted(files: &mut Files<'_>, mut rows: SendableRecordBatchStream) -> Result<u64> {
    let mut written = 0;
    let mut open: Option<(Vec<u8>, OpenFile)> = None;
    while let Some(batch) = rows.try_next().await? {
        let of_rows = batch.num_columns().saturating_sub(2);
        let keys = batch.column(of_rows).as_binary_opt::<i32>().ok_or_else(broken)?.clone();
        let batch = batch.project(&(0..of_rows).collect::<Vec<_>>())?;
        let mut begin = 0;
        while begin < batch.num_rows() {
            let key = keys.value(begin);
            let mut end = begin + 1;
            while end < batch.num_rows() && keys.value(end) == key {
                end += 1;
            }
            if open.as_ref().is_none_or(|(of_open, _)| of_open != key) {
                if let Some((_, file)) = open.take() {
                    written += file.end().await?;
                }
                let names = files.keys.folders(&batch, begin)?;
                open = Some((key.to_vec(), files.open(&names)?));
            }
            if let Some((_, file)) = &mut open {
                file.write(files.keys.in_file(&batch.slice(begin, end - begin))?).await?;
            }
            begin = end;
        }
    }
    if let Some((_, file)) = open {
        written += file.end().await?;
    }
    Ok(written)
}

fn broken() -> DataFusionError {
    DataFusionError::Internal("sorted rows have lost their keys".to_owned())
}

/// The files of a task.
struct Files<'a> {
    writer: &'a FileWriter,
    folder: &'a Location,
    keys: &'a PartitionKeys,
    context: &'a Arc<TaskContext>,
    count: usize,
}

impl Files<'_> {
    /// Begins a file in the folders of these names.
    fn open(&mut self, folders: &[String]) -> Result<OpenFile> {
        let names: Vec<&str> = folders.iter().map(String::as_str).collect();
        let name = format!("{:05}.{}", self.count, self.writer.config()?.file_extension);
        self.count += 1;
        let place = self.folder.folder(&names)?.file(&name)?;
        let schema = Arc::clone(self.keys.file_schema());
        let sink = self.writer.to_one_of_many(&place, Arc::clone(&schema))?;
        let (batches, taken) = mpsc::channel(WAITING_BATCHES);
        let taken = stream::unfold(taken, |mut taken| async move {
            let batch: Option<RecordBatch> = taken.recv().await;
            batch.map(|batch| (Ok(batch), taken))
        });
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema, taken));
        let context = Arc::clone(self.context);
        let task = SpawnedTask::spawn(async move { sink.write_all(rows, &context).await });
        Ok(OpenFile { batches, task })
    }
}

/// A file that is being written.
struct OpenFile {
    batches: mpsc::Sender<RecordBatch>,
    task: SpawnedTask<Result<u64>>,
}

impl OpenFile {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if self.batches.send(batch).await.is_ok() {
            return Ok(());
        }
        // The writer has ended before its rows did, and says why.
        let ended = (&mut self.task).await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        ended.and(Err(DataFusionError::Internal("a file was ended before its rows".to_owned())))
    }

    async fn end(self) -> Result<u64> {
        drop(self.batches);
        self.task.await.map_err(|error| DataFusionError::External(Box::new(error)))?
    }
}

/// Returns the chosen rows of a batch with their keys, and numbers that keep their order.
fn keyed(
    batch: &RecordBatch,
    keys: &datafusion::arrow::row::Rows,
    chosen: &[u32],
    sequence: &mut u64,
) -> Result<RecordBatch> {
    let rows = take_record_batch(batch, &UInt32Array::from(chosen.to_vec()))?;
    let of_rows =
        BinaryArray::from_iter_values(chosen.iter().map(|row| keys.row(*row as usize).data().to_vec()));
    let end = *sequence + chosen.len() as u64;
    let numbers = UInt64Array::from_iter_values(*sequence..end);
    *sequence = end;
    // Found by their places: rows may have columns of any name.
    let added = [Field::new("key", DataType::Binary, false), Field::new("number", DataType::UInt64, false)];
    let fields = rows.schema().fields().iter().cloned().chain(added.map(Arc::new)).collect::<Vec<_>>();
    let mut columns = rows.columns().to_vec();
    columns.extend([Arc::new(of_rows) as ArrayRef, Arc::new(numbers)]);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Rows whose files come later, in the order of their folders.
struct Later {
    batches: mpsc::Sender<RecordBatch>,
    sorting: SpawnedTask<Result<(Option<RecordBatch>, SendableRecordBatchStream)>>,
}

impl Later {
    fn begin(schema: SchemaRef, context: &Arc<TaskContext>) -> Result<Self> {
        let (batches, taken) = mpsc::channel(WAITING_BATCHES);
        let input = Arrivals { schema: Arc::clone(&schema), taken: Mutex::new(Some(taken)) };
        let input = StreamingTableExec::try_new(
            Arc::clone(&schema),
            vec![Arc::new(input)],
            None,
            vec![],
            false,
            None,
        )?;
        let of_rows = schema.fields().len().saturating_sub(2);
        let order = [("key", of_rows), ("number", of_rows + 1)]
            .map(|(name, at)| PhysicalSortExpr::new_default(Arc::new(Column::new(name, at))));
        let order = LexOrdering::new(order).ok_or_else(broken)?;
        let sort = SortExec::new(order, Arc::new(input));
        let mut sorted = sort.execute(0, Arc::clone(context))?;
        // The first row comes when all have been taken in.
        let sorting = SpawnedTask::spawn(async move {
            let first = sorted.next().await.transpose()?;
            Ok((first, sorted))
        });
        Ok(Self { batches, sorting })
    }

    async fn add(&mut self, batch: RecordBatch) -> Result<()> {
        if self.batches.send(batch).await.is_ok() {
            return Ok(());
        }
        let ended = (&mut self.sorting).await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        ended.and(Err(broken()))
    }

    async fn sorted(self) -> Result<SendableRecordBatchStream> {
        drop(self.batches);
        let ended = self.sorting.await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let (first, rest) = ended?;
        let schema = rest.schema();
        let rows = stream::iter(first.map(Ok)).chain(rest);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Rows as they come, once.
#[derive(Debug)]
struct Arrivals {
    schema: SchemaRef,
    taken: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl PartitionStream for Arrivals {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = stream::unfold(self.taken.lock().take(), |taken| async move {
            let mut taken = taken?;
            let batch = taken.recv().await?;
            Some((Ok(batch), Some(taken)))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}
