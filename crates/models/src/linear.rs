//! Linear layers whose rows do not see each other.
//!
//! The `gemm` crate below candle chooses its blocking from the shape of the whole product: one row goes to a
//! matrix-vector kernel, a small product to another path, and the depth of a block (where partial sums meet)
//! follows from all three sizes. So a row's bits could depend on how many rows stand beside it. Here every
//! product has exactly [`TILE`] rows, the last tile filled up with zeros: then the shape, and with it the
//! order of every sum, is a constant of the layer. TILE is a multiple of each kernel's register block in that
//! direction (4, 6 or 16), so a row's place within the tile does not choose a different kernel either. How
//! many threads share the work never matters: they divide the outputs, not the sums.

use candle_core::{CpuStorage, Device, Storage, Tensor};

use crate::weights::Weights;
use crate::{ModelError, Result};

/// Rows of every matrix product. Small enough that a lone short text wastes little, and that the activations
/// of a feed-forward layer (48 x 1536 values are 288 KiB) stay in a core's second-level cache.
pub(crate) const TILE: usize = 48;

/// Columns of every matrix product: the kernels' register block in that direction. A weight matrix is stored
/// as such panels, which is the layout that the kernel reads; from whole rows it would gather a cache line
/// from each of many pages. A product this narrow also stays on the thread that asks for it.
const PANEL: usize = 16;

/// Returns `rows` rounded up to whole tiles.
pub(crate) fn padded(rows: usize) -> usize {
    rows.next_multiple_of(TILE)
}

/// `x · weight + bias`, fused with what follows.
#[derive(Debug)]
pub(crate) struct Linear {
    /// `[panels, inputs, PANEL]`; columns beyond the outputs are zeros.
    panels: Tensor,
    /// `[outputs]`.
    bias: Vec<f32>,
}

impl Linear {
    /// Returns the layer `name`, or several layers with the same input side by side.
    pub(crate) fn load(
        weights: &Weights<'_>,
        names: &[String],
        outputs: usize,
        inputs: usize,
    ) -> Result<Self> {
        let mut rows = Vec::with_capacity(names.len() * outputs * inputs);
        let mut bias = Vec::with_capacity(names.len() * outputs);
        for name in names {
            rows.extend(weights.values(&format!("{name}.weight"), &[outputs, inputs])?);
            bias.extend(weights.values(&format!("{name}.bias"), &[outputs])?);
        }
        let count = bias.len().div_ceil(PANEL);
        let mut panels = vec![0.0; count * inputs * PANEL];
        for (output, row) in rows.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / PANEL * inputs * PANEL..][..inputs * PANEL];
            panel.chunks_exact_mut(PANEL).zip(row).for_each(|(slots, &value)| slots[output % PANEL] = value);
        }
        let panels = Tensor::from_vec(panels, (count, inputs, PANEL), &Device::Cpu);
        Ok(Linear { panels: panels.map_err(ModelError::compute("pack"))?, bias })
    }

    /// Returns the number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Calls `fuse` with each value of `out`, `[TILE, outputs]`, and of `tile · weight + bias`; `tile` is
    /// `[TILE, inputs]`.
    pub(crate) fn apply(&self, tile: Vec<f32>, out: &mut [f32], fuse: impl Fn(&mut f32, f32)) -> Result<()> {
        let inputs = tile.len() / TILE;
        let count = self.bias.len().div_ceil(PANEL);
        let product = Tensor::from_vec(tile, (1, TILE, inputs), &Device::Cpu)
            .and_then(|tile| tile.broadcast_as((count, TILE, inputs))?.matmul(&self.panels))
            .map_err(ModelError::compute("matmul"))?;
        with_values(&product, |product| {
            let panels = product.chunks_exact(TILE * PANEL).zip(self.bias.chunks(PANEL));
            for (panel, (product, bias)) in panels.enumerate() {
                let columns = panel * PANEL..panel * PANEL + bias.len();
                for (row, product) in out.chunks_exact_mut(self.bias.len()).zip(product.chunks_exact(PANEL)) {
                    let values = row[columns.clone()].iter_mut().zip(product).zip(bias);
                    values.for_each(|((out, product), bias)| fuse(out, product + bias));
                }
            }
        })
    }
}

/// Calls `then` with the values of a contiguous f32 tensor, without copying them.
pub(crate) fn with_values<R>(tensor: &Tensor, then: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let values = match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => {
            layout.contiguous_offsets().and_then(|(from, to)| values.get(from..to))
        }
        _ => None,
    };
    match values {
        Some(values) => Ok(then(values)),
        None => {
            let source = candle_core::Error::Msg("the tensor is not contiguous f32 on the CPU".to_owned());
            Err(ModelError::compute("read")(source))
        }
    }
}
