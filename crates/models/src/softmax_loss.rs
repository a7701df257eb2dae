//! The objective of multinomial logistic regression and its gradient.

use candle_core::{CpuStorage, Device, Storage, Tensor};
use rayon::prelude::*;

use crate::{Embeddings, ModelError, Result};

/// Rows of a block. Blocks are summed in order, so the result does not depend on who computed which.
const BLOCK: usize = 1024;

/// Columns of a panel: a cache line of f64.
const PANEL: usize = 8;

/// Labelled rows, ready for many evaluations.
pub(crate) struct LabelledRows {
    blocks: Vec<Block>,
    dim: usize,
    classes: usize,
    /// The sum of the rows' weights.
    total: f64,
    /// The features' means, subtracted from every row. The bias is not penalised, so this moves only the
    /// bias; it spares the optimiser the one direction that all embeddings share.
    means: Vec<f64>,
}

struct Block {
    /// `[rows, dim]`, f64.
    x: Tensor,
    /// The same as `[panels, rows, PANEL]`, zeros beyond `dim`: products that sum over rows read it without
    /// striding over pages, which is three times as fast.
    panels: Tensor,
    y: Vec<u32>,
    weights: Vec<f64>,
}

impl LabelledRows {
    /// Returns the rows `chosen` of `x` with their classes `y` (below `classes`) and the weight of each
    /// class.
    pub(crate) fn new(x: &Embeddings, y: &[u32], chosen: &[usize], class_weights: &[f64]) -> Result<Self> {
        let dim = x.dim;
        let mut means = vec![0.0; dim];
        for &row in chosen {
            means.iter_mut().zip(x.row(row)).for_each(|(mean, &value)| *mean += f64::from(value));
        }
        means.iter_mut().for_each(|mean| *mean /= chosen.len() as f64);
        let block = |rows: &[usize]| -> Result<Block> {
            let centred =
                |row: &usize| x.row(*row).iter().zip(&means).map(|(&value, mean)| f64::from(value) - mean);
            let values: Vec<f64> = rows.iter().flat_map(centred).collect();
            let count = dim.div_ceil(PANEL);
            let mut panels = vec![0.0; count * rows.len() * PANEL];
            for (i, row) in values.chunks_exact(dim.max(1)).enumerate() {
                for (panel, part) in row.chunks(PANEL).enumerate() {
                    panels[(panel * rows.len() + i) * PANEL..][..part.len()].copy_from_slice(part);
                }
            }
            let panels = Tensor::from_vec(panels, (count, rows.len(), PANEL), &Device::Cpu);
            let panels = panels.map_err(ModelError::compute("pack"))?;
            let x = Tensor::from_vec(values, (rows.len(), dim), &Device::Cpu);
            let y: Vec<u32> = rows.iter().map(|&row| y[row]).collect();
            let weights = y.iter().map(|&y| class_weights[y as usize]).collect();
            Ok(Block { x: x.map_err(ModelError::compute("gather"))?, panels, y, weights })
        };
        let blocks: Vec<Block> = chosen.par_chunks(BLOCK).map(block).collect::<Result<_>>()?;
        let total = blocks.iter().flat_map(|block| &block.weights).sum();
        Ok(LabelledRows { blocks, dim, classes: class_weights.len(), total, means })
    }

    /// Returns the number of parameters: `[classes, dim]` weights, then `[classes]` biases.
    pub(crate) fn parameters(&self) -> usize {
        self.classes * (self.dim + 1)
    }

    /// Returns the covariance of the features, `[dim, dim]`.
    pub(crate) fn covariance(&self) -> Result<Vec<f64>> {
        let rows: usize = self.blocks.iter().map(|block| block.y.len()).sum();
        let part = |block: &Block| block.x.t()?.matmul(&block.x)?.flatten_all()?.to_vec1::<f64>();
        let mut sum = vec![0.0; self.dim * self.dim];
        for block in &self.blocks {
            let part = part(block).map_err(ModelError::compute("covariance"))?;
            sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += value / rows as f64);
        }
        Ok(sum)
    }

    /// Returns the mean log loss plus `penalty / 2` times the squared weights (not biases), and the gradient.
    pub(crate) fn objective(&self, parameters: &[f64], penalty: f64) -> Result<(f64, Vec<f64>)> {
        let (weights, _) = parameters.split_at(self.classes * self.dim);
        let matrix = self.matrix(weights)?;
        let parts: Vec<(f64, Vec<f64>)> = self
            .blocks
            .par_iter()
            .map(|block| self.block(block, &matrix, parameters))
            .collect::<Result<_>>()?;
        let mut loss = 0.0;
        let mut gradient = vec![0.0; parameters.len()];
        for (part_loss, part) in parts {
            loss += part_loss;
            gradient.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        gradient.iter_mut().for_each(|value| *value /= self.total);
        gradient.iter_mut().zip(weights).for_each(|(value, weight)| *value += penalty * weight);
        let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
        Ok((loss / self.total + 0.5 * penalty * squares, gradient))
    }

    /// Returns the biases that go with rows that are not centred.
    pub(crate) fn uncentred_bias(&self, parameters: &[f64]) -> Vec<f64> {
        let (weights, biases) = parameters.split_at(self.classes * self.dim);
        let shift = |weights: &[f64]| weights.iter().zip(&self.means).map(|(w, m)| w * m).sum::<f64>();
        biases
            .iter()
            .zip(weights.chunks_exact(self.dim))
            .map(|(bias, weights)| bias - shift(weights))
            .collect()
    }

    /// Returns the biases for these rows, which are centred, from the `uncentred` ones.
    pub(crate) fn centred_bias(&self, parameters: &[f64], uncentred: &[f64]) -> Vec<f64> {
        let weights = parameters[..self.classes * self.dim].chunks_exact(self.dim);
        let shift = |weights: &[f64]| weights.iter().zip(&self.means).map(|(w, m)| w * m).sum::<f64>();
        uncentred.iter().zip(weights).map(|(bias, weights)| bias + shift(weights)).collect()
    }

    /// Returns the number of classes.
    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    /// Returns the weights as `[dim, classes]`.
    fn matrix(&self, weights: &[f64]) -> Result<Tensor> {
        Tensor::from_slice(weights, (self.classes, self.dim), &Device::Cpu)
            .and_then(|weights| weights.t()?.contiguous())
            .map_err(ModelError::compute("transpose"))
    }

    /// Returns a block's summed loss and gradient.
    fn block(&self, block: &Block, matrix: &Tensor, parameters: &[f64]) -> Result<(f64, Vec<f64>)> {
        let biases = &parameters[self.classes * self.dim..];
        let logits = block.x.matmul(matrix).map_err(ModelError::compute("logits"))?;
        let mut residuals = vec![0.0; block.y.len() * self.classes];
        let mut gradient = vec![0.0; parameters.len()];
        let mut loss = 0.0;
        with_doubles(&logits, |logits| {
            let rows = logits.chunks_exact(self.classes).zip(residuals.chunks_exact_mut(self.classes));
            for (((logits, residual), &y), &weight) in rows.zip(&block.y).zip(&block.weights) {
                residual.iter_mut().zip(logits).zip(biases).for_each(|((r, z), b)| *r = z + b);
                let max = residual.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let true_logit = residual[y as usize];
                residual.iter_mut().for_each(|r| *r = (*r - max).exp());
                let sum: f64 = residual.iter().sum();
                loss += weight * (max + sum.ln() - true_logit);
                residual.iter_mut().for_each(|r| *r *= weight / sum);
                residual[y as usize] -= weight;
            }
        })?;
        let (weight_part, bias_part) = gradient.split_at_mut(self.classes * self.dim);
        for residual in residuals.chunks_exact(self.classes) {
            bias_part.iter_mut().zip(residual).for_each(|(sum, r)| *sum += r);
        }
        let count = self.dim.div_ceil(PANEL);
        let product = Tensor::from_vec(residuals, (1, block.y.len(), self.classes), &Device::Cpu)
            .and_then(|residuals| residuals.transpose(1, 2)?.contiguous())
            .and_then(|residuals| {
                residuals.broadcast_as((count, self.classes, block.y.len()))?.matmul(&block.panels)
            })
            .map_err(ModelError::compute("gradient"))?;
        with_doubles(&product, |values| {
            for (panel, values) in values.chunks_exact(self.classes * PANEL).enumerate() {
                let columns = panel * PANEL..self.dim.min((panel + 1) * PANEL);
                for (out, values) in weight_part.chunks_exact_mut(self.dim).zip(values.chunks_exact(PANEL)) {
                    out[columns.clone()].copy_from_slice(&values[..columns.len()]);
                }
            }
        })?;
        Ok((loss, gradient))
    }
}

/// Calls `then` with the values of a contiguous f64 tensor, without copying them.
fn with_doubles<R>(tensor: &Tensor, then: impl FnOnce(&[f64]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let values = match &*storage {
        Storage::Cpu(CpuStorage::F64(values)) => {
            layout.contiguous_offsets().and_then(|(from, to)| values.get(from..to))
        }
        _ => None,
    };
    let wrong = || candle_core::Error::Msg("the tensor is not contiguous f64 on the CPU".to_owned());
    values.map(then).ok_or_else(|| ModelError::compute("read")(wrong()))
}
