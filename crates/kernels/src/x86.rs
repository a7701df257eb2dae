//! The instruction sets of x86-64: AVX2 with FMA, and AVX-512 with and without its dot products.

use std::arch::x86_64::*;

use crate::bf16::Bf16;
use crate::dot::Dot;
use crate::level::Level;
use crate::tile::LANES;

/// AVX2 and FMA: eight columns a vector, sixteen registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2;

impl Level for Avx2 {
    type F32 = F32x8;
    type Bf16 = Bf16x8;
    type Int8 = Int8x8;

    const FUSED: bool = true;
}

/// AVX-512 F, BW, DQ and VL: sixteen columns a vector, thirty-two registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512;

impl Level for Avx512 {
    type F32 = F32x16;
    type Bf16 = Bf16x16;
    type Int8 = Int8x16;

    const FUSED: bool = true;
}

/// AVX-512 with VNNI: products of bytes have an instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512Vnni;

impl Level for Avx512Vnni {
    type F32 = F32x16;
    type Bf16 = Bf16x16;
    type Int8 = VnniInt8x16;

    const FUSED: bool = true;
}

/// AVX-512 with VNNI and BF16: products of bytes and of bf16 have instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512Bf16;

impl Level for Avx512Bf16 {
    type F32 = F32x16;
    type Bf16 = HardwareBf16x16;
    type Int8 = VnniInt8x16;

    const FUSED: bool = true;

    #[inline(always)]
    unsafe fn narrow(values: &[f32; LANES]) -> [Bf16; LANES] {
        // SAFETY: the caller's promise: the instruction is there; both results are 256 bits in which every pattern is a
        // value.
        unsafe { std::mem::transmute(_mm512_cvtneps_pbh(_mm512_loadu_ps(values.as_ptr()))) }
    }
}

/// Implements [`Dot`] by intrinsics: sums by name of their zero and store, words by splat and load.
macro_rules! dot {
    (
        $(#[$doc:meta])* $name:ident: $lanes:literal lanes, $rows:literal by $vectors:literal,
        $words:ty => $sums:ty, $zero:ident, $splat:ident, $load:ident, $store:ident,
        |$sum:ident, $row:ident, $columns:ident| $dot:expr
    ) => {
        $(#[$doc])*
        pub(crate) struct $name;

        // SAFETY: used by the levels whose instructions it needs; reads and writes whole vectors, unaligned.
        unsafe impl Dot for $name {
            const LANES: usize = $lanes;
            const ROWS: usize = $rows;
            const VECTORS: usize = $vectors;
            type Words = $words;
            type Sums = $sums;

            #[inline(always)]
            unsafe fn zero() -> Self::Sums {
                // SAFETY: the caller's promise: the instructions are there.
                unsafe { $zero() }
            }

            #[inline(always)]
            unsafe fn splat(word: u32) -> Self::Words {
                // SAFETY: the caller's promise: the instructions are there.
                unsafe { $splat(word as i32) }
            }

            #[inline(always)]
            unsafe fn load(from: *const u32) -> Self::Words {
                // SAFETY: the caller's promise: the instructions and LANES words are there.
                unsafe { $load(from.cast()) }
            }

            #[inline(always)]
            unsafe fn dot($sum: Self::Sums, $row: Self::Words, $columns: Self::Words) -> Self::Sums {
                // SAFETY: the caller's promise: the instructions are there.
                unsafe { $dot }
            }

            #[inline(always)]
            unsafe fn store(sums: Self::Sums, to: *mut u32) {
                // SAFETY: the caller's promise: the instructions and LANES words are there.
                unsafe { $store(to.cast(), sums) }
            }
        }
    };
}

dot! {
    /// f32 by AVX2's fused multiply-add.
    F32x8: 8 lanes, 4 by 2,
    __m256i => __m256, _mm256_setzero_ps, _mm256_set1_epi32, _mm256_loadu_si256, _mm256_storeu_ps,
    |sums, row, columns| _mm256_fmadd_ps(_mm256_castsi256_ps(row), _mm256_castsi256_ps(columns), sums)
}

dot! {
    /// bf16 widened to f32; the second of a pair is added first, as the hardware's instruction does.
    Bf16x8: 8 lanes, 4 by 2,
    __m256i => __m256, _mm256_setzero_ps, _mm256_set1_epi32, _mm256_loadu_si256, _mm256_storeu_ps,
    |sums, row, columns| {
        let upper = _mm256_set1_epi32(0xffff_0000_u32 as i32);
        let odd = |words| _mm256_castsi256_ps(_mm256_and_si256(words, upper));
        let even = |words| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words));
        _mm256_fmadd_ps(even(row), even(columns), _mm256_fmadd_ps(odd(row), odd(columns), sums))
    }
}

dot! {
    /// Bytes widened to 16 bits: AVX2's own product of bytes would saturate.
    Int8x8: 8 lanes, 4 by 2,
    __m256i => __m256i, _mm256_setzero_si256, _mm256_set1_epi32, _mm256_loadu_si256, _mm256_storeu_si256,
    |sums, row, columns| {
        let even = _mm256_madd_epi16(
            _mm256_and_si256(row, _mm256_set1_epi16(0xff)),
            _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(columns)),
        );
        let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(row), _mm256_srai_epi16::<8>(columns));
        _mm256_add_epi32(sums, _mm256_add_epi32(even, odd))
    }
}

dot! {
    /// f32 by AVX-512's fused multiply-add.
    F32x16: 16 lanes, 8 by 3,
    __m512i => __m512, _mm512_setzero_ps, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_storeu_ps,
    |sums, row, columns| _mm512_fmadd_ps(_mm512_castsi512_ps(row), _mm512_castsi512_ps(columns), sums)
}

dot! {
    /// bf16 widened to f32; the second of a pair is added first, as the hardware's instruction does.
    Bf16x16: 16 lanes, 8 by 3,
    __m512i => __m512, _mm512_setzero_ps, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_storeu_ps,
    |sums, row, columns| {
        let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
        let odd = |words| _mm512_castsi512_ps(_mm512_and_si512(words, upper));
        let even = |words| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words));
        _mm512_fmadd_ps(even(row), even(columns), _mm512_fmadd_ps(odd(row), odd(columns), sums))
    }
}

dot! {
    /// bf16 by the hardware's dot product.
    HardwareBf16x16: 16 lanes, 8 by 3,
    __m512i => __m512, _mm512_setzero_ps, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_storeu_ps,
    |sums, row, columns| _mm512_dpbf16_ps(sums, as_bf16(row), as_bf16(columns))
}

#[inline(always)]
fn as_bf16(words: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits in which every pattern is a value.
    unsafe { std::mem::transmute(words) }
}

dot! {
    /// Bytes widened to 16 bits.
    Int8x16: 16 lanes, 8 by 3,
    __m512i => __m512i, _mm512_setzero_si512, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_storeu_si512,
    |sums, row, columns| {
        let even = _mm512_madd_epi16(
            _mm512_and_si512(row, _mm512_set1_epi16(0xff)),
            _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(columns)),
        );
        let odd = _mm512_madd_epi16(_mm512_srli_epi16::<8>(row), _mm512_srai_epi16::<8>(columns));
        _mm512_add_epi32(sums, _mm512_add_epi32(even, odd))
    }
}

dot! {
    /// Bytes by VNNI's dot product.
    VnniInt8x16: 16 lanes, 8 by 3,
    __m512i => __m512i, _mm512_setzero_si512, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_storeu_si512,
    |sums, row, columns| _mm512_dpbusd_epi32(sums, row, columns)
}
