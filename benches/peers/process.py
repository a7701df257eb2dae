"""Whole processes: what they are, and what one run of them costs."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLING_SECONDS = 0.05


@dataclass(frozen=True)
class Job:
    """One program from Parquet to Parquet: its command for a source file and a target without an ending."""

    name: str
    title: str
    precision: str
    command: Callable[[Path, Path], list[str]]


@dataclass(frozen=True)
class Cost:
    """One run of a process and all its children."""

    seconds: float
    peak_rss_bytes: int
    # What it printed.
    lines: list[str]

    @property
    def said(self) -> dict:
        """Its last line, where that is JSON."""
        return json.loads(self.lines[-1]) if self.lines and self.lines[-1].startswith("{") else {}

    @property
    def job_seconds(self) -> float | None:
        """The time without starting up and importing, where the program says so."""
        return self.said.get("job_seconds")


class JobFailed(Exception):
    """A process ended with another status than 0."""


def report(**values) -> None:
    """Says something about this job to the process that measures it: the last line of stdout."""
    print(json.dumps(values), flush=True)


def measure(command: list[str], environment: dict[str, str], log: Path) -> Cost:
    """Runs a command to its end."""
    with log.open("w") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        peak = _PeakMemory(process.pid)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        sampled_bytes = peak.stop()
    if process.returncode != 0:
        last_words = log.read_text().strip().splitlines() or ["it said nothing"]
        raise JobFailed(f"{log.stem} ended: {last_words[-1]} (more in {log})")
    return Cost(seconds, max(sampled_bytes, usage.ru_maxrss * 1024), output.splitlines())


class _PeakMemory:
    """The most memory that a process and its children have had resident together, looked at 20 times a second."""

    def __init__(self, pid: int):
        self.root = psutil.Process(pid)
        self.peak_bytes = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> int:
        self.ended.set()
        self.thread.join()
        return self.peak_bytes

    def _watch(self) -> None:
        while not self.ended.wait(SAMPLING_SECONDS):
            try:
                family = [self.root, *self.root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, family)))


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0
