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
    /// The sum over all tokens, divided by the square root of their number.
    #[serde(rename = "mean_sqrt_len_tokens")]
    MeanSqrtLen,
    /// The mean over all tokens, the nth of them n times.
    WeightedMean,
    /// The last token's vector, which is a special token's where the tokenizer ends texts with one.
    LastToken,
}

impl Pooling {
    /// Every pooling with its name in a model's files.
    pub const ALL: [(Pooling, &'static str); 6] = [
        (Pooling::Mean, "mean"),
        (Pooling::Cls, "cls"),
        (Pooling::Max, "max"),
        (Pooling::MeanSqrtLen, "mean_sqrt_len_tokens"),
        (Pooling::WeightedMean, "weightedmean"),
        (Pooling::LastToken, "lasttoken"),
    ];
}

impl std::fmt::Display for Pooling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Pooling::ALL.iter().find_map(|(pooling, name)| (pooling == self).then_some(*name));
        f.write_str(name.unwrap_or_default())
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
            Pooling::MeanSqrtLen => {
                rows.for_each(|row| out.iter_mut().zip(row).for_each(|(o, &value)| *o += value));
                let length = ((hidden.len() / dim) as f32).sqrt();
                out.iter_mut().for_each(|o| *o /= length);
            }
            Pooling::WeightedMean => {
                let mut total = 1.0;
                for (row, weight) in rows.zip(2_u32..).map(|(row, weight)| (row, weight as f32)) {
                    out.iter_mut().zip(row).for_each(|(o, &value)| *o += value * weight);
                    total += weight;
                }
                out.iter_mut().for_each(|o| *o /= total);
            }
            Pooling::LastToken => {
                if let Some(last) = rows.next_back() {
                    out.copy_from_slice(last);
                }
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
            Pooling::Mean | Pooling::MeanSqrtLen => {
                let tokens = tokens as f32;
                let share = if self == Pooling::Mean { 1.0 / tokens } else { 1.0 / tokens.sqrt() };
                for row in out.chunks_exact_mut(dim) {
                    row.iter_mut().zip(gradient).for_each(|(out, gradient)| *out = gradient * share);
                }
            }
            Pooling::WeightedMean => {
                let total = (tokens * (tokens + 1) / 2) as f32;
                for (row, weight) in out.chunks_exact_mut(dim).zip(1_u32..) {
                    let share = weight as f32 / total;
                    row.iter_mut().zip(gradient).for_each(|(out, gradient)| *out = gradient * share);
                }
            }
            Pooling::LastToken => {
                out.fill(0.0);
                let last = out.len().saturating_sub(dim);
                out[last..].copy_from_slice(gradient);
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
        let root = 3.0_f32.sqrt();
        assert_eq!(pooled(Pooling::MeanSqrtLen), [9.0 / root, -3.0 / root]);
        assert_eq!(pooled(Pooling::WeightedMean), [(1.0 + 6.0 + 15.0) / 6.0, (-4.0 + 4.0 - 3.0) / 6.0]);
        assert_eq!(pooled(Pooling::LastToken), [5.0, -1.0]);
        for (pooling, name) in Pooling::ALL {
            assert_eq!(pooling.to_string(), name);
            assert_eq!(serde_json::to_string(&pooling).unwrap(), format!("\"{name}\""));
        }
    }

    #[test]
    fn the_gradient_of_each_linear_pooling_is_its_transpose() {
        let hidden = [1.0, -4.0, 3.0, 2.0, 5.0, -1.0];
        for (pooling, _) in Pooling::ALL {
            let (mut out, mut back) = ([0.0; 2], [0.0; 6]);
            pooling.pool(&hidden, &mut out);
            pooling.unpool(&hidden, &[2.0, -3.0], &mut back);
            let forward = 2.0 * out[0] - 3.0 * out[1];
            let backward: f32 = hidden.iter().zip(back).map(|(value, gradient)| value * gradient).sum();
            assert!((forward - backward).abs() < 1e-5, "{pooling}: {forward} {backward}");
        }
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
