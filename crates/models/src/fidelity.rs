//! How near an encoder's embeddings come to those of the reference precision.

use std::path::Path;

use nightjar_kernels::Precision;

use crate::embeddings::dot;
use crate::{EncoderOptions, Result, TextEncoder};

/// Texts of many kinds and lengths. No precision is fitted to them, or to any other data: they only measure.
const SAMPLE: &[&str] = &[
    "yes",
    "Ferry cancelled",
    "Great value for the money!",
    "no puedo iniciar sesión en mi cuenta",
    "Where is my parcel? It was due on 3 March.",
    "The film begins well and then forgets what it wanted to say.",
    "ERROR 504: upstream request timed out after 30000 ms (id=7f3a-22)",
    "SELECT count(*) FROM orders WHERE total > 100 GROUP BY country",
    "Shares of the chip maker fell four percent on Tuesday after it cut its forecast for the second half of the year.",
    "Patients who took the drug for twelve weeks reported less pain than those in the control group, but the difference was \
     not significant at the usual level.",
    "i would not recommend this place to anyone, the room smelled, the staff was rude and breakfast was cold by nine",
    "Preheat the oven to 180 degrees, whisk the eggs with the sugar until pale, fold in the flour, and bake for about half an \
     hour or until a knife comes out clean.",
    "The tenant shall give written notice not later than sixty days before the end of the term; failing that, the agreement \
     is renewed for one further year on the same conditions, save for the rent, which follows the consumer price index.",
    "In the north of the island the road ends at a fishing village of thirty houses. Most of them are empty in winter. In \
     spring the boats come back, the school opens for two months, and on Sundays the priest takes the early ferry over from \
     the mainland to say a mass that is attended mainly by people from the city, who have bought the houses by the harbour \
     and restored them with more money than their builders ever saw.",
    "10 20 30 40 50 60 70 80 90 100 110 120",
    "????!!! :-) :-( <3",
];

/// Cosines between the embeddings of one precision and those of f32, over a sample of texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fidelity {
    /// Their mean.
    pub mean: f64,
    /// The least of them.
    pub min: f64,
}

/// Returns how near the faster precisions of the model in `dir` come to its f32.
///
/// # Errors
/// Those of [`TextEncoder::load`].
///
/// Cost: loads the model once for each precision (about a second for 22 million weights) and embeds 16 texts each.
pub fn fidelities(dir: &Path) -> Result<Vec<(Precision, Fidelity)>> {
    let embed = |precision| TextEncoder::load_with(dir, &EncoderOptions::from(precision))?.embed(SAMPLE);
    let reference = embed(Precision::F32)?;
    let others = Precision::ALL.into_iter().filter(|precision| *precision != Precision::F32);
    let measure = |precision| {
        let found = embed(precision)?;
        let cosines = found.iter().zip(reference.iter()).map(|(a, b)| {
            let lengths = (dot(a, a) * dot(b, b)).sqrt();
            // Two zero vectors are the same.
            if lengths > 0.0 { dot(a, b) / lengths } else { 1.0 }
        });
        let (sum, min) =
            cosines.fold((0.0, f64::INFINITY), |(sum, min), cosine| (sum + cosine, cosine.min(min)));
        Ok((precision, Fidelity { mean: sum / SAMPLE.len() as f64, min }))
    };
    others.map(measure).collect()
}
