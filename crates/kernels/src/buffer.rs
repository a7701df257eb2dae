//! Memory as the products read it: words of 32 bits that begin on a cache line.

/// Words in a cache line.
const LINE: usize = 16;

#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct Line([u32; LINE]);

/// Words that begin on a cache line, so that a vector never lies across two.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffer(Vec<Line>);

impl Buffer {
    /// Returns a buffer of at least `words` zeros.
    pub(crate) fn zeros(words: usize) -> Self {
        Buffer(vec![Line::default(); words.div_ceil(LINE)])
    }

    /// Returns the bytes that the words take.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len() * size_of::<Line>()
    }

    /// Makes the buffer at least `words` long; it never shrinks, so a buffer that is used again allocates no more.
    pub(crate) fn reserve(&mut self, words: usize) {
        if self.0.len() * LINE < words {
            self.0.resize(words.div_ceil(LINE), Line::default());
        }
    }

    /// Returns the words.
    pub(crate) fn words(&self) -> &[u32] {
        // SAFETY: a Line is LINE words and nothing else, so the lines of a Vec are words in a row.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LINE) }
    }

    /// Returns the words.
    pub(crate) fn words_mut(&mut self) -> &mut [u32] {
        // SAFETY: a Line is LINE words and nothing else, so the lines of a Vec are words in a row.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LINE) }
    }
}

/// Returns numbers as the words that products write.
pub(crate) fn as_words_mut(numbers: &mut [f32]) -> &mut [u32] {
    // SAFETY: both have 32 bits and the same alignment, and every pattern is a value of either.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), numbers.len()) }
}

/// Returns words as the numbers that they are.
pub(crate) fn as_numbers_mut(words: &mut [u32]) -> &mut [f32] {
    // SAFETY: both have 32 bits and the same alignment, and every pattern is a value of either.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
}
