//! How a batch is cut: into chunks that bound memory, and these into parts, the work of one thread.

use std::ops::Range;

/// Tokens whose activations are kept at a time, unless one text alone has more: about 150 MB for a MiniLM.
const CHUNK_TOKENS: usize = 1024;

/// Tokens of a part, unless one text alone has more: few enough that threads finish together, enough that a panel of weights serves
/// many rows while it is in cache.
const PART_TOKENS: usize = 128;

/// Returns ranges of texts, in order, that cover all texts; each has at least one text, and reaches `tokens` tokens with its last one.
fn cut(lengths: &[usize], texts: Range<usize>, tokens: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut sum) = (texts.start, 0);
    for text in texts.clone() {
        sum += lengths[text];
        if sum >= tokens {
            ranges.push(start..text + 1);
            (start, sum) = (text + 1, 0);
        }
    }
    if start < texts.end {
        ranges.push(start..texts.end);
    }
    ranges
}

/// Returns the chunks of texts with these lengths, each as its parts.
pub(crate) fn chunks(lengths: &[usize]) -> Vec<Vec<Range<usize>>> {
    let chunks = cut(lengths, 0..lengths.len(), CHUNK_TOKENS);
    chunks.into_iter().map(|texts| cut(lengths, texts, PART_TOKENS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_in_one_part() {
        for lengths in [vec![], vec![3], vec![600; 5], vec![27; 100], vec![1, 2000, 1, 1]] {
            let parts: Vec<usize> = chunks(&lengths).concat().into_iter().flatten().collect();
            assert_eq!(parts, (0..lengths.len()).collect::<Vec<_>>());
        }
        assert_eq!(chunks(&[600; 5]).len(), 3);
        assert_eq!(chunks(&[27; 32]), [[0..5, 5..10, 10..15, 15..20, 20..25, 25..30, 30..32]]);
    }
}
