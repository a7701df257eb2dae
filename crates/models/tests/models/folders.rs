//! What a model's folder says is computed or refused by file and key.

use std::fs;
use std::path::Path;

use nightjar_errors::Failure;
use nightjar_models::testing::write_tiny_model;
use nightjar_models::{ModelError, Pooling, TextEncoder, check_folder};
use serde_json::{Value, json};

fn edit(dir: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = dir.join(file);
    let mut value = fs::read(&path).map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

fn tiny(file: &str, change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 1).unwrap();
    edit(dir.path(), file, change);
    dir
}

/// Changes the header of the weights as text; the names must keep their order of offsets.
fn rename_tensors(dir: &Path, change: impl FnOnce(String) -> String) {
    let path = dir.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = change(String::from_utf8(bytes[8..8 + length].to_vec()).unwrap());
    let parts = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &bytes[8 + length..]];
    fs::write(&path, parts.concat()).unwrap();
}

#[test]
fn settings_that_would_be_left_undone_are_refused_by_file_and_key() {
    let cases: &[(&str, Value, &str)] = &[
        ("config.json", json!({"architectures": ["BertForSequenceClassification"]}), "architectures"),
        ("config.json", json!({"architectures": ["BertForTokenClassification"]}), "architectures"),
        ("config.json", json!({"architectures": null, "id2label": {"0": "neg", "1": "pos"}}), "id2label"),
        ("config.json", json!({"is_decoder": true}), "is_decoder"),
        ("config.json", json!({"add_cross_attention": true}), "add_cross_attention"),
        (
            "config.json",
            json!({"quantization_config": {"quant_method": "bitsandbytes"}}),
            "quantization_config",
        ),
        ("config.json", json!({"auto_map": {"AutoModel": "modeling.Own"}}), "auto_map.AutoModel"),
        ("config.json", json!({"pruned_heads": {"0": [1]}}), "pruned_heads"),
        (
            "sentence_bert_config.json",
            json!({"transformer_task": "sequence-classification"}),
            "transformer_task",
        ),
        (
            "config_sentence_transformers.json",
            json!({"prompts": {"query": "it's a query: "}, "default_prompt_name": "query"}),
            "default_prompt_name",
        ),
        (
            "config_sentence_transformers.json",
            json!({"similarity_fn_name": "euclidean"}),
            "similarity_fn_name",
        ),
        ("config_sentence_transformers.json", json!({"model_type": "CrossEncoder"}), "model_type"),
        ("tokenizer_config.json", json!({"truncation_side": "left"}), "truncation_side"),
        ("tokenizer_config.json", json!({"do_lower_case": false}), "do_lower_case"),
        ("tokenizer_config.json", json!({"tokenize_chinese_chars": false}), "tokenize_chinese_chars"),
        ("tokenizer.json", json!({"truncation": {"direction": "Left"}}), "truncation.direction"),
    ];
    for (file, settings, key) in cases {
        let dir = tiny(file, |value| {
            let settings = settings.as_object().unwrap().clone();
            value.as_object_mut().unwrap().extend(settings);
        });
        let error = check_folder(dir.path()).unwrap_err();
        let ModelError::SettingUnsupported { path, key: found, .. } = &error else {
            panic!("{key}: {error}");
        };
        assert_eq!((path, found.as_str()), (&dir.path().join(file), *key), "{error}");
        let hint = error.hint().unwrap();
        assert!(!hint.contains("fetch") && !hint.is_empty(), "{hint}");
        let error = error.relocated(dir.path(), Path::new("/models/mine"));
        assert!(error.to_string().contains(&format!("'/models/mine/{file}' sets {key} to")), "{error}");
    }
    let dir = tiny(cases[9].0, |value| *value = cases[9].1.clone());
    let hint = check_folder(dir.path()).unwrap_err().hint().unwrap();
    assert!(hint.ends_with("embed('it''s a query: ' || text)"), "{hint}");
}

#[test]
fn settings_without_effect_are_taken() {
    for (file, settings) in [
        ("config.json", json!({"architectures": ["BertForMaskedLM"], "id2label": {"0": "neg"}})),
        ("config.json", json!({"architectures": null, "id2label": {"0": "LABEL_0"}, "is_decoder": false})),
        ("config.json", json!({"hidden_act": "gelu_python"})),
        (
            "config_sentence_transformers.json",
            json!({"prompts": {"query": ""}, "default_prompt_name": "query"}),
        ),
        ("config_sentence_transformers.json", json!({"similarity_fn_name": "dot"})),
        ("1_Pooling/config.json", json!({"include_prompt": false})),
        ("1_Pooling/config.json", json!({"pooling_mode": ["mean"], "pooling_mode_mean_tokens": null})),
        ("tokenizer_config.json", json!({"truncation_side": "right", "do_lower_case": true})),
    ] {
        let dir = tiny(file, |value| {
            let settings = settings.as_object().unwrap().clone();
            value.as_object_mut().unwrap().extend(settings);
        });
        assert_eq!(check_folder(dir.path()).unwrap().notes, Vec::<String>::new(), "{file} {settings}");
    }
}

#[test]
fn prompts_that_a_caller_may_ask_for_are_noted_unless_the_pooling_leaves_them_out() {
    let prompts = json!({"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": null});
    let dir = tiny("config_sentence_transformers.json", |value| *value = prompts);
    let notes = check_folder(dir.path()).unwrap().notes;
    assert_eq!(notes, ["prompt 'query' is used where you write it: embed('query: ' || text)"]);
    edit(dir.path(), "1_Pooling/config.json", |value| value["include_prompt"] = json!(false));
    let error = check_folder(dir.path()).unwrap_err();
    assert!(error.to_string().contains("1_Pooling/config.json' sets include_prompt to 'false'"), "{error}");
}

#[test]
fn modules_are_computed_in_one_order() {
    let module = |kind: &str, path: &str| json!({"type": format!("sentence_transformers.models.{kind}"), "path": path});
    let [transformer, pooling] = [module("Transformer", ""), module("Pooling", "1_Pooling")];
    let [normalize, dropout] = [module("Normalize", "2_Normalize"), module("Dropout", "3_Dropout")];
    let checked = |modules: &[&Value]| {
        check_folder(tiny("modules.json", |value| *value = json!(modules)).path()).map(|checked| checked.spec)
    };
    assert!(checked(&[&transformer, &pooling, &normalize]).unwrap().normalize);
    assert!(!checked(&[&transformer, &pooling, &dropout]).unwrap().normalize);
    for wrong in [
        &[&transformer][..],
        &[&transformer, &normalize, &pooling],
        &[&transformer, &pooling, &pooling],
        &[&module("Transformer", "0_Transformer"), &pooling],
        &[&transformer, &pooling, &module("Dense", "2_Dense")],
        &[&transformer, &pooling, &module("LayerNorm", "2_LayerNorm")],
    ] {
        let error = checked(wrong).unwrap_err();
        assert!(error.to_string().contains("modules.json"), "{error}");
    }
}

#[test]
fn the_pooling_may_lie_in_any_folder() {
    let dir = tiny("modules.json", |modules| modules[1]["path"] = json!("pooling"));
    fs::create_dir(dir.path().join("pooling")).unwrap();
    fs::write(dir.path().join("pooling/config.json"), r#"{"pooling_mode_cls_token": true}"#).unwrap();
    assert_eq!(check_folder(dir.path()).unwrap().spec.pooling, Pooling::Cls);
}

#[test]
fn tensors_beside_the_encoder_are_refused_unless_they_served_pretraining() {
    let refused = |name: &str| {
        let dir = tempfile::tempdir().unwrap();
        write_tiny_model(dir.path(), 1).unwrap();
        let more = format!(r#"{{"{name}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}},"#);
        rename_tensors(dir.path(), |header| header.replacen('{', &more, 1));
        check_folder(dir.path()).err()
    };
    for name in [
        "classifier.weight",
        "score.weight",
        "encoder.layer.0.attention.self.query.lora_A.weight",
        "encoder.layer.1.adapters.down.weight",
        "encoder.layer.0.output.dense.weight_scale",
    ] {
        assert!(refused(name).unwrap().to_string().contains(name), "{name}");
    }
    for name in
        ["cls.predictions.bias", "pooler.dense.weight", "embeddings.position_ids", "encoder.layer.7.x"]
    {
        assert!(refused(name).is_none(), "{name}");
    }
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 1).unwrap();
    rename_tensors(dir.path(), |header| header.replacen("\"F32\"", "\"I32\"", 1));
    let error = check_folder(dir.path()).unwrap_err();
    assert!(error.to_string().contains("of type I32': quantised"), "{error}");
}

#[test]
fn layer_norms_by_their_older_names_give_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 1).unwrap();
    let embed = || TextEncoder::load(dir.path()).unwrap().embed(&["good coffee", "bad"]).unwrap();
    let plain = embed();
    rename_tensors(dir.path(), |header| {
        let header =
            header.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        header.replace("\"embeddings.", "\"bert.embeddings.").replace("\"encoder.", "\"bert.encoder.")
    });
    check_folder(dir.path()).unwrap();
    assert_eq!(embed(), plain);
}
