"""Spark on one machine, from Parquet to Parquet, with sentence-transformers in a pandas UDF.

One partition and one Python worker a core, each with one thread.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from process import Job, report
from workload import Workload


def job(workload: Workload) -> Job:
    """Returns the job."""
    command = [sys.executable, __file__, "--model", str(workload.model), "--threads", str(workload.threads)]
    return Job("spark", "Spark", "f32", lambda source, target: [*command, str(source), str(target)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a sentence-transformers folder")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("source", type=Path, help="a Parquet file with id and text")
    parser.add_argument("target", type=Path, help="the folder to write")
    arguments = parser.parse_args()

    import pandas as pd
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import pandas_udf

    os.environ["PYSPARK_PYTHON"] = sys.executable
    start = time.perf_counter()
    spark = (
        SparkSession.builder.master(f"local[{arguments.threads}]")
        .config("spark.driver.host", "localhost")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    model_dir = str(arguments.model)

    @pandas_udf("array<float>")
    def embed(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(1)
        model = SentenceTransformer(model_dir, device="cpu")
        for texts in batches:
            embeddings = model.encode(texts.tolist(), batch_size=32, show_progress_bar=False)
            yield pd.Series(list(embeddings))

    rows = spark.read.parquet(str(arguments.source)).repartition(arguments.threads)
    rows.select("id", embed("text").alias("embedding")).write.parquet(str(arguments.target))
    report(job_seconds=time.perf_counter() - start)
    spark.stop()


if __name__ == "__main__":
    main()
