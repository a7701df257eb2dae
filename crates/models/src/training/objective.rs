//! What a head's outputs are trained towards.

/// What a row is trained towards.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// One class.
    Class(u32),
    /// Any number of classes.
    Classes(Vec<u32>),
    /// A number.
    Number(f32),
    /// The other text of the row: the two belong together.
    Pair,
}

/// The loss on the outputs of the head; of pairs, on the embeddings of their texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Objective {
    /// Cross-entropy over classes that exclude each other.
    Classify {
        /// The number of classes.
        classes: usize,
        /// What a row of each class counts; empty for 1.
        class_weights: Vec<f32>,
        /// The share of the target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
        label_smoothing: f32,
    },
    /// Binary cross-entropy of each class by itself.
    Tag {
        /// The number of classes.
        classes: usize,
        /// What a row that has a class counts in the class's loss; empty for 1. A row without it counts 1.
        positive_weights: Vec<f32>,
    },
    /// The squared error of one number, in units of the targets' standard deviation from their mean.
    Regress,
    /// The squared error of the cosine of a pair's embeddings: a row is two texts that are encoded apart.
    Similarity,
    /// Cross-entropy over the second texts of a batch, whose logits are cosines with the first text: that of the row's own pair is
    /// the right one, and texts that are in both pairs are left out (Henderson et al. 2017, arXiv:1705.00652).
    Contrast {
        /// What cosines are multiplied by to be logits: the inverse of the temperature.
        scale: f32,
    },
}

impl Objective {
    /// Returns the number of outputs of the head; 0 where pairs need none.
    pub fn outputs(&self) -> usize {
        match self {
            Objective::Classify { classes, .. } | Objective::Tag { classes, .. } => *classes,
            Objective::Regress => 1,
            Objective::Similarity | Objective::Contrast { .. } => 0,
        }
    }

    /// Whether a row is a pair of texts that are encoded apart.
    pub fn is_of_pairs(&self) -> bool {
        matches!(self, Objective::Similarity | Objective::Contrast { .. })
    }

    /// Returns what a row counts in the mean of its batch.
    pub fn weight(&self, target: &Target) -> f64 {
        match (self, target) {
            (Objective::Classify { class_weights, .. }, Target::Class(class)) => {
                f64::from(class_weights.get(*class as usize).copied().unwrap_or(1.0))
            }
            _ => 1.0,
        }
    }

    /// Returns the loss of a row and writes its gradient in place of the outputs; neither is weighted. A target of
    /// another kind gives NaN.
    pub(crate) fn loss(&self, outputs: &mut [f32], target: &Target) -> f64 {
        match (self, target) {
            (Objective::Classify { label_smoothing, .. }, Target::Class(class)) => {
                cross_entropy(outputs, *class as usize, f64::from(*label_smoothing))
            }
            (Objective::Tag { positive_weights, .. }, Target::Classes(classes)) => {
                binary_cross_entropy(outputs, classes, positive_weights)
            }
            (Objective::Regress, Target::Number(number)) => {
                let error = f64::from(outputs[0]) - f64::from(*number);
                outputs[0] = (2.0 * error) as f32;
                error * error
            }
            _ => f64::NAN,
        }
    }
}

fn cross_entropy(outputs: &mut [f32], class: usize, smoothing: f64) -> f64 {
    let max = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = outputs.iter().map(|&output| f64::from(output - max).exp()).sum();
    let log_total = f64::from(max) + total.ln();
    let spread = smoothing / outputs.len() as f64;
    let mut loss = 0.0;
    for (i, output) in outputs.iter_mut().enumerate() {
        let log_probability = f64::from(*output) - log_total;
        let target = spread + if i == class { 1.0 - smoothing } else { 0.0 };
        if target > 0.0 {
            loss -= target * log_probability;
        }
        *output = (log_probability.exp() - target) as f32;
    }
    loss
}

fn binary_cross_entropy(outputs: &mut [f32], classes: &[u32], positive_weights: &[f32]) -> f64 {
    let count = outputs.len() as f64;
    let mut loss = 0.0;
    for (i, output) in outputs.iter_mut().enumerate() {
        let x = f64::from(*output);
        let has = classes.contains(&(i as u32));
        let target = if has { 1.0 } else { 0.0 };
        let weight = if has { positive_weights.get(i).copied().map_or(1.0, f64::from) } else { 1.0 };
        // ln(1 + e^x) without overflow.
        loss += weight * (x.max(0.0) - x * target + (-x.abs()).exp().ln_1p());
        *output = (weight * (1.0 / (1.0 + (-x).exp()) - target) / count) as f32;
    }
    loss / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_the_slopes_of_the_losses() {
        let classify =
            |label_smoothing| Objective::Classify { classes: 3, class_weights: Vec::new(), label_smoothing };
        let cases = [
            (classify(0.0), Target::Class(2)),
            (classify(0.1), Target::Class(0)),
            (Objective::Tag { classes: 3, positive_weights: Vec::new() }, Target::Classes(vec![0, 2])),
            (
                Objective::Tag { classes: 3, positive_weights: vec![4.0, 2.0, 0.5] },
                Target::Classes(vec![0, 2]),
            ),
            (Objective::Regress, Target::Number(0.7)),
        ];
        for (objective, target) in cases {
            let outputs: Vec<f32> = [0.3, -1.2, 0.8][..objective.outputs()].to_vec();
            let mut gradient = outputs.clone();
            objective.loss(&mut gradient, &target);
            for i in 0..outputs.len() {
                let at = |step: f32| {
                    let mut moved = outputs.clone();
                    moved[i] += step;
                    objective.loss(&mut moved, &target)
                };
                let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
                assert!(
                    (slope - f64::from(gradient[i])).abs() < 1e-4,
                    "{objective:?} {i}: {slope} {gradient:?}"
                );
            }
        }
    }

    // o = torch.tensor([[.3, -1.2, .8]])
    // torch.nn.functional.cross_entropy(o, torch.tensor([2]))                      -> 0.5550
    // torch.nn.functional.cross_entropy(o, torch.tensor([0]), label_smoothing=.1)  -> 1.0883
    #[test]
    fn losses_agree_with_torch() {
        let loss = |label_smoothing, class| {
            let objective = Objective::Classify { classes: 3, class_weights: Vec::new(), label_smoothing };
            objective.loss(&mut [0.3, -1.2, 0.8], &Target::Class(class))
        };
        assert!((loss(0.0, 2) - 0.5550).abs() < 1e-4, "{}", loss(0.0, 2));
        assert!((loss(0.1, 0) - 1.0883).abs() < 1e-4, "{}", loss(0.1, 0));
        assert!(Objective::Regress.loss(&mut [0.0], &Target::Class(1)).is_nan());
    }

    // torch.nn.functional.binary_cross_entropy_with_logits(o[0], torch.tensor([1., 0, 1]),
    //     pos_weight=torch.tensor([4., 2, .5]))                                    -> 0.8888
    #[test]
    fn weighted_lists_agree_with_torch() {
        let objective = Objective::Tag { classes: 3, positive_weights: vec![4.0, 2.0, 0.5] };
        let loss = objective.loss(&mut [0.3, -1.2, 0.8], &Target::Classes(vec![0, 2]));
        assert!((loss - 0.8888).abs() < 1e-4, "{loss}");
    }
}
