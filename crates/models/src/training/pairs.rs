//! The losses on the embeddings of pairs, and their gradients.
//!
//! A row's two texts are encoded apart, and the loss looks at the cosines of their embeddings. With in-batch negatives
//! it couples all texts of a batch: all of them are embedded first, then the loss says what each embedding's gradient
//! is, and the texts go through the encoder once more to take it back, a chunk at a time (Gao et al. 2021, arXiv:2101.06983).
//! Dropout follows from step and text, so both passes drop the same numbers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

use super::batch::chunks;
use super::frozen::Below;
use super::objective::{Objective, Target};
use super::part::{Part, deal, sized};
use super::trainer::{Trainer, TrainingRow};
use crate::bert::PassContext;
use crate::embeddings::dot;
use crate::{Pooling, Result};

/// Embeddings shorter than this count as zero and have no gradient.
const LEAST_LENGTH: f64 = 1e-12;

/// What a model makes of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairOutcome {
    /// The cosine of the two embeddings.
    pub cosine: f64,
    /// The place of the second text among those of its group, by their cosines with the first: 1 if it is nearer than all others.
    pub rank: usize,
    /// The loss.
    pub loss: f64,
}

/// Returns the texts that are encoded for rows: the rows themselves, or of pairs both texts, one after the other.
pub(super) fn texts<'a>(objective: &Objective, rows: &'a [TrainingRow]) -> Cow<'a, [TrainingRow]> {
    if !objective.is_of_pairs() {
        return Cow::Borrowed(rows);
    }
    // The loss reads the target of the pair.
    let text = |ids: &[u32]| TrainingRow { ids: ids.to_vec(), first_tokens: ids.len(), target: Target::Pair };
    Cow::Owned(rows.iter().flat_map(split).map(text).collect())
}

pub(super) fn split(pair: &TrainingRow) -> [&[u32]; 2] {
    let (first, second) = pair.ids.split_at(pair.first_tokens.min(pair.ids.len()));
    [first, second]
}

/// What embeds the texts of a batch.
#[derive(Clone, Copy)]
pub(super) struct Embedding<'a> {
    pub(super) pass: PassContext<'a>,
    pub(super) pooling: Pooling,
    pub(super) texts: &'a [TrainingRow],
}

impl Embedding<'_> {
    /// Returns the embeddings of these chunks' texts, `[texts, hidden]`, not scaled. What the backward pass needs of the last
    /// chunk is left in `parts`.
    pub(super) fn run(
        &self,
        below: Below<'_>,
        chunks: &[Vec<Range<usize>>],
        parts: &mut Vec<Part>,
    ) -> Result<Vec<f32>> {
        let mut embeddings = Vec::new();
        for chunk in chunks {
            deal(self.texts, chunk, parts);
            parts.par_iter_mut().with_max_len(1).try_for_each(|part| -> Result<()> {
                self.pass.forward(below, part)?;
                self.pool(part);
                Ok(())
            })?;
            parts.iter().for_each(|part| embeddings.extend_from_slice(&part.head.pooled));
        }
        Ok(embeddings)
    }

    fn pool(&self, part: &mut Part) {
        let width = self.pass.places.sizes.hidden;
        let pooled = sized(&mut part.head.pooled, part.texts.lengths.len() * width);
        let mut rest = part.states.as_slice();
        for (&length, pooled) in part.texts.lengths.iter().zip(pooled.chunks_exact_mut(width)) {
            let (states, after) = rest.split_at(length * width);
            rest = after;
            self.pooling.pool(states, pooled);
        }
    }

    /// Writes the gradients of the parts' states, given those of all embeddings of the batch.
    pub(super) fn backward(&self, of_embeddings: &[f32], parts: &mut [Part]) {
        let width = self.pass.places.sizes.hidden;
        parts.par_iter_mut().with_max_len(1).for_each(|part| {
            let mut states = part.states.as_slice();
            let mut out = sized(&mut part.gradients.output, part.states.len());
            let of_part = of_embeddings[part.first * width..].chunks_exact(width);
            for (&length, gradient) in part.texts.lengths.iter().zip(of_part) {
                let (of_text, after) = out.split_at_mut(length * width);
                let (of_states, later) = states.split_at(length * width);
                (out, states) = (after, later);
                self.pooling.unpool(of_states, gradient, of_text);
            }
        });
    }
}

impl Trainer {
    /// Returns what the embeddings make of pairs, each among `group` that follow each other, without dropout, on the rayon pool of
    /// the calling thread.
    ///
    /// # Errors
    /// `SizeMismatch` for a token that the model does not have.
    pub fn pair_outcomes(&self, pairs: &[TrainingRow], group: usize) -> Result<Vec<PairOutcome>> {
        let objective = &self.options.objective;
        let texts = texts(objective, pairs);
        let lengths: Vec<usize> = texts.iter().map(|text| text.ids.len()).collect();
        let pass = PassContext { cpu: self.cpu, places: &self.places, weights: &self.weights, noise: None };
        let embedding = Embedding { pass, pooling: self.spec.pooling, texts: &texts };
        let embeddings = embedding.run(self.below(None), &chunks(&lengths), &mut Vec::new())?;
        let (group, width) = (group.max(1), self.places.sizes.hidden);
        let groups = pairs.chunks(group).zip(embeddings.chunks(2 * group * width));
        let outcomes = groups
            .flat_map(|(pairs, embeddings)| PairBatch::new(objective, pairs, embeddings.to_vec()).outcomes());
        Ok(outcomes.collect())
    }

    /// Returns the pairs of the last chunk of which a text has an embedding that is not finite.
    pub(super) fn odd_pairs(&self) -> Vec<usize> {
        let odd = self.parts.iter().flat_map(|part| {
            let texts = part.head.pooled.chunks(self.places.sizes.hidden).enumerate();
            let odd = texts.filter(|(_, text)| text.iter().any(|x| !x.is_finite()));
            odd.map(|(text, _)| (part.first + text) / 2)
        });
        let mut odd: Vec<usize> = odd.collect();
        odd.dedup();
        odd
    }
}

/// The embeddings of a batch of pairs, at unit length.
pub(super) struct PairBatch<'a> {
    objective: &'a Objective,
    pairs: &'a [TrainingRow],
    width: usize,
    /// `[texts, width]`.
    units: Vec<f32>,
    /// Of the embeddings as the encoder gives them.
    lengths: Vec<f64>,
    /// For each text a number that it shares with its duplicates.
    names: Vec<usize>,
}

impl<'a> PairBatch<'a> {
    /// Returns the batch of these embeddings: `[texts, width]`, those of a pair after each other.
    pub(super) fn new(objective: &'a Objective, pairs: &'a [TrainingRow], mut embeddings: Vec<f32>) -> Self {
        let width = embeddings.len() / (2 * pairs.len()).max(1);
        let scale = |embedding: &mut [f32]| {
            let length = dot(embedding, embedding).sqrt();
            let by = length.max(LEAST_LENGTH) as f32;
            embedding.iter_mut().for_each(|x| *x /= by);
            length
        };
        let lengths = embeddings.chunks_exact_mut(width.max(1)).map(scale).collect();
        let mut known: HashMap<&[u32], usize> = HashMap::new();
        let names = pairs.iter().flat_map(split).map(|ids| {
            let next = known.len();
            *known.entry(ids).or_insert(next)
        });
        let names = names.collect();
        PairBatch { objective, pairs, width, units: embeddings, lengths, names }
    }

    fn first(&self, pair: usize) -> &[f32] {
        &self.units[2 * pair * self.width..][..self.width]
    }

    fn second(&self, pair: usize) -> &[f32] {
        &self.units[(2 * pair + 1) * self.width..][..self.width]
    }

    /// Returns the cosine of one pair's first text and another's second; none where the two must not be told apart, because one
    /// of the texts is in both pairs.
    fn cosine(&self, first: usize, second: usize) -> Option<f64> {
        let name = |text: usize| self.names[text];
        let (a, b) = ([2 * first, 2 * first + 1].map(name), [2 * second, 2 * second + 1].map(name));
        let apart = a[0] != b[0] && a[1] != b[1] && a[0] != b[1];
        (first == second || apart).then(|| dot(self.first(first), self.second(second)))
    }

    /// Returns a pair's loss, and for in-batch negatives the logarithm of the sum that its probabilities are shares of.
    fn loss(&self, pair: usize) -> (f64, f64) {
        let cosine = dot(self.first(pair), self.second(pair));
        match (self.objective, &self.pairs[pair].target) {
            (Objective::Similarity, Target::Number(score)) => ((cosine - f64::from(*score)).powi(2), 0.0),
            (Objective::Contrast { scale }, Target::Pair) => {
                let scale = f64::from(*scale);
                // A cosine is at most 1, so no exponent is above 0 by more than rounding.
                let others = (0..self.pairs.len()).filter_map(|other| self.cosine(pair, other));
                let sum: f64 = others.map(|cosine| (scale * (cosine - 1.0)).exp()).sum();
                let log_sum = sum.ln() + scale;
                (log_sum - scale * cosine, log_sum)
            }
            _ => (f64::NAN, f64::NAN),
        }
    }

    /// Returns the mean loss of the pairs and the gradients of their embeddings as the encoder gives them.
    pub(super) fn gradients(&self) -> (f64, Vec<f32>) {
        let pairs = self.pairs.len();
        let losses: Vec<(f64, f64)> = (0..pairs).into_par_iter().map(|pair| self.loss(pair)).collect();
        let mut gradients = vec![0.0; self.units.len()];
        gradients.par_chunks_mut(self.width.max(1)).enumerate().for_each(|(text, out)| {
            let mut sums = vec![0.0f64; self.width];
            let (pair, is_first) = (text / 2, text % 2 == 0);
            let mut add = |slope: f64, of: &[f32]| {
                sums.iter_mut().zip(of).for_each(|(sum, x)| *sum += slope / pairs as f64 * f64::from(*x));
            };
            match (self.objective, &self.pairs[pair].target) {
                (Objective::Contrast { scale }, _) => {
                    let scale = f64::from(*scale);
                    for other in 0..pairs {
                        let (first, second) = if is_first { (pair, other) } else { (other, pair) };
                        let Some(cosine) = self.cosine(first, second) else { continue };
                        let share = (scale * cosine - losses[first].1).exp();
                        let slope = scale * (share - f64::from(u8::from(first == second)));
                        add(slope, if is_first { self.second(other) } else { self.first(other) });
                    }
                }
                (_, Target::Number(score)) => {
                    let cosine = dot(self.first(pair), self.second(pair));
                    let slope = 2.0 * (cosine - f64::from(*score));
                    add(slope, if is_first { self.second(pair) } else { self.first(pair) });
                }
                _ => {}
            }
            self.before_scaling(text, &sums, out);
        });
        let loss = losses.iter().map(|(loss, _)| loss).sum::<f64>() / pairs as f64;
        (loss, gradients)
    }

    /// Takes the gradient of a unit vector back through its scaling.
    fn before_scaling(&self, text: usize, gradient: &[f64], out: &mut [f32]) {
        let unit = &self.units[text * self.width..][..self.width];
        let length = self.lengths[text];
        if length < LEAST_LENGTH {
            return;
        }
        let along: f64 = gradient.iter().zip(unit).map(|(gradient, unit)| gradient * f64::from(*unit)).sum();
        for ((out, gradient), unit) in out.iter_mut().zip(gradient).zip(unit) {
            *out = ((gradient - along * f64::from(*unit)) / length) as f32;
        }
    }

    /// Returns what the embeddings make of each pair.
    pub(super) fn outcomes(&self) -> Vec<PairOutcome> {
        let outcome = |pair: usize| {
            let cosine = dot(self.first(pair), self.second(pair));
            let others = (0..self.pairs.len()).filter(|other| *other != pair);
            // Ties count against the model: else one that embeds all texts alike were always right.
            let nearer = others.filter_map(|other| self.cosine(pair, other)).filter(|other| *other >= cosine);
            PairOutcome { cosine, rank: 1 + nearer.count(), loss: self.loss(pair).0 }
        };
        (0..self.pairs.len()).into_par_iter().map(outcome).collect()
    }
}

#[cfg(test)]
#[path = "pairs_tests.rs"]
mod tests;
