//! Broken model files are errors that name the file, never panics.

use std::fs;
use std::path::Path;

use nightjar_errors::Failure;
use nightjar_models::testing::write_tiny_model;
use nightjar_models::{ClassifierHead, ModelError, TextEncoder, TextTokenizer};
use proptest::prelude::*;

/// Returns the error of loading a tiny model whose `file` was replaced by `change` of its bytes.
fn broken(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> ModelError {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 1).unwrap();
    let path = dir.path().join(file);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    let error = TextEncoder::load(dir.path()).unwrap_err();
    assert!(error.to_string().contains(file), "{error} does not name {file}");
    assert!(!error.retryable());
    error
}

fn edit_header(bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    let changed = header.replacen(from, to, 1);
    assert_ne!(header, changed);
    [&(changed.len() as u64).to_le_bytes(), changed.as_bytes(), &bytes[8 + length..]].concat()
}

#[test]
fn missing_files_are_named() {
    for file in ["config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"] {
        let dir = tempfile::tempdir().unwrap();
        write_tiny_model(dir.path(), 1).unwrap();
        fs::remove_file(dir.path().join(file)).unwrap();
        let error = TextEncoder::load(dir.path()).unwrap_err();
        assert_eq!(error.code(), "model_file_missing");
        assert!(error.to_string().contains(file) && error.hint().is_some(), "{error}");
    }
    let nowhere = TextEncoder::load(Path::new("/nonexistent/model")).unwrap_err();
    assert_eq!(nowhere.code(), "model_file_missing");
}

#[test]
fn json_files_must_be_json() {
    for file in ["config.json", "modules.json", "sentence_bert_config.json"] {
        for garbage in [&b""[..], b"\xff\xfe\x00{", b"{\"model_type\": ", b"[1, 2", b"null"] {
            if file == "sentence_bert_config.json" && garbage == b"null" {
                continue; // an object without keys, as good as absent
            }
            let error = broken(file, |_| garbage.to_vec());
            assert_eq!(error.code(), "model_config_invalid", "{error}");
        }
    }
    for garbage in [
        &b""[..],
        b"\xff",
        b"{}",
        b"{\"model\": {}}",
        b"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}}",
    ] {
        let error = broken("tokenizer.json", |_| garbage.to_vec());
        assert_eq!(error.code(), "model_tokenizer_invalid", "{error}");
    }
    let nested = broken("tokenizer.json", |_| "[".repeat(100_000).into_bytes());
    assert_eq!(nested.code(), "model_tokenizer_invalid");
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let error = broken("tokenizer.json", |bytes| {
        text(bytes).replace("\"coffee\":", "\"tisane\":9999,\"coffee\":").into()
    });
    assert!(matches!(error, ModelError::TokenizerInvalid { .. }), "{error}");
    let error = broken("tokenizer.json", |bytes| {
        text(bytes).replace("\"unk_token\":\"[UNK]\"", "\"unk_token\":\"?!\"").into()
    });
    assert!(error.to_string().contains("unknown token"), "{error}");
}

#[test]
fn tensors_must_be_there_in_shape_and_type() {
    let name = "encoder.layer.1.output.dense.bias";
    let missing =
        broken("model.safetensors", |bytes| edit_header(bytes, name, "encoder.layer.1.output.dense.bios"));
    assert!(matches!(&missing, ModelError::TensorMissing { tensor, .. } if tensor == name), "{missing}");
    let shape = broken("model.safetensors", |bytes| edit_header(bytes, "[64,32]", "[32,64]"));
    assert_eq!(shape.code(), "model_tensor_shape", "{shape}");
    let kind = broken("model.safetensors", |bytes| edit_header(bytes, "\"F32\"", "\"I32\""));
    assert!(matches!(kind, ModelError::TensorType { .. } | ModelError::Compute { .. }), "{kind:?}");
}

#[test]
fn a_prefix_before_tensor_names_is_read_over() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 1).unwrap();
    let plain = TextEncoder::load(dir.path()).unwrap().embed(&["good coffee"]).unwrap();
    let path = dir.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    let header =
        header.replace("\"embeddings.", "\"bert.embeddings.").replace("\"encoder.", "\"bert.encoder.");
    fs::write(
        &path,
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &bytes[8 + length..]].concat(),
    )
    .unwrap();
    assert_eq!(TextEncoder::load(dir.path()).unwrap().embed(&["good coffee"]).unwrap(), plain);
}

#[test]
fn headers_may_lie_about_their_length() {
    for length in [0, 1, 7, 1 << 20, 1 << 40, u64::MAX - 8, u64::MAX] {
        let error = broken("model.safetensors", |mut bytes| {
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            bytes
        });
        assert_eq!(error.code(), "model_weights_invalid", "{length}: {error}");
    }
}

/// Templates say which special tokens surround a text: what is wrong with them must show before a text is read.
#[test]
fn damaged_templates_are_errors_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 1).unwrap();
    let path = dir.path().join("tokenizer.json");
    let whole = fs::read(&path).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let start = text.find("\"post_processor\"").unwrap();
    let end = start + text[start..].find("\"model\"").unwrap_or(text.len() - start);
    let (mut refused, mut read) = (0, 0);
    for at in start..end {
        for byte in [b'#', b'B', b'1', b'"'] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            fs::write(&path, bytes).unwrap();
            match TextTokenizer::load(dir.path(), 32) {
                Ok(tokenizer) => {
                    read += 1;
                    tokenizer.encode("good coffee");
                    tokenizer.encode_pair("good coffee", "bad tea");
                }
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.code(), "model_tokenizer_invalid", "{error}");
                }
            }
        }
    }
    assert!(refused > 0 && read > 0, "{refused} {read}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn truncated_weights_are_errors(keep in 0.0..1.0f64) {
        let error = broken("model.safetensors", |mut bytes| {
            bytes.truncate((bytes.len() as f64 * keep) as usize);
            bytes
        });
        prop_assert_eq!(error.code(), "model_weights_invalid");
    }

    #[test]
    fn truncated_tokenizers_are_errors(keep in 0.0..1.0f64) {
        let error = broken("tokenizer.json", |mut bytes| {
            bytes.truncate((bytes.len() as f64 * keep) as usize);
            bytes
        });
        prop_assert_eq!(error.code(), "model_tokenizer_invalid");
    }

    #[test]
    fn flipped_bytes_are_no_panic(at in 0.0..1.0f64, byte in any::<u8>(), file in 0usize..4) {
        let file = ["config.json", "tokenizer.json", "model.safetensors", "modules.json"][file];
        let dir = tempfile::tempdir().unwrap();
        write_tiny_model(dir.path(), 1).unwrap();
        let path = dir.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        // Most of the weights are values, where any byte will do: aim at the header.
        let span = bytes.len().min(6000);
        let at = (span as f64 * at) as usize;
        bytes[at] = byte;
        fs::write(&path, bytes).unwrap();
        if let Ok(encoder) = TextEncoder::load(dir.path()) {
            encoder.embed(&["good coffee, bad tea"]).unwrap();
        }
    }

    #[test]
    fn heads_survive_the_file_and_broken_files_are_errors(keep in 0.0..1.0f64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("head.safetensors");
        let labels = vec!["a \"quoted\"".to_owned(), "\u{e9}\0".to_owned()];
        let head = ClassifierHead { labels, weight: vec![0.5, -1.0, 2.0, 1e-20, 3.0, f32::MIN], bias: vec![1.0, -1.0] };
        head.save(&path).unwrap();
        prop_assert_eq!(&ClassifierHead::load(&path).unwrap(), &head);
        let bytes = fs::read(&path).unwrap();
        head.save(&path).unwrap();
        prop_assert_eq!(&bytes, &fs::read(&path).unwrap());
        fs::write(&path, &bytes[..(bytes.len() as f64 * keep) as usize]).unwrap();
        prop_assert!(ClassifierHead::load(&path).is_err());
    }
}
