//! The encoder taken apart: the same kernels in the same order on the same shapes, each of them timed.
//!
//! It repeats `src/bert/packed.rs` with made-up weights, whose values no kernel's time depends on. All layers have
//! weights of their own, as in the model: together they do not fit into the caches that one layer's fit into.

use nightjar_kernels::{
    AttentionScratch, ByteRows, Cpu, Element, Heads, LayerNorm, Linear, Precision, Rows, attend,
};
use nightjar_models::{EncoderSpec, PackedTexts};

use super::{Clock, Part, Parts, Times, numbers};

/// As in the encoder.
const FEED_FORWARD_TOKENS: usize = 128;

struct Layer {
    qkv: Linear,
    attention_output: Linear,
    up: Linear,
    down: Linear,
}

/// A body whose heads need no filling up, with the memory of one micro-batch.
pub(crate) struct Replica<T> {
    cpu: Cpu,
    spec: EncoderSpec,
    precision: Precision,
    heads: Heads,
    layers: Vec<Layer>,
    norm: LayerNorm,
    words: Vec<f32>,
    positions: Vec<f32>,
    segment: Vec<f32>,
    states: Vec<f32>,
    operands: Vec<T>,
    bytes: ByteRows,
    qkv: Vec<T>,
    context: Vec<T>,
    inner: Vec<T>,
    attention: AttentionScratch,
    pooled: Vec<f32>,
}

impl<T: Element> Replica<T> {
    pub(crate) fn new(spec: &EncoderSpec, precision: Precision) -> Self {
        let EncoderSpec { dim, feed_forward, vocab, .. } = *spec;
        let width = dim / spec.heads;
        let linear = |inputs, outputs| {
            let (weight, bias) = (numbers::<f32>(inputs * outputs), numbers::<f32>(outputs));
            Linear::pack(&weight, &bias, inputs, precision)
        };
        let layer = |_| Layer {
            qkv: linear(dim, 3 * dim),
            attention_output: linear(dim, dim),
            up: linear(dim, feed_forward),
            down: linear(feed_forward, dim),
        };
        Replica {
            cpu: Cpu::detect(),
            precision,
            heads: Heads { count: spec.heads, width, scaled_width: width },
            layers: (0..spec.layers).map(layer).collect(),
            norm: LayerNorm::new(vec![1.0; dim], vec![0.0; dim], 1e-12),
            words: numbers(vocab * dim),
            positions: numbers(spec.window * dim),
            segment: numbers(dim),
            spec: spec.clone(),
            states: Vec::new(),
            operands: Vec::new(),
            bytes: ByteRows::default(),
            qkv: Vec::new(),
            context: Vec::new(),
            inner: vec![T::default(); FEED_FORWARD_TOKENS * feed_forward],
            attention: AttentionScratch::default(),
            pooled: vec![0.0; dim],
        }
    }

    fn embed(&mut self, texts: &PackedTexts) {
        let dim = self.spec.dim;
        let places = texts.lengths.iter().flat_map(|&length| 0..length);
        for ((&id, place), out) in texts.ids.iter().zip(places).zip(self.states.chunks_exact_mut(dim)) {
            let word = &self.words[id as usize * dim..][..dim];
            let position = &self.positions[place * dim..][..dim];
            for (((out, word), segment), position) in
                out.iter_mut().zip(word).zip(&self.segment).zip(position)
            {
                *out = (word + segment) + position;
            }
        }
    }

    fn pool(&mut self, lengths: &[usize]) {
        let dim = self.spec.dim;
        let mut start = 0;
        for &tokens in lengths {
            self.pooled.fill(0.0);
            for row in self.states[start * dim..][..tokens * dim].chunks_exact(dim) {
                self.pooled.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            let length = self.pooled.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
            self.pooled.iter_mut().for_each(|value| *value /= length);
            std::hint::black_box(&mut self.pooled);
            start += tokens;
        }
    }

    fn layer(&mut self, layer: usize, lengths: &[usize], watch: &mut Watch<'_>) {
        let (cpu, precision, dim, wide) = (self.cpu, self.precision, self.spec.dim, self.spec.feed_forward);
        let Replica { states, operands, bytes, qkv, context, inner, attention, norm, .. } = self;
        let Layer { qkv: to_qkv, attention_output, up, down } = &self.layers[layer];
        let rows = state_rows(precision, cpu, states, operands, bytes, dim, watch);
        watch.time(Part::Qkv, || to_qkv.apply(cpu, rows, qkv));
        watch.time(Part::Attention, || attend(cpu, qkv, lengths, self.heads, context, attention));
        let rows = rows_of(precision, cpu, context, bytes, dim, watch);
        watch.time(Part::AttentionOutput, || attention_output.add_to(cpu, rows, states));
        normalize(precision, cpu, norm, states, operands, watch);
        let few = FEED_FORWARD_TOKENS * dim;
        for (states, operands) in states.chunks_mut(few).zip(operands.chunks_mut(few)) {
            let inner = &mut inner[..states.len() / dim * wide];
            let rows = state_rows(precision, cpu, states, operands, bytes, dim, watch);
            watch.time(Part::Up, || up.apply_gelu(cpu, rows, inner));
            let rows = rows_of(precision, cpu, inner, bytes, wide, watch);
            watch.time(Part::Down, || down.add_to(cpu, rows, states));
            normalize(precision, cpu, norm, states, operands, watch);
        }
    }
}

impl<T: Element> Parts for Replica<T> {
    fn run(&mut self, clock: &mut Clock, texts: &PackedTexts) -> Times {
        let (tokens, dim) = (texts.ids.len(), self.spec.dim);
        self.states.resize(tokens * dim, 0.0);
        self.operands.resize(tokens * dim, T::default());
        self.qkv.resize(tokens * 3 * dim, T::default());
        self.context.resize(tokens * dim, T::default());
        let mut watch = Watch { clock, times: Times::default() };
        watch.time(Part::Embed, || self.embed(texts));
        let Replica { precision, cpu, norm, states, operands, .. } = self;
        normalize(*precision, *cpu, norm, states, operands, &mut watch);
        for layer in 0..self.layers.len() {
            self.layer(layer, &texts.lengths, &mut watch);
        }
        watch.time(Part::Pool, || self.pool(&texts.lengths));
        watch.times
    }
}

/// Adds up the time of each part.
struct Watch<'a> {
    clock: &'a mut Clock,
    times: Times,
}

impl Watch<'_> {
    fn time(&mut self, part: Part, work: impl FnOnce()) {
        self.times[part as usize] += self.clock.time(work).1;
    }
}

fn normalize<T: Element>(
    precision: Precision,
    cpu: Cpu,
    norm: &LayerNorm,
    states: &mut [f32],
    operands: &mut [T],
    watch: &mut Watch<'_>,
) {
    watch.time(Part::Norm, || match precision {
        Precision::Bf16 => norm.apply_and_copy(cpu, states, operands),
        Precision::F32 | Precision::Int8 => norm.apply(cpu, states),
    });
}

fn state_rows<'a, T: Element>(
    precision: Precision,
    cpu: Cpu,
    states: &'a [f32],
    operands: &'a [T],
    bytes: &'a mut ByteRows,
    dim: usize,
    watch: &mut Watch<'_>,
) -> Rows<'a> {
    match precision {
        Precision::F32 => Rows::F32(states),
        Precision::Bf16 => T::rows(operands),
        Precision::Int8 => rows_of(precision, cpu, states, bytes, dim, watch),
    }
}

fn rows_of<'a, T: Element>(
    precision: Precision,
    cpu: Cpu,
    values: &'a [T],
    bytes: &'a mut ByteRows,
    width: usize,
    watch: &mut Watch<'_>,
) -> Rows<'a> {
    if precision != Precision::Int8 {
        return T::rows(values);
    }
    watch.time(Part::Quantize, || bytes.quantize(cpu, values, width));
    Rows::Int8(bytes)
}
