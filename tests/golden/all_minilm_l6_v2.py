"""Writes all_minilm_l6_v2.json: embeddings and token counts of a few sentences, to compare Nightjar's with.

An implementation of its own, from the BERT paper (Devlin et al. 2019) and the model's config.json: NumPy in float64, no
batching, no shared code. Tokens come from the `tokenizers` library.

    pip install numpy==2.4.6 safetensors tokenizers==0.23.3
    python all_minilm_l6_v2.py FOLDER_OF_THE_MODEL
"""

import json
import sys
from math import erf
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

SENTENCES = [
    "The ferry to the island leaves at seven in the morning.",
    "Our boat departs for the isle early, at 7 a.m.",
    "She paid 12.50 for two jars of honey; the change was wrong.",
    "The parser rejects numbers with a trailing comma.",
    "Fermé le lundi — Größe: 3½ m², naïve café",
    "🙂 great!!! 12% off @ the old mill",
    "unbelievably counterintuitive electroencephalography",
    "",
    "word " * 400,
]

folder = Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text())
window = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
weights = {name: value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.no_truncation()
gelu = np.vectorize(lambda x: 0.5 * x * (1.0 + erf(x / 2.0**0.5)))


def linear(x, name):
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def layer_norm(x, name):
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
    return centred / scale * weights[name + ".weight"] + weights[name + ".bias"]


def attention(x, name):
    heads = config["num_attention_heads"]
    split = lambda part: linear(x, f"{name}.self.{part}").reshape(len(x), heads, -1).transpose(1, 0, 2)
    query, key, value = split("query"), split("key"), split("value")
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    return (scores @ value).transpose(1, 0, 2).reshape(x.shape)


def embed(text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids[: window - 2]
    ids = [tokenizer.token_to_id("[CLS]"), *ids, tokenizer.token_to_id("[SEP]")]
    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = layer_norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        attended = linear(attention(x, f"{layer}.attention"), f"{layer}.attention.output.dense")
        x = layer_norm(x + attended, f"{layer}.attention.output.LayerNorm")
        forward = linear(gelu(linear(x, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
        x = layer_norm(x + forward, f"{layer}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


golden = [
    {
        "text": text,
        "tokens": len(tokenizer.encode(text).ids),
        "embedding": [round(value, 7) for value in embed(text).tolist()],
    }
    for text in SENTENCES
]
lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in golden)
Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
