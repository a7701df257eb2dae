//! Instruction sets, and the one place that chooses between them at run time.

use crate::bf16::Bf16;
use crate::dot::Dot;
use crate::portable::Portable;
use crate::tile::LANES;
#[cfg(target_arch = "x86_64")]
use crate::x86::{Avx2, Avx512, Avx512Bf16, Avx512Vnni};

/// An instruction set: how it multiplies matrices of each precision.
pub(crate) trait Level {
    /// Products of f32.
    type F32: Dot;
    /// Products of bf16 pairs, summed in f32.
    type Bf16: Dot;
    /// Products of bytes, summed in i32.
    type Int8: Dot;

    /// Whether multiplying and adding is one instruction, rounded once.
    const FUSED: bool;

    /// Returns `a * b + c`, fused where the instruction set can.
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        if Self::FUSED { a.mul_add(b, c) } else { a * b + c }
    }

    /// Returns the numbers as [`Bf16::from_f32`] rounds them, to the bit.
    ///
    /// # Safety
    /// The instructions of the level are there.
    #[inline(always)]
    unsafe fn narrow(values: &[f32; LANES]) -> [Bf16; LANES] {
        let mut narrow = [Bf16::default(); LANES];
        for lane in 0..LANES {
            narrow[lane] = Bf16::from_f32(values[lane]);
        }
        narrow
    }
}

/// Work that is compiled once for each instruction set.
pub(crate) trait Kernel {
    /// What the work returns.
    type Output;

    /// Does the work with the instructions of `L`. Implementations are `#[inline(always)]`, so that they are
    /// compiled with those instructions enabled.
    fn run<L: Level>(self) -> Self::Output;
}

/// An instruction set that this CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
}

impl Cpu {
    /// Returns the best instruction set of this CPU.
    pub fn detect() -> Cpu {
        Self::available().pop().unwrap_or(Cpu(Set::Portable))
    }

    /// Returns every instruction set that this CPU has, the portable one first, the best one last.
    pub fn available() -> Vec<Cpu> {
        let mut sets = vec![Cpu(Set::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            let vnni = avx512 && is_x86_feature_detected!("avx512vnni");
            let bf16 = vnni && is_x86_feature_detected!("avx512bf16");
            let levels =
                [(avx2, Set::Avx2), (avx512, Set::Avx512), (vnni, Set::Avx512Vnni), (bf16, Set::Avx512Bf16)];
            sets.extend(levels.into_iter().filter(|(there, _)| *there).map(|(_, set)| Cpu(set)));
        }
        sets
    }

    /// Returns whether bf16 products have an instruction of their own, so that bf16 is faster than f32.
    pub fn has_bf16(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => true,
            _ => false,
        }
    }

    /// Returns the name of the instruction set.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => "avx512-bf16",
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Set::Portable => kernel.run::<Portable>(),
            // SAFETY: such a Cpu is made by `available` only, which has seen the instructions.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2(kernel) },
            // SAFETY: such a Cpu is made by `available` only, which has seen the instructions.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { avx512(kernel) },
            // SAFETY: such a Cpu is made by `available` only, which has seen the instructions.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Vnni => unsafe { avx512_vnni(kernel) },
            // SAFETY: such a Cpu is made by `available` only, which has seen the instructions.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => unsafe { avx512_bf16(kernel) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn avx512_vnni<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512Vnni>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16")]
fn avx512_bf16<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512Bf16>()
}
