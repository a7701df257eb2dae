//! The matrix that an encoder writes and a head reads.

use serde::{Deserialize, Serialize};

/// Embeddings of many rows, `[rows, dim]`, row-major.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// Values in a row.
    pub dim: usize,
    /// `rows * dim` values.
    pub data: Vec<f32>,
}

impl Embeddings {
    /// Returns `rows` rows of zeros.
    pub fn zeros(rows: usize, dim: usize) -> Self {
        Embeddings { dim, data: vec![0.0; rows * dim] }
    }

    /// Returns the number of rows; 0 where `dim` is 0.
    pub fn rows(&self) -> usize {
        self.data.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Returns row `i`, or an empty slice where there is no such row.
    pub fn row(&self, i: usize) -> &[f32] {
        self.data.get(i * self.dim..(i + 1) * self.dim).unwrap_or(&[])
    }

    /// Returns the rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.dim.max(1))
    }
}

/// Returns the dot product in f64, in a fixed order that the compiler can vectorise.
///
/// The order depends on the length alone, so equal rows give equal bits wherever they stand.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0f64; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f64 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(x, y)| f64::from(*x) * f64::from(*y))
        .sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    sums.iter().sum::<f64>() + tail
}
