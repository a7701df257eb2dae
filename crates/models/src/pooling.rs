//! From one vector a token to one vector a text.

use serde::{Deserialize, Serialize};

/// How the token vectors of a text become the text's vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over all tokens, special tokens included.
    #[default]
    Mean,
    /// The first token's vector.
    Cls,
    /// The maximum of each coordinate.
    Max,
}

impl std::fmt::Display for Pooling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
            Pooling::Max => "max",
        })
    }
}

impl Pooling {
    /// Writes the pooled vector of `hidden` (`[tokens, dim]`, at least one token) to `out` (`[dim]`).
    pub(crate) fn pool(self, hidden: &[f32], out: &mut [f32]) {
        let dim = out.len();
        let mut rows = hidden.chunks_exact(dim);
        match rows.next() {
            Some(first) => out.copy_from_slice(first),
            None => return out.fill(0.0),
        }
        match self {
            Pooling::Cls => {}
            Pooling::Max => {
                rows.for_each(|row| out.iter_mut().zip(row).for_each(|(o, &value)| *o = o.max(value)));
            }
            Pooling::Mean => {
                rows.for_each(|row| out.iter_mut().zip(row).for_each(|(o, &value)| *o += value));
                let tokens = (hidden.len() / dim) as f32;
                out.iter_mut().for_each(|o| *o /= tokens);
            }
        }
    }
}

impl Pooling {
    /// Writes the gradients of `hidden` to `out`, `[tokens, dim]` both, given that of the pooled vector, `[dim]`.
    pub(crate) fn unpool(self, hidden: &[f32], gradient: &[f32], out: &mut [f32]) {
        let dim = gradient.len();
        let tokens = hidden.len() / dim;
        match self {
            Pooling::Mean => {
                let share = 1.0 / tokens as f32;
                for row in out.chunks_exact_mut(dim) {
                    row.iter_mut().zip(gradient).for_each(|(out, gradient)| *out = gradient * share);
                }
            }
            Pooling::Cls => {
                out.fill(0.0);
                out[..dim].copy_from_slice(gradient);
            }
            Pooling::Max => {
                out.fill(0.0);
                for (i, gradient) in gradient.iter().enumerate() {
                    let at = |token: usize| hidden[token * dim + i];
                    let first =
                        (0..tokens).fold(0, |best, token| if at(token) > at(best) { token } else { best });
                    out[first * dim + i] = *gradient;
                }
            }
        }
    }
}

/// Scales `vector` to unit length; a zero vector stays zero.
pub(crate) fn normalize(vector: &mut [f32]) {
    let squares = crate::embeddings::dot(vector, vector);
    // sentence-transformers' bound: a shorter vector is divided by it instead of by its length.
    let length = squares.sqrt().max(1e-12) as f32;
    vector.iter_mut().for_each(|value| *value /= length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pooling_does_what_its_name_says() {
        let hidden = [1.0, -4.0, 3.0, 2.0, 5.0, -1.0];
        let pooled = |pooling: Pooling| {
            let mut out = [0.0; 2];
            pooling.pool(&hidden, &mut out);
            out
        };
        assert_eq!(pooled(Pooling::Mean), [3.0, -1.0]);
        assert_eq!(pooled(Pooling::Cls), [1.0, -4.0]);
        assert_eq!(pooled(Pooling::Max), [5.0, 2.0]);
    }

    #[test]
    fn normalised_vectors_have_unit_length_and_zero_stays_zero() {
        let mut vector = [3.0, 4.0];
        normalize(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut zero = [0.0; 3];
        normalize(&mut zero);
        assert_eq!(zero, [0.0; 3]);
    }
}
