//! What the tests share: a model's files small enough to write out, cards, and child processes.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nightjar_catalog::{Digest, KnownFile, KnownModel, KnownWheel, ModelCard, NewModel, Store, Task};
use nightjar_models::EncoderSpec;

/// A model directory that `EncoderSpec::read` accepts; weights and tokenizer are never opened here.
pub fn model_files() -> Vec<(&'static str, Vec<u8>)> {
    let config = r#"{"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 500, "max_position_embeddings": 64,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "position_embedding_type": "absolute"}"#;
    let modules = r#"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;
    let pooling = r#"{"word_embedding_dimension": 32, "pooling_mode_mean_tokens": true}"#;
    vec![
        ("1_Pooling/config.json", pooling.into()),
        ("config.json", config.into()),
        ("model.safetensors", weights()),
        ("modules.json", modules.into()),
        ("sentence_bert_config.json", br#"{"max_seq_length": 64, "do_lower_case": false}"#.to_vec()),
        ("tokenizer.json", br#"{"version": "1.0"}"#.to_vec()),
    ]
}

/// A safetensors file with one tensor.
fn weights() -> Vec<u8> {
    let data: Vec<u8> = (0..200_000u32).flat_map(|n| (n % 251).to_le_bytes()).collect();
    let header = format!(
        r#"{{"cls.unused": {{"dtype": "U8", "shape": [{0}], "data_offsets": [0, {0}]}}}}"#,
        data.len()
    );
    [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), &data].concat()
}

pub fn write_files(dir: &Path, files: &[(&'static str, Vec<u8>)]) {
    for (path, bytes) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

pub fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path().to_str()).unwrap()
}

/// How many folders are published, and how many entries the staging folder has.
pub fn census(store: &Store) -> (usize, usize) {
    let count = |name: &str| fs::read_dir(store.root().join(name)).unwrap().count();
    (count("artifacts"), count("staging"))
}

pub fn card(task: Task) -> ModelCard {
    let body = Digest::of(b"body");
    ModelCard { task, ..ModelCard::base_model(body, EncoderSpec::default(), "hf://org/repo@1") }
}

pub fn new_model(name: &str, task: Task) -> NewModel {
    NewModel { name: name.into(), card: card(task), digest: Digest::of(b"head"), run: None }
}

/// This test program again, to run only the ignored test `name`, with `NIGHTJAR_TEST` = `argument`.
pub fn child(name: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("NIGHTJAR_TEST", argument).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the parent gave this child; `None` when someone runs the ignored tests by hand.
pub fn argument() -> Option<String> {
    std::env::var("NIGHTJAR_TEST").ok()
}

/// A known model whose pins are these files. Leaked: known models are static.
pub fn pinned(files: &[(&'static str, Vec<u8>)], wheel: Option<KnownWheel>) -> &'static KnownModel {
    let pin = |(path, bytes): &(&'static str, Vec<u8>)| {
        let digest: &'static str = Digest::of(bytes).to_string().leak();
        KnownFile { path, size: bytes.len() as u64, sha256: vec![digest].leak() }
    };
    let files: Vec<KnownFile> = files.iter().map(pin).collect();
    Box::leak(Box::new(KnownModel {
        name: "tiny",
        repo: "org/tiny",
        revision: "0123456789abcdef0123456789abcdef01234567",
        wheel,
        files: files.leak(),
    }))
}
