//! From text to token ids, as sentence-transformers does it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::{Encoding, Tokenizer};

use crate::separators::Separators;
use crate::tokenizer_json::check_tokenizer;
use crate::{ModelError, Result, Sequence};

/// Bytes of text that are tokenised at a time, where the tokenizer allows cuts. A window of 256 tokens of
/// English takes about 1.2 kB, so nearly every long text needs its first piece only.
const PIECE_BYTES: usize = 4096;

/// A model's tokenizer. Padding and truncation that tokenizer.json asks for are ignored: there is no padding,
/// and the window decides the truncation.
///
/// Special tokens written out in a text (`[SEP]`) are read as such, as the field's tools do.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    window: usize,
    lowercase: bool,
    separators: Option<Separators>,
    frame: Frame,
    pair_frame: PairFrame,
    /// Of tokenizer.json.
    file_bytes: usize,
}

/// The special tokens around two texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct PairFrame {
    before: Vec<u32>,
    between: Vec<u32>,
    after: Vec<u32>,
}

/// The special tokens that stand around a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Frame {
    before: Vec<SpecialToken>,
    after: Vec<SpecialToken>,
    /// Segment of the text's own tokens.
    type_id: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SpecialToken {
    id: u32,
    type_id: u32,
}

/// A text as the encoder reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TokenizedText {
    /// Token ids, special tokens included, at most the window.
    pub ids: Vec<u32>,
    /// Segment ids, one for each token.
    pub type_ids: Vec<u32>,
    /// Whether the text had more tokens than fit into the window.
    pub truncated: bool,
}

/// Two texts as the encoder reads them, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TokenizedPair {
    /// Token ids, special tokens included, at most the window.
    pub ids: Vec<u32>,
    /// How many of them come before the second text: the first segment, where a model knows segments.
    pub first: usize,
    /// Whether the texts had more tokens than fit into the window.
    pub truncated: bool,
}

impl From<TokenizedPair> for TokenizedText {
    /// Returns the pair as a sequence: its first text is of segment 0, what comes after it of segment 1, as in training.
    fn from(pair: TokenizedPair) -> Self {
        let type_ids = (0..pair.ids.len()).map(|token| u32::from(token >= pair.first)).collect();
        TokenizedText { ids: pair.ids, type_ids, truncated: pair.truncated }
    }
}

impl TextTokenizer {
    /// Returns the tokenizer in `dir`, which cuts texts to `window` tokens.
    ///
    /// # Errors
    /// `FileMissing`, `FileAccess`, or `TokenizerInvalid` where tokenizer.json is malformed, has no token for
    /// unknown words, or adds so many special tokens that the window has no room for text.
    pub fn load(dir: &Path, window: usize) -> Result<Self> {
        let path = dir.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(|source| ModelError::access(&path, "read", source))?;
        Self::parse(&path, &bytes, window)
    }

    /// Returns this tokenizer with texts lowercased first, if `lowercase`.
    #[must_use]
    pub fn with_lowercase(mut self, lowercase: bool) -> Self {
        self.lowercase = lowercase;
        self
    }

    fn parse(path: &Path, bytes: &[u8], window: usize) -> Result<Self> {
        let invalid = |reason: String| ModelError::TokenizerInvalid { path: PathBuf::from(path), reason };
        let json: Value =
            serde_json::from_slice(bytes).map_err(|error| invalid(format!("not JSON: {error}")))?;
        check_tokenizer(&json).map_err(invalid)?;
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| invalid(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| invalid(error.to_string()))?;
        let frame = Frame::of(&tokenizer).map_err(invalid)?;
        let pair_frame = PairFrame::of(&tokenizer).map_err(invalid)?;
        if window <= frame.len() {
            let special = frame.len();
            return Err(invalid(format!("{special} special tokens leave no room in a window of {window}")));
        }
        let separators = Separators::of(&json);
        Ok(TextTokenizer {
            tokenizer,
            window,
            lowercase: false,
            separators,
            frame,
            pair_frame,
            file_bytes: bytes.len(),
        })
    }

    /// Returns about how many bytes the tokenizer takes in memory: the vocabulary is there twice, by token and by id, each
    /// about as large as in its file.
    pub fn bytes(&self) -> usize {
        2 * self.file_bytes
    }

    /// Returns the most tokens that a text may have, special tokens included.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Returns the number of token ids: one more than the largest.
    pub fn vocab(&self) -> usize {
        self.tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    /// Returns the tokens that the encoder reads: special tokens, and the text's tokens as far as the window
    /// allows.
    ///
    /// Any text has a result; the empty text has the special tokens alone.
    /// Cost: grows with the text only up to the window, if the tokenizer is BERT's and the text has
    /// separators.
    pub fn encode(&self, text: &str) -> TokenizedText {
        let room = self.window - self.frame.len();
        let mut content = self.content(text, room);
        let truncated = content.len() > room;
        content.truncate(room);
        self.frame.around(content, truncated)
    }

    /// Returns the tokens of two texts that the encoder reads as one: `[CLS] first [SEP] second [SEP]` with BERT's
    /// tokenizer. Where both do not fit into the window, the longer one is cut first.
    ///
    /// Cost: as for [`TextTokenizer::encode`].
    pub fn encode_pair(&self, first: &str, second: &str) -> TokenizedPair {
        let PairFrame { before, between, after } = &self.pair_frame;
        let room = self.window.saturating_sub(before.len() + between.len() + after.len());
        let (mut first, mut second) = (self.content(first, room), self.content(second, room));
        let truncated = first.len() + second.len() > room;
        if truncated {
            let shorter = first.len().min(second.len()).min(room / 2);
            let longer = room - shorter;
            let (a, b) = if first.len() > second.len() { (longer, shorter) } else { (shorter, longer) };
            first.truncate(a);
            second.truncate(b);
        }
        let ids = [before, &first, between].into_iter().flatten().copied().collect::<Vec<_>>();
        let start = ids.len();
        TokenizedPair { ids: [ids, second, after.clone()].concat(), first: start, truncated }
    }

    /// Returns the tokens of a sequence, by [`TextTokenizer::encode`] or [`TextTokenizer::encode_pair`].
    pub fn encode_sequence(&self, sequence: Sequence<'_>) -> TokenizedText {
        match sequence {
            Sequence::Text(text) => self.encode(text),
            Sequence::Pair(first, second) => self.encode_pair(first, second).into(),
        }
    }

    /// Returns the text's own tokens: all if there are at most `room`, else more than `room`.
    fn content(&self, text: &str, room: usize) -> Vec<u32> {
        let mut content = Vec::new();
        for encoding in self.pieces(text) {
            content.extend_from_slice(encoding.get_ids());
            if content.len() > room {
                break;
            }
        }
        content
    }

    /// Returns the tokens of the whole text, not truncated and without the special tokens around it.
    pub fn tokens(&self, text: &str) -> Vec<String> {
        let name = |&id: &u32| self.tokenizer.id_to_token(id).unwrap_or_default();
        self.pieces(text)
            .flat_map(|encoding| encoding.get_ids().iter().map(name).collect::<Vec<_>>())
            .collect()
    }

    /// Returns how many tokens the whole text has, not truncated, special tokens included.
    pub fn count(&self, text: &str) -> usize {
        self.frame.len() + self.pieces(text).map(|encoding| encoding.get_ids().len()).sum::<usize>()
    }

    /// Returns the encodings of the text's pieces, without special tokens around them, and without token
    /// strings.
    fn pieces<'a>(&'a self, text: &'a str) -> Box<dyn Iterator<Item = Encoding> + 'a> {
        // Known tokenizers fail only for want of an unknown token, which `parse` has checked.
        let tokens = |text: &str| self.tokenizer.encode_fast(text, false).unwrap_or_default();
        if self.lowercase {
            let lower = text.to_lowercase();
            return Box::new(std::iter::once(tokens(&lower)));
        }
        match &self.separators {
            Some(separators) => Box::new(separators.pieces(text, PIECE_BYTES).map(tokens)),
            None => Box::new(std::iter::once(tokens(text))),
        }
    }
}

impl std::fmt::Debug for TextTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TextTokenizer { window, lowercase, separators, .. } = self;
        let mut out = f.debug_struct("TextTokenizer");
        out.field("window", window).field("lowercase", lowercase).field("separators", separators);
        out.finish_non_exhaustive()
    }
}

impl Frame {
    /// Returns what the post-processor puts around a probe text.
    fn of(tokenizer: &Tokenizer) -> Result<Frame, String> {
        let encode = |special| tokenizer.encode_fast("a", special).map_err(|error| error.to_string());
        let (bare, framed) = (encode(false)?, encode(true)?);
        let (inner, outer) = (bare.get_ids(), framed.get_ids());
        let start = outer.windows(inner.len().max(1)).position(|window| window == inner);
        let start = start.ok_or("the post-processor changes the text's own tokens")?;
        let special = |range: std::ops::Range<usize>| -> Vec<SpecialToken> {
            let token = |i: usize| SpecialToken { id: outer[i], type_id: framed.get_type_ids()[i] };
            range.map(token).collect()
        };
        Ok(Frame {
            before: special(0..start),
            after: special(start + inner.len()..outer.len()),
            type_id: framed.get_type_ids()[start],
        })
    }

    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    fn around(&self, content: Vec<u32>, truncated: bool) -> TokenizedText {
        let ids = |tokens: &[SpecialToken]| tokens.iter().map(|token| token.id).collect::<Vec<_>>();
        let type_ids = |tokens: &[SpecialToken]| tokens.iter().map(|token| token.type_id).collect::<Vec<_>>();
        let middle = vec![self.type_id; content.len()];
        TokenizedText {
            ids: [ids(&self.before), content, ids(&self.after)].concat(),
            type_ids: [type_ids(&self.before), middle, type_ids(&self.after)].concat(),
            truncated,
        }
    }
}

impl PairFrame {
    /// Returns what the post-processor puts around two probe texts.
    fn of(tokenizer: &Tokenizer) -> Result<PairFrame, String> {
        let encode = |text| tokenizer.encode_fast(text, false).map_err(|error| error.to_string());
        let (first, second) = (encode("a")?, encode("b")?);
        let framed = tokenizer.encode_fast(("a", "b"), true).map_err(|error| error.to_string())?;
        let ids = framed.get_ids();
        let find = |inner: &[u32], from: usize| {
            let found = ids[from..].windows(inner.len().max(1)).position(|window| window == inner);
            found.map(|start| (from + start, from + start + inner.len()))
        };
        let changed = "the post-processor changes the tokens of a pair";
        let (start, end) = find(first.get_ids(), 0).ok_or(changed)?;
        let (next, last) = find(second.get_ids(), end).ok_or(changed)?;
        Ok(PairFrame {
            before: ids[..start].to_vec(),
            between: ids[end..next].to_vec(),
            after: ids[last..].to_vec(),
        })
    }
}
