//! How the products of a model are computed.

use std::fmt;
use std::str::FromStr;

use crate::level::Cpu;

/// The numbers that linear layers multiply. Sums, residuals, norms and softmax are f32 in each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// 32-bit floats: the reference.
    F32,
    /// bfloat16 operands, f32 sums.
    Bf16,
    /// Signed bytes with one scale per output channel, by unsigned bytes with scale and zero point per token;
    /// 32-bit integer sums. Attention is computed in bf16.
    Int8,
}

impl Precision {
    /// Every precision, the most exact first.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

    /// Returns the fastest precision that this CPU computes without losing more than bf16 does: bf16 where it has an
    /// instruction of its own, else f32.
    pub fn fastest_true() -> Precision {
        if Cpu::detect().has_bf16() { Precision::Bf16 } else { Precision::F32 }
    }

    /// Returns the name: `f32`, `bf16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, UnknownPrecision> {
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| UnknownPrecision(name.to_owned()))
    }
}

/// A name that is no precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPrecision(pub String);

impl fmt::Display for UnknownPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no precision, expected f32, bf16 or int8", self.0)
    }
}

impl std::error::Error for UnknownPrecision {}
