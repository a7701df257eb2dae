//! Rows that come in the order of their places, dealt out to the validation file and the shards.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Int32Array, Int32Builder, Int64Array, ListBuilder, RecordBatch, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use nightjar_functions::{LabelLists, TextColumn};

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
    fn add_rows(&mut self, rows: usize) {
        self.rows += rows as u64;
    }

    fn add_label(&mut self, label: &str) {
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

/// The targets of a batch.
struct Targets {
    /// The stratum of each row; none where training never sees its label, which is in the rows of VALIDATE ON only.
    strata: Vec<Option<usize>>,
    /// What the files hold of them.
    column: ArrayRef,
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
        let to_hold_out = vec![u64::MAX; classes.strata()];
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
        let Targets { strata, column } = self.targets(batch.column(target))?;
        let mut hands: Vec<Hand> = self.shards.iter().map(|_| Hand::default()).collect();
        let mut held = Hand::default();
        for (row, stratum) in strata.into_iter().enumerate() {
            let to_hold_out = stratum.and_then(|stratum| self.to_hold_out.get_mut(stratum));
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
            write_hand(writer, batch, &column, hand, shard as i32)?;
        }
        if let Some(writer) = &mut self.validation {
            write_hand(writer, batch, &column, held, 0)?;
        }
        Ok(())
    }

    fn targets(&mut self, target: &ArrayRef) -> Result<Targets> {
        match target.data_type() {
            DataType::Float64 => {
                Ok(Targets { strata: vec![Some(0); target.len()], column: Arc::clone(target) })
            }
            DataType::List(_) => self.classes_of_lists(target),
            _ => self.classes_of_labels(target),
        }
    }

    fn classes_of_labels(&mut self, target: &ArrayRef) -> Result<Targets> {
        let labels = TextColumn::read("label", target, false)?;
        let class = |label: Option<&str>| {
            let label = label.unwrap_or_default();
            self.classes.of(label).unwrap_or_else(|| {
                self.unseen.add_rows(1);
                self.unseen.add_label(label);
                UNSEEN
            })
        };
        let classes = Int32Array::from_iter_values(labels.iter().map(class));
        let strata = classes.values().iter().map(|class| usize::try_from(*class).ok()).collect();
        Ok(Targets { strata, column: Arc::new(classes) })
    }

    /// Labels that training never sees are one class of a row.
    fn classes_of_lists(&mut self, target: &ArrayRef) -> Result<Targets> {
        let mut strata = Vec::with_capacity(target.len());
        let mut lists = ListBuilder::new(Int32Builder::new());
        for labels in LabelLists::read("label", target)?.iter() {
            let labels = labels.unwrap_or_default();
            let mut classes: Vec<i32> = labels.iter().filter_map(|label| self.classes.of(label)).collect();
            classes.sort_unstable();
            strata.push(Some(self.classes.stratum(&classes)));
            if classes.len() < labels.len() {
                self.unseen.add_rows(1);
                let unseen = labels.iter().filter(|label| self.classes.of(label).is_none());
                unseen.for_each(|label| self.unseen.add_label(label));
                classes.push(UNSEEN);
            }
            lists.append_value(classes.into_iter().map(Some));
        }
        Ok(Targets { strata, column: Arc::new(lists.finish()) })
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
/// classes, or lists of them, for labels.
fn feature_schema(staged: &Schema) -> SchemaRef {
    let mut fields =
        vec![Field::new("shard", DataType::Int32, false), Field::new("position", DataType::Int64, false)];
    for field in staged.fields().iter().filter(|field| !["key", "place"].contains(&field.name().as_str())) {
        let data_type = match (field.name().as_str(), field.data_type()) {
            ("target", DataType::Float64) => DataType::Float64,
            ("target", DataType::List(_)) => DataType::new_list(DataType::Int32, true),
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
    target: &ArrayRef,
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
    let rows = UInt32Array::from(hand.rows);
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let column = match field.name().as_str() {
            "key" | "place" => continue,
            "target" => target,
            _ => column,
        };
        columns.push(take(column, &rows, None).map_err(DataFusionError::from)?);
    }
    let batch = RecordBatch::try_new(schema, columns).map_err(DataFusionError::from)?;
    writer.write(&batch)
}
