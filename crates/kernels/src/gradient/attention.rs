//! Self-attention with dropout, and its gradient.

use crate::attention::{AttentionScratch, Head, Heads, softmax_numerators, transpose};
use crate::buffer::{Buffer, as_numbers_mut, as_words_mut};
use crate::gradient::dropout::Dropout;
use crate::level::{Cpu, Kernel, Level};
use crate::reduce::sum_of_products;
use crate::tile::{BAND, LANES, Words, multiply};

/// As [`attend`](crate::attend) in f32, with `dropout` of each text's attention weights; none where it is empty.
///
/// # Panics
/// Where the sizes do not agree.
pub fn attend_and_drop(
    cpu: Cpu,
    qkv: &[f32],
    lengths: &[usize],
    heads: Heads,
    dropout: &[Dropout],
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    check(qkv, lengths, heads, dropout, out);
    cpu.run(Forward { qkv, lengths, heads, dropout, out, scratch });
}

fn check(qkv: &[f32], lengths: &[usize], heads: Heads, dropout: &[Dropout], context: &[f32]) {
    let tokens: usize = lengths.iter().sum();
    let width = heads.count * heads.width;
    assert!(heads.width > 0 && heads.width.is_multiple_of(LANES), "the width of a head");
    assert!(qkv.len() == tokens * 3 * width && context.len() == tokens * width, "the sizes of an attention");
    assert!(dropout.is_empty() || dropout.len() == lengths.len(), "a dropout for each text");
}

struct Forward<'a> {
    qkv: &'a [f32],
    lengths: &'a [usize],
    heads: Heads,
    dropout: &'a [Dropout],
    out: &'a mut [f32],
    scratch: &'a mut AttentionScratch,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        let Heads { count, width, .. } = self.heads;
        let mut start = 0;
        for (text, &tokens) in self.lengths.iter().enumerate() {
            let qkv = &self.qkv[start * 3 * count * width..][..tokens * 3 * count * width];
            let out = &mut self.out[start * count * width..][..tokens * count * width];
            let dropout = self.dropout.get(text).copied();
            for head in 0..count {
                let text = Head { qkv, tokens, head, heads: self.heads };
                text.attend::<L, L::F32>(out, self.scratch, |query, weights| {
                    if let Some(dropout) = dropout {
                        let first = weight_index(head, query, tokens);
                        for (word, index) in weights[..tokens].iter_mut().zip(first..) {
                            *word = (f32::from_bits(*word) * dropout.factor(index)).to_bits();
                        }
                    }
                });
            }
            start += tokens;
        }
    }
}

/// Returns the number of a head's first weight for a query among all weights of its text.
#[inline(always)]
fn weight_index(head: usize, query: usize, tokens: usize) -> u32 {
    ((head * tokens + query) * tokens) as u32
}

/// The memory of [`attend_backward`], to be used again.
#[derive(Debug, Clone, Default)]
pub struct AttentionGradientScratch {
    keys: Buffer,
    values: Buffer,
    weights: Buffer,
    gradients: Buffer,
}

/// Writes the gradients of query, key and value to `out`, laid out as `qkv`, given those of the context, `[tokens, heads * width]`.
///
/// Attention weights are computed again from `qkv`, and dropped as `dropout` says, which must be the forward pass's.
///
/// # Panics
/// Where the sizes do not agree.
///
/// Cost: `10 · tokens · length · heads · width` operations per text, memory of `2 · length²` numbers.
pub fn attend_backward(
    cpu: Cpu,
    qkv: &[f32],
    (lengths, heads): (&[usize], Heads),
    dropout: &[Dropout],
    gradients: &[f32],
    out: &mut [f32],
    scratch: &mut AttentionGradientScratch,
) {
    check(qkv, lengths, heads, dropout, gradients);
    assert_eq!(out.len(), qkv.len(), "the output's size");
    cpu.run(Backward { qkv, lengths, heads, dropout, gradients, out, scratch });
}

struct Backward<'a> {
    qkv: &'a [f32],
    lengths: &'a [usize],
    heads: Heads,
    dropout: &'a [Dropout],
    gradients: &'a [f32],
    out: &'a mut [f32],
    scratch: &'a mut AttentionGradientScratch,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        let width = self.heads.count * self.heads.width;
        let mut start = 0;
        for (text, &tokens) in self.lengths.iter().enumerate() {
            let qkv = &self.qkv[start * 3 * width..][..tokens * 3 * width];
            let gradients = &self.gradients[start * width..][..tokens * width];
            let out = &mut self.out[start * 3 * width..][..tokens * 3 * width];
            for head in 0..self.heads.count {
                let head = Head { qkv, tokens, head, heads: self.heads };
                let dropout = self.dropout.get(text).copied();
                HeadGradient { head, gradients, dropout }.run::<L>(out, self.scratch);
            }
            start += tokens;
        }
    }
}

/// The gradient of one head over one text.
struct HeadGradient<'a> {
    head: Head<'a, f32>,
    /// Those of the text's context.
    gradients: &'a [f32],
    dropout: Option<Dropout>,
}

impl HeadGradient<'_> {
    #[inline(always)]
    fn run<L: Level>(&self, out: &mut [f32], scratch: &mut AttentionGradientScratch) {
        let Head { qkv, tokens, head, heads } = self.head;
        let Heads { count, width, .. } = heads;
        let columns = tokens.next_multiple_of(LANES);
        let AttentionGradientScratch { keys, values, weights, gradients } = scratch;
        transpose(qkv, 3 * count * width, (count + head) * width, width, columns, keys);
        transpose(qkv, 3 * count * width, (2 * count + head) * width, width, columns, values);
        weights.reserve(tokens * columns);
        gradients.reserve(tokens * columns);
        let (weights, gradients) = (weights.words_mut(), gradients.words_mut());
        let scale = 1.0 / (heads.scaled_width as f32).sqrt();
        for first in (0..tokens).step_by(BAND) {
            let rows = (tokens - first).min(BAND);
            let of_band = first * columns..(first + rows) * columns;
            let (weights, gradients) = (&mut weights[of_band.clone()], &mut gradients[of_band]);
            self.product::<L>(self.part(first, 0), keys, [rows, columns], gradients);
            for (scores, weights) in
                gradients.chunks_exact_mut(columns).zip(weights.chunks_exact_mut(columns))
            {
                let total = softmax_numerators::<L, f32>(scores, tokens, scale, weights);
                let factor = 1.0 / total;
                as_numbers_mut(weights).iter_mut().for_each(|weight| *weight *= factor);
            }
            self.product::<L>(self.context(first), values, [rows, columns], gradients);
            for row in 0..rows {
                let weights = &mut as_numbers_mut(weights)[row * columns..][..tokens];
                let gradients = &mut as_numbers_mut(gradients)[row * columns..][..tokens];
                self.score_gradients::<L>(first + row, weights, gradients, scale);
            }
        }
        let (weights, gradients) = (&*weights, &*gradients);
        for first in (0..tokens).step_by(BAND) {
            let rows = (tokens - first).min(BAND);
            let down = |matrix: &[u32]| Words { start: matrix[first..].as_ptr(), stride: columns };
            let along = |matrix: &[u32]| Words { start: matrix[first * columns..].as_ptr(), stride: columns };
            let shape = [rows, width, tokens];
            // SAFETY: `run` is compiled for the level's instructions. The matrices of weights and score gradients have `tokens` rows of
            // `columns` words, read along `rows` rows or down `rows` columns; the parts of `qkv` and of the context's gradients have
            // `tokens` rows of `width` numbers.
            unsafe {
                multiply::<L::F32, false>(
                    along(gradients),
                    self.part(0, 1),
                    shape,
                    self.to(out, first, 0),
                    3 * count * width,
                );
                multiply::<L::F32, true>(
                    down(gradients),
                    self.part(0, 0),
                    shape,
                    self.to(out, first, 1),
                    3 * count * width,
                );
                multiply::<L::F32, true>(
                    down(weights),
                    self.context(0),
                    shape,
                    self.to(out, first, 2),
                    3 * count * width,
                );
            }
        }
    }

    /// Writes the products of some rows of `width` numbers with transposed keys or values.
    #[inline(always)]
    fn product<L: Level>(
        &self,
        rows: Words,
        columns: &Buffer,
        [height, across]: [usize; 2],
        out: &mut [u32],
    ) {
        let columns = Words { start: columns.words().as_ptr(), stride: across };
        let width = self.head.heads.width;
        // SAFETY: `run` is compiled for the level's instructions; `rows` are parts of tokens that exist, and `transpose` has written `width`
        // rows of `across` words.
        unsafe { multiply::<L::F32, false>(rows, columns, [height, across, width], out, across) };
    }

    /// Replaces the gradients of a query's dropped weights by those of its scores, and its weights by the dropped ones.
    #[inline(always)]
    fn score_gradients<L: Level>(
        &self,
        query: usize,
        weights: &mut [f32],
        gradients: &mut [f32],
        scale: f32,
    ) {
        let first = weight_index(self.head.head, query, self.head.tokens);
        if let Some(dropout) = self.dropout {
            for (gradient, index) in gradients.iter_mut().zip(first..) {
                *gradient *= dropout.factor(index);
            }
        }
        let mean = sum_of_products::<L>(weights, gradients);
        for (gradient, weight) in gradients.iter_mut().zip(&*weights) {
            *gradient = (*gradient - mean) * weight * scale;
        }
        if let Some(dropout) = self.dropout {
            for (weight, index) in weights.iter_mut().zip(first..) {
                *weight *= dropout.factor(index);
            }
        }
    }

    /// Returns the queries (part 0), keys (1) or values (2) from a token on.
    #[inline(always)]
    fn part(&self, token: usize, part: usize) -> Words {
        let Heads { count, width, .. } = self.head.heads;
        let at = ((token * 3 + part) * count + self.head.head) * width;
        Words { start: self.head.qkv[at..].as_ptr().cast(), stride: 3 * count * width }
    }

    /// Returns the gradients of the context from a token on.
    #[inline(always)]
    fn context(&self, token: usize) -> Words {
        let Heads { count, width, .. } = self.head.heads;
        let at = (token * count + self.head.head) * width;
        Words { start: self.gradients[at..].as_ptr().cast(), stride: count * width }
    }

    /// Returns where the gradients of a part go from a token on.
    #[inline(always)]
    fn to<'a>(&self, out: &'a mut [f32], token: usize, part: usize) -> &'a mut [u32] {
        let Heads { count, width, .. } = self.head.heads;
        as_words_mut(&mut out[((token * 3 + part) * count + self.head.head) * width..])
    }
}
