//! The safetensors file of a model.

use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device};
use memmap2::Mmap;

use crate::{ModelError, Result};

/// The tensors of one safetensors file, found by name with or without the architecture's prefix.
pub struct Weights<'a> {
    path: PathBuf,
    tensors: SliceSafetensors<'a>,
    prefix: &'static str,
}

impl<'a> Weights<'a> {
    /// Returns the file as memory: pages are read when touched and shared between processes.
    ///
    /// # Errors
    /// `FileMissing` or `FileAccess`.
    pub fn map(path: &Path) -> Result<Mmap> {
        let file = File::open(path).map_err(|source| ModelError::access(path, "read", source))?;
        // SAFETY: a mapping is undefined behaviour only while the file changes under it. The files of an
        // artifact are never written again once published (writers rename whole folders into place), and the
        // mapping lives only as long as the load that copies the tensors out.
        #[allow(unsafe_code)]
        let mapped = unsafe { Mmap::map(&file) };
        mapped.map_err(|source| ModelError::access(path, "mapped", source))
    }

    /// Returns the tensors in `bytes`, the content of `path`.
    ///
    /// # Errors
    /// `WeightsInvalid` where the header is malformed or promises more bytes than there are.
    pub fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let invalid = |reason: String| ModelError::WeightsInvalid { path: path.to_owned(), reason };
        if bytes.is_empty() {
            return Err(invalid("the file is empty".to_owned()));
        }
        let tensors = SliceSafetensors::new(bytes).map_err(|error| invalid(error.to_string()))?;
        Ok(Weights { path: path.to_owned(), tensors, prefix: "" })
    }

    /// Returns these weights with `prefix` put before each name, if the tensor `probe` is there only with it.
    #[must_use]
    pub fn with_optional_prefix(mut self, prefix: &'static str, probe: &str) -> Self {
        if self.tensors.get(probe).is_err() && self.tensors.get(&format!("{prefix}{probe}")).is_ok() {
            self.prefix = prefix;
        }
        self
    }

    /// Returns the names of all tensors with their prefix, in the order of names.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tensors.tensors().into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    /// Returns the prefix that the architecture's tensors carry.
    pub fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the name in the file of tensor `name`.
    ///
    /// Files that were converted from TensorFlow call a layer norm's weight and bias gamma and beta.
    fn full_name(&self, name: &str) -> Result<String> {
        let full = format!("{}{name}", self.prefix);
        let older = older_name(&full);
        let there = |name: &String| self.tensors.get(name).is_ok();
        let missing = || ModelError::TensorMissing { path: self.path.clone(), tensor: name.to_owned() };
        Some(full).filter(there).or_else(|| older.filter(there)).ok_or_else(missing)
    }

    /// Returns whether tensor `name` holds floating-point numbers that can be read.
    ///
    /// # Errors
    /// `TensorMissing`.
    pub(crate) fn is_float(&self, name: &str) -> Result<bool> {
        let view = self.tensors.get(&self.full_name(name)?).map_err(ModelError::compute("find"))?;
        let found = DType::try_from(view.dtype());
        Ok(found.is_ok_and(|found| matches!(found, DType::F32 | DType::F16 | DType::BF16 | DType::F64)))
    }

    /// Returns the name of the type of tensor `name`.
    ///
    /// # Errors
    /// `TensorMissing`.
    pub(crate) fn type_name(&self, name: &str) -> Result<String> {
        let view = self.tensors.get(&self.full_name(name)?).map_err(ModelError::compute("find"))?;
        Ok(format!("{:?}", view.dtype()))
    }

    /// Returns the shape of tensor `name`.
    ///
    /// # Errors
    /// `TensorMissing`.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let view = self.tensors.get(&self.full_name(name)?).map_err(ModelError::compute("find"))?;
        Ok(view.shape().to_vec())
    }

    /// Returns tensor `name` as f32 values in row-major order.
    ///
    /// # Errors
    /// `TensorMissing`, `TensorShape` where it is not `shape`, `TensorType` where it holds no floats.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let full = self.full_name(name)?;
        let view = self.tensors.get(&full).map_err(ModelError::compute("find"))?;
        if view.shape() != shape {
            return Err(ModelError::TensorShape {
                path: self.path.clone(),
                tensor: full,
                expected: shape.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        // Nearly all weights are: without candle's two copies of them.
        if DType::try_from(view.dtype()).is_ok_and(|found| found == DType::F32) {
            let value = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            return Ok(view.data().chunks_exact(4).map(value).collect());
        }
        let tensor = self.tensors.load(&full, &Device::Cpu).map_err(ModelError::compute("load"))?;
        if !matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            let found = tensor.dtype().as_str().to_owned();
            return Err(ModelError::TensorType { path: self.path.clone(), tensor: full, found });
        }
        let values = tensor.to_dtype(DType::F32).and_then(|tensor| tensor.flatten_all()?.to_vec1());
        values.map_err(ModelError::compute("convert to f32"))
    }
}

/// Returns the older name of a layer norm's tensor; None for other tensors.
fn older_name(name: &str) -> Option<String> {
    let norm = |part: &str| name.strip_suffix(part).filter(|name| name.ends_with("LayerNorm"));
    let weight = norm(".weight").map(|norm| format!("{norm}.gamma"));
    weight.or_else(|| norm(".bias").map(|norm| format!("{norm}.beta")))
}

/// Returns the present name of a tensor: that of `name`, or the one that stands for its older name.
pub(crate) fn present_name(name: &str) -> String {
    for (older, present) in [("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")] {
        if let Some(norm) = name.strip_suffix(older) {
            return format!("{norm}{present}");
        }
    }
    name.to_owned()
}
