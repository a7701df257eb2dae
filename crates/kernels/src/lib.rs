//! The arithmetic of a transformer encoder on CPUs: linear layers in f32, bf16 and int8 fused with what follows them,
//! layer norm, and attention over packed texts.
//!
//! Weights are packed once ([`Linear::pack`]); [`Cpu::detect`] chooses the instruction set at run time. Kernels run on the
//! thread that calls them and allocate nothing. Every element of a result is computed by one chain of operations that
//! follows from its row alone: a row has the same bits in any company, on one instruction set. All `unsafe` code of the
//! project is here (but for the one file mapping of `models`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod activation;
mod attention;
mod bf16;
mod buffer;
mod dot;
mod element;
pub mod gradient;
mod layer_norm;
mod level;
mod linear;
mod panels;
mod portable;
mod precision;
mod quantize;
mod reduce;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use attention::{AttentionScratch, Heads, attend};
pub use bf16::Bf16;
pub use element::Element;
pub use layer_norm::LayerNorm;
pub use level::Cpu;
pub use linear::{Linear, Rows};
pub use precision::{Precision, UnknownPrecision};
pub use quantize::ByteRows;
