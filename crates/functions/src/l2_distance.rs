//! `l2_distance(a, b)`.

use crate::FunctionDoc;
use crate::vector_udf::VectorFunction;

/// The Euclidean distance of two vectors.
pub(crate) static L2_DISTANCE: VectorFunction = VectorFunction {
    doc: FunctionDoc {
        name: "l2_distance",
        syntax: "l2_distance(a, b)",
        summary: "The Euclidean distance of two vectors.",
        returns: "Float32",
        notes: "Takes and refuses what cosine_similarity does.",
        example: "SELECT l2_distance([0.0, 0.0], [3.0, 4.0])",
    },
    compute: |a, b| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
};
