//! Rows that come in the order of their places, dealt out to the validation file and the shards.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use nightjar_functions::TextColumn;

use super::classes::Classes;
use super::feature_file::FeatureWriter;
use super::prepared::FeatureFile;
use crate::error::Result;

/// The target of a row whose label training never sees.
const UNSEEN: i32 = -1;

/// Deals rows out. Their order is all it needs: the first of each class are held out, the others go to the shards in
/// turn, which is `row_number()` over the class and over the rest without another sort.
pub(crate) struct Deal<'a> {
    classes: &'a Classes,
    /// How many more rows of each stratum are to be held out.
    to_hold_out: Vec<u64>,
    /// Rows that have gone to shards.
    dealt: u64,
    shards: Vec<FeatureWriter>,
    validation: Option<FeatureWriter>,
    validation_rows: u64,
    unseen: Unseen,
}

/// Rows whose labels training never sees.
#[derive(Debug, Default)]
pub(crate) struct Unseen {
    pub(crate) rows: u64,
    /// The first of their labels in sorted order.
    pub(crate) labels: BTreeSet<String>,
}

/// The most unseen labels to remember.
const UNSEEN_LABELS: usize = 5;

impl Unseen {
    fn add(&mut self, label: &str) {
        self.rows += 1;
        if !self.labels.contains(label) {
            self.labels.insert(label.to_owned());
        }
        if self.labels.len() > UNSEEN_LABELS {
            self.labels.pop_last();
        }
    }
}

/// The files of a deal.
#[derive(Debug)]
pub(crate) struct Dealt {
    pub(crate) shards: Vec<FeatureFile>,
    pub(crate) validation: Option<FeatureFile>,
    pub(crate) unseen: Unseen,
}

/// The rows of a batch that go to one file.
#[derive(Default)]
struct Hand {
    rows: Vec<u32>,
    positions: Vec<i64>,
}

impl<'a> Deal<'a> {
    /// Returns a deal into `train-<shard>.parquet` and, if any rows are held out, `validation.parquet`.
    pub(crate) fn training(
        folder: &Path,
        staged: &Schema,
        classes: &'a Classes,
        held_out: &[u64],
        shards: usize,
    ) -> Result<Self> {
        let create = |shard| {
            let path = folder.join(format!("train-{shard}.parquet"));
            FeatureWriter::create(&path, feature_schema(staged))
        };
        let shards = (0..shards).map(create).collect::<Result<_>>()?;
        let held = held_out.iter().any(|rows| *rows > 0);
        let validation = if held { Some(validation_file(folder, staged)?) } else { None };
        let to_hold_out = held_out.to_vec();
        Ok(Self {
            classes,
            to_hold_out,
            dealt: 0,
            shards,
            validation,
            validation_rows: 0,
            unseen: Unseen::default(),
        })
    }

    /// Returns a deal of all rows into `validation.parquet`.
    pub(crate) fn validation(folder: &Path, staged: &Schema, classes: &'a Classes) -> Result<Self> {
        let validation = Some(validation_file(folder, staged)?);
        let to_hold_out = vec![u64::MAX; classes.labels.len().max(1)];
        Ok(Self {
            classes,
            to_hold_out,
            dealt: 0,
            shards: Vec::new(),
            validation,
            validation_rows: 0,
            unseen: Unseen::default(),
        })
    }

    /// Deals the next rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let target = batch.schema_ref().index_of("target").map_err(DataFusionError::from)?;
        let classes = self.class_of(batch.column(target))?;
        let mut hands: Vec<Hand> = self.shards.iter().map(|_| Hand::default()).collect();
        let mut held = Hand::default();
        for row in 0..batch.num_rows() {
            let class = classes.as_ref().map_or(0, |classes| classes.value(row));
            // A label without a class is in the rows of VALIDATE ON only.
            let to_hold_out = usize::try_from(class).ok().and_then(|class| self.to_hold_out.get_mut(class));
            let holds = to_hold_out.is_none_or(|left| {
                let holds = *left > 0;
                *left = left.saturating_sub(1);
                holds
            });
            let (hand, position) = if holds {
                self.validation_rows += 1;
                (Some(&mut held), self.validation_rows - 1)
            } else {
                let position = self.dealt;
                self.dealt += 1;
                let shards = self.shards.len().max(1) as u64;
                (hands.get_mut((position % shards) as usize), position / shards)
            };
            if let Some(hand) = hand {
                hand.rows.push(row as u32);
                hand.positions.push(position as i64);
            }
        }
        for ((shard, writer), hand) in self.shards.iter_mut().enumerate().zip(hands) {
            write_hand(writer, batch, classes.as_ref(), hand, shard as i32)?;
        }
        if let Some(writer) = &mut self.validation {
            write_hand(writer, batch, classes.as_ref(), held, 0)?;
        }
        Ok(())
    }

    /// Returns the class of each row; none for numbers.
    fn class_of(&mut self, target: &ArrayRef) -> Result<Option<Int32Array>> {
        if target.data_type() == &DataType::Float64 {
            return Ok(None);
        }
        let labels = TextColumn::read("label", target, false)?;
        let class = |label: Option<&str>| {
            let label = label.unwrap_or_default();
            self.classes.of(label).unwrap_or_else(|| {
                self.unseen.add(label);
                UNSEEN
            })
        };
        Ok(Some(Int32Array::from_iter_values(labels.iter().map(class))))
    }

    /// Completes the files.
    pub(crate) fn finish(self) -> Result<Dealt> {
        let shards = self.shards.into_iter().map(FeatureWriter::finish).collect::<Result<_>>()?;
        let validation = self.validation.map(FeatureWriter::finish).transpose()?;
        Ok(Dealt { shards, validation, unseen: self.unseen })
    }
}

fn validation_file(folder: &Path, staged: &Schema) -> Result<FeatureWriter> {
    FeatureWriter::create(&folder.join("validation.parquet"), feature_schema(staged))
}

/// Returns the columns of a feature file: those of staged rows, with shard and position for key and place, and with
/// classes for labels.
fn feature_schema(staged: &Schema) -> SchemaRef {
    let mut fields =
        vec![Field::new("shard", DataType::Int32, false), Field::new("position", DataType::Int64, false)];
    for field in staged.fields().iter().filter(|field| !["key", "place"].contains(&field.name().as_str())) {
        let data_type = match (field.name().as_str(), field.data_type()) {
            ("target", DataType::Float64) => DataType::Float64,
            ("target", _) => DataType::Int32,
            (_, other) => other.clone(),
        };
        fields.push(Field::new(field.name(), data_type, false));
    }
    Arc::new(Schema::new(fields))
}

fn write_hand(
    writer: &mut FeatureWriter,
    batch: &RecordBatch,
    classes: Option<&Int32Array>,
    hand: Hand,
    shard: i32,
) -> Result<()> {
    if hand.rows.is_empty() {
        return Ok(());
    }
    let schema = feature_schema(batch.schema_ref());
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![shard; hand.rows.len()])),
        Arc::new(Int64Array::from(hand.positions)),
    ];
    let taken = take_record_batch(batch, &UInt32Array::from(hand.rows.clone()));
    let taken = taken.map_err(DataFusionError::from)?;
    for (field, column) in taken.schema_ref().fields().iter().zip(taken.columns()) {
        match (field.name().as_str(), classes) {
            ("key" | "place", _) => {}
            ("target", Some(classes)) => {
                let classes = hand.rows.iter().map(|row| classes.value(*row as usize));
                columns.push(Arc::new(Int32Array::from_iter_values(classes)));
            }
            _ => columns.push(Arc::clone(column)),
        }
    }
    let batch = RecordBatch::try_new(schema, columns).map_err(DataFusionError::from)?;
    writer.write(&batch)
}
