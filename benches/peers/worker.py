"""Long-lived encoder processes that speak one line of JSON at a time, seen from both sides.

A worker says {"ready": true, "rows": …} when its model is loaded. Then {"cmd": "run"} embeds all texts and answers
{"seconds": …}, {"cmd": "write"} writes the embeddings of the last run as little-endian f32, {"cmd": "quit"} ends it.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workload import Workload


@dataclass(frozen=True)
class Program:
    """One program in one configuration: a row of the table."""

    name: str
    title: str
    precision: str
    batch: str
    command: list[str]


class WorkerFailed(Exception):
    """A worker ended, or answered something else than it was asked."""


class Worker:
    """A program that runs, waiting for its turn."""

    def __init__(self, program: Program, workload: Workload):
        self.program = program
        self.embeddings_file = workload.work / f"{program.name}.f32"
        self.log = workload.work / f"{program.name}.log"
        self.rows = len(workload.texts)
        command = program.command + ["--model", str(workload.model), "--texts", str(workload.texts_file)]
        command += ["--threads", str(workload.threads), "--embeddings", str(self.embeddings_file)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                env=workload.environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        ready = self._answer()
        if ready["rows"] != self.rows or ready.get("tokens", workload.tokens) != workload.tokens:
            self.quit()
            expected = f"{self.rows} rows of {workload.tokens} tokens"
            raise WorkerFailed(f"{program.name} sees other texts than {expected}: {ready}")

    def run(self) -> float:
        """Embeds all texts and returns the seconds that it took."""
        return self._ask("run")["seconds"]

    def embeddings(self) -> np.ndarray:
        """Returns the embeddings of the last run, one row a text."""
        self._ask("write")
        return np.fromfile(self.embeddings_file, dtype="<f4").reshape(self.rows, -1)

    def quit(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()

    def _ask(self, command: str) -> dict:
        # A process that has ended has said why; that is what reading its answer tells.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"cmd": command}) + "\n")
            self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            complaint = self.log.read_text().strip().splitlines() or ["it said nothing"]
            raise WorkerFailed(f"{self.program.name} ended: {complaint[-1]} (more in {self.log})")
        return json.loads(line)


def worker_arguments(about: str) -> argparse.ArgumentParser:
    """Returns a parser of what every worker is given; peers add their own."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--model", type=Path, required=True, help="a sentence-transformers folder")
    parser.add_argument("--texts", type=Path, required=True, help="texts, one a line")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--embeddings", type=Path, required=True, help="where 'write' puts the embeddings")
    return parser


def serve(arguments: argparse.Namespace, embed: Callable[[list[str]], np.ndarray]) -> None:
    """Answers the lines of stdin until it ends; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(**values) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    texts = arguments.texts.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    answer(ready=True, rows=len(texts))
    embeddings = np.empty((0, 0), dtype="<f4")
    for line in sys.stdin:
        match json.loads(line)["cmd"]:
            case "run":
                start = time.perf_counter()
                embeddings = embed(texts)
                answer(seconds=time.perf_counter() - start)
            case "write":
                embeddings.astype("<f4").tofile(arguments.embeddings)
                answer(rows=len(embeddings))
            case "quit":
                break
