//! A tile of a matrix product, kept in registers while the depth goes by.
//!
//! Every element of the result is one chain of sums along the depth, in order. So its bits depend on its row
//! and its column alone: not on the rows beside it, nor on the shape of the tile.

use crate::dot::Dot;

/// Columns of a panel of packed weights: three vectors of 16.
pub(crate) const PANEL: usize = 48;

/// Rows of the highest tile.
pub(crate) const BAND: usize = 8;

/// Every product's columns are a multiple of this: the widest vector.
pub(crate) const LANES: usize = 16;

/// A matrix of words in memory that the caller vouches for: its rows are `stride` words apart.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    pub(crate) start: *const u32,
    pub(crate) stride: usize,
}

/// Writes `a · b` to the first `columns` words of each of `rows` rows of `out`, `out_stride` words apart: f32 bits, or
/// i32 for bytes.
///
/// `rows` is at most [`BAND`], `columns` a multiple of [`LANES`]. With `TRANSPOSED`, `a` is read down its columns: its depths are
/// `stride` words apart and its rows neighbours.
///
/// # Safety
/// The instructions of `D` are there; `a` has `rows` rows of `depth` words (transposed: `depth` rows of `rows` words) and `b`
/// has `depth` rows of `columns` words.
#[inline(always)]
pub(crate) unsafe fn multiply<D: Dot, const TRANSPOSED: bool>(
    a: Words,
    b: Words,
    [rows, columns, depth]: [usize; 3],
    out: &mut [u32],
    out_stride: usize,
) {
    assert!(rows <= BAND && columns <= out_stride && columns.is_multiple_of(LANES));
    assert!(rows == 0 || (rows - 1) * out_stride + columns <= out.len());
    let mut column = 0;
    while column < columns {
        let vectors = ((columns - column) / D::LANES).min(D::VECTORS);
        let mut row = 0;
        while row < rows {
            let height = (rows - row).min(D::ROWS);
            let part = Part {
                a: Words { start: a.start.wrapping_add(row * if TRANSPOSED { 1 } else { a.stride }), ..a },
                b: Words { start: b.start.wrapping_add(column), ..b },
                depth,
                to: out.as_mut_ptr().wrapping_add(row * out_stride + column),
                to_stride: out_stride,
            };
            // SAFETY: the caller's promise; the part lies within both operands, and within `out` by the
            // assertions above.
            row += unsafe {
                match (height, vectors) {
                    (8.., 3) => part.multiply::<D, TRANSPOSED, 8, 3>(),
                    (8.., 2) => part.multiply::<D, TRANSPOSED, 8, 2>(),
                    (8.., _) => part.multiply::<D, TRANSPOSED, 8, 1>(),
                    (4.., 3) => part.multiply::<D, TRANSPOSED, 4, 3>(),
                    (4.., 2) => part.multiply::<D, TRANSPOSED, 4, 2>(),
                    (4.., _) => part.multiply::<D, TRANSPOSED, 4, 1>(),
                    (2.., 3) => part.multiply::<D, TRANSPOSED, 2, 3>(),
                    (2.., 2) => part.multiply::<D, TRANSPOSED, 2, 2>(),
                    (2.., _) => part.multiply::<D, TRANSPOSED, 2, 1>(),
                    (_, 3) => part.multiply::<D, TRANSPOSED, 1, 3>(),
                    (_, 2) => part.multiply::<D, TRANSPOSED, 1, 2>(),
                    (_, _) => part.multiply::<D, TRANSPOSED, 1, 1>(),
                }
            };
        }
        column += vectors * D::LANES;
    }
}

/// A part of a product that fits into the registers.
struct Part {
    a: Words,
    b: Words,
    depth: usize,
    to: *mut u32,
    to_stride: usize,
}

impl Part {
    /// Computes `ROWS` rows by `VECTORS` vectors of columns and returns `ROWS`.
    ///
    /// # Safety
    /// As [`multiply`]; `to` has `ROWS` rows of `VECTORS * LANES` words.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    unsafe fn multiply<D: Dot, const TRANSPOSED: bool, const ROWS: usize, const VECTORS: usize>(
        self,
    ) -> usize {
        let Part { a, b, depth, to, to_stride } = self;
        // SAFETY: every offset is below the bounds that the caller promises.
        unsafe {
            let mut sums = [[D::zero(); VECTORS]; ROWS];
            // Plain loops over constants: they unroll into registers in every build, which closures would not.
            for k in 0..depth {
                let mut columns = [D::splat(0); VECTORS];
                for v in 0..VECTORS {
                    columns[v] = D::load(b.start.add(k * b.stride + v * D::LANES));
                }
                for r in 0..ROWS {
                    let at = if TRANSPOSED { k * a.stride + r } else { r * a.stride + k };
                    let row = D::splat(a.start.add(at).read_unaligned());
                    for v in 0..VECTORS {
                        sums[r][v] = D::dot(sums[r][v], row, columns[v]);
                    }
                }
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    D::store(sums[r][v], to.add(r * to_stride + v * D::LANES));
                }
            }
        }
        ROWS
    }
}
