"""Whole processes from one Parquet file of texts to Parquet files of embeddings, one after the other."""

import shutil
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

from encoder_comparison import reference_embeddings, say
from measure import Fidelity, Ratio, markdown_table
from process import Cost, Job, measure
from workload import Workload

OURS = "nightjar"
MEBIBYTE = 1 << 20


@dataclass
class Measured:
    """What one job did."""

    job: Job
    costs: list[Cost] = field(default_factory=list)
    fidelity: Fidelity | None = None

    @property
    def seconds(self) -> list[float]:
        return [cost.seconds for cost in self.costs]

    @property
    def median_job_seconds(self) -> float | None:
        """The median of what the program itself calls its job; None where it does not say."""
        told = [cost.job_seconds for cost in self.costs if cost.job_seconds is not None]
        return statistics.median(told) if told else None


def compare(jobs: list[Job], workload: Workload, rounds: int) -> tuple[str, dict]:
    """Runs the jobs in turn. Returns the table and everything measured."""
    reference = reference_embeddings(workload)
    folder = workload.work / "parquet"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    source = folder / "texts.parquet"
    ids = range(len(workload.texts))
    pa.parquet.write_table(pa.table({"id": pa.array(ids, pa.int64()), "text": workload.texts}), source)

    measured = [Measured(job) for job in jobs]
    for number in range(1, rounds + 1):
        for result in measured:
            name = result.job.name
            target = folder / f"{name}-{number}"
            command = result.job.command(source, target)
            cost = measure(command, workload.environment(), workload.work / f"{name}.log")
            result.costs.append(cost)
            result.fidelity = Fidelity.of(read_embeddings(target), reference)
            say(f"round {number} of {rounds}: {name}: {cost.seconds:.2f} s")
    return report(measured)


def read_embeddings(target: Path) -> np.ndarray:
    """Returns a job's embeddings in the order of their ids."""
    file = target.with_name(f"{target.name}.parquet")
    table = pa.dataset.dataset(file if file.exists() else target, format="parquet").to_table()
    table = table.sort_by("id")
    if table["id"].to_pylist() != list(range(len(table))):
        raise ValueError(f"{target} lacks rows, or has some twice")
    return np.array(table["embedding"].to_pylist(), dtype=np.float32)


def report(measured: list[Measured]) -> tuple[str, dict]:
    """Returns the table and the same as data."""
    ours = next((result for result in measured if result.job.name == OURS), None)
    rows, results = [], []
    for result in measured:
        job, fidelity = result.job, result.fidelity
        seconds = statistics.median(result.seconds)
        peak_bytes = max(cost.peak_rss_bytes for cost in result.costs)
        faster = ours and ours is not result and Ratio.of(ours.seconds, result.seconds)
        job_seconds = result.median_job_seconds
        rows.append(
            [
                job.title,
                job.precision,
                f"{seconds:.1f}",
                "–" if job_seconds is None else f"{job_seconds:.1f}",
                f"{peak_bytes / MEBIBYTE:,.0f}",
                str(faster or "–"),
                f"{fidelity.mean:.5f}",
                f"{fidelity.minimum:.5f}",
            ]
        )
        results.append(
            {
                "name": job.name,
                "program": job.title,
                "precision": job.precision,
                "costs": [asdict(cost) | {"job_seconds": cost.job_seconds} for cost in result.costs],
                "peak_rss_bytes": peak_bytes,
                "nightjar_is_faster": asdict(faster) if faster else None,
                "cosine": asdict(fidelity),
            }
        )
    header = ["program", "precision", "seconds", "of which job", "peak RSS, MiB", "Nightjar is faster ×"]
    return markdown_table([*header, "cosine mean", "cosine min"], rows), {"programs": results}
