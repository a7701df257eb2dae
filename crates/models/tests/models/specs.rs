//! What EncoderSpec::read makes of a model directory.

use std::path::Path;

use nightjar_errors::Failure;
use nightjar_models::testing::write_tiny_model;
use nightjar_models::{EncoderSpec, ModelError, Pooling};
use serde_json::{Value, json};

fn edit(dir: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = dir.join(file);
    let mut value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

#[test]
fn a_spec_is_read_without_weights() {
    let dir = tempfile::tempdir().unwrap();
    let written = write_tiny_model(dir.path(), 1).unwrap();
    std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    let spec = EncoderSpec::read(dir.path()).unwrap();
    assert_eq!(spec, written);
    assert_eq!(
        (spec.architecture.as_str(), spec.dim, spec.layers, spec.heads, spec.window),
        ("bert", 32, 2, 4, 64)
    );
    assert_eq!((spec.pooling, spec.normalize), (Pooling::Mean, true));
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<EncoderSpec>(&json).unwrap(), spec);
}

#[test]
fn the_window_is_the_sentence_transformers_limit_else_the_least_other_one() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 1).unwrap();
    let window = || EncoderSpec::read(dir.path()).unwrap().window;
    std::fs::write(dir.path().join("tokenizer_config.json"), r#"{"model_max_length": 40}"#).unwrap();
    edit(dir.path(), "sentence_bert_config.json", |config| config["max_seq_length"] = json!(20));
    assert_eq!(window(), 20);
    edit(dir.path(), "sentence_bert_config.json", |config| config["max_seq_length"] = Value::Null);
    assert_eq!(window(), 40);
    std::fs::write(dir.path().join("tokenizer_config.json"), r#"{"model_max_length": 1e30}"#).unwrap();
    assert_eq!(window(), 64);
    edit(dir.path(), "sentence_bert_config.json", |config| config["max_seq_length"] = json!(100_000));
    assert_eq!(window(), 64);
}

#[test]
fn an_unknown_architecture_lists_the_known_ones() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 1).unwrap();
    edit(dir.path(), "config.json", |config| config["model_type"] = json!("brt"));
    let error = EncoderSpec::read(dir.path()).unwrap_err();
    assert!(error.to_string().contains("asks for architecture 'brt'"), "{error}");
    assert_eq!(error.code(), "model_unsupported");
    assert_eq!(error.hint().unwrap(), "use a model whose architecture is bert");
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let refused = |file: &str, change: fn(&mut Value)| {
        let dir = tempfile::tempdir().unwrap();
        write_tiny_model(dir.path(), 1).unwrap();
        edit(dir.path(), file, change);
        EncoderSpec::read(dir.path()).unwrap_err()
    };
    let unsupported = |error| assert!(matches!(error, ModelError::Unsupported { .. }), "{error}");
    let invalid = |error| assert!(matches!(error, ModelError::ConfigInvalid { .. }), "{error}");
    unsupported(refused("config.json", |config| config["hidden_act"] = json!("relu")));
    unsupported(refused("config.json", |config| config["position_embedding_type"] = json!("relative_key")));
    unsupported(refused("modules.json", |modules| {
        modules[2]["type"] = json!("sentence_transformers.models.Dense")
    }));
    // Two modes at once: their concatenation.
    unsupported(refused("1_Pooling/config.json", |config| config["pooling_mode_lasttoken"] = json!(true)));
    unsupported(refused("1_Pooling/config.json", |config| config["pooling_mode"] = json!(["cls", "mean"])));
    invalid(refused("config.json", |config| config["hidden_size"] = json!(33)));
    invalid(refused("config.json", |config| config["hidden_size"] = json!(u64::MAX)));
    invalid(refused("config.json", |config| config["num_attention_heads"] = json!(0)));
    invalid(refused("config.json", |config| config["num_hidden_layers"] = json!("two")));
    invalid(refused("config.json", |config| config["model_type"] = Value::Null));
    invalid(refused("modules.json", |modules| modules[1]["path"] = json!("../elsewhere")));
    invalid(refused("sentence_bert_config.json", |config| config["max_seq_length"] = json!(2)));
}
