"""Nightjar: the bare encoder as a worker, and SQL from Parquet to Parquet."""

import shutil
import subprocess
from pathlib import Path

from process import Job, JobFailed
from worker import Program
from workload import Workload

TITLE = "Nightjar"
MODEL = "peers"


def programs(encoder: Path) -> list[Program]:
    """Returns the configurations that are compared. Nightjar cuts its own batches, by tokens."""
    precisions = ("f32", "bf16", "int8")
    return [
        Program(f"nightjar-{precision}", TITLE, precision, "packed", [str(encoder), "--precision", precision])
        for precision in precisions
    ]


def job(nightjar: Path, workload: Workload) -> Job:
    """Returns the job, with the model pulled into a store of its own."""
    command = fresh_store(nightjar, workload.work / "store", workload.model)

    def statement(source: Path, target: Path) -> list[str]:
        query = f"SELECT id, embed(text, '{MODEL}') AS embedding FROM '{source}'"
        return [*command, "sql", "-c", f"COPY ({query}) TO '{target}.parquet' STORED AS PARQUET"]

    return Job("nightjar", TITLE, "auto", statement)


def fresh_store(nightjar: Path, store: Path, model: Path) -> list[str]:
    """Makes a store that holds the model only, and returns the command that uses it."""
    shutil.rmtree(store, ignore_errors=True)
    command = [str(nightjar), "--store", str(store), "--quiet"]
    pulled = subprocess.run(
        [*command, "model", "pull", str(model), "--as", MODEL], capture_output=True, text=True
    )
    if pulled.returncode != 0:
        raise JobFailed(f"{nightjar} could not pull the model: {pulled.stderr.strip() or 'it said nothing'}")
    return command
