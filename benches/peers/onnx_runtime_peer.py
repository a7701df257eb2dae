"""ONNX Runtime on a fused graph: f32, or dynamically quantised to int8 with a scale per channel.

Texts are sorted by length, padded to the longest of their batch, averaged over the attention mask and normalised:
what sentence-transformers does around the model.
"""

import sys
from pathlib import Path

import numpy as np

from export_onnx import INPUTS, OUTPUT, exported
from worker import Program, serve, worker_arguments
from workload import load_tokenizer

TITLE = "ONNX Runtime"


def programs(work: Path) -> list[Program]:
    """Returns the configurations that are compared; the graphs are kept in the work folder."""
    return [program(precision, batch, work) for precision in ("f32", "int8") for batch in (8, 32)]


def program(precision: str, batch: int, work: Path) -> Program:
    """Returns one configuration."""
    command = [sys.executable, __file__, "--precision", precision, "--batch", str(batch)]
    return Program(
        f"ort-{precision}-{batch}", TITLE, precision, str(batch), [*command, "--graphs", str(work / "onnx")]
    )


class Encoder:
    """A tokenizer and a graph."""

    def __init__(self, model: Path, graph: Path, batch: int, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.tokenizer = load_tokenizer(model)
        self.batch = batch

    def embed(self, texts: list[str]) -> np.ndarray:
        """Returns the embeddings of the texts in their order."""
        encodings = self.tokenizer.encode_batch(texts)
        order = sorted(range(len(texts)), key=lambda row: len(encodings[row].ids), reverse=True)
        rows = [order[start : start + self.batch] for start in range(0, len(order), self.batch)]
        pooled = [self._pooled([encodings[row].ids for row in batch]) for batch in rows]
        embeddings = np.empty((len(texts), pooled[0].shape[1]), dtype=np.float32)
        embeddings[order] = np.concatenate(pooled)
        return embeddings

    def _pooled(self, batch: list[list[int]]) -> np.ndarray:
        lengths = np.array([len(ids) for ids in batch])
        mask = np.arange(lengths.max()) < lengths[:, None]
        inputs = np.zeros(mask.shape, dtype=np.int64)
        inputs[mask] = np.concatenate(batch)
        feeds = dict(zip(INPUTS, (inputs, mask.astype(np.int64), np.zeros_like(inputs)), strict=True))
        (hidden,) = self.session.run([OUTPUT], feeds)
        means = np.einsum("bth,bt->bh", hidden, mask.astype(np.float32)) / lengths[:, None]
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def main() -> None:
    parser = worker_arguments(__doc__)
    parser.add_argument("--precision", choices=["f32", "int8"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--graphs", type=Path, required=True, help="where exported graphs are kept")
    arguments = parser.parse_args()
    graph = exported(arguments.model, arguments.graphs, arguments.precision)
    serve(arguments, Encoder(arguments.model, graph, arguments.batch, arguments.threads).embed)


if __name__ == "__main__":
    main()
