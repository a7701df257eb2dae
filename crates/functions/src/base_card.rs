//! What a base model's card tells of the precisions that it may be computed in.

use nightjar_catalog::{ModelCard, Store};
use nightjar_models::fidelities;

use crate::Result;

/// Returns the card with the fidelity of the faster precisions among its metrics, `int8_cosine_mean` and so on: cosines to
/// f32, over a few texts. A card that has metrics is returned as it is.
///
/// Loads the model once for each precision (a second or two), so weights that can't be read are an error here and not at
/// night.
pub fn with_fidelity(store: &Store, mut card: ModelCard) -> Result<ModelCard> {
    if card.metrics.is_empty() {
        let artifact = store.artifacts().open(&card.body)?;
        for (precision, fidelity) in fidelities(&artifact.dir)? {
            card.metrics.insert(format!("{precision}_cosine_mean"), fidelity.mean);
            card.metrics.insert(format!("{precision}_cosine_min"), fidelity.min);
        }
    }
    Ok(card)
}
