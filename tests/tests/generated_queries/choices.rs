//! A query is made from a row of bytes: each decision takes one, and where none is left the simplest is taken. So a shorter row is a
//! simpler query, and what finds short rows simplifies queries.

/// The decisions that are left.
pub(crate) struct Choices<'a>(std::slice::Iter<'a, u8>);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    /// Returns a number below `count`; 0 once no decision is left.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.0.next().map_or(0, |byte| usize::from(*byte) % count)
    }

    pub(crate) fn of<'b>(&mut self, all: &[&'b str]) -> &'b str {
        all[self.below(all.len())]
    }
}
