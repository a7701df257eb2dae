//! The parts of the encoder's work, and what measures them.

mod ceiling;
mod clock;
mod replica;

use std::time::Duration;

use nightjar_kernels::{Bf16, Element, Precision};
use nightjar_models::{EncoderSpec, PackedTexts};

pub(crate) use ceiling::ceilings;
pub(crate) use clock::Clock;
use replica::Replica;

/// A part of the encoder's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Qkv,
    AttentionOutput,
    Up,
    Down,
    Attention,
    Norm,
    Quantize,
    Embed,
    Pool,
}

impl Part {
    pub(crate) const ALL: [Part; 9] = [
        Part::Qkv,
        Part::AttentionOutput,
        Part::Up,
        Part::Down,
        Part::Attention,
        Part::Norm,
        Part::Quantize,
        Part::Embed,
        Part::Pool,
    ];

    /// Returns what the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Qkv => "query, key, value",
            Part::AttentionOutput => "attention output, added",
            Part::Up => "up, GELU",
            Part::Down => "down, added",
            Part::Attention => "attention",
            Part::Norm => "layer norm",
            Part::Quantize => "quantise",
            Part::Embed => "embedding lookup",
            Part::Pool => "pooling",
        }
    }

    /// Returns the floating operations of products for these texts, all layers; 0 for parts without products.
    pub(crate) fn operations(self, spec: &EncoderSpec, lengths: &[usize]) -> f64 {
        let tokens: usize = lengths.iter().sum();
        let pairs: usize = lengths.iter().map(|length| length * length).sum();
        let operations = match self {
            Part::Qkv => 6 * tokens * spec.dim * spec.dim,
            Part::AttentionOutput => 2 * tokens * spec.dim * spec.dim,
            Part::Up | Part::Down => 2 * tokens * spec.dim * spec.feed_forward,
            Part::Attention => 4 * pairs * spec.dim,
            Part::Norm | Part::Quantize | Part::Embed | Part::Pool => 0,
        };
        (operations * spec.layers) as f64
    }
}

/// The time of each part, in the order of [`Part::ALL`].
pub(crate) type Times = [Duration; Part::ALL.len()];

/// An encoder's body that measures its parts.
pub(crate) trait Parts {
    /// Returns how long each part takes for these texts.
    fn run(&mut self, clock: &mut Clock, texts: &PackedTexts) -> Times;
}

/// Returns the body that `spec` and `precision` describe.
pub(crate) fn parts(spec: &EncoderSpec, precision: Precision) -> Box<dyn Parts> {
    match precision {
        Precision::F32 => Box::new(Replica::<f32>::new(spec, precision)),
        Precision::Bf16 | Precision::Int8 => Box::new(Replica::<Bf16>::new(spec, precision)),
    }
}

/// Returns numbers between -1/8 and 1/8, the same in each run.
pub(crate) fn numbers<T: Element>(count: usize) -> Vec<T> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        T::of((state >> 8) as f32 / (1 << 26) as f32 - 0.125)
    };
    std::iter::repeat_with(next).take(count).collect()
}
