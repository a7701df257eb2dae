//! Collects record batches until an encoder pass is worth its while.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;

/// Rows of the first pass. Small, so that a LIMIT above or a cancelled statement wastes little.
const FIRST_ROWS: usize = 128;

/// Gathers rows in order, in groups that double from [`FIRST_ROWS`] up to a maximum.
///
/// Larger groups repeat fewer texts and fill micro-batches of like length better; the maximum bounds memory.
#[derive(Debug)]
pub(super) struct Gather {
    pending: Vec<RecordBatch>,
    rows: usize,
    target: usize,
    max: usize,
}

impl Gather {
    pub(super) fn new(max_rows: usize) -> Self {
        let max = max_rows.max(1);
        Self { pending: Vec::new(), rows: 0, target: FIRST_ROWS.min(max), max }
    }

    /// Adds a batch.
    pub(super) fn push(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        if batch.num_rows() > 0 {
            self.pending.push(batch);
        }
    }

    /// Returns whether a whole group is there.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= self.target
    }

    /// Returns the next group, at most the target's rows, or None when nothing is pending.
    pub(super) fn take(&mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
        let mut wanted = self.target;
        let mut taken = Vec::new();
        while wanted > 0 && !self.pending.is_empty() {
            let first = &mut self.pending[0];
            if first.num_rows() > wanted {
                taken.push(first.slice(0, wanted));
                *first = first.slice(wanted, first.num_rows() - wanted);
                wanted = 0;
            } else {
                wanted -= first.num_rows();
                taken.push(self.pending.remove(0));
            }
        }
        self.rows -= taken.iter().map(RecordBatch::num_rows).sum::<usize>();
        self.target = (self.target * 2).min(self.max);
        Ok(match taken.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => Some(concat_batches(schema, many)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{AsArray, Int32Array};
    use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema};

    use super::*;

    #[test]
    fn groups_grow_keep_order_and_lose_nothing() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, false)]));
        let mut gather = Gather::new(1000);
        let (mut next, mut sizes, mut seen) = (0, Vec::new(), Vec::new());
        for rows in [0, 1, 500, 3, 0, 2000, 77] {
            let values = Int32Array::from_iter_values(next..next + rows);
            next += rows;
            gather.push(RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)]).unwrap());
            while gather.is_full() {
                let group = gather.take(&schema).unwrap().unwrap();
                sizes.push(group.num_rows());
                seen.extend(group.column(0).as_primitive::<Int32Type>().values().iter().copied());
            }
        }
        while let Some(group) = gather.take(&schema).unwrap() {
            seen.extend(group.column(0).as_primitive::<Int32Type>().values().iter().copied());
        }
        assert_eq!(sizes, [128, 256, 512, 1000]);
        assert_eq!(seen, (0..next).collect::<Vec<_>>());
        assert!(gather.take(&schema).unwrap().is_none());
    }
}
