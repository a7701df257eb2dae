//! The function that makes a row's texts into what training reads.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use nightjar_catalog::Digest;
use nightjar_functions::{Models, TextColumn};

/// The first characters of a text, by which a warning names it.
const EXCERPT_CHARS: usize = 40;

/// `text_features(model, reading, text [, second])`: a struct of
/// - `ids`: the token ids as the model reads them, special tokens included, cut at its window;
/// - `first_tokens`: for a pair, how many of them the first text has;
/// - `truncated`: whether anything was cut;
/// - `text_hash`: equal for equal texts;
/// - `plain_hash`: equal for texts that differ in case, punctuation and white space only;
/// - `excerpt`: how the text begins.
///
/// The model is a pinned one, whose tokenizer it is; both it and the [`Reading`] are literals. All fields are NULL where a
/// text is. Cost: tokenises as far as the window.
#[derive(Debug)]
struct TextFeatures {
    models: Models,
    signature: Signature,
}

/// How the texts of a row are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// There is one.
    One,
    /// Two in one sequence, cut together at the window.
    Together,
    /// Two sequences, each with its own special tokens and cut at the window.
    Apart,
}

impl Reading {
    /// Returns the name by which a plan says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Together => "together",
            Self::Apart => "apart",
        }
    }
}

/// Returns `text_features` over a store's models.
pub(crate) fn text_features(models: Models) -> ScalarUDF {
    let signature =
        Signature::one_of(vec![TypeSignature::Any(3), TypeSignature::Any(4)], Volatility::Immutable);
    ScalarUDF::from(TextFeatures { models, signature })
}

/// Returns the text of a literal argument.
fn literal(argument: Option<&ColumnarValue>) -> Result<&str> {
    let text = match argument {
        Some(ColumnarValue::Scalar(text)) => text.try_as_str().flatten(),
        _ => None,
    };
    text.ok_or_else(|| {
        DataFusionError::Internal("text_features needs a model and a reading first".to_owned())
    })
}

/// The fields of the struct.
pub(crate) fn feature_fields() -> Fields {
    let ids = DataType::new_list(DataType::Int32, true);
    Fields::from(vec![
        Field::new("ids", ids, true),
        Field::new("first_tokens", DataType::Int32, true),
        Field::new("truncated", DataType::Boolean, true),
        Field::new("text_hash", DataType::Int64, true),
        Field::new("plain_hash", DataType::Int64, true),
        Field::new("excerpt", DataType::Utf8, true),
    ])
}

impl PartialEq for TextFeatures {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for TextFeatures {}

impl Hash for TextFeatures {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for TextFeatures {
    fn name(&self) -> &'static str {
        "text_features"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(feature_fields()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (model, reading) = (literal(args.args.first())?, literal(args.args.get(1))?);
        let tokenizer = self.models.tokenizer(&self.models.pinned(model.parse()?)?.card)?;
        let apart = reading == Reading::Apart.name();
        let columns = args.args[2..].iter().map(|arg| arg.to_array(args.number_rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let columns = columns.iter().map(|column| TextColumn::read("token_ids", column, false));
        let columns = columns.collect::<nightjar_functions::Result<Vec<_>>>()?;
        let mut features = Builders::default();
        for row in 0..args.number_rows {
            let texts: Option<Vec<&str>> = columns.iter().map(|column| column.get(row)).collect();
            match texts.as_deref() {
                Some([text]) => {
                    let tokens = tokenizer.encode(text);
                    features.append(&[text], &tokens.ids, None, tokens.truncated);
                }
                Some([first, second]) if apart => {
                    let [first_tokens, second_tokens] = [first, second].map(|text| tokenizer.encode(text));
                    let ids = [first_tokens.ids.as_slice(), &second_tokens.ids].concat();
                    let truncated = first_tokens.truncated || second_tokens.truncated;
                    features.append(&[first, second], &ids, Some(first_tokens.ids.len()), truncated);
                }
                Some([first, second]) => {
                    let tokens = tokenizer.encode_pair(first, second);
                    features.append(&[first, second], &tokens.ids, Some(tokens.first), tokens.truncated);
                }
                _ => features.append_null(),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(features.finish())))
    }
}

#[derive(Default)]
struct Builders {
    ids: ListBuilder<Int32Builder>,
    first_tokens: Int32Builder,
    truncated: BooleanBuilder,
    text_hash: Int64Builder,
    plain_hash: Int64Builder,
    excerpt: StringBuilder,
}

impl Builders {
    fn append(&mut self, texts: &[&str], ids: &[u32], first_tokens: Option<usize>, truncated: bool) {
        // Vocabularies and windows are far below 2^31.
        ids.iter().for_each(|id| self.ids.values().append_value(*id as i32));
        self.ids.append(true);
        self.first_tokens.append_option(first_tokens.map(|tokens| tokens as i32));
        self.truncated.append_value(truncated);
        self.text_hash.append_value(hash(&texts.join("\0")));
        let plain: Vec<String> = texts.iter().map(|text| plain(text)).collect();
        self.plain_hash.append_value(hash(&plain.join("\0")));
        let excerpt = texts.first().map(|text| text.chars().take(EXCERPT_CHARS).collect::<String>());
        self.excerpt.append_option(excerpt);
    }

    fn append_null(&mut self) {
        self.ids.append(false);
        self.first_tokens.append_null();
        self.truncated.append_null();
        self.text_hash.append_null();
        self.plain_hash.append_null();
        self.excerpt.append_null();
    }

    fn finish(mut self) -> StructArray {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.first_tokens.finish()),
            Arc::new(self.truncated.finish()),
            Arc::new(self.text_hash.finish()),
            Arc::new(self.plain_hash.finish()),
            Arc::new(self.excerpt.finish()),
        ];
        StructArray::new(feature_fields(), columns, None)
    }
}

/// The first eight bytes of the text's digest.
fn hash(text: &str) -> i64 {
    let digest = Digest::of(text.as_bytes());
    digest.0[..8].iter().fold(0, |hash, byte| hash << 8 | i64::from(*byte))
}

/// The text in small letters, with one space where punctuation and white space stood; the text itself if nothing else
/// stands in it.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let plain = words.map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    if plain.is_empty() { text.to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_texts_differ_by_their_words() {
        assert_eq!(plain("  It's GREAT!!  "), plain("it s great"));
        assert_eq!(plain("Été\t2026"), "été 2026");
        assert_ne!(plain("great"), plain("greats"));
        assert_ne!(plain("!!!"), plain("???"));
        assert_eq!(plain(""), "");
    }
}
