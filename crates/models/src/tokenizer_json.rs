//! What a tokenizer.json must hold for every text to have tokens: the library panics or fails late where it does not.

use serde_json::Value;

/// Checks the file as a whole; the error is the reason.
pub(crate) fn check_tokenizer(tokenizer: &Value) -> Result<(), String> {
    check_unknown_token(tokenizer)?;
    tokenizer.get("post_processor").map_or(Ok(()), check_post_processor)
}

/// Checks that a WordPiece vocabulary holds its own unknown token: without it, some texts could not be
/// tokenised.
fn check_unknown_token(tokenizer: &Value) -> Result<(), String> {
    let model = tokenizer.get("model").ok_or("it has no model")?;
    if model.get("type").and_then(Value::as_str) == Some("WordPiece") {
        let unknown = model.get("unk_token").and_then(Value::as_str).unwrap_or("[UNK]");
        let known = model.get("vocab").is_some_and(|vocab| vocab.get(unknown).is_some());
        return if known { Ok(()) } else { Err(format!("the vocabulary lacks the unknown token {unknown}")) };
    }
    Ok(())
}

/// Checks that the special tokens of templates are there, and that the template of a single text asks for no second one.
fn check_post_processor(processor: &Value) -> Result<(), String> {
    for inner in processor.get("processors").and_then(Value::as_array).into_iter().flatten() {
        check_post_processor(inner)?;
    }
    for template in ["single", "pair"] {
        for piece in processor.get(template).and_then(Value::as_array).into_iter().flatten() {
            let id = |kind| piece.get(kind).and_then(|piece| piece.get("id")).and_then(Value::as_str);
            if let Some(token) = id("SpecialToken")
                && processor.get("special_tokens").is_none_or(|tokens| tokens.get(token).is_none())
            {
                return Err(format!("the template '{template}' has the unknown special token {token}"));
            }
            if template == "single" && id("Sequence").is_some_and(|text| text != "A") {
                return Err("the template 'single' reads a second text".to_owned());
            }
        }
    }
    Ok(())
}
