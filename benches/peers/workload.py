"""What every program is given: the model, the texts, the threads, and an environment in which only those count."""

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO_REVIEWS = REPOSITORY / "crates/cli/data/reviews.csv"


@dataclass(frozen=True)
class Workload:
    """The texts as a list and as a file with one a line, and how many tokens the model reads of them."""

    model: Path
    texts: list[str]
    texts_file: Path
    tokens: int
    threads: int
    work: Path

    @classmethod
    def prepare(
        cls, model: Path, source: Path | None, limit: int | None, threads: int, work: Path
    ) -> "Workload":
        """Reads the texts and writes the file that the programs read."""
        work.mkdir(parents=True, exist_ok=True)
        texts = read_texts(source)[:limit]
        if not texts:
            raise SystemExit(f"error: there are no texts in {source}")
        texts_file = work / "texts.txt"
        texts_file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8", newline="\n")
        tokens = sum(len(encoding.ids) for encoding in load_tokenizer(model).encode_batch(texts))
        return cls(model, texts, texts_file, tokens, threads, work)

    def environment(self) -> dict[str, str]:
        """Returns the environment of every program: so many threads, no GPU, no network."""
        return environment(self.threads)


def environment(threads: int) -> dict[str, str]:
    """Returns an environment of so many threads, no GPU, no network."""
    return os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "RAYON_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "true",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
    }


def read_texts(source: Path | None) -> list[str]:
    """Returns the distinct texts of a file with one a line, or of the demo's reviews.

    Distinct, because Nightjar computes equal texts once and the others would compute them twice.
    """
    if source is None:
        with DEMO_REVIEWS.open(encoding="utf-8", newline="") as file:
            lines = [" ".join(row["review"].split()) for row in csv.DictReader(file)]
    else:
        lines = [line.strip() for line in source.read_text(encoding="utf-8").split("\n")]
    return list(dict.fromkeys(line for line in lines if line))


def window(model: Path) -> int:
    """Returns the most tokens that the model reads of a text."""
    return json.loads((model / "sentence_bert_config.json").read_text())["max_seq_length"]


def load_tokenizer(model: Path) -> Tokenizer:
    """Returns the model's tokenizer, which cuts texts at the window and does not pad them."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_truncation(window(model))
    tokenizer.no_padding()
    return tokenizer
