//! Cholesky's factorisation of a small symmetric positive definite matrix, in f64.

/// The lower triangle L of `A = L Lᵀ`, `[n, n]`, row-major.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    n: usize,
    l: Vec<f64>,
}

impl Cholesky {
    /// Returns the factor of `matrix` (its lower triangle is read), or none where it is not positive
    /// definite.
    pub(crate) fn new(matrix: &[f64], n: usize) -> Option<Self> {
        let mut l = matrix.to_vec();
        for i in 0..n {
            let (above, row) = l.split_at_mut(i * n);
            for j in 0..i {
                let other = &above[j * n..][..=j];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            row[i] = pivot.sqrt();
        }
        Some(Cholesky { n, l })
    }

    /// Replaces `b`, `[n, columns]`, by the solution of `A x = b`.
    pub(crate) fn solve(&self, b: &mut [f64], columns: usize) {
        let n = self.n;
        for i in 0..n {
            let (above, rest) = b.split_at_mut(i * columns);
            let row = &mut rest[..columns];
            for (j, other) in above.chunks_exact(columns).enumerate() {
                subtract(row, self.l[i * n + j], other);
            }
            row.iter_mut().for_each(|value| *value /= self.l[i * n + i]);
        }
        for i in (0..n).rev() {
            let (head, below) = b.split_at_mut((i + 1) * columns);
            let row = &mut head[i * columns..];
            for (k, other) in below.chunks_exact(columns).enumerate() {
                subtract(row, self.l[(i + 1 + k) * n + i], other);
            }
            row.iter_mut().for_each(|value| *value /= self.l[i * n + i]);
        }
    }

    /// Returns the inverse of A, `[n, n]`.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let mut inverse = vec![0.0; self.n * self.n];
        inverse.iter_mut().step_by(self.n + 1).for_each(|value| *value = 1.0);
        self.solve(&mut inverse, self.n);
        inverse
    }
}

fn subtract(row: &mut [f64], scale: f64, other: &[f64]) {
    row.iter_mut().zip(other).for_each(|(value, other)| *value -= scale * other);
}

/// Returns the dot product in an order that depends on the length alone.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        sums.iter_mut().zip(x).zip(y).for_each(|((sum, x), y)| *sum += x * y);
    }
    sums.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_times_the_matrix_is_one() {
        let n = 13;
        let entry = |i: usize, j: usize| ((i * 5 + j * 3) % 7) as f64 - 3.0;
        let square = |i: usize, j: usize| (0..n).map(|k| entry(i, k) * entry(j, k)).sum::<f64>();
        let a: Vec<f64> =
            (0..n * n).map(|at| square(at / n, at % n) + f64::from(u8::from(at / n == at % n))).collect();
        let inverse = Cholesky::new(&a, n).unwrap().inverse();
        for i in 0..n {
            for j in 0..n {
                let found: f64 = (0..n).map(|k| inverse[i * n + k] * a[k * n + j]).sum();
                assert!((found - f64::from(u8::from(i == j))).abs() < 1e-9, "{i} {j} {found}");
            }
        }
        assert!(Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(&[f64::NAN], 1).is_none());
    }
}
