//! Whether a model's folder asks for something that would be left undone: checked once, before a model enters a store.
//!
//! [`EncoderSpec::read`] refuses what the encoder can't compute. The settings here would change an embedding, or belong to a part
//! beside the encoder, and nothing would fail if they were passed over. A model that is in a store already is not checked again.

use std::path::Path;

use serde_json::Value;

use crate::architecture::with_weights;
use crate::config::ConfigFile;
use crate::{EncoderSpec, ModelError, Result};

/// What a folder that passed the check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedFolder {
    /// The encoder's facts.
    pub spec: EncoderSpec,
    /// What its user should know: settings that have no effect unless a caller asks for them.
    pub notes: Vec<String>,
}

/// Checks the model in `dir`: everything that its files say is computed, has no effect on an embedding, or is refused.
///
/// Cost: reads the small files and the header of the weights.
///
/// # Errors
/// Those of [`EncoderSpec::read`]; `SettingUnsupported` with the file and the key; `WeightsInvalid`.
pub fn check_folder(dir: &Path) -> Result<CheckedFolder> {
    let spec = EncoderSpec::read(dir)?;
    let config = ConfigFile::read(&dir.join("config.json"))?;
    check_config(&config)?;
    check_sentence_config(dir)?;
    let poolings = check_modules(dir, &spec)?;
    let notes = check_prompts(dir, &spec, &poolings)?;
    check_tokenizer(dir)?;
    check_tensors(dir, &spec)?;
    Ok(CheckedFolder { spec, notes })
}

/// Architectures of config.json whose encoder is all that an embedding needs: what else they have is for pretraining.
const ENCODER_ALONE: &[&str] =
    &["BertModel", "BertForMaskedLM", "BertForPreTraining", "BertForNextSentencePrediction"];

const ENCODER_COPY: &str = "embed() needs a model that was trained for embeddings, such as all-MiniLM-L6-v2";

fn check_config(config: &ConfigFile) -> Result<()> {
    let mut stated = false;
    for name in config.get("architectures").and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if !ENCODER_ALONE.contains(&name) {
            let reason = "the head beside the encoder is not read";
            return Err(config.refused("architectures", name, reason, ENCODER_COPY));
        }
        stated = true;
    }
    let labels = config.get("id2label").and_then(Value::as_object).into_iter().flatten();
    let given = |label: &Value| !label.as_str().is_some_and(|label| label.starts_with("LABEL_"));
    if !stated && let Some((_, label)) = labels.into_iter().find(|(_, label)| given(label)) {
        let reason = "the classifier that these labels belong to is not read";
        return Err(config.refused("id2label", &label.to_string(), reason, ENCODER_COPY));
    }
    for (key, reason) in [
        ("is_decoder", "attention that sees only what comes before a token is not computed"),
        ("add_cross_attention", "attention to a second input is not computed"),
    ] {
        if config.flag(key)? {
            return Err(config.refused(key, "true", reason, "use an encoder, where it is false"));
        }
    }
    if let Some(quantization) = config.get("quantization_config") {
        let method = quantization.get("quant_method").unwrap_or(quantization).to_string();
        let advice = "use the model with weights in f32, f16 or bf16; SET nightjar.precision = 'int8' computes it in int8";
        return Err(config.refused("quantization_config", &method, "quantised weights are not read", advice));
    }
    if let Some(code) = config.get("auto_map").and_then(|map| map.get("AutoModel")) {
        let reason = "the layers are code of the model's own, which is never run";
        return Err(config.refused(
            "auto_map.AutoModel",
            &code.to_string(),
            reason,
            "use a model of plain BERT layers",
        ));
    }
    if config.get("pruned_heads").and_then(Value::as_object).is_some_and(|heads| !heads.is_empty()) {
        let reason = "layers with different numbers of attention heads are not computed";
        return Err(config.refused("pruned_heads", "a list", reason, "use the model with all its heads"));
    }
    Ok(())
}

fn check_sentence_config(dir: &Path) -> Result<()> {
    let Some(file) = ConfigFile::read_if_there(&dir.join("sentence_bert_config.json"))? else {
        return Ok(());
    };
    if file.get("transformer_task").is_some() {
        let task = file.text("transformer_task")?;
        if task != "feature-extraction" {
            let reason = "only the encoder's token vectors are computed";
            return Err(file.refused("transformer_task", task, reason, ENCODER_COPY));
        }
    }
    Ok(())
}

/// Checks the order of the modules; returns the configurations of the poolings.
fn check_modules(dir: &Path, spec: &EncoderSpec) -> Result<Vec<ConfigFile>> {
    let Some(file) = ConfigFile::read_if_there(&dir.join("modules.json"))? else {
        return Ok(Vec::new());
    };
    let mut poolings = Vec::new();
    let mut kinds = Vec::new();
    for module in file.root().as_array().into_iter().flatten() {
        let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
        let kind = text("type").rsplit('.').next().unwrap_or_default().to_owned();
        if kind == "Transformer" && !text("path").is_empty() {
            let advice = "move that folder's files beside modules.json and make its path empty";
            let reason = "the encoder is read from the folder itself";
            return Err(file.refused("path of the Transformer", text("path"), reason, advice));
        }
        if kind == "Pooling" {
            let path = module.get("path").and_then(Value::as_str).unwrap_or("1_Pooling");
            poolings.push(ConfigFile::read(&dir.join(path).join("config.json"))?);
        }
        kinds.push(kind);
    }
    kinds.retain(|kind| kind != "Dropout");
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    if !matches!(kinds.as_slice(), ["Transformer", "Pooling"] | ["Transformer", "Pooling", "Normalize"]) {
        let advice = "the modules that are computed are Transformer, Pooling and, last, Normalize";
        return Err(file.refused(
            "type",
            &kinds.join(", "),
            "modules in this order are not computed",
            advice,
        ));
    }
    for pooling in &poolings {
        for key in ["word_embedding_dimension", "embedding_dimension"] {
            if pooling.get(key).is_some() && pooling.count(key, usize::MAX)? != spec.dim {
                let found = pooling.count(key, usize::MAX)?;
                return Err(pooling.invalid(format!("{key} is {found}, but hidden_size is {}", spec.dim)));
            }
        }
    }
    Ok(poolings)
}

/// Checks what a plain `encode` would do to a text or with an embedding; returns notes about prompts that a caller may ask for.
fn check_prompts(dir: &Path, spec: &EncoderSpec, poolings: &[ConfigFile]) -> Result<Vec<String>> {
    let Some(file) = ConfigFile::read_if_there(&dir.join("config_sentence_transformers.json"))? else {
        return Ok(Vec::new());
    };
    if file.get("model_type").is_some() && file.text("model_type")? != "SentenceTransformer" {
        let kind = file.text("model_type")?;
        let reason = "only models that make one dense vector of a text are read";
        return Err(file.refused("model_type", kind, reason, ENCODER_COPY));
    }
    let mut prompts = Vec::new();
    for (name, prompt) in file.get("prompts").and_then(Value::as_object).into_iter().flatten() {
        let prompt =
            prompt.as_str().ok_or_else(|| file.invalid(format!("prompt '{name}' is not a string")))?;
        prompts.push((name.as_str(), prompt));
    }
    if file.get("default_prompt_name").is_some() {
        let default = file.text("default_prompt_name")?;
        let Some((_, prompt)) = prompts.iter().find(|(name, _)| *name == default) else {
            return Err(
                file.invalid(format!("default_prompt_name is '{default}', which is not among the prompts"))
            );
        };
        if !prompt.is_empty() {
            let advice = format!(
                "in a copy of the folder, set default_prompt_name to null, and write the prompt in SQL: embed({} || text)",
                quoted(prompt)
            );
            let reason = "a default prompt is not put before texts yet";
            return Err(file.refused("default_prompt_name", default, reason, advice));
        }
    }
    prompts.retain(|(_, prompt)| !prompt.is_empty());
    if let Some(pooling) =
        poolings.iter().find(|pooling| pooling.get("include_prompt") == Some(&Value::Bool(false)))
        && let Some((name, _)) = prompts.first()
    {
        let reason = "a prompt's tokens can't be left out of the pooling yet";
        let advice =
            format!("use a model whose pooling includes the prompt; this one has the prompt '{name}'");
        return Err(pooling.refused("include_prompt", "false", reason, advice));
    }
    check_similarity(&file, spec)?;
    let note = |(name, prompt): &(&str, &str)| {
        format!("prompt '{name}' is used where you write it: embed({} || text)", quoted(prompt))
    };
    Ok(prompts.iter().map(note).collect())
}

fn check_similarity(file: &ConfigFile, spec: &EncoderSpec) -> Result<()> {
    if file.get("similarity_fn_name").is_none() {
        return Ok(());
    }
    let function = file.text("similarity_fn_name")?;
    // Vectors of unit length have their cosine as dot product.
    if function == "cosine" || (function == "dot" && spec.normalize) {
        return Ok(());
    }
    let instead = match function {
        "dot" => "dot_product(embed(a), embed(b))",
        "euclidean" => "l2_distance(embed(a), embed(b))",
        _ => "a function of embed(a) and embed(b)",
    };
    let advice = format!(
        "in a copy of the folder, set similarity_fn_name to \"cosine\"; for this model's own, write {instead}"
    );
    Err(file.refused("similarity_fn_name", function, "similarity() is the cosine for all models", advice))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Checks that tokenizer_config.json asks for nothing that tokenizer.json does not do.
fn check_tokenizer(dir: &Path) -> Result<()> {
    let tokenizer = ConfigFile::read(&dir.join("tokenizer.json"))?;
    let left = "texts that are too long are cut at their end";
    let advice =
        "in a copy of the folder, set it to right, if the model is to read the beginnings of long texts";
    let config = ConfigFile::read_if_there(&dir.join("tokenizer_config.json"))?;
    let side = config.as_ref().filter(|config| config.get("truncation_side").is_some());
    match side {
        Some(config) if config.text("truncation_side")? != "right" => {
            return Err(config.refused("truncation_side", config.text("truncation_side")?, left, advice));
        }
        Some(_) => {}
        None => {
            let direction = tokenizer.get("truncation").and_then(|truncation| truncation.get("direction"));
            if direction.and_then(Value::as_str) == Some("Left") {
                return Err(tokenizer.refused("truncation.direction", "Left", left, advice));
            }
        }
    }
    let (Some(config), Some(normalizer)) = (config, bert_normalizer(tokenizer.get("normalizer"))) else {
        return Ok(());
    };
    // Readers differ in which of the two files counts.
    for (key, own) in [
        ("do_lower_case", "lowercase"),
        ("strip_accents", "strip_accents"),
        ("tokenize_chinese_chars", "handle_chinese_chars"),
    ] {
        let (asked, done) =
            (config.get(key).and_then(Value::as_bool), normalizer.get(own).and_then(Value::as_bool));
        if let (Some(asked), Some(done)) = (asked, done)
            && asked != done
        {
            let reason = "tokenizer.json does the opposite";
            let advice = format!(
                "make {key} and the normalizer's {own} in tokenizer.json agree, in a copy of the folder"
            );
            return Err(config.refused(key, &asked.to_string(), reason, advice));
        }
    }
    Ok(())
}

fn bert_normalizer(normalizer: Option<&Value>) -> Option<&Value> {
    let normalizer = normalizer?;
    if normalizer.get("type").and_then(Value::as_str) == Some("BertNormalizer") {
        return Some(normalizer);
    }
    let inner = normalizer.get("normalizers").and_then(Value::as_array)?;
    inner.iter().find_map(|normalizer| bert_normalizer(Some(normalizer)))
}

/// Checks that the weights hold nothing beside the encoder that an embedding would have to pass.
fn check_tensors(dir: &Path, spec: &EncoderSpec) -> Result<()> {
    with_weights(dir, |architecture, _, weights| {
        for full in weights.names() {
            let name = full.strip_prefix(weights.prefix()).unwrap_or(&full);
            if !architecture.knows_tensor(name, spec.layers) {
                return Err(ModelError::SettingUnsupported {
                    path: weights.path().to_owned(),
                    key: "tensor".to_owned(),
                    found: full,
                    reason: "it belongs to no part of the encoder",
                    advice: format!("{ENCODER_COPY}; adapters and heads have to be merged or left out first"),
                });
            }
            if architecture.reads_tensor(name, spec.layers) && !weights.is_float(name)? {
                let found = format!("{full} of type {}", weights.type_name(name)?);
                return Err(ModelError::SettingUnsupported {
                    path: weights.path().to_owned(),
                    key: "tensor".to_owned(),
                    found,
                    reason: "quantised weights are not read",
                    advice: "use the model with weights in f32, f16, bf16 or f64".to_owned(),
                });
            }
        }
        Ok(())
    })
}
