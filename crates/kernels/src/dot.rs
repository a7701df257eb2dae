//! The one operation that a matrix product is made of, on each instruction set and for each precision.
//!
//! Operands are words of 32 bits: one f32, a pair of bf16, or four bytes. A word holds neighbours along the
//! depth of the product, so one instruction multiplies a word of a row with the words of many columns and adds
//! the products to one 32-bit sum for each column.

/// A vector of column sums and how a word of depth is added to it.
///
/// # Safety
/// All functions may only run on a CPU that has the implementation's instructions; the pointers must be
/// valid for `LANES` words, at any alignment.
pub(crate) unsafe trait Dot {
    /// Columns in a vector.
    const LANES: usize;
    /// Rows that are computed at a time, as many as the registers allow: 8 or 4.
    const ROWS: usize;
    /// Vectors of columns that are computed at a time: with `ROWS` as many as the registers allow, and few enough that a
    /// panel's part is still in the first-level cache when the next rows pass.
    const VECTORS: usize;
    /// A vector of words.
    type Words: Copy;
    /// A vector of sums: f32, or i32 for bytes.
    type Sums: Copy;

    /// Returns sums of zero.
    unsafe fn zero() -> Self::Sums;
    /// Returns one word in every lane.
    unsafe fn splat(word: u32) -> Self::Words;
    /// Reads a vector of words.
    unsafe fn load(from: *const u32) -> Self::Words;
    /// Returns `sums + row · columns`, lane by lane.
    unsafe fn dot(sums: Self::Sums, row: Self::Words, columns: Self::Words) -> Self::Sums;
    /// Writes the sums.
    unsafe fn store(sums: Self::Sums, to: *mut u32);
}
