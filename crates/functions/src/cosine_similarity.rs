//! `cosine_similarity(a, b)`.

use crate::FunctionDoc;
use crate::vector_udf::VectorFunction;

/// The cosine of the angle between two vectors.
pub(crate) static COSINE_SIMILARITY: VectorFunction = VectorFunction {
    doc: FunctionDoc {
        name: "cosine_similarity",
        syntax: "cosine_similarity(a, b)",
        summary: "The cosine of the angle between two vectors, from -1 to 1.",
        returns: "Float32",
        notes: "Takes List, LargeList or FixedSizeList of Float32 or Float64, summed in Float64. NULL in either \
                vector or in an element gives NULL, a zero vector NaN, vectors of different length an error.",
        example: "SELECT cosine_similarity([1.0, 0.0], [1.0, 1.0])",
    },
    compute: |a, b| cosine(a.iter().copied(), b.iter().copied()),
};

/// Returns `a·b / (|a||b|)`, summed in order; NaN when a vector is zero.
pub(crate) fn cosine(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.zip(b) {
        dot += a * b;
        aa += a * a;
        bb += b * b;
    }
    (dot / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0)
}
