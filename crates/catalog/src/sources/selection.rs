//! Which files of a model's folder are taken, and which folders are refused.

use crate::error::{CatalogError, Result};
use crate::manifest::is_plain_relative;

/// Endings of files that Python's pickle wrote.
const PICKLES: &[&str] = &[".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"];

/// The file that says that a folder holds an adapter over another model's weights.
const ADAPTER: &str = "adapter_config.json";

/// Files that tokenizers are made from by programs that have no tokenizer.json.
const VOCABULARIES: &[&str] =
    &["vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"];

/// Folders that hold the model once more, in formats of other programs.
const EXPORTS: &[&str] = &["onnx", "openvino", "coreml"];

/// The file that holds a model's weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// The files to take of a folder that holds `names`: the encoder's configuration, the tokenizer
/// and the weights as safetensors; no copies of the weights in other formats, no code.
///
/// Errors, which name `origin`: a name that leaves the folder, only pickled weights, weights in
/// several files, an adapter, a tokenizer of another kind, a missing file.
pub(crate) fn select(origin: &str, names: &[String]) -> Result<Vec<String>> {
    let origin = || origin.to_string();
    if let Some(file) = names.iter().find(|name| !is_plain_relative(name)) {
        return Err(CatalogError::FileOutside { origin: origin(), file: file.clone() });
    }
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if !has(WEIGHTS) {
        let ending_in = |endings: &[&str]| -> Vec<String> {
            let top = names.iter().filter(|name| !name.contains('/'));
            top.filter(|name| endings.iter().any(|ending| name.ends_with(ending))).cloned().collect()
        };
        let (safe, pickled) = (ending_in(&[".safetensors"]), ending_in(PICKLES));
        if !has(ADAPTER) && !safe.is_empty() {
            return Err(CatalogError::WeightsUnsupported { origin: origin(), files: safe });
        }
        if !pickled.is_empty() {
            return Err(CatalogError::PickleOnly { origin: origin(), files: pickled });
        }
    }
    if has(ADAPTER) {
        return Err(CatalogError::AdapterUnsupported { origin: origin(), file: ADAPTER.into() });
    }
    let others: Vec<String> =
        names.iter().filter(|name| VOCABULARIES.contains(&name.as_str())).cloned().collect();
    if !has("tokenizer.json") && !others.is_empty() {
        return Err(CatalogError::TokenizerUnsupported { origin: origin(), files: others });
    }
    if let Some(file) = ["config.json", "tokenizer.json", WEIGHTS].into_iter().find(|file| !has(file)) {
        return Err(CatalogError::FileMissing { origin: origin(), file: file.into() });
    }
    let mut taken: Vec<String> = names.iter().filter(|name| is_needed(name)).cloned().collect();
    taken.sort();
    taken.dedup();
    Ok(taken)
}

/// The folders below hold the configurations of the steps after the encoder, which modules.json lists by path: `1_Pooling` as a
/// rule, but any name will do.
fn is_needed(name: &str) -> bool {
    const NEEDED: &[&str] = &[
        "config.json",
        "tokenizer.json",
        WEIGHTS,
        "modules.json",
        "config_sentence_transformers.json",
        "sentence_bert_config.json",
        "tokenizer_config.json",
    ];
    let is_module = |folder: &str| !EXPORTS.contains(&folder);
    NEEDED.contains(&name)
        || matches!(name.split_once('/'), Some((folder, "config.json")) if is_module(folder))
}

#[cfg(test)]
mod tests {
    use nightjar_errors::Failure;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn takes_what_is_needed_and_nothing_else() {
        let all = names(&[
            "README.md",
            "config.json",
            "tokenizer.json",
            "model.safetensors",
            "pytorch_model.bin",
            "modules.json",
            "1_Pooling/config.json",
            "onnx/model.onnx",
            "onnx/config.json",
            "vocab.txt",
            "code.py",
            "tokenizer_config.json",
            "config_sentence_transformers.json",
            "pooling/config.json",
        ]);
        let expected = [
            "1_Pooling/config.json",
            "config.json",
            "config_sentence_transformers.json",
            "model.safetensors",
            "modules.json",
            "pooling/config.json",
            "tokenizer.json",
            "tokenizer_config.json",
        ];
        assert_eq!(select("x", &all).unwrap(), expected);
    }

    #[test]
    fn refuses_by_reason() {
        let error = |list: &[&str]| select("hf://a/b", &names(list)).unwrap_err();
        let pickled = error(&["config.json", "tokenizer.json", "pytorch_model.bin"]);
        assert!(matches!(&pickled, CatalogError::PickleOnly { .. }));
        assert!(
            pickled.to_string().contains("pytorch_model.bin") && pickled.to_string().contains("any code")
        );
        let shards = error(&["config.json", "tokenizer.json", "model-00001-of-00002.safetensors", "a.bin"]);
        assert!(matches!(shards, CatalogError::WeightsUnsupported { .. }));
        for vocabulary in ["vocab.txt", "spiece.model"] {
            let error = error(&["config.json", vocabulary, "model.safetensors"]);
            assert_eq!(error.code(), "tokenizer_unsupported");
            assert!(error.to_string().contains(vocabulary), "{error}");
        }
        let whole = ["config.json", "tokenizer.json", "model.safetensors", "adapter_config.json"];
        for names in [&whole[..], &["adapter_config.json", "adapter_model.safetensors"]] {
            let error = error(names);
            assert_eq!(error.code(), "adapter_unsupported");
            assert!(error.hint().unwrap().contains("merge_and_unload"), "{error}");
        }
        let missing = error(&["model.safetensors", "config.json"]);
        assert!(matches!(&missing, CatalogError::FileMissing { file, .. } if file == "tokenizer.json"));
        assert!(matches!(error(&[]), CatalogError::FileMissing { .. }));
        for hostile in ["../config.json", "/etc/passwd", "a/../../b"] {
            let error = error(&["config.json", "tokenizer.json", "model.safetensors", hostile]);
            assert!(matches!(&error, CatalogError::FileOutside { file, .. } if file == hostile), "{hostile}");
        }
    }
}
