//! BERT's backward pass: first of the activations, a part of the batch at a time, then of a layer's weights over all parts.

use nightjar_kernels::gradient::{
    PANEL_OUTPUTS, add_column_sums, add_weight_gradient, attend_backward, gelu_backward, multiply_rows,
    normalize_backward, pack_rows, packed_len, transpose_packed,
};
use rayon::prelude::*;

use super::forward::{PassContext, dropout_place};
use super::places::{LinearPlace, Places};
use crate::training::{Gradients, LayerPass, Part, PartScratch, WordTable, each_text, sized};

/// The packed transposes of one layer's weights, in the order of `LayerPlace::products`.
pub(crate) type Transposes = [Vec<f32>; 4];

impl PassContext<'_> {
    /// Writes the transposes of a layer's weights, on all threads.
    pub(crate) fn transpose(&self, layer: usize, transposes: &mut Transposes) {
        let products = self.places.layers[layer].products();
        let pairs: Vec<_> = products.into_iter().zip(transposes).collect();
        pairs.into_par_iter().with_max_len(1).for_each(|(place, transposed)| {
            let LinearPlace { weight, inputs, outputs, .. } = place;
            let transposed = sized(transposed, packed_len(*inputs, *outputs));
            transpose_packed(&self.weights[weight.clone()], *outputs, *inputs, transposed);
        });
    }

    /// Computes the gradients of a layer's activations from `gradients.output`; that of its input is left in `gradients.input`.
    pub(crate) fn layer_backward(&self, layer: usize, transposes: &Transposes, part: &mut Part) {
        let place = &self.places.layers[layer];
        let (hidden, tokens) = (self.places.sizes.hidden, part.tokens());
        let Part { texts, first, layers, gradients, scratch, .. } = part;
        let PartScratch { attention_gradient, wide, dropout, .. } = scratch;
        let Gradients { output, down, inner, middle, attention, qkv, input, .. } = gradients;
        let pass = &mut layers[layer];
        let [of_qkv, of_attention, of_up, of_down] = transposes;
        let numbers = tokens * hidden;
        let of_texts = (texts.lengths.as_slice(), *first);

        let norm = &self.weights[place.output_norm.weight.clone()];
        normalize_backward(
            self.cpu,
            norm,
            &pass.output_scales,
            &mut pass.output_sum,
            output,
            sized(middle, numbers),
        );
        self.dropped(dropout_place(layer) + 2, of_texts, middle, down);
        self.back(&place.down, of_down, down, inner);
        gelu_backward(self.cpu, &mut pass.inner, inner);
        self.back(&place.up, of_up, inner, wide);
        middle.iter_mut().zip(&*wide).for_each(|(sum, gradient)| *sum += gradient);

        let norm = &self.weights[place.attention_norm.weight.clone()];
        normalize_backward(
            self.cpu,
            norm,
            &pass.attention_scales,
            &mut pass.attention_sum,
            middle,
            sized(input, numbers),
        );
        self.dropped(dropout_place(layer) + 1, of_texts, input, attention);
        self.back(&place.attention_output, of_attention, attention, wide);
        self.attention_dropout(layer, of_texts, dropout);
        let qkv_gradients = sized(qkv, pass.qkv.len());
        let heads = self.places.heads;
        attend_backward(
            self.cpu,
            &pass.qkv,
            (&texts.lengths, heads),
            dropout,
            wide,
            qkv_gradients,
            attention_gradient,
        );
        self.back(&place.qkv, of_qkv, qkv, wide);
        input.iter_mut().zip(&*wide).for_each(|(sum, gradient)| *sum += gradient);
    }

    /// Writes the gradients of a product's inputs.
    fn back(&self, place: &LinearPlace, transposed: &[f32], gradients: &[f32], out: &mut Vec<f32>) {
        let out = sized(out, gradients.len() / place.outputs * place.inputs);
        multiply_rows(self.cpu, gradients, place.outputs, transposed, &[], place.inputs, out);
    }

    /// Writes the gradients before a dropout from those behind it.
    fn dropped(
        &self,
        place: usize,
        (lengths, first): (&[usize], usize),
        gradients: &[f32],
        out: &mut Vec<f32>,
    ) {
        out.clear();
        out.extend_from_slice(gradients);
        if let Some(noise) = self.noise {
            each_text(lengths, first, self.places.sizes.hidden, out, |text, rows| {
                noise.at(place, text).apply(self.cpu, rows);
            });
        }
    }

    /// Adds the gradients of a layer's weights, summed over all parts, to `sums`, which is laid out as the layer.
    pub(crate) fn add_layer_gradients(&self, layer: usize, parts: &mut [Part], sums: &mut [f32]) {
        let place = &self.places.layers[layer];
        parts.par_iter_mut().with_max_len(1).for_each(|Part { layers, gradients, .. }| {
            let Gradients { rows, .. } = &mut *gradients;
            let LayerPass { input, context, middle, inner, .. } = &layers[layer];
            for ((inputs, product), packed) in
                [input, context, middle, inner].into_iter().zip(place.products()).zip(rows)
            {
                pack_rows(inputs, product.inputs, packed);
            }
        });
        let parts = &*parts;
        let mut sums = Taking(sums);
        let mut panels = Vec::new();
        sums.panels(&place.qkv, 0, &mut panels);
        sums.panels(&place.attention_output, 1, &mut panels);
        let attention_norm = (sums.take(&place.attention_norm.weight), sums.take(&place.attention_norm.bias));
        sums.panels(&place.up, 2, &mut panels);
        sums.panels(&place.down, 3, &mut panels);
        let output_norm = (sums.take(&place.output_norm.weight), sums.take(&place.output_norm.bias));
        panels.into_par_iter().with_max_len(1).for_each_init(Vec::new, |scratch, mut panel| {
            parts.iter().for_each(|part| panel.add(self, &part.layers[layer], &part.gradients, scratch));
        });
        for part in parts {
            let (pass, gradients) = (&part.layers[layer], &part.gradients);
            add_column_sums(self.cpu, &pass.attention_sum, attention_norm.0);
            add_column_sums(self.cpu, &gradients.middle, attention_norm.1);
            add_column_sums(self.cpu, &pass.output_sum, output_norm.0);
            add_column_sums(self.cpu, &gradients.output, output_norm.1);
        }
    }
}

/// Which inputs and which gradients of outputs the weight gradient of a product is made of.
type Operands = for<'a> fn(&'a LayerPass, &'a Gradients) -> (&'a [f32], &'a [f32]);

/// Of each product, in the order of `LayerPlace::products`, behind `layer_backward`.
pub(crate) const OPERANDS: [Operands; 4] = [
    |pass, gradients| (&pass.input, &gradients.qkv),
    |pass, gradients| (&pass.context, &gradients.attention),
    |pass, gradients| (&pass.middle, &gradients.inner),
    |pass, gradients| (&pass.inner, &gradients.down),
];

/// The sums of one panel of a product's weights.
struct PanelGradient<'a> {
    /// In the order of `LayerPlace::products`.
    product: usize,
    outputs: usize,
    panel: usize,
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

impl PanelGradient<'_> {
    fn add(
        &mut self,
        context: &PassContext<'_>,
        pass: &LayerPass,
        gradients: &Gradients,
        scratch: &mut Vec<f32>,
    ) {
        let (_, of_outputs) = OPERANDS[self.product](pass, gradients);
        let (rows, of_outputs) = (&gradients.rows[self.product], (of_outputs, self.outputs));
        add_weight_gradient(context.cpu, rows, of_outputs, self.panel, self.weight, self.bias, scratch);
    }
}

/// Sums that are handed out from the front.
struct Taking<'a>(&'a mut [f32]);

impl<'a> Taking<'a> {
    fn take(&mut self, place: &std::ops::Range<usize>) -> &'a mut [f32] {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut(place.len());
        self.0 = rest;
        taken
    }

    fn panels(&mut self, place: &LinearPlace, product: usize, panels: &mut Vec<PanelGradient<'a>>) {
        let (weight, bias) = (self.take(&place.weight), self.take(&place.bias));
        let LinearPlace { inputs, outputs, .. } = *place;
        let parts = weight.chunks_exact_mut(inputs * PANEL_OUTPUTS).zip(bias.chunks_mut(PANEL_OUTPUTS));
        panels.extend(parts.enumerate().map(|(panel, (weight, bias))| PanelGradient {
            product,
            outputs,
            panel,
            weight,
            bias,
        }));
    }
}

impl PassContext<'_> {
    /// Adds the gradients of the embeddings from `gradients.output`: the dense ones to `sums`, laid out as the tables and
    /// the norm that stand before the first layer, those of words to their table.
    pub(crate) fn embeddings_backward(&self, words: &mut WordTable, parts: &mut [Part], sums: &mut [f32]) {
        let Places { sizes, positions, segments, embedding_norm, .. } = self.places;
        let hidden = sizes.hidden;
        let weight = &self.weights[embedding_norm.weight.clone()];
        parts.par_iter_mut().for_each(|part| {
            let Part { texts, first, embedded, embedded_scales, gradients, .. } = part;
            if let Some(noise) = self.noise {
                each_text(&texts.lengths, *first, hidden, &mut gradients.output, |text, rows| {
                    noise.at(0, text).apply(self.cpu, rows);
                });
            }
            let out = sized(&mut gradients.input, embedded.len());
            normalize_backward(self.cpu, weight, embedded_scales, embedded, &gradients.output, out);
        });
        for part in parts {
            add_column_sums(self.cpu, &part.embedded, &mut sums[embedding_norm.weight.clone()]);
            add_column_sums(self.cpu, &part.gradients.output, &mut sums[embedding_norm.bias.clone()]);
            let place = part.texts.lengths.iter().flat_map(|&length| 0..length);
            let ids = part.texts.ids.iter().zip(&part.texts.type_ids).zip(place);
            for (((&word, &segment), place), gradient) in ids.zip(part.gradients.input.chunks_exact(hidden)) {
                words.add_gradient(word, gradient);
                for start in [positions.start + place * hidden, segments.start + segment as usize * hidden] {
                    sums[start..][..hidden]
                        .iter_mut()
                        .zip(gradient)
                        .for_each(|(sum, gradient)| *sum += gradient);
                }
            }
        }
    }
}
