//! A trained BERT's numbers as the tensors of its file, and back to their names.

use std::ops::Range;

use nightjar_kernels::gradient::unpack_weight;

use super::places::{LayerPlace, LinearPlace, NormPlace, Places};
use crate::tensor_file::NamedTensor;

/// A linear layer of the model's file, as a part of a product.
pub(crate) struct LinearPart {
    /// Its name within the layer.
    pub(crate) name: &'static str,
    /// Which of the product's outputs are its own, in its order.
    pub(crate) outputs: Vec<usize>,
    /// Which of the product's inputs are.
    pub(crate) inputs: Vec<usize>,
}

impl Places {
    /// Returns the linear layers that a layer's product, by its number in [`LayerPlace::products`], is made of.
    pub(crate) fn linear_parts(&self, product: usize, place: &LinearPlace) -> Vec<LinearPart> {
        let per_part = self.heads.count * self.heads.width;
        let all = |count: usize| (0..count).collect::<Vec<_>>();
        let alone = |name, inputs| vec![LinearPart { name, outputs: all(place.outputs), inputs }];
        match product {
            0 => {
                let names = ["attention.self.query", "attention.self.key", "attention.self.value"];
                let part = |(part, name)| LinearPart {
                    name,
                    outputs: self.in_heads(part * per_part),
                    inputs: all(place.inputs),
                };
                names.into_iter().enumerate().map(part).collect()
            }
            1 => alone("attention.output.dense", self.in_heads(0)),
            2 => alone("intermediate.dense", all(place.inputs)),
            _ => alone("output.dense", all(place.inputs)),
        }
    }

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
        let mut tensors = Vec::new();
        for (product, place) in layer.products().into_iter().enumerate() {
            for LinearPart { name, outputs, inputs } in self.linear_parts(product, place) {
                tensors.extend(linear(format!("{at}.{name}"), place, numbers, &outputs, &inputs));
            }
        }
        tensors.extend(norm(format!("{at}.attention.output.LayerNorm"), &layer.attention_norm, numbers));
        tensors.extend(norm(format!("{at}.output.LayerNorm"), &layer.output_norm, numbers));
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
