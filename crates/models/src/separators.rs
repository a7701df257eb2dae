//! Where a text may be cut without changing its tokens.
//!
//! BERT's tokenizer works a character at a time until words are found: BertNormalizer drops, maps or pads
//! single characters (its decomposition reorders only combining marks, which never pass a separator),
//! BertPreTokenizer ends a word at whitespace and sets punctuation apart, BertNormalizer does the same to
//! Chinese characters, and WordPiece sees one word at a time. So the tokens of a text are those of its
//! pieces, one after the other, if each piece after the first begins with whitespace, ASCII punctuation or a
//! Chinese character. Added tokens such as `[MASK]` are searched for in the raw text first, so a character
//! that stands in one of them is no place to cut, and tokens that look at their neighbours (`single_word`)
//! forbid cutting altogether.

use serde_json::Value;

/// The characters before which a text may be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Separators {
    /// Characters of added tokens.
    forbidden: Vec<char>,
    /// Whether the normalizer sets Chinese characters apart.
    chinese: bool,
}

impl Separators {
    /// Returns the separators of a tokenizer.json, or none where its components aren't known to work as
    /// described.
    pub(crate) fn of(tokenizer: &Value) -> Option<Separators> {
        let kind = |part: &str| tokenizer.get(part).and_then(|part| part.get("type")).and_then(Value::as_str);
        let chinese = match kind("normalizer") {
            Some("BertNormalizer") => tokenizer["normalizer"]["handle_chinese_chars"].as_bool()?,
            _ => return None,
        };
        if kind("pre_tokenizer") != Some("BertPreTokenizer") || kind("model") != Some("WordPiece") {
            return None;
        }
        let mut forbidden = Vec::new();
        for token in tokenizer.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
            let single_word = token.get("single_word").and_then(Value::as_bool).unwrap_or(true);
            // Normalised tokens are searched for after characters have been dropped: between the parts of a
            // match a dropped character may stand, but never a separator, unless the token itself has one.
            let content = token.get("content").and_then(Value::as_str)?;
            if single_word {
                return None;
            }
            forbidden.extend(content.chars());
        }
        // Every whitespace character becomes a space, so one in a token forbids them all.
        if forbidden.iter().any(|c| c.is_whitespace()) {
            return None;
        }
        Some(Separators { forbidden, chinese })
    }

    /// Returns the pieces of `text`: each has at least `bytes` bytes, but the last may have fewer.
    pub(crate) fn pieces<'a>(&self, text: &'a str, bytes: usize) -> impl Iterator<Item = &'a str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (piece, after) = rest.split_at(self.cut(rest, bytes));
            rest = after;
            Some(piece)
        })
    }

    /// Returns the first place at or after `from` where `text` may be cut, else its end.
    fn cut(&self, text: &str, from: usize) -> usize {
        let from = (from..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
        let found = text[from..].char_indices().find(|&(_, c)| self.is_separator(c));
        found.map_or(text.len(), |(at, _)| from + at)
    }

    fn is_separator(&self, c: char) -> bool {
        let apart = c == ' ' || c == '\n' || c.is_ascii_punctuation() || (self.chinese && is_chinese(c));
        apart && !self.forbidden.contains(&c)
    }
}

/// The block of CJK unified ideographs; BertNormalizer sets more characters apart, but fewer cuts are no
/// harm.
fn is_chinese(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}')
}
