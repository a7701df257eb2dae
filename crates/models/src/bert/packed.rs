//! BERT on the CPU kernels: texts one after the other, without padding or mask, on the calling thread.

use nightjar_kernels::{
    AttentionScratch, Bf16, ByteRows, Cpu, Element, Heads, LayerNorm, Linear, Precision, Rows, attend,
};
use parking_lot::Mutex;

use super::lookup::{add_embeddings, row};
use super::weights::{BertWeights, LayerWeights, LinearWeights, NormWeights, Tables};
use crate::Result;
use crate::architecture::{Body, PackedTexts};
use crate::spec::BodySizes;

/// A head's width is filled up with zeros to a multiple of the widest vector.
pub(super) const LANES: usize = 16;

/// Tokens whose feed-forward activations exist at a time: 128 x 1536 numbers of bf16 stay in a core's second-level
/// cache beside a panel of weights.
const FEED_FORWARD_TOKENS: usize = 128;

/// The layers of one BERT, its activations in numbers of type `T` between the kernels.
pub(super) struct PackedBert<T> {
    cpu: Cpu,
    sizes: BodySizes,
    heads: Heads,
    precision: Precision,
    tables: Tables,
    embedding_norm: LayerNorm,
    layers: Vec<Layer>,
    /// Memory of threads that have run before, so that a micro-batch allocates nothing.
    scratch: Mutex<Vec<Scratch<T>>>,
}

struct Layer {
    /// Query, key and value side by side, each head filled up.
    qkv: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    output_norm: LayerNorm,
}

/// The activations of one micro-batch.
#[derive(Default)]
struct Scratch<T> {
    /// The states as operands of products; unused where the states themselves or bytes are.
    operands: Vec<T>,
    bytes: ByteRows,
    qkv: Vec<T>,
    context: Vec<T>,
    inner: Vec<T>,
    attention: AttentionScratch,
}

impl PackedBert<f32> {
    /// Returns the model with its weights packed for `precision`.
    pub(super) fn load(weights: &BertWeights<'_>, precision: Precision) -> Result<Box<dyn Body>> {
        Ok(match precision {
            Precision::F32 => Box::new(PackedBert::<f32>::pack(weights, precision)?),
            Precision::Bf16 | Precision::Int8 => Box::new(PackedBert::<Bf16>::pack(weights, precision)?),
        })
    }
}

impl<T: Element> PackedBert<T> {
    fn pack(weights: &BertWeights<'_>, precision: Precision) -> Result<Self> {
        let sizes = weights.sizes;
        let scaled_width = sizes.hidden / sizes.heads;
        let heads = Heads { count: sizes.heads, width: scaled_width.next_multiple_of(LANES), scaled_width };
        let norm = |norm: NormWeights| LayerNorm::new(norm.weight, norm.bias, weights.epsilon);
        let layer = |i: usize| -> Result<Layer> {
            let layer = weights.layer(i)?;
            let pack =
                |linear: &LinearWeights| Linear::pack(&linear.weight, &linear.bias, linear.inputs, precision);
            Ok(Layer {
                qkv: pack(&side_by_side(&layer, heads)),
                attention_output: pack(&fill_up_inputs(&layer.attention_output, heads)),
                attention_norm: norm(layer.attention_norm),
                up: pack(&layer.up),
                down: pack(&layer.down),
                output_norm: norm(layer.output_norm),
            })
        };
        Ok(PackedBert {
            cpu: Cpu::detect(),
            sizes,
            heads,
            precision,
            tables: weights.tables()?,
            embedding_norm: norm(weights.embedding_norm()?),
            layers: (0..sizes.layers).map(layer).collect::<Result<_>>()?,
            scratch: Mutex::default(),
        })
    }

    /// Writes the first layer's input to `states`, `[tokens, hidden]`.
    fn embed(&self, texts: &PackedTexts, states: &mut [f32]) -> Result<()> {
        let Tables { words, positions, segments } = &self.tables;
        add_embeddings(
            texts,
            self.sizes.hidden,
            positions,
            segments,
            |id| row(words, id, self.sizes.hidden),
            states,
        )
    }

    /// Replaces the states by their norm and makes them ready for products.
    fn normalize(&self, norm: &LayerNorm, states: &mut [f32], operands: &mut [T]) {
        match self.precision {
            Precision::Bf16 => norm.apply_and_copy(self.cpu, states, operands),
            Precision::F32 | Precision::Int8 => norm.apply(self.cpu, states),
        }
    }

    /// Returns the states as rows that products read.
    fn states<'a>(&self, states: &'a [f32], operands: &'a [T], bytes: &'a mut ByteRows) -> Rows<'a> {
        match self.precision {
            Precision::F32 => Rows::F32(states),
            Precision::Bf16 => T::rows(operands),
            Precision::Int8 => {
                bytes.quantize(self.cpu, states, self.sizes.hidden);
                Rows::Int8(bytes)
            }
        }
    }

    /// Returns activations of `width` as rows that products read.
    fn rows<'a>(&self, values: &'a [T], width: usize, bytes: &'a mut ByteRows) -> Rows<'a> {
        match self.precision {
            Precision::F32 | Precision::Bf16 => T::rows(values),
            Precision::Int8 => {
                bytes.quantize(self.cpu, values, width);
                Rows::Int8(bytes)
            }
        }
    }

    /// Replaces the states by the layer's output.
    fn layer(&self, layer: &Layer, lengths: &[usize], states: &mut [f32], scratch: &mut Scratch<T>) {
        let (cpu, hidden, width) = (self.cpu, self.sizes.hidden, self.heads.count * self.heads.width);
        let tokens = states.len() / hidden;
        let Scratch { operands, bytes, qkv, context, inner, attention } = scratch;
        let operands = &mut operands[..tokens * hidden];
        let qkv = part(qkv, tokens * 3 * width);
        layer.qkv.apply(cpu, self.states(states, operands, bytes), qkv);
        let context = part(context, tokens * width);
        attend(cpu, qkv, lengths, self.heads, context, attention);
        layer.attention_output.add_to(cpu, self.rows(context, width, bytes), states);
        self.normalize(&layer.attention_norm, states, operands);
        let few = FEED_FORWARD_TOKENS * hidden;
        for (states, operands) in states.chunks_mut(few).zip(operands.chunks_mut(few)) {
            let inner = part(inner, states.len() / hidden * self.sizes.feed_forward);
            layer.up.apply_gelu(cpu, self.states(states, operands, bytes), inner);
            layer.down.add_to(cpu, self.rows(inner, self.sizes.feed_forward, bytes), states);
            self.normalize(&layer.output_norm, states, operands);
        }
    }
}

impl<T: Element> Body for PackedBert<T> {
    fn bytes(&self) -> usize {
        let Tables { words, positions, segments } = &self.tables;
        let tables =
            [words, positions, segments].map(|table| size_of_val(table.as_slice())).iter().sum::<usize>();
        let layer = |layer: &Layer| {
            let linears = [&layer.qkv, &layer.attention_output, &layer.up, &layer.down];
            let norms = [&layer.attention_norm, &layer.output_norm];
            linears.map(Linear::bytes).iter().sum::<usize>()
                + norms.map(LayerNorm::bytes).iter().sum::<usize>()
        };
        tables + self.embedding_norm.bytes() + self.layers.iter().map(layer).sum::<usize>()
    }

    fn forward(&self, texts: &PackedTexts, states: &mut Vec<f32>) -> Result<()> {
        let size = texts.ids.len() * self.sizes.hidden;
        states.resize(size, 0.0);
        self.embed(texts, states)?;
        let mut scratch = self.scratch.lock().pop().unwrap_or_default();
        part(&mut scratch.operands, size);
        self.normalize(&self.embedding_norm, states, &mut scratch.operands);
        for layer in &self.layers {
            self.layer(layer, &texts.lengths, states, &mut scratch);
        }
        self.scratch.lock().push(scratch);
        Ok(())
    }
}

/// Returns the first `len` numbers of memory that grows where it must.
fn part<T: Element>(memory: &mut Vec<T>, len: usize) -> &mut [T] {
    if memory.len() < len {
        memory.resize(len, T::default());
    }
    &mut memory[..len]
}

/// Returns query, key and value as one layer, `[3, heads, filled-up width]` outputs.
pub(super) fn side_by_side(layer: &LayerWeights, heads: Heads) -> LinearWeights {
    let inputs = layer.query.inputs;
    let outputs = 3 * heads.count * heads.width;
    let mut all = LinearWeights { weight: Vec::new(), bias: Vec::with_capacity(outputs), inputs };
    all.weight.reserve(outputs * inputs);
    for part in [&layer.query, &layer.key, &layer.value] {
        let rows = part.weight.chunks_exact(heads.scaled_width * inputs);
        for (weight, bias) in rows.zip(part.bias.chunks_exact(heads.scaled_width)) {
            all.weight.extend_from_slice(weight);
            all.bias.extend_from_slice(bias);
            all.bias.resize(all.bias.len().next_multiple_of(LANES), 0.0);
            all.weight.resize(all.bias.len() * inputs, 0.0);
        }
    }
    all
}

/// Returns a layer over the heads' context, whose heads are filled up.
pub(super) fn fill_up_inputs(linear: &LinearWeights, heads: Heads) -> LinearWeights {
    let inputs = heads.count * heads.width;
    let mut filled = LinearWeights { weight: Vec::new(), bias: linear.bias.clone(), inputs };
    for head in linear.weight.chunks_exact(heads.scaled_width) {
        filled.weight.extend_from_slice(head);
        filled.weight.resize(filled.weight.len().next_multiple_of(LANES), 0.0);
    }
    filled
}
