"""Exports the model to ONNX as its users do: torch.onnx, fused by onnxruntime.transformers, then quantised to int8.

The graphs are kept in a folder named by the weights' digest, so that they are made once.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
OUTPUT = "last_hidden_state"


def exported(model: Path, graphs: Path, precision: str) -> Path:
    """Returns the graph of a precision; makes it, in a process of its own, where it is not there yet."""
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()[:16]
    folder = graphs / digest
    graph = folder / f"{precision}.onnx"
    if not graph.exists():
        command = [sys.executable, __file__, "--model", str(model), "--out", str(folder)]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return graph


def export(model: Path, out: Path) -> None:
    """Writes f32.onnx and int8.onnx into the folder."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    out.mkdir(parents=True, exist_ok=True)
    plain, f32, int8 = (out / f"{name}.onnx.part" for name in ("plain", "f32", "int8"))
    trace(model, plain)
    fuse(model, plain, f32)
    # The types of fused operators' outputs are unknown to ONNX's shape inference.
    options = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(f32, int8, per_channel=True, weight_type=QuantType.QInt8, extra_options=options)
    for made in (f32, int8):
        made.rename(made.with_suffix(""))
    plain.unlink()


def trace(model: Path, graph: Path) -> None:
    """Writes the graph of any batch size and length.

    The optimizer recognises attention in the eager implementation as the tracing exporter writes it, and in neither
    the SDPA implementation nor the newer exporter's graph.
    """
    import torch
    from transformers import AutoModel

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = AutoModel.from_pretrained(model, attn_implementation="eager", dtype=torch.float32)

        def forward(self, *inputs):
            return self.bert(**dict(zip(INPUTS, inputs, strict=True))).last_hidden_state

    example = torch.ones((2, 16), dtype=torch.int64)
    torch.onnx.export(
        Hidden().eval(),
        tuple(example for _ in INPUTS),
        str(graph),
        input_names=INPUTS,
        output_names=[OUTPUT],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*INPUTS, OUTPUT]},
        opset_version=17,
        dynamo=False,
    )


def fuse(model: Path, plain: Path, graph: Path) -> None:
    """Writes the graph with attention, GELU and layer norm as one operator each."""
    from onnxruntime.transformers import optimizer

    config = json.loads((model / "config.json").read_text())
    fused = optimizer.optimize_model(
        str(plain),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
    )
    operators = fused.get_fused_operator_statistics()
    if operators["Attention"] != config["num_hidden_layers"]:
        raise SystemExit(f"error: the optimizer did not fuse the attention: {operators}")
    fused.save_model_to_file(str(graph))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a sentence-transformers folder")
    parser.add_argument("--out", type=Path, required=True, help="the folder for f32.onnx and int8.onnx")
    arguments = parser.parse_args()
    export(arguments.model, arguments.out)


if __name__ == "__main__":
    main()
