"""From a TensorFlow function to the bytes of an ONNX model."""

from __future__ import annotations

from typing import Any

import onnx
import tf2onnx

from training.canonical import canonical

OPSET = 17


def to_onnx(function: Any, name: str) -> bytes:
    """The function as ONNX, its first dimension free; equal functions give equal bytes."""
    exported, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    exported.graph.name = name
    for value in (*exported.graph.input, *exported.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    exported.graph.output.sort(key=lambda value: value.name)
    canonical(exported.graph)
    onnx.checker.check_model(exported)
    return bytes(exported.SerializeToString(deterministic=True))
