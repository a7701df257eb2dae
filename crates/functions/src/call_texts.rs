//! The texts of one call, and how the encoder reads them.

use nightjar_models::Sequence;

use crate::TextColumn;

/// The text columns of one call, of as many rows each.
#[derive(Debug, Clone)]
pub struct CallTexts {
    columns: Vec<TextColumn>,
    /// Whether a row's two texts are one sequence, or else each text is one.
    together: bool,
}

impl CallTexts {
    pub(crate) fn new(columns: Vec<TextColumn>, together: bool) -> Self {
        Self { columns, together }
    }

    /// Returns the first text of each row.
    pub(crate) fn first(&self) -> &TextColumn {
        &self.columns[0]
    }

    /// Returns whether two calls have the encoder read the same, as when they read the same columns of a batch.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.together == other.together
            && self.columns.len() == other.columns.len()
            && self.columns.iter().zip(&other.columns).all(|(mine, others)| mine.is_same(others))
    }

    /// Appends what the encoder reads to `sequences` and returns where each row's is: a list for a pair that is read as one, else
    /// a list for each text; None for NULL.
    ///
    /// A row with a NULL in any text is NULL: its other text is not worth encoding.
    pub(crate) fn append_to<'a>(&'a self, sequences: &mut Vec<Sequence<'a>>) -> Vec<Vec<Option<usize>>> {
        let mut add = |sequence| {
            sequences.push(sequence);
            sequences.len() - 1
        };
        if let (true, [first, second]) = (self.together, self.columns.as_slice()) {
            let rows = first.iter().zip(second.iter());
            return vec![rows.map(|(first, second)| Some(add(Sequence::Pair(first?, second?)))).collect()];
        }
        let mut slots: Vec<Vec<Option<usize>>> =
            self.columns.iter().map(|column| Vec::with_capacity(column.len())).collect();
        for row in 0..self.columns.first().map_or(0, TextColumn::len) {
            let null = self.columns.iter().any(|column| column.get(row).is_none());
            for (column, indices) in self.columns.iter().zip(&mut slots) {
                indices.push(column.get(row).filter(|_| !null).map(|text| add(Sequence::Text(text))));
            }
        }
        slots
    }
}
