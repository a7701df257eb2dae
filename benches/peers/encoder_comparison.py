"""The bare encoders, warm, all texts at once, one program after the other and round after round."""

import statistics
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

import numpy as np

import sentence_transformers_peer
from measure import Fidelity, Ratio, markdown_table
from worker import Program, Worker, WorkerFailed
from workload import Workload

# Whom a program of a precision is measured against: the fastest batch size of the best known peer.
BASELINES = {
    "f32": "sentence-transformers",
    "bf16": "sentence-transformers",
    "int8": "ONNX Runtime",
}


@dataclass
class Measured:
    """What one program did."""

    program: Program
    fidelity: Fidelity
    seconds: list[float] = field(default_factory=list)

    @property
    def median_seconds(self) -> float:
        return statistics.median(self.seconds)


def compare(programs: list[Program], workload: Workload, rounds: int) -> tuple[str, dict]:
    """Runs the programs in turn. Returns the table and everything measured."""
    reference = reference_embeddings(workload)
    left_out: dict[str, str] = {}
    with ExitStack() as running:
        workers, measured = [], []
        for program in programs:
            say(f"loading and warming up {program.name}")
            try:
                worker = Worker(program, workload)
                running.callback(worker.quit)
                worker.run()
                measured.append(Measured(program, Fidelity.of(worker.embeddings(), reference)))
                workers.append(worker)
            except WorkerFailed as failure:
                left_out[program.name] = str(failure)
                say(f"left out: {failure}")
        for number in range(1, rounds + 1):
            for worker, result in zip(workers, measured, strict=True):
                result.seconds.append(worker.run())
                say(f"round {number} of {rounds}: {worker.program.name}: {result.seconds[-1]:.2f} s")
    return report(measured, left_out, workload)


def reference_embeddings(workload: Workload) -> np.ndarray:
    """Returns what sentence-transformers computes in f32."""
    say("computing the reference embeddings")
    worker = Worker(sentence_transformers_peer.REFERENCE, workload)
    try:
        worker.run()
        return worker.embeddings()
    finally:
        worker.quit()


def report(measured: list[Measured], left_out: dict[str, str], workload: Workload) -> tuple[str, dict]:
    """Returns the table and the same as data."""
    rows, results = [], []
    for result in measured:
        program, fidelity = result.program, result.fidelity
        baseline = baseline_of(program.precision, measured)
        ratio = baseline and Ratio.of(result.seconds, baseline.seconds)
        tokens_per_second = workload.tokens / result.median_seconds
        cells = [program.title, program.precision, program.batch, f"{tokens_per_second:,.0f}"]
        cells += ["1" if baseline is result else str(ratio or "–")]
        rows.append(cells + [f"{fidelity.mean:.5f}", f"{fidelity.minimum:.5f}"])
        results.append(
            {
                "name": program.name,
                "program": program.title,
                "precision": program.precision,
                "batch": program.batch,
                "seconds": result.seconds,
                "tokens_per_second": tokens_per_second,
                "baseline": baseline and baseline.program.name,
                "ratio": ratio and asdict(ratio),
                "cosine": asdict(fidelity),
            }
        )
    header = ["program", "precision", "batch", "tokens/s", "× baseline", "cosine mean", "cosine min"]
    missing = "".join(f"\n\nLeft out: {reason}." for reason in left_out.values())
    return markdown_table(header, rows) + missing, {"programs": results, "left_out": left_out}


def baseline_of(precision: str, measured: list[Measured]) -> Measured | None:
    """Returns the fastest configuration of the precision's baseline; None where none ran."""
    candidates = [
        result
        for result in measured
        if result.program.precision == precision and result.program.title == BASELINES[precision]
    ]
    return min(candidates, key=lambda result: result.median_seconds, default=None)


def say(message: str) -> None:
    """Tells who waits how far it is."""
    print(message, file=sys.stderr, flush=True)
