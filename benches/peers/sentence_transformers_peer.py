"""sentence-transformers on torch, in f32 or with the whole model in bf16. In f32 it is also the reference."""

import sys

import numpy as np

from worker import Program, serve, worker_arguments

TITLE = "sentence-transformers"


def programs() -> list[Program]:
    """Returns the configurations that are compared."""
    return [program("f32", 32), program("f32", 8), program("bf16", 32)]


def program(precision: str, batch: int) -> Program:
    """Returns one configuration."""
    command = [sys.executable, __file__, "--precision", precision, "--batch", str(batch)]
    return Program(f"st-{precision}-{batch}", TITLE, precision, str(batch), command)


REFERENCE = program("f32", 32)


def main() -> None:
    parser = worker_arguments(__doc__)
    parser.add_argument("--precision", choices=["f32", "bf16"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    arguments = parser.parse_args()

    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(arguments.threads)
    model = SentenceTransformer(str(arguments.model), device="cpu")
    if arguments.precision == "bf16":
        model.bfloat16()

    def embed(texts: list[str]) -> np.ndarray:
        embeddings = model.encode(
            texts, batch_size=arguments.batch, convert_to_tensor=True, show_progress_bar=False
        )
        return embeddings.float().numpy()

    serve(arguments, embed)


if __name__ == "__main__":
    main()
