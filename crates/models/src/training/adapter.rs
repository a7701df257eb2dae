//! The additions of a training as a file that PEFT reads.

use std::collections::BTreeMap;
use std::path::Path;

use super::lora::{LoraOptions, wide_rows};
use super::trainer::Trainer;
use crate::Result;
use crate::bert::LinearPart;
use crate::tensor_file::{NamedTensor, write_tensors};

/// Low-rank additions by the names of the linear layers that they belong to.
pub struct Adapter {
    options: LoraOptions,
    tensors: Vec<NamedTensor>,
}

impl Trainer {
    /// Returns the additions, if the training has any; the encoder that [`save_encoder`](Trainer::save_encoder) writes includes them.
    pub fn adapter(&self) -> Option<Adapter> {
        let (lora, options) = (self.lora.as_ref()?, self.options.lora?);
        let mut tensors = Vec::new();
        for (layer, additions) in (self.options.freeze_layers..).zip(&lora.layers) {
            for factors in additions {
                let place = &factors.place;
                let a = wide_rows(&self.weights[factors.a.clone()], factors.rank, place.inputs);
                let b = wide_rows(&self.weights[factors.b.clone()], factors.rank, place.outputs);
                for (block, part) in self.places.linear_parts(factors.product, place).into_iter().enumerate()
                {
                    let LinearPart { name, inputs, outputs } = part;
                    let ranks = || block * options.rank..(block + 1) * options.rank;
                    let of_a = ranks().flat_map(|rank| inputs.iter().map(move |input| (rank, input)));
                    let of_b = outputs.iter().flat_map(|output| ranks().map(move |rank| (rank, output)));
                    let name = format!("base_model.model.encoder.layer.{layer}.{name}");
                    tensors.push(NamedTensor {
                        name: format!("{name}.lora_A.weight"),
                        shape: vec![options.rank, inputs.len()],
                        values: of_a.map(|(rank, input)| a[rank * place.inputs + input]).collect(),
                    });
                    tensors.push(NamedTensor {
                        name: format!("{name}.lora_B.weight"),
                        shape: vec![outputs.len(), options.rank],
                        values: of_b.map(|(rank, output)| b[rank * place.outputs + output]).collect(),
                    });
                }
            }
        }
        Some(Adapter { options, tensors })
    }
}

impl Adapter {
    /// Writes the additions as safetensors, under PEFT's names; rank and alpha are in the metadata. Equal additions give equal bytes.
    ///
    /// # Errors
    /// `FileAccess`.
    pub fn save(&self, path: &Path) -> Result<()> {
        let LoraOptions { rank, alpha, .. } = self.options;
        let metadata = [
            ("format", "pt".to_owned()),
            ("peft_type", "LORA".to_owned()),
            ("r", rank.to_string()),
            ("lora_alpha", alpha.to_string()),
        ];
        let metadata: BTreeMap<_, _> =
            metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        write_tensors(path, &metadata, &self.tensors)
    }
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adapter").field("options", &self.options).finish_non_exhaustive()
    }
}
