"""Medians, ratios of programs that ran in turn, and cosines to the reference."""

import statistics
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ratio:
    """How many times faster one program was than another, round by round."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: list[float], baseline_seconds: list[float]) -> "Ratio":
        """Returns the ratio of two programs' seconds in the same rounds."""
        ratios = [theirs / ours for ours, theirs in zip(seconds, baseline_seconds, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


@dataclass(frozen=True)
class Fidelity:
    """The cosines of a program's embeddings to the reference's, over the texts."""

    mean: float
    minimum: float

    @classmethod
    def of(cls, embeddings: np.ndarray, reference: np.ndarray) -> "Fidelity":
        """Returns the fidelity of embeddings `[texts, dim]` to others of the same shape."""
        if embeddings.shape != reference.shape:
            raise ValueError(f"{embeddings.shape} embeddings cannot agree with {reference.shape}")
        a, b = embeddings.astype(np.float64), reference.astype(np.float64)
        cosines = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
        return cls(float(cosines.mean()), float(cosines.min()))


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
