"""Daft's own embed_text, from Parquet to Parquet, with its default options and the model from a local folder."""

import argparse
import sys
import time
from pathlib import Path

from process import Job, report
from workload import Workload


def job(workload: Workload) -> Job:
    """Returns the job."""
    command = [sys.executable, __file__, "--model", str(workload.model)]
    return Job("daft", "Daft", "f32", lambda source, target: [*command, str(source), str(target)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a sentence-transformers folder")
    parser.add_argument("source", type=Path, help="a Parquet file with id and text")
    parser.add_argument("target", type=Path, help="the folder to write")
    arguments = parser.parse_args()

    import daft
    from daft.functions import embed_text

    start = time.perf_counter()
    embedding = embed_text(daft.col("text"), provider="transformers", model=str(arguments.model))
    rows = daft.read_parquet(str(arguments.source)).select("id", embedding.alias("embedding"))
    rows.write_parquet(str(arguments.target))
    report(job_seconds=time.perf_counter() - start)


if __name__ == "__main__":
    main()
