"""Fine-tuning of the whole network on one data set: PyTorch and Nightjar in turn, seed after seed."""

import json
import shutil
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

import finetune_peer
import nightjar_peer
from encoder_comparison import say
from measure import Ratio, markdown_table
from process import Cost, JobFailed, measure
from workload import environment, window

MEBIBYTE = 1 << 20
BASELINE = "torch"
COLUMNS = ["text", "label", "split"]


@dataclass(frozen=True)
class Training:
    """What each program learns, and how."""

    model: Path
    data: Path
    epochs: int
    learning_rate: float
    batch_size: int
    # None: as many tokens as the model reads.
    max_length: int | None
    threads: int
    work: Path

    @classmethod
    def prepare(cls, limit: int | None, **fields) -> "Training":
        """Reads the data set; with a limit, keeps so many rows of each split, the same for all programs."""
        training = cls(**fields)
        training.work.mkdir(parents=True, exist_ok=True)
        schema = pyarrow.parquet.read_schema(training.data)
        for column in COLUMNS:
            if column not in schema.names:
                raise SystemExit(f"error: {training.data} has no column {column}; it has {' '.join(schema.names)}")
        if limit is None:
            return training
        table = pyarrow.parquet.read_table(training.data, columns=COLUMNS)
        # Every n-th row, because files are often sorted by label.
        parts = []
        for split in ("train", "test"):
            part = table.filter(pa.compute.equal(table["split"], split))
            parts.append(part.take(list(range(0, len(part), max(1, len(part) // limit)))[:limit]))
        few = training.work / "finetune-few.parquet"
        pyarrow.parquet.write_table(pa.concat_tables(parts), few)
        return cls(**(fields | {"data": few}))

    @property
    def tokens_at_most(self) -> int:
        return self.max_length or window(self.model)


@dataclass(frozen=True)
class Trained:
    """One training with its evaluation."""

    seed: int
    accuracy: float
    tokens_per_second: float
    cost: Cost


@dataclass
class Program:
    """One program, and what it did."""

    name: str
    title: str
    train: Callable[[Training, int], Trained]
    trained: list[Trained] = field(default_factory=list)


def programs(nightjar: Path) -> list[Program]:
    """Returns the programs that are compared."""
    return [
        Program("torch", finetune_peer.TITLE, train_torch),
        Program("nightjar", nightjar_peer.TITLE, lambda training, seed: train_nightjar(nightjar, training, seed)),
    ]


def compare(compared: list[Program], training: Training, seeds: list[int]) -> tuple[str, dict]:
    """Trains with each seed, the programs in turn. Returns the table and everything measured."""
    for seed in seeds:
        for program in compared:
            trained = program.train(training, seed)
            program.trained.append(trained)
            say(
                f"seed {seed}: {program.name}: accuracy {trained.accuracy:.4f}, "
                f"{trained.tokens_per_second:,.0f} tokens/s"
            )
    return report(compared)


def train_torch(training: Training, seed: int) -> Trained:
    options = {
        "model": training.model,
        "data": training.data,
        "epochs": training.epochs,
        "learning-rate": training.learning_rate,
        "batch-size": training.batch_size,
        "max-length": training.tokens_at_most,
        "seed": seed,
        "threads": training.threads,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    log = training.work / f"torch-finetune-{seed}.log"
    cost = measure(finetune_peer.command(words), environment(training.threads), log)
    return Trained(seed, cost.said["accuracies"][-1], cost.said["tokens_per_second"], cost)


def train_nightjar(nightjar: Path, training: Training, seed: int) -> Trained:
    """Trains in a fresh store that holds the base model. What is measured is CREATE MODEL, the whole process."""
    store = training.work / "finetune-store"
    command = nightjar_peer.fresh_store(nightjar, store, training.model)
    options = {
        "method": "'full'",
        "epochs": training.epochs,
        "learning_rate": training.learning_rate,
        "batch_size": training.batch_size,
        "seed": seed,
        "validation_fraction": 0,
    }
    if training.max_length is not None:
        options["max_length"] = training.max_length
    learn, test = (
        f"(SELECT text, label FROM '{training.data}' WHERE split = '{split}')" for split in ("train", "test")
    )
    written = ", ".join(f"{name} = {value}" for name, value in options.items())
    create = f"CREATE MODEL tuned FROM {nightjar_peer.MODEL} FINE_TUNE ON {learn} WITH ({written})"

    def run(statement: str, name: str) -> Cost:
        log = training.work / f"nightjar-{name}-{seed}.log"
        return measure([*command, "sql", "--format", "json", "-c", statement], environment(training.threads), log)

    cost = run(create, "finetune")
    # EVALUATE's first rows are the whole's: rows, accuracy and so on, one line of JSON each.
    evaluated = run(f"EVALUATE MODEL tuned ON {test}", "evaluate")
    accuracy = next(row["value"] for row in map(json.loads, evaluated.lines) if row["metric"] == "accuracy")
    pace = "SELECT avg(value) AS pace FROM nightjar.training_metrics WHERE name = 'tokens_per_second'"
    tokens_per_second = run(pace, "metrics").said["pace"]
    if tokens_per_second is None:
        raise JobFailed(f"{nightjar} kept no tokens_per_second in nightjar.training_metrics")
    shutil.rmtree(store)
    return Trained(seed, accuracy, tokens_per_second, cost)


def report(compared: list[Program]) -> tuple[str, dict]:
    """Returns the table and the same as data."""
    baseline = next((program for program in compared if program.name == BASELINE), None)
    rows, results = [], []
    for program in compared:
        accuracies = [trained.accuracy for trained in program.trained]
        paces = [trained.tokens_per_second for trained in program.trained]
        # A ratio is of the times that a token took.
        ratio = baseline and baseline is not program and Ratio.of(*map(seconds_a_token, (program, baseline)))
        peak_bytes = max(trained.cost.peak_rss_bytes for trained in program.trained)
        rows.append(
            [
                program.title,
                f"{statistics.mean(accuracies):.4f}",
                f"{min(accuracies):.4f}–{max(accuracies):.4f}",
                f"{statistics.median(paces):,.0f}",
                str(ratio or "–"),
                f"{peak_bytes / MEBIBYTE:,.0f}",
            ]
        )
        results.append(
            {
                "name": program.name,
                "trained": [asdict(trained) for trained in program.trained],
                "accuracy_mean": statistics.mean(accuracies),
                "tokens_per_second": statistics.median(paces),
                "faster_than_baseline": asdict(ratio) if ratio else None,
                "peak_rss_bytes": peak_bytes,
            }
        )
    header = ["program", "test accuracy, mean", "range", "training tokens/s", f"× {finetune_peer.TITLE}"]
    return markdown_table([*header, "peak RSS, MiB"], rows), {"programs": results}


def seconds_a_token(program: Program) -> list[float]:
    return [1 / trained.tokens_per_second for trained in program.trained]
