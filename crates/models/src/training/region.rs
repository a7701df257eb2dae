//! Which numbers a training moves.

use std::ops::Range;

use super::lora::Lora;
use crate::bert::{LinearPlace, Places};

/// Some neighbouring numbers that are trained alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    /// From the first trained number on.
    pub(crate) numbers: Range<usize>,
    pub(crate) decays: bool,
}

/// Returns where the trained numbers begin, and their regions with their decay: none for biases and norms, as in BERT's own training.
/// With additions these are trained, and the head.
pub(super) fn regions(
    places: &Places,
    head: &LinearPlace,
    freeze_layers: usize,
    lora: Option<&Lora>,
) -> (usize, Vec<Region>) {
    let mut regions = Vec::new();
    let mut add = |numbers: &Range<usize>, decays| {
        regions.push(Region { numbers: numbers.clone(), decays });
    };
    if lora.is_none() {
        if freeze_layers == 0 {
            add(&places.positions, true);
            add(&places.segments, true);
            add(&places.embedding_norm.weight, false);
            add(&places.embedding_norm.bias, false);
        }
        for layer in places.layers.iter().skip(freeze_layers) {
            for product in layer.products() {
                add(&product.weight, true);
                add(&product.bias, false);
            }
            for norm in [&layer.attention_norm, &layer.output_norm] {
                add(&norm.weight, false);
                add(&norm.bias, false);
            }
        }
    }
    add(&head.weight, true);
    add(&head.bias, false);
    if let Some(lora) = lora {
        add(&lora.numbers(), true);
    }
    let start = regions.iter().map(|region| region.numbers.start).min().unwrap_or(0);
    for Region { numbers, .. } in &mut regions {
        *numbers = numbers.start - start..numbers.end - start;
    }
    (start, regions)
}
