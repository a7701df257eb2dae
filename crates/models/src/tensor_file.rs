//! Writing safetensors files whose bytes follow from their content.
//!
//! The safetensors library keeps metadata in a hash map, whose order changes from run to run; a digest of
//! such a file would change with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, json};

use crate::{ModelError, Result};

/// A named f32 tensor to write.
pub(crate) struct NamedTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// As many values as the shape says, row-major.
    pub(crate) values: Vec<f32>,
}

/// Writes `tensors` in their order; equal content gives equal bytes.
pub(crate) fn write_tensors(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: &[NamedTensor],
) -> Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + 4 * tensor.values.len();
        let entry = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, end]});
        header.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let mut header = serde_json::Value::Object(header).to_string();
    // Tensors start at a multiple of eight bytes.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for value in tensors.iter().flat_map(|tensor| &tensor.values) {
            file.write_all(&value.to_le_bytes())?;
        }
        file.flush()
    };
    write().map_err(|source| ModelError::access(path, "written", source))
}
