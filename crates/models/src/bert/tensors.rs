//! A trained BERT's numbers as the tensors of its file, and back to their names.

use std::ops::Range;

use nightjar_kernels::gradient::unpack_weight;

use super::places::{LayerPlace, LinearPlace, NormPlace, Places};
use crate::tensor_file::NamedTensor;

impl Places {
    /// Returns the tensors by their names in the file, without prefix, the word table left out. `numbers` are the weights, or their
    /// gradients.
    pub(crate) fn tensors(&self, numbers: &[f32]) -> Vec<NamedTensor> {
        let hidden = self.sizes.hidden;
        let table = |name: &str, at: &Range<usize>| NamedTensor {
            name: format!("embeddings.{name}_embeddings.weight"),
            shape: vec![at.len() / hidden, hidden],
            values: numbers[at.clone()].to_vec(),
        };
        let mut tensors = vec![table("position", &self.positions), table("token_type", &self.segments)];
        tensors.extend(norm("embeddings.LayerNorm".to_owned(), &self.embedding_norm, numbers));
        for (i, layer) in self.layers.iter().enumerate() {
            tensors.extend(self.layer(&format!("encoder.layer.{i}"), layer, numbers));
        }
        tensors
    }

    fn layer(&self, at: &str, layer: &LayerPlace, numbers: &[f32]) -> Vec<NamedTensor> {
        let LayerPlace { qkv, attention_output, attention_norm, up, down, output_norm } = layer;
        let per_part = self.heads.count * self.heads.width;
        let (all, in_heads) = (|count: usize| (0..count).collect::<Vec<_>>(), self.in_heads(0));
        let mut tensors = Vec::new();
        let mut add = |name: &str, place: &LinearPlace, outputs: &[usize], inputs: &[usize]| {
            tensors.extend(linear(format!("{at}.{name}"), place, numbers, outputs, inputs));
        };
        for (part, name) in ["query", "key", "value"].into_iter().enumerate() {
            let outputs = self.in_heads(part * per_part);
            add(&format!("attention.self.{name}"), qkv, &outputs, &all(qkv.inputs));
        }
        add("attention.output.dense", attention_output, &all(attention_output.outputs), &in_heads);
        add("intermediate.dense", up, &all(up.outputs), &all(up.inputs));
        add("output.dense", down, &all(down.outputs), &all(down.inputs));
        tensors.extend(norm(format!("{at}.attention.output.LayerNorm"), attention_norm, numbers));
        tensors.extend(norm(format!("{at}.output.LayerNorm"), output_norm, numbers));
        tensors
    }

    /// Returns where the heads' own numbers stand from `start` on: heads are filled up to whole vectors.
    fn in_heads(&self, start: usize) -> Vec<usize> {
        let heads = self.heads;
        let head = |head: usize| (0..heads.scaled_width).map(move |i| start + head * heads.width + i);
        (0..heads.count).flat_map(head).collect()
    }
}

/// Returns weight and bias of a product, of its outputs and inputs those named.
fn linear(
    name: String,
    place: &LinearPlace,
    numbers: &[f32],
    outputs: &[usize],
    inputs: &[usize],
) -> [NamedTensor; 2] {
    let mut weight = vec![0.0; place.outputs * place.inputs];
    unpack_weight(&numbers[place.weight.clone()], place.inputs, &mut weight);
    let bias = &numbers[place.bias.clone()];
    let rows = outputs.iter().map(|output| &weight[output * place.inputs..][..place.inputs]);
    let values = rows.flat_map(|row| inputs.iter().map(|input| row[*input])).collect();
    let shape = vec![outputs.len(), inputs.len()];
    let biases = outputs.iter().map(|output| bias[*output]).collect();
    [
        NamedTensor { name: format!("{name}.weight"), shape, values },
        NamedTensor { name: format!("{name}.bias"), shape: vec![outputs.len()], values: biases },
    ]
}

fn norm(name: String, place: &NormPlace, numbers: &[f32]) -> [NamedTensor; 2] {
    let vector = |part: &str, at: &Range<usize>| NamedTensor {
        name: format!("{name}.{part}"),
        shape: vec![at.len()],
        values: numbers[at.clone()].to_vec(),
    };
    [vector("weight", &place.weight), vector("bias", &place.bias)]
}
