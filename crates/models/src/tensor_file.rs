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

/// What a tensor to write is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    F32,
    U32,
}

/// A safetensors file in the making: its header first, then the values of one tensor after the other.
pub(crate) struct TensorWriter<'a> {
    path: &'a Path,
    file: BufWriter<File>,
}

impl<'a> TensorWriter<'a> {
    /// Makes the file, with a header that names the tensors, of what and of what shape they are, in the order in which their values follow.
    pub(crate) fn create(
        path: &'a Path,
        metadata: &BTreeMap<String, String>,
        tensors: impl Iterator<Item = (String, Kind, Vec<usize>)>,
    ) -> Result<Self> {
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), json!(metadata));
        let mut offset = 0;
        for (name, kind, shape) in tensors {
            let end = offset + 4 * shape.iter().product::<usize>();
            let kind = if kind == Kind::F32 { "F32" } else { "U32" };
            header.insert(name, json!({"dtype": kind, "shape": shape, "data_offsets": [offset, end]}));
            offset = end;
        }
        let mut header = serde_json::Value::Object(header).to_string();
        // Tensors start at a multiple of eight bytes.
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let failed = |source| ModelError::access(path, "written", source);
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
        file.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
        file.write_all(header.as_bytes()).map_err(failed)?;
        Ok(TensorWriter { path, file })
    }

    /// Writes the next numbers.
    pub(crate) fn write(&mut self, numbers: &[f32]) -> Result<()> {
        self.words(numbers.iter().map(|number| number.to_le_bytes()))
    }

    /// Writes the next whole numbers.
    pub(crate) fn write_ids(&mut self, ids: &[u32]) -> Result<()> {
        self.words(ids.iter().map(|id| id.to_le_bytes()))
    }

    fn words(&mut self, words: impl Iterator<Item = [u8; 4]>) -> Result<()> {
        for word in words {
            self.file.write_all(&word).map_err(|source| ModelError::access(self.path, "written", source))?;
        }
        Ok(())
    }

    /// Completes the file, which is not synced.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.file.flush().map_err(|source| ModelError::access(self.path, "written", source))
    }
}

/// Writes `tensors` in their order; equal content gives equal bytes.
pub(crate) fn write_tensors(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: &[NamedTensor],
) -> Result<()> {
    let entries = tensors.iter().map(|tensor| (tensor.name.clone(), Kind::F32, tensor.shape.clone()));
    let mut file = TensorWriter::create(path, metadata, entries)?;
    tensors.iter().try_for_each(|tensor| file.write(&tensor.values))?;
    file.finish()
}
