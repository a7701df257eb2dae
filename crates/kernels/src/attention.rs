//! Self-attention over texts that lie one after the other, without padding or mask.

use crate::activation::exp_of_nonpositive;
use crate::bf16::Bf16;
use crate::buffer::Buffer;
use crate::dot::Dot;
use crate::element::{Element, narrow};
use crate::level::{Cpu, Kernel, Level};
use crate::reduce;
use crate::tile::{BAND, LANES, Words, multiply};

/// The shape of a self-attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Heads side by side.
    pub count: usize,
    /// Numbers of a head's query, key and value: a multiple of 16 (fill up with zeros).
    pub width: usize,
    /// Numbers that the score is scaled by the root of: the width before it was filled up.
    pub scaled_width: usize,
}

/// The memory of [`attend`], to be used again.
#[derive(Debug, Clone, Default)]
pub struct AttentionScratch {
    keys: Buffer,
    values: Buffer,
    scores: Buffer,
    weights: Buffer,
    context: Buffer,
}

/// Writes `softmax(q kᵀ / √width) v` to `out`, `[tokens, heads * width]`.
///
/// `qkv` is `[tokens, 3, heads, width]`; `lengths` are the tokens of each text, whose sum is `tokens`. Tokens see the
/// tokens of their own text. Products are those of `T`'s precision; scores and softmax are f32.
///
/// # Panics
/// Where the sizes do not agree.
///
/// Cost: `4 · tokens · length · heads · width` operations per text. Allocates only for a longer text than ever.
/// Source: Vaswani et al. 2017, arXiv:1706.03762.
pub fn attend<T: Element>(
    cpu: Cpu,
    qkv: &[T],
    lengths: &[usize],
    heads: Heads,
    out: &mut [T],
    scratch: &mut AttentionScratch,
) {
    let tokens: usize = lengths.iter().sum();
    assert!(heads.width > 0 && heads.width.is_multiple_of(LANES), "the width of a head");
    assert_eq!(qkv.len(), tokens * 3 * heads.count * heads.width, "the size of query, key and value");
    assert_eq!(out.len(), tokens * heads.count * heads.width, "the output's size");
    cpu.run(Attend { qkv, lengths, heads, out, scratch });
}

struct Attend<'a, T> {
    qkv: &'a [T],
    lengths: &'a [usize],
    heads: Heads,
    out: &'a mut [T],
    scratch: &'a mut AttentionScratch,
}

impl<T: Element> Kernel for Attend<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        let Heads { count, width, .. } = self.heads;
        let mut start = 0;
        for &tokens in self.lengths {
            let qkv = &self.qkv[start * 3 * count * width..][..tokens * 3 * count * width];
            let out = &mut self.out[start * count * width..][..tokens * count * width];
            for head in 0..count {
                let text = Head { qkv, tokens, head, heads: self.heads };
                // Elements of one word are f32, of two bf16: there are no others.
                match T::GROUP {
                    1 => text.attend::<L, L::F32>(out, self.scratch, |_, _| {}),
                    _ => text.attend::<L, L::Bf16>(out, self.scratch, |_, _| {}),
                }
            }
            start += tokens;
        }
    }
}

/// One head over one text.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a, T> {
    pub(crate) qkv: &'a [T],
    pub(crate) tokens: usize,
    pub(crate) head: usize,
    pub(crate) heads: Heads,
}

impl<T: Element> Head<'_, T> {
    /// Writes the head's context; `change` may change a query's weights once their sum is taken.
    #[inline(always)]
    pub(crate) fn attend<L: Level, D: Dot>(
        &self,
        out: &mut [T],
        scratch: &mut AttentionScratch,
        change: impl Fn(usize, &mut [u32]),
    ) {
        let Heads { count, width, scaled_width } = self.heads;
        let AttentionScratch { keys, values, scores, weights, context } = scratch;
        let tokens = self.tokens;
        // The tokens filled up to whole vectors, and to whole words.
        let (columns, depth) = (tokens.next_multiple_of(LANES), tokens.div_ceil(T::GROUP));
        let weight_stride = columns / T::GROUP;
        let width_words = width / T::GROUP;
        transpose(self.qkv, 3 * count * width, (count + self.head) * width, width, columns, keys);
        self.pack_values(values);
        scores.reserve(BAND * columns);
        weights.reserve(BAND * weight_stride);
        context.reserve(BAND * width);
        let scale = 1.0 / (scaled_width as f32).sqrt();
        let stride = 3 * count * width;
        for first in (0..tokens).step_by(BAND) {
            let rows = (tokens - first).min(BAND);
            let queries = &self.qkv[first * stride + self.head * width..];
            let queries = Words { start: queries.as_ptr().cast(), stride: stride / T::GROUP };
            let key_words = Words { start: keys.words().as_ptr(), stride: columns };
            // SAFETY: `run` is compiled for the level's instructions; the queries of `rows` tokens are `stride` apart in
            // `qkv`, and `transpose` has written `width_words` rows of `columns` words.
            unsafe {
                multiply::<D, false>(
                    queries,
                    key_words,
                    [rows, columns, width_words],
                    scores.words_mut(),
                    columns,
                );
            }
            let mut totals = [1.0; BAND];
            for (row, total) in totals.iter_mut().enumerate().take(rows) {
                let scores = &mut scores.words_mut()[row * columns..][..columns];
                let weights = &mut weights.words_mut()[row * weight_stride..][..weight_stride];
                *total = softmax_numerators::<L, T>(scores, tokens, scale, weights);
                change(first + row, weights);
            }
            let weight_words = Words { start: weights.words().as_ptr(), stride: weight_stride };
            let value_words = Words { start: values.words().as_ptr(), stride: width };
            // SAFETY: as above; there are `rows` rows of `depth` weights, and `pack_values` has written `depth` rows of
            // `width` words.
            unsafe {
                multiply::<D, false>(
                    weight_words,
                    value_words,
                    [rows, width, depth],
                    context.words_mut(),
                    width,
                );
            }
            for (row, total) in totals.iter().enumerate().take(rows) {
                let out = &mut out[(first + row) * count * width + self.head * width..][..width];
                let context = &context.words()[row * width..][..width];
                let factor = 1.0 / total;
                for (out, context) in
                    out.as_chunks_mut::<LANES>().0.iter_mut().zip(context.as_chunks::<LANES>().0)
                {
                    let mut numbers = [0.0; LANES];
                    for lane in 0..LANES {
                        numbers[lane] = f32::from_bits(context[lane]) * factor;
                    }
                    *out = narrow::<L, T>(&numbers);
                }
            }
        }
    }

    /// Returns the numbers of one token's query (part 0), key (1) or value (2).
    #[inline(always)]
    fn part(&self, token: usize, part: usize) -> &[T] {
        let Heads { count, width, .. } = self.heads;
        &self.qkv[((token * 3 + part) * count + self.head) * width..][..width]
    }

    /// Writes the values as `[tokens in words, width]`: a word holds neighbouring tokens.
    #[inline(always)]
    fn pack_values(&self, values: &mut Buffer) {
        let width = self.heads.width;
        let depth = self.tokens.div_ceil(T::GROUP);
        values.reserve(depth * width);
        for (word, to) in values.words_mut().chunks_exact_mut(width).take(depth).enumerate() {
            let token = word * T::GROUP;
            let first = self.part(token, 2);
            if T::GROUP == 1 {
                to.iter_mut().zip(first).for_each(|(to, &value)| *to = T::word(&[value]));
            } else if token + 1 < self.tokens {
                let second = self.part(token + 1, 2);
                to.iter_mut().zip(first).zip(second).for_each(|((to, &a), &b)| *to = T::word(&[a, b]));
            } else {
                to.iter_mut().zip(first).for_each(|(to, &a)| *to = T::word(&[a]));
            }
        }
    }
}

/// Writes the `width` numbers from `at` on of each token, `stride` numbers long, as `[width in words, columns]`; columns beyond the tokens
/// are zeros.
#[inline(always)]
pub(crate) fn transpose<T: Element>(
    tokens: &[T],
    stride: usize,
    at: usize,
    width: usize,
    columns: usize,
    out: &mut Buffer,
) {
    let width_words = width / T::GROUP;
    out.reserve(width_words * columns);
    let out = &mut out.words_mut()[..width_words * columns];
    // Token by token: reads are contiguous, and scattered writes cost less than gathered reads.
    for (token, from) in tokens.chunks_exact(stride).enumerate() {
        let mut to = token;
        for word in from[at..at + width].chunks_exact(T::GROUP) {
            out[to] = T::word(word);
            to += columns;
        }
    }
    for row in out.chunks_exact_mut(columns) {
        row[tokens.len() / stride..].fill(0);
    }
}

/// Writes `e^(scale · (score - max))` as words of weights and returns the sum of what was written.
///
/// `scores` are the tokens' and, filling up the last vector, others that count as minus infinity: their weight is zero.
#[inline(always)]
pub(crate) fn softmax_numerators<L: Level, T: Element>(
    scores: &mut [u32],
    tokens: usize,
    scale: f32,
    weights: &mut [u32],
) -> f32 {
    scores[tokens..].fill(f32::NEG_INFINITY.to_bits());
    let mut top = [f32::NEG_INFINITY; LANES];
    let (scores, _) = scores.as_chunks::<LANES>();
    for chunk in scores {
        for lane in 0..LANES {
            let score = f32::from_bits(chunk[lane]) * scale;
            top[lane] = if score > top[lane] { score } else { top[lane] };
        }
    }
    let top = reduce::max_of_lanes(&top);
    let mut totals = [0.0f32; LANES];
    for (scores, words) in scores.iter().zip(weights.chunks_exact_mut(LANES / T::GROUP)) {
        let mut numbers = [0.0; LANES];
        for lane in 0..LANES {
            // Rounded as above, so that the greatest score gives zero.
            numbers[lane] = exp_of_nonpositive::<L>(f32::from_bits(scores[lane]) * scale - top);
            totals[lane] += numbers[lane];
        }
        let numbers = narrow::<L, T>(&numbers);
        words.iter_mut().zip(numbers.chunks_exact(T::GROUP)).for_each(|(word, pair)| *word = T::word(pair));
    }
    reduce::sum_of_lanes(&totals)
}

/// Checks that bf16 is the only element that shares words.
const _: () = assert!(<Bf16 as Element>::GROUP == 2 && <f32 as Element>::GROUP == 1);
