//! The safetensors file of a head: `weight`, `bias` and metadata.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::tensor_file::{NamedTensor, write_tensors};
use crate::weights::Weights;
use crate::{ModelError, Result};

/// What a head's file holds.
pub(crate) struct HeadFile {
    pub(crate) metadata: BTreeMap<String, String>,
    /// `[outputs, dim]`.
    pub(crate) weight: Vec<f32>,
    /// `[outputs]`.
    pub(crate) bias: Vec<f32>,
}

impl HeadFile {
    /// Writes the file; equal heads give equal bytes.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let outputs = self.bias.len();
        let dim = self.weight.len().checked_div(outputs).unwrap_or(0);
        if outputs == 0 || dim * outputs != self.weight.len() {
            let (expected, found) = (dim * outputs, self.weight.len());
            return Err(ModelError::SizeMismatch { what: "the head's number of weights", expected, found });
        }
        let bias = NamedTensor { name: "bias".to_owned(), shape: vec![outputs], values: self.bias.clone() };
        let weight =
            NamedTensor { name: "weight".to_owned(), shape: vec![outputs, dim], values: self.weight.clone() };
        write_tensors(path, &self.metadata, &[bias, weight])
    }

    /// Returns the file's content, whose shapes agree.
    pub(crate) fn read(path: &Path) -> Result<HeadFile> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::access(path, "read", source))?;
        let tensors = Weights::parse(path, &bytes)?;
        let shape = tensors.shape("weight")?;
        let [outputs, dim] = shape[..] else {
            let (path, tensor) = (path.to_owned(), "weight".to_owned());
            return Err(ModelError::TensorShape { path, tensor, expected: vec![0, 0], found: shape });
        };
        let weight = tensors.values("weight", &[outputs, dim])?;
        let bias = tensors.values("bias", &[outputs])?;
        Ok(HeadFile { metadata: metadata(&bytes), weight, bias })
    }

    /// Returns the error of a metadata entry that is missing or malformed.
    pub(crate) fn invalid(path: &Path, reason: impl Into<String>) -> ModelError {
        ModelError::WeightsInvalid { path: path.to_owned(), reason: reason.into() }
    }
}

/// Returns the metadata of a well-formed safetensors file.
fn metadata(bytes: &[u8]) -> BTreeMap<String, String> {
    let header = bytes.first_chunk::<8>().and_then(|length| {
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        serde_json::from_slice::<Value>(bytes.get(8..length.checked_add(8)?)?).ok()
    });
    let entries = header.as_ref().and_then(|header| header.get("__metadata__")?.as_object());
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    entries.into_iter().flatten().filter_map(text).collect()
}
