//! The trainer: one batch after the other.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use nightjar_kernels::Cpu;
use nightjar_kernels::gradient::packed_len;
use rayon::prelude::*;

use super::batch::chunks;
use super::frozen::{Below, FrozenBatch};
use super::lora::{Lora, LoraOptions};
use super::objective::{Objective, Target};
use super::optimizer::{Moments, OptimizerOptions, squared_gradient, step};
use super::pairs::{self, Embedding, PairBatch};
use super::part::{Noise, Part, deal};
use super::region::{Region, regions};
use super::words::WordTable;
use crate::architecture::{Trainable, load_trainable};
use crate::bert::{LinearPlace, PassContext, Places, Transposes};
use crate::random::SplitMix64;
use crate::training::head::HeadContext;
use crate::{EncoderSpec, ModelError, Result};

/// What is trained, and how.
#[derive(Debug, Clone)]
pub struct TrainerOptions {
    /// What the head is trained towards.
    pub objective: Objective,
    /// The probability of a number to be dropped, at the places where BERT drops.
    pub dropout: f32,
    /// Layers from the bottom that stay as they are, the embeddings with them, and run without dropout; 0 trains everything.
    pub freeze_layers: usize,
    /// Low-rank additions to the layers' products, trained with the head and instead of all other weights.
    pub lora: Option<LoraOptions>,
    /// Decides about the head's first weights and about dropout.
    pub seed: u64,
    /// How weights are moved.
    pub optimizer: OptimizerOptions,
}

/// A row to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingRow {
    /// Token ids as the encoder reads them, special tokens included; at least one.
    pub ids: Vec<u32>,
    /// Tokens of the first text of a pair; all others are of segment 1, or with an objective of pairs the second text's own. All
    /// tokens for a single text.
    pub first_tokens: usize,
    /// What the row is trained towards.
    pub target: Target,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// The mean loss of the rows, weighted.
    pub loss: f64,
    /// The norm of all gradients before clipping.
    pub gradient_norm: f64,
    /// Tokens in the batch.
    pub tokens: usize,
    /// Those of them whose states below the trained layers were read and not computed.
    pub stored_tokens: usize,
}

/// What adding the gradients of a batch found.
struct Learned {
    loss: f64,
    tokens: usize,
    stored_tokens: usize,
}

/// An encoder with a linear head on its pooled states, in training.
pub struct Trainer {
    pub(super) cpu: Cpu,
    pub(super) spec: EncoderSpec,
    pub(super) options: TrainerOptions,
    pub(crate) places: Arc<Places>,
    pub(super) head: LinearPlace,
    /// The encoder as `places` says, then the head, then the factors of the additions. The encoder's are those that passes read, the
    /// additions included.
    pub(crate) weights: Vec<f32>,
    /// Where in `weights` the numbers that training moves begin: moments, gradients and states are of these alone.
    pub(crate) trained: usize,
    pub(crate) lora: Option<Lora>,
    pub(super) moments: Moments,
    pub(crate) words: WordTable,
    /// Steps done.
    pub(super) steps: u32,
    gradients: Vec<f32>,
    regions: Vec<Region>,
    pub(super) parts: Vec<Part>,
    transposes: Transposes,
}

impl Trainer {
    /// Returns the trainer of the model in `dir`, with a new head.
    ///
    /// # Errors
    /// Those of [`EncoderSpec::read`]; `TensorMissing`, `TensorShape`, `TensorType`; `OptionInvalid` for more frozen layers than
    /// there are, for a rank of 0 and for additions where every layer is frozen.
    ///
    /// Cost: memory of four numbers per weight, and of three per weight of each word that occurs; with additions of two per weight and
    /// four per number of an addition.
    pub fn load(dir: &Path, options: TrainerOptions) -> Result<Self> {
        let spec = EncoderSpec::read(dir)?;
        if options.freeze_layers > spec.layers {
            let value = options.freeze_layers.to_string();
            return Err(ModelError::OptionInvalid {
                option: "freeze_layers",
                value,
                expected: "at most the model's layers",
            });
        }
        let Trainable { places, numbers: mut weights, words } = load_trainable(dir)?;
        let (hidden, outputs) = (places.sizes.hidden, options.objective.outputs());
        let start = weights.len();
        let weight = start..start + packed_len(outputs, hidden);
        let bias = weight.end..weight.end + outputs;
        weights.resize(bias.end, 0.0);
        let head = LinearPlace { weight: weight.clone(), bias, inputs: hidden, outputs };
        super::head::initialize(&head, options.seed, &mut weights);
        let lora = match &options.lora {
            Some(lora) => Some(Lora::add(lora, &places, options.freeze_layers, options.seed, &mut weights)?),
            None => None,
        };
        let (trained, regions) =
            regions(&places, &head, options.freeze_layers, options.optimizer.head_rate, lora.as_ref());
        let zeros = || vec![0.0; weights.len() - trained];
        Ok(Trainer {
            cpu: Cpu::detect(),
            moments: Moments { first: zeros(), second: zeros() },
            gradients: zeros(),
            words: WordTable::new(Arc::new(words), hidden),
            places: Arc::new(places),
            steps: 0,
            parts: Vec::new(),
            transposes: Transposes::default(),
            spec,
            options,
            head,
            weights,
            trained,
            lora,
            regions,
        })
    }

    /// Returns what the model's directory says about the encoder.
    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// Returns the steps done.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Replaces the seed of dropout; the head's first weights stay.
    pub fn set_seed(&mut self, seed: u64) {
        self.options.seed = seed;
    }

    /// Returns the learning rate of the next step.
    pub fn learning_rate(&self) -> f32 {
        self.options.optimizer.rate(self.steps)
    }

    /// Learns from one batch, on the rayon pool of the calling thread.
    ///
    /// # Errors
    /// `Diverged` where the loss or a gradient is no finite number: nothing has changed then. `SizeMismatch` for a token that the
    /// model does not have.
    pub fn step(&mut self, rows: &[TrainingRow]) -> Result<StepReport> {
        self.step_above(None, rows)
    }

    /// Learns from one batch as [`step`](Trainer::step) does, with the same bits, above stored states where there are any.
    ///
    /// # Errors
    /// Those of `step`. States that can't be read are computed.
    pub fn step_above(
        &mut self,
        stored: Option<FrozenBatch<'_>>,
        rows: &[TrainingRow],
    ) -> Result<StepReport> {
        let Learned { loss, tokens, stored_tokens } = self.learn(stored, rows)?;
        let squares = squared_gradient(self.cpu, &self.regions, &self.gradients)
            + self.words.squared_gradient(self.cpu);
        if !loss.is_finite() || !squares.is_finite() {
            let odd = self.odd_rows(rows.len());
            self.gradients.fill(0.0);
            self.words.clear_gradients();
            return Err(ModelError::Diverged { step: self.steps + 1, rows: odd });
        }
        self.steps += 1;
        let adamw = self.options.optimizer.step(self.steps, squares);
        let trained = &mut self.weights[self.trained..];
        step(self.cpu, &adamw, &self.regions, trained, &mut self.gradients, &mut self.moments);
        if trains_embeddings(&self.options) {
            self.words.step(self.cpu, &adamw);
        }
        self.merge();
        Ok(StepReport { loss, gradient_norm: squares.sqrt(), tokens, stored_tokens })
    }

    /// Makes the encoder's weights anew from the additions, if there are any.
    pub(super) fn merge(&mut self) {
        if let Some(lora) = &self.lora {
            lora.merge(self.cpu, &mut self.weights);
        }
    }

    /// Returns the rows of the last chunk whose loss is no finite number.
    fn odd_rows(&self, rows: usize) -> Vec<usize> {
        if self.options.objective.is_of_pairs() {
            return self.odd_pairs();
        }
        let odd = self.parts.iter().flat_map(|part| {
            let outputs = part.head.outputs.chunks(self.head.outputs).enumerate();
            outputs.filter(|(_, row)| row.iter().any(|x| !x.is_finite())).map(|(text, _)| part.first + text)
        });
        odd.filter(|row| *row < rows).collect()
    }

    /// Returns what a pass starts from.
    pub(super) fn below<'a>(&'a self, stored: Option<FrozenBatch<'a>>) -> Below<'a> {
        Below { words: &self.words, frozen: self.options.freeze_layers, stored }
    }

    /// Returns the dropout of the next step.
    fn noise(&self) -> Option<Noise> {
        let rate = self.options.dropout;
        let step = u64::from(self.steps).wrapping_mul(0xd1b5_4a32_d192_ed03);
        let seed = SplitMix64::new(self.options.seed ^ step).next();
        (rate > 0.0).then_some(Noise { rate, seed })
    }

    /// Adds the gradients of a batch.
    fn learn(&mut self, stored: Option<FrozenBatch<'_>>, rows: &[TrainingRow]) -> Result<Learned> {
        let total: f64 = rows.iter().map(|row| self.options.objective.weight(&row.target)).sum();
        let noise = self.noise();
        let Trainer {
            cpu,
            spec,
            options,
            places,
            head,
            weights,
            words,
            gradients,
            parts,
            transposes,
            lora,
            ..
        } = self;
        let trained = self.trained;
        let of_head = head.weight.start - trained..head.bias.end - trained;
        let pass = PassContext { cpu: *cpu, places, weights, noise };
        let texts = pairs::texts(&options.objective, rows);
        let lengths: Vec<usize> = texts.iter().map(|text| text.ids.len()).collect();
        let chunks = chunks(&lengths);
        let head = HeadContext::new(pass, head, spec.pooling, &options.objective);
        let embedding = Embedding { pass, pooling: spec.pooling, texts: &texts };
        let frozen = options.freeze_layers;
        let (mut loss, mut stored_tokens, mut of_embeddings) = (0.0, 0, None);
        if options.objective.is_of_pairs() {
            let embeddings = embedding.run(Below { words, frozen, stored }, &chunks, parts)?;
            let (of_pairs, of_texts) = PairBatch::new(&options.objective, rows, embeddings).gradients();
            (loss, of_embeddings) = (of_pairs, Some(of_texts));
        }
        for chunk in &chunks {
            let below = Below { words, frozen, stored };
            if let Some(of_embeddings) = &of_embeddings {
                // The parts of an only chunk still hold what embedding it has left.
                if chunks.len() > 1 {
                    embedding.run(below, std::slice::from_ref(chunk), parts)?;
                }
                embedding.backward(of_embeddings, parts);
            } else {
                deal(rows, chunk, parts);
                loss += head.learn(below, rows, total, parts, &mut gradients[of_head.clone()])?;
            }
            stored_tokens += parts.iter().filter(|part| part.is_stored).map(Part::tokens).sum::<usize>();
            for layer in (frozen..places.layers.len()).rev() {
                pass.transpose(layer, transposes);
                parts
                    .par_iter_mut()
                    .with_max_len(1)
                    .for_each(|part| pass.layer_backward(layer, transposes, part));
                match lora {
                    Some(lora) => lora.add_layer_gradients(pass, layer, parts, gradients),
                    None => {
                        let Range { start, end } = places.layers[layer].all();
                        let sums = &mut gradients[start - trained..end - trained];
                        pass.add_layer_gradients(layer, parts, sums);
                    }
                }
                parts
                    .iter_mut()
                    .for_each(|part| std::mem::swap(&mut part.gradients.output, &mut part.gradients.input));
            }
            if trains_embeddings(options) {
                pass.embeddings_backward(words, parts, gradients);
            }
        }
        Ok(Learned { loss, tokens: lengths.iter().sum(), stored_tokens })
    }

    /// Returns the head's outputs for rows, `[rows, outputs]`, without dropout, on the rayon pool of the calling thread.
    ///
    /// # Errors
    /// `SizeMismatch` for a token that the model does not have.
    pub fn outputs(&self, rows: &[TrainingRow]) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = rows.iter().map(|row| row.ids.len()).collect();
        let pass = PassContext { cpu: self.cpu, places: &self.places, weights: &self.weights, noise: None };
        let head = HeadContext::new(pass, &self.head, self.spec.pooling, &self.options.objective);
        let parts: Vec<_> = chunks(&lengths).concat();
        let outputs = parts.into_par_iter().with_max_len(1).map_init(Part::default, |part, texts| {
            part.fill(rows, texts);
            pass.forward(self.below(None), part)?;
            head.forward(part);
            Ok(part.head.outputs.clone())
        });
        Ok(outputs.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Adds the gradients of a batch and returns its loss and its tokens.
    #[cfg(test)]
    pub(crate) fn add_gradients(&mut self, rows: &[TrainingRow]) -> Result<(f64, usize)> {
        let learned = self.learn(None, rows)?;
        Ok((learned.loss, learned.tokens))
    }

    /// Of the trained numbers.
    #[cfg(test)]
    pub(crate) fn gradients(&self) -> &[f32] {
        &self.gradients
    }

    #[cfg(test)]
    pub(crate) fn gradient_tensors(&self) -> Vec<crate::tensor_file::NamedTensor> {
        self.places.tensors(&self.gradients)
    }

    #[cfg(test)]
    pub(crate) fn region_ranges(&self) -> Vec<Range<usize>> {
        self.regions.iter().map(|region| region.numbers.clone()).collect()
    }
}

fn trains_embeddings(options: &TrainerOptions) -> bool {
    options.freeze_layers == 0 && options.lora.is_none()
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("spec", &self.spec)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
