//! The instruction set that is always there: plain Rust, eight columns at a time.

use crate::bf16::Bf16;
use crate::dot::Dot;
use crate::level::Level;

const LANES: usize = 8;

/// Plain Rust. On machines whose baseline has fused multiply-add (aarch64), that is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Level for Portable {
    type F32 = F32;
    type Bf16 = Bf16Pairs;
    type Int8 = Bytes;

    // Without the instruction, a fused multiply-add is a slow call of the C library.
    const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));
}

/// f32 in plain Rust.
pub(crate) struct F32;

// SAFETY: needs no instructions; reads and writes LANES words, unaligned.
unsafe impl Dot for F32 {
    const LANES: usize = LANES;
    const ROWS: usize = 4;
    const VECTORS: usize = 1;
    type Words = [f32; LANES];
    type Sums = [f32; LANES];

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        [0.0; LANES]
    }

    #[inline(always)]
    unsafe fn splat(word: u32) -> Self::Words {
        [f32::from_bits(word); LANES]
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self::Words {
        // SAFETY: the caller's promise: LANES words.
        unsafe { from.cast::<Self::Words>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn dot(mut sums: Self::Sums, row: Self::Words, columns: Self::Words) -> Self::Sums {
        for lane in 0..LANES {
            sums[lane] = Portable::mul_add(row[lane], columns[lane], sums[lane]);
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, to: *mut u32) {
        // SAFETY: the caller's promise: LANES words.
        unsafe { to.cast::<Self::Sums>().write_unaligned(sums) }
    }
}

/// Pairs of bf16, widened to f32; the second of a pair is added first, as the hardware's instruction does.
pub(crate) struct Bf16Pairs;

// SAFETY: needs no instructions; reads and writes LANES words, unaligned.
unsafe impl Dot for Bf16Pairs {
    const LANES: usize = LANES;
    const ROWS: usize = 4;
    const VECTORS: usize = 1;
    type Words = [u32; LANES];
    type Sums = [f32; LANES];

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        [0.0; LANES]
    }

    #[inline(always)]
    unsafe fn splat(word: u32) -> Self::Words {
        [word; LANES]
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self::Words {
        // SAFETY: the caller's promise: LANES words.
        unsafe { from.cast::<Self::Words>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn dot(mut sums: Self::Sums, row: Self::Words, columns: Self::Words) -> Self::Sums {
        for lane in 0..LANES {
            let ([r0, r1], [c0, c1]) = (Bf16::pair(row[lane]), Bf16::pair(columns[lane]));
            sums[lane] = Portable::mul_add(r0, c0, Portable::mul_add(r1, c1, sums[lane]));
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, to: *mut u32) {
        // SAFETY: the caller's promise: LANES words.
        unsafe { to.cast::<Self::Sums>().write_unaligned(sums) }
    }
}

/// Four unsigned bytes of a row by four signed bytes of a column.
pub(crate) struct Bytes;

// SAFETY: needs no instructions; reads and writes LANES words, unaligned.
unsafe impl Dot for Bytes {
    const LANES: usize = LANES;
    const ROWS: usize = 4;
    const VECTORS: usize = 1;
    type Words = [u32; LANES];
    type Sums = [i32; LANES];

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        [0; LANES]
    }

    #[inline(always)]
    unsafe fn splat(word: u32) -> Self::Words {
        [word; LANES]
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self::Words {
        // SAFETY: the caller's promise: LANES words.
        unsafe { from.cast::<Self::Words>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn dot(mut sums: Self::Sums, row: Self::Words, columns: Self::Words) -> Self::Sums {
        for lane in 0..LANES {
            let (row, column) = (row[lane].to_le_bytes(), columns[lane].to_le_bytes());
            for (r, c) in row.into_iter().zip(column) {
                sums[lane] = sums[lane].wrapping_add(i32::from(r) * i32::from(c as i8));
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, to: *mut u32) {
        // SAFETY: the caller's promise: LANES words.
        unsafe { to.cast::<Self::Sums>().write_unaligned(sums) }
    }
}
