"""A model for smart-turn, made on the spot: the same input and output as the real one, and an answer that is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.fakes import onnx_bytes as onnx


def smart_turn(models: Path, *, logit: float = 0.0, gain: float = 0.0) -> Path:
    """Its answer is the sigmoid of `logit` and `gain` times the mean of the picture it is shown."""
    weights = {
        "gain": np.full((1,), gain, np.float32),
        "logit": np.full((1,), logit, np.float32),
        "shape": np.array([1, 1], np.int64),
    }
    nodes = [
        onnx.node("ReduceMean", ["input_features"], ["mean"], keepdims=0),
        onnx.node("Mul", ["mean", "gain"], ["counted"]),
        onnx.node("Add", ["counted", "logit"], ["sum"]),
        onnx.node("Sigmoid", ["sum"], ["likely"]),
        onnx.node("Reshape", ["likely", "shape"], ["logits"]),
    ]
    inputs = [onnx.value("input_features", onnx.FLOAT, ["batch", 80, 800])]
    outputs = [onnx.value("logits", onnx.FLOAT, ["batch", 1])]
    path = models / "smart_turn" / "smart-turn-v3.0-tiny.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(onnx.model(nodes, inputs, outputs, weights))
    return path
