"""What a figure depends on beside the programs: the processor, its load and the versions."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import psutil

from workload import REPOSITORY

# The instructions that the programs' matrix products choose by.
FLAGS = (
    "avx2 fma avx512f avx512bw avx512_vnni avx_vnni avx512_bf16 amx_bf16 amx_int8 asimd asimddp bf16 i8mm sve"
).split()
PACKAGES = (
    "daft numpy onnx onnxruntime pandas pyarrow pyspark sentence-transformers tokenizers torch transformers"
).split()


def cores() -> list[int]:
    """Returns the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def bind(threads: int) -> None:
    """Keeps this process and its children to so many cores, so that a program that counts cores finds these."""
    if len(cores()) < threads:
        raise SystemExit(f"error: {threads} threads on {len(cores())} cores; use --threads {len(cores())}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[:threads])


def load() -> float:
    """Returns how many processes wanted to run, on average over the last minute."""
    return os.getloadavg()[0]


def describe() -> dict:
    """Returns the machine and the versions of what is installed."""
    model, flags = _processor()
    return {
        "cpu": model,
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores_of_machine": os.cpu_count(),
        "cores_used": len(cores()),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "nightjar_commit": _commit(),
    }


def _processor() -> tuple[str, set[str]]:
    """Returns the processor's name and what it can do, as Linux tells them."""
    described: dict[str, str] = {}
    information = Path("/proc/cpuinfo")
    if information.exists():
        pairs = (line.partition(":") for line in information.read_text().splitlines())
        described = {key.strip(): value.strip() for key, _, value in pairs}
    name = described.get("model name") or platform.processor()
    return name, set(described.get("flags", described.get("Features", "")).split())


def _commit() -> str | None:
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.strip() or None
