//! `dot_product(a, b)`.

use crate::FunctionDoc;
use crate::vector_udf::VectorFunction;

/// The sum of the products of two vectors' elements.
pub(crate) static DOT_PRODUCT: VectorFunction = VectorFunction {
    doc: FunctionDoc {
        name: "dot_product",
        syntax: "dot_product(a, b)",
        summary: "The sum of the products of the elements of two vectors.",
        returns: "Float32",
        notes: "Takes and refuses what cosine_similarity does; for unit vectors it is the cosine, cheaper.",
        example: "SELECT dot_product([1.0, 2.0], [3.0, 4.0])",
    },
    compute: |a, b| a.iter().zip(b).map(|(a, b)| a * b).sum(),
};
