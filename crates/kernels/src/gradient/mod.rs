//! The arithmetic of training an encoder, in f32: forward passes that keep what their gradients need, the gradients, dropout
//! and the optimizer.
//!
//! Rows are those of packed texts, as in inference. What belongs to a text (its rows' activations and their gradients) is
//! computed from that text alone; what sums over texts (the gradients of weights) sums in the order of the rows. So results do
//! not depend on how rows are shared out to threads.

mod adamw;
mod attention;
mod dropout;
mod gelu;
mod layer_norm;
mod product;

pub use adamw::{AdamW, squared_norm};
pub use attention::{AttentionGradientScratch, attend_and_drop, attend_backward};
pub use dropout::Dropout;
pub use gelu::{gelu_backward, gelu_rows};
pub use layer_norm::{RowScale, add_column_sums, normalize_backward, normalize_rows};
pub use product::{
    PANEL_OUTPUTS, add_weight_gradient, multiply_rows, pack_rows, pack_weight, packed_len, transpose_packed,
    unpack_weight,
};
