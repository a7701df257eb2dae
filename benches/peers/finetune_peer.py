"""Fine-tuning as people do it today: torch and transformers, f32, a classifier on BERT's pooler, padded batches.

AdamW on all parameters (weight decay 0.01), linear warm-up over a tenth of the steps, then linear decay to zero, gradients
clipped to norm 1, dropout 0.1. Prints one line of JSON: the test accuracy after each epoch, the training tokens per second (real tokens,
without padding, and the time of training alone) and the peak of resident memory.
"""

import argparse
import random
import resource
import sys
import time
from pathlib import Path

from process import report

TITLE = "PyTorch"
WEIGHT_DECAY = 0.01
WARMUP_RATIO = 0.1
CLIP_NORM = 1.0
DROPOUT = 0.1


def command(options: list[str]) -> list[str]:
    """Returns the command that trains and measures once."""
    return [sys.executable, __file__, *options]


def main() -> None:
    arguments = parse()

    import torch
    from transformers import AutoModelForSequenceClassification, get_linear_schedule_with_warmup

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    train, test, classes = read_rows(arguments.data)
    encode = tokenizer(arguments.model, arguments.max_length)
    train, test = encode(train), encode(test)
    model = AutoModelForSequenceClassification.from_pretrained(
        str(arguments.model),
        num_labels=classes,
        problem_type="single_label_classification",
        dtype=torch.float32,
        hidden_dropout_prob=DROPOUT,
        attention_probs_dropout_prob=DROPOUT,
        classifier_dropout=DROPOUT,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.learning_rate, weight_decay=WEIGHT_DECAY)
    steps = arguments.epochs * -(-len(train) // arguments.batch_size)
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARMUP_RATIO * steps), steps)

    order = random.Random(arguments.seed)
    accuracies, tokens, seconds = [], 0, 0.0
    for _ in range(arguments.epochs):
        model.train()
        start = time.perf_counter()
        order.shuffle(train)
        for rows in batches(train, arguments.batch_size):
            inputs, labels = padded(rows)
            loss = model(**inputs, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            tokens += int(inputs["attention_mask"].sum())
        seconds += time.perf_counter() - start
        accuracies.append(accuracy(model, test, arguments.batch_size))
    report(
        accuracies=accuracies,
        tokens_per_second=tokens / seconds,
        job_seconds=seconds,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a sentence-transformers folder")
    parser.add_argument("--data", type=Path, required=True, help="Parquet with text, label, split (train, test)")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--max-length", type=int, required=True, help="the most tokens read of a text")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def read_rows(data: Path) -> tuple[list[tuple[str, int]], list[tuple[str, int]], int]:
    """Returns (text, class) of the training and of the test rows, and how many classes the training rows have.

    A test label that no training row has is class -1, which no prediction is.
    """
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(data, columns=["text", "label", "split"]).to_pylist()
    rows = [row for row in table if row["text"] is not None and row["label"] is not None]
    labels = sorted({row["label"] for row in rows if row["split"] == "train"})
    classes = {label: number for number, label in enumerate(labels)}

    def part(split: str) -> list[tuple[str, int]]:
        found = [(row["text"], classes.get(row["label"], -1)) for row in rows if row["split"] == split]
        if not found:
            raise SystemExit(f"{data} has no rows of the split '{split}'")
        return found

    return part("train"), part("test"), len(labels)


def tokenizer(model: Path, max_length: int):
    """Returns what turns (text, class) into (token ids, class)."""
    from workload import load_tokenizer

    tokens = load_tokenizer(model)
    tokens.enable_truncation(max_length)

    def encode(rows: list[tuple[str, int]]) -> list[tuple[list[int], int]]:
        encodings = tokens.encode_batch([text for text, _ in rows])
        return [(encoding.ids, label) for encoding, (_, label) in zip(encodings, rows, strict=True)]

    return encode


def batches(rows: list, size: int):
    return (rows[start : start + size] for start in range(0, len(rows), size))


def padded(rows: list[tuple[list[int], int]]) -> tuple[dict, "torch.Tensor"]:  # noqa: F821
    """Returns the model's inputs `[rows, longest]` and the classes `[rows]`; BERT's padding is token 0."""
    import torch

    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
    return {"input_ids": ids, "attention_mask": mask}, torch.tensor([label for _, label in rows])


def accuracy(model, rows: list[tuple[list[int], int]], batch_size: int) -> float:
    """Returns the share of rows whose class the model predicts."""
    import torch

    model.eval()
    hits = 0
    with torch.inference_mode():
        for batch in batches(sorted(rows, key=lambda row: len(row[0])), batch_size):
            inputs, labels = padded(batch)
            hits += int((model(**inputs).logits.argmax(dim=-1) == labels).sum())
    return hits / len(rows)


if __name__ == "__main__":
    main()
