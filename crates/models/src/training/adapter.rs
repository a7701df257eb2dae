//! The additions of a training as the files that PEFT reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use super::lora::{LoraOptions, wide_rows};
use super::trainer::Trainer;
use crate::bert::LinearPart;
use crate::tensor_file::{NamedTensor, write_tensors};
use crate::{ModelError, Result};

/// Low-rank additions by the names of the linear layers that they belong to.
pub struct Adapter {
    options: LoraOptions,
    /// The layers and, by their names in a layer, the products that have one.
    layers: Vec<usize>,
    products: BTreeSet<String>,
    tensors: Vec<NamedTensor>,
}

impl Trainer {
    /// Returns the additions, if the training has any; the encoder that [`save_encoder`](Trainer::save_encoder) writes includes them.
    pub fn adapter(&self) -> Option<Adapter> {
        let (lora, options) = (self.lora.as_ref()?, self.options.lora?);
        let (mut layers, mut products, mut tensors) = (Vec::new(), BTreeSet::new(), Vec::new());
        for (layer, additions) in (self.options.freeze_layers..).zip(&lora.layers) {
            layers.push(layer);
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
                    products.insert(name.to_string());
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
        Some(Adapter { options, layers, products, tensors })
    }
}

impl Adapter {
    /// Writes `adapter_model.safetensors` and `adapter_config.json` into a folder, as `PeftModel.from_pretrained` reads them; `base`
    /// names the encoder that they are added to. Equal additions give equal bytes.
    ///
    /// # Errors
    /// `FileAccess`.
    ///
    /// Source: peft 0.21, `LoraConfig`.
    pub fn save(&self, folder: &Path, base: &str) -> Result<()> {
        let path = folder.join("adapter_config.json");
        let json = format!("{:#}\n", self.config(base));
        std::fs::write(&path, json).map_err(|source| ModelError::FileAccess {
            path,
            action: "written",
            source,
        })?;
        self.save_tensors(&folder.join("adapter_model.safetensors"))
    }

    fn config(&self, base: &str) -> serde_json::Value {
        let LoraOptions { rank, alpha, .. } = self.options;
        json!({
            "peft_type": "LORA",
            "task_type": "FEATURE_EXTRACTION",
            "base_model_name_or_path": base,
            "r": rank,
            "lora_alpha": alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "target_modules": self.products,
            "layers_to_transform": self.layers,
            "layers_pattern": "layer",
        })
    }

    fn save_tensors(&self, path: &Path) -> Result<()> {
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
