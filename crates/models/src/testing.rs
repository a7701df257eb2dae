//! A tiny seeded model for tests: complete, in the sentence-transformers layout, made in milliseconds.
//!
//! Its weights are random, so its embeddings mean nothing; but distinct common words have distinct
//! embeddings, which pass the layers nearly unchanged, so that a head can learn toy tasks such as "good"
//! against "bad".

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::random::SplitMix64;
use crate::tensor_file::{NamedTensor, write_tensors};
use crate::{EncoderSpec, ModelError, Result};

const HIDDEN: usize = 32;
const FEED_FORWARD: usize = 64;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const WINDOW: usize = 64;

/// Words that are one token each.
const WORDS: &str = "\
the a an and or but not no yes if of to in on at by for from with without about as is are was were be been am do does \
did have has had will would can could should may i me my you your he him his she her it its we us our they them their \
this that these those there here what who when where why how which all any some many much more most few less very too \
so just only also even still again never always often now then today night day week month year time old new big small \
good bad great terrible awful excellent amazing horrible love loved hate hated like liked dislike enjoy best worst \
better worse nice poor fine ok okay happy sad angry fast slow cheap expensive easy hard broken perfect useless useful \
wonderful boring fun funny beautiful ugly clean dirty fresh stale hot cold warm bright dark loud quiet strong weak \
recommend refund return returned buy bought price money quality product service delivery support battery screen phone \
laptop camera keyboard sound coffee tea food pizza restaurant hotel room staff waiter movie film book story plot actor \
music song game car bike shoes shirt dress bag box order card bank account transfer payment charge fee balance credit \
cash password login email address name question answer help problem issue error works work working stopped died \
arrived late early lost found open close sport sports team match goal player win won lose business market stock \
company science technology computer software data model world government president war peace city country water \
cat dog bird tree house home family friend child people man woman one two three four five six seven eight nine ten";

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Writes a tiny BERT to `dir`, which is made if need be, and returns its spec. For tests.
///
/// Hidden size 32, 2 layers, 4 heads, window 64, mean pooling, unit length. Equal seeds give equal files;
/// different seeds different weights and the same tokenizer.
///
/// # Errors
/// `FileAccess`.
pub fn write_tiny_model(dir: &Path, seed: u64) -> Result<EncoderSpec> {
    let pooling = dir.join("1_Pooling");
    std::fs::create_dir_all(&pooling).map_err(|source| ModelError::access(&pooling, "written", source))?;
    let vocab = vocabulary();
    let write = |name: &str, value: Value| -> Result<()> {
        let path = dir.join(name);
        std::fs::write(&path, value.to_string())
            .map_err(|source| ModelError::access(&path, "written", source))
    };
    write("config.json", config(vocab.len()))?;
    write("tokenizer.json", tokenizer(&vocab))?;
    write("modules.json", modules())?;
    write(
        "1_Pooling/config.json",
        json!({"word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": true}),
    )?;
    write("sentence_bert_config.json", json!({"max_seq_length": WINDOW, "do_lower_case": false}))?;
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    write_tensors(&dir.join("model.safetensors"), &metadata, &tensors(vocab.len(), seed))?;
    EncoderSpec::read(dir)
}

/// Returns the word pieces in the order of their ids.
fn vocabulary() -> Vec<String> {
    let mut pieces: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).to_vec();
    let alphanumerics = ('a'..='z').chain('0'..='9');
    pieces.extend(PUNCTUATION.chars().map(String::from));
    pieces.extend(alphanumerics.clone().map(String::from));
    pieces.extend(alphanumerics.map(|c| format!("##{c}")));
    pieces.extend(["##s", "##ed", "##ing", "##ly", "##er"].map(str::to_owned));
    pieces.extend(WORDS.split_whitespace().map(str::to_owned));
    let mut seen = std::collections::HashSet::new();
    pieces.retain(|piece| seen.insert(piece.clone()));
    pieces
}

fn config(vocab: usize) -> Value {
    json!({
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": WINDOW,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "type_vocab_size": 2,
        "vocab_size": vocab,
    })
}

fn modules() -> Value {
    let module = |idx: usize, path: &str, kind: &str| {
        let kind = format!("sentence_transformers.models.{kind}");
        json!({"idx": idx, "name": idx.to_string(), "path": path, "type": kind})
    };
    json!([
        module(0, "", "Transformer"),
        module(1, "1_Pooling", "Pooling"),
        module(2, "2_Normalize", "Normalize")
    ])
}

fn tokenizer(vocab: &[String]) -> Value {
    let ids: serde_json::Map<String, Value> =
        vocab.iter().enumerate().map(|(id, piece)| (piece.clone(), json!(id))).collect();
    let added = |id: usize| {
        let content = &vocab[id];
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let special = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |name: &str, type_id: usize| json!({"Sequence": {"id": name, "type_id": type_id}});
    let tokens = |name: &str| json!({"id": name, "ids": [ids[name]], "tokens": [name]});
    let last = json!({"SpecialToken": {"id": "[SEP]", "type_id": 1}});
    json!({
        "version": "1.0",
        // Both as in published models, so that tests see that they are overridden.
        "truncation": {"max_length": 16, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [added(0), added(1), added(2), added(3), added(4)],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]"), text("A", 0), special("[SEP]")],
            "pair": [special("[CLS]"), text("A", 0), special("[SEP]"), text("B", 1), last],
            "special_tokens": {"[CLS]": tokens("[CLS]"), "[SEP]": tokens("[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids},
    })
}

fn tensors(vocab: usize, seed: u64) -> Vec<NamedTensor> {
    let mut random = SplitMix64::new(seed);
    let mut out = Vec::new();
    let mut tensor = |name: String, shape: &[usize], mean: f64, spread: f64| {
        let count = shape.iter().product();
        let values = (0..count).map(|_| (mean + spread * random.normal()) as f32).collect();
        out.push(NamedTensor { name, shape: shape.to_vec(), values });
    };
    tensor("embeddings.word_embeddings.weight".to_owned(), &[vocab, HIDDEN], 0.0, 1.0);
    tensor("embeddings.position_embeddings.weight".to_owned(), &[WINDOW, HIDDEN], 0.0, 0.1);
    tensor("embeddings.token_type_embeddings.weight".to_owned(), &[2, HIDDEN], 0.0, 0.1);
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..LAYERS {
        let at = |name: &str| format!("encoder.layer.{layer}.{name}");
        let linears = [
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", FEED_FORWARD, HIDDEN),
            ("output.dense", HIDDEN, FEED_FORWARD),
        ];
        for (name, outputs, inputs) in linears {
            tensor(at(&format!("{name}.weight")), &[outputs, inputs], 0.0, 0.1);
            tensor(at(&format!("{name}.bias")), &[outputs], 0.0, 0.02);
        }
        norms.extend([at("attention.output.LayerNorm"), at("output.LayerNorm")]);
    }
    for norm in norms {
        tensor(format!("{norm}.weight"), &[HIDDEN], 1.0, 0.02);
        tensor(format!("{norm}.bias"), &[HIDDEN], 0.0, 0.02);
    }
    out
}
