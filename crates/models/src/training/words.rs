//! The word embedding table in training: only the rows that training texts have touched are kept apart and moved.

use std::sync::Arc;

use nightjar_kernels::Cpu;
use nightjar_kernels::gradient::{AdamW, squared_norm};
use rayon::prelude::*;

/// No row.
const NONE: u32 = u32::MAX;

/// Steps without a gradient after which a row rests: what is left of the mean gradient, 0.9^128, no longer moves it.
const REST_AFTER: u32 = 128;

/// Touched rows of one task of the optimizer.
const ROWS_PER_TASK: usize = 64;

/// A table of word embeddings of which some rows are trained.
///
/// The base table is shared and never written. A dense AdamW would move the touched rows in the same way; rows without momentum stay
/// where they are, the decay of their weights apart.
#[derive(Debug, Clone)]
pub(crate) struct WordTable {
    base: Arc<Vec<f32>>,
    width: usize,
    /// Of each word its touched row, or NONE.
    row_of: Vec<u32>,
    pub(crate) touched: Touched,
    /// Of each touched row its gradient's place in `gradients`, or NONE.
    gradient_of: Vec<u32>,
    gradients: Vec<f32>,
}

/// The rows that differ from the base, in the order in which they were touched.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Touched {
    pub(crate) words: Vec<u32>,
    /// `[words, width]`, as the two means.
    pub(crate) rows: Vec<f32>,
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
    /// The step of each row's last gradient.
    pub(crate) last_steps: Vec<u32>,
}

impl WordTable {
    /// Returns the table with nothing touched.
    pub(crate) fn new(base: Arc<Vec<f32>>, width: usize) -> Self {
        let row_of = vec![NONE; base.len() / width];
        let (gradient_of, gradients) = (Vec::new(), Vec::new());
        WordTable { base, width, row_of, touched: Touched::default(), gradient_of, gradients }
    }

    /// Replaces what was touched.
    pub(crate) fn restore(&mut self, touched: Touched) {
        self.row_of.fill(NONE);
        touched.words.iter().zip(0..).for_each(|(&word, row)| self.row_of[word as usize] = row);
        self.gradient_of = vec![NONE; touched.words.len()];
        self.gradients.clear();
        self.touched = touched;
    }

    /// Returns the number of words.
    pub(crate) fn words(&self) -> usize {
        self.row_of.len()
    }

    /// Returns a word's embedding before the training.
    pub(crate) fn base_row(&self, word: u32) -> &[f32] {
        &self.base[word as usize * self.width..][..self.width]
    }

    /// Returns a word's embedding.
    pub(crate) fn row(&self, word: u32) -> &[f32] {
        match self.row_of[word as usize] {
            NONE => self.base_row(word),
            row => &self.touched.rows[row as usize * self.width..][..self.width],
        }
    }

    /// Adds to the gradient of a word.
    pub(crate) fn add_gradient(&mut self, word: u32, gradient: &[f32]) {
        let row = self.touch(word);
        if self.gradient_of[row] == NONE {
            self.gradient_of[row] = (self.gradients.len() / self.width) as u32;
            self.gradients.extend_from_slice(gradient);
            return;
        }
        let sum = &mut self.gradients[self.gradient_of[row] as usize * self.width..][..self.width];
        sum.iter_mut().zip(gradient).for_each(|(sum, gradient)| *sum += gradient);
    }

    fn touch(&mut self, word: u32) -> usize {
        if self.row_of[word as usize] == NONE {
            let touched = &mut self.touched;
            self.row_of[word as usize] = touched.words.len() as u32;
            touched.words.push(word);
            touched.rows.extend_from_slice(&self.base[word as usize * self.width..][..self.width]);
            let len = touched.rows.len();
            touched.first.resize(len, 0.0);
            touched.second.resize(len, 0.0);
            touched.last_steps.push(0);
            self.gradient_of.push(NONE);
        }
        self.row_of[word as usize] as usize
    }

    /// Returns the sum of the squares of the gradients.
    pub(crate) fn squared_gradient(&self, cpu: Cpu) -> f64 {
        squared_norm(cpu, &self.gradients)
    }

    /// Moves the touched rows and forgets the gradients.
    pub(crate) fn step(&mut self, cpu: Cpu, adamw: &AdamW) {
        let width = self.width;
        let Touched { rows, first, second, last_steps, .. } = &mut self.touched;
        let (gradients, zeros) = (&self.gradients, vec![0.0; width]);
        let numbers = ROWS_PER_TASK * width;
        let moments = first.par_chunks_mut(numbers).zip(second.par_chunks_mut(numbers));
        let gradient_of = self.gradient_of.par_chunks_mut(ROWS_PER_TASK);
        let tasks = rows
            .par_chunks_mut(numbers)
            .zip(moments)
            .zip(gradient_of)
            .zip(last_steps.par_chunks_mut(ROWS_PER_TASK));
        tasks.for_each(|(((rows, (first, second)), gradient_of), last_steps)| {
            let moments = first.chunks_exact_mut(width).zip(second.chunks_exact_mut(width));
            let states = rows.chunks_exact_mut(width).zip(moments);
            for ((row, (first, second)), (gradient, last)) in
                states.zip(gradient_of.iter_mut().zip(last_steps))
            {
                let rested = (adamw.step - *last).saturating_sub(REST_AFTER);
                if *gradient == NONE {
                    if rested == 0 && *last > 0 {
                        adamw.apply(cpu, row, &zeros, first, second);
                    }
                    continue;
                }
                if *last > 0 && rested > 1 {
                    let decay = |values: &mut [f32], beta: f32| {
                        let factor = f64::from(beta).powi(rested as i32 - 1) as f32;
                        values.iter_mut().for_each(|value| *value *= factor);
                    };
                    decay(first, adamw.beta1);
                    decay(second, adamw.beta2);
                }
                adamw.apply(cpu, row, &gradients[*gradient as usize * width..][..width], first, second);
                (*gradient, *last) = (NONE, adamw.step);
            }
        });
        self.gradients.clear();
    }

    /// Forgets the gradients.
    pub(crate) fn clear_gradients(&mut self) {
        self.gradients.clear();
        self.gradient_of.fill(NONE);
    }

    /// Returns the gradient of a word, if it has one.
    #[cfg(test)]
    pub(crate) fn gradient(&self, word: u32) -> Option<&[f32]> {
        let row = self.row_of[word as usize];
        let at = *self.gradient_of.get(row as usize)?;
        (at != NONE).then(|| &self.gradients[at as usize * self.width..][..self.width])
    }
}
