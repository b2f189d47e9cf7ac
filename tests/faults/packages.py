"""Model packages that are taken, and do wrong once what they look at passes LIMIT."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from tests import onnx_files as onnx

ROWS, WIDTH_US = 30, 3_000_000
LIMIT, SPREAD = 1000, 100
"""The models see the signal by SPREAD: of scores about 1 the last bits, which another batch may
change, are below what counts as another decision."""
GROWTH = 200_000 * SPREAD
"""Numbers of eight bytes: 1.6 MB for each unit of the signal beyond LIMIT."""
_FLOAT, _INT = 1, 7


def fails() -> bytes:
    """Looks something up in a table that ends at LIMIT."""
    nodes = [
        onnx.node("Cast", ("mean",), ("place",), _whole("to", _INT)),
        onnx.node("Gather", ("table", "place"), ("found",)),
        onnx.node("Cast", ("found",), ("zero",), _whole("to", _FLOAT)),
    ]
    return _model(nodes, [onnx.tensor("table", *[0] * (LIMIT // SPREAD))])


def answers_nan() -> bytes:
    """Takes the root of what is left up to LIMIT."""
    nodes = [
        onnx.node("Cast", ("limit",), ("most",), _whole("to", _FLOAT)),
        onnx.node("Sub", ("most", "mean"), ("left",)),
        onnx.node("Sqrt", ("left",), ("root",)),
        onnx.node("Sub", ("root", "root"), ("zero",)),
    ]
    return _model(nodes, [onnx.tensor("limit", LIMIT // SPREAD)])


def grows() -> bytes:
    """Makes a list that is longer the further it is beyond LIMIT: the arena of its session keeps
    room for every length that there was."""
    nodes = [
        onnx.node("ReduceMax", ("window",), ("most",), _whole("keepdims", 0)),
        onnx.node("Cast", ("limit",), ("from",), _whole("to", _FLOAT)),
        onnx.node("Sub", ("most", "from"), ("over",)),
        onnx.node("Relu", ("over",), ("beyond",)),
        onnx.node("Cast", ("factor",), ("times",), _whole("to", _FLOAT)),
        onnx.node("Mul", ("beyond", "times"), ("numbers",)),
        onnx.node("Cast", ("numbers",), ("count",), _whole("to", _INT)),
        onnx.node("Add", ("count", "one"), ("length",)),
        onnx.node("Range", ("none", "length", "one"), ("list",)),
        onnx.node("ReduceMin", ("list",), ("first",), _whole("keepdims", 0)),
        onnx.node("Cast", ("first",), ("zero",), _whole("to", _FLOAT)),
    ]
    numbers = {"limit": LIMIT // SPREAD, "factor": GROWTH, "one": 1, "none": 0}
    return _model(nodes, [onnx.tensor(name, number) for name, number in numbers.items()])


def write_package(folder: Path, model: bytes, asset: str, signal: str) -> None:
    """A package of this model for one asset: its score is the mean of `signal`, by SPREAD."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    values = np.random.default_rng(1).normal(100, 1, (4, ROWS, 1))
    np.savez(
        folder / "golden.npz",
        values=values,
        score=(values / SPREAD).astype(np.float32).mean(axis=(1, 2)),
        why=np.zeros(4, np.int8),
        asset=np.array([asset] * 4),
    )
    names = ("model.onnx", "golden.npz")
    files = {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "manifest.json").write_text(json.dumps(_manifest(folder.name, asset, signal, files)))


def _manifest(name: str, asset: str, signal: str, files: dict[str, str]) -> dict[str, object]:
    return {
        "format": 1,
        "name": name,
        "version": "1",
        "kind": "autoencoder",
        "data": {},
        "metrics": {},
        "versions": {},
        "files": files,
        "licence": "",
        "credit": "",
        "signals": [signal],
        "units": {},
        "window": {"width_us": WIDTH_US, "hop_us": 1_000_000, "rows": ROWS},
        "features": [{"name": "value", "kind": "signal", "signals": [signal], "floor": 1.0}],
        "guard": None,
        "clip": [-1e9, 1e9],
        "min_rows": 1,
        "assets": {asset: {"centre": [0.0], "spread": [float(SPREAD)], "threshold": 1e12}},
    }


def _model(nodes: Sequence[bytes], tensors: list[bytes]) -> bytes:
    """The mean of a window, and `zero` of `nodes` added to it."""
    mean = onnx.node("ReduceMean", ("window",), ("mean",), _axes(1, 2) + _whole("keepdims", 0))
    errors = onnx.node("ReduceMean", ("window",), ("errors",), _axes(1) + _whole("keepdims", 0))
    score = onnx.node("Add", ("mean", "zero"), ("score",))
    outputs = [onnx.values("score", "n"), onnx.values("errors", "n", 1)]
    inputs = [onnx.values("window", "n", ROWS, 1)]
    return onnx.model([mean, errors, *nodes, score], inputs, outputs, tensors)


def _whole(name: str, value: int) -> bytes:
    """An attribute that is a whole number."""
    return onnx.field(5, onnx.field(1, name) + onnx.field(20, 2) + onnx.field(3, value))


def _axes(*axes: int) -> bytes:
    numbers = b"".join(onnx.field(8, axis) for axis in axes)
    return onnx.field(5, onnx.field(1, "axes") + onnx.field(20, 7) + numbers)
