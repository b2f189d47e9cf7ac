"""The belt tiles that ship, and a manifest of an image model, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).parents[1]
BELT = ROOT / "vigia" / "demo" / "data" / "belt"
PACKAGE = ROOT / "models" / "piped-lite0"


def tiles(kind: str) -> npt.NDArray[np.uint8]:
    """uint8 [n, height, width, 3], RGB, in order of their names: `good`, `defect` or `mask`."""
    found = [cv2.imread(str(path)) for path in sorted((BELT / kind).glob("*.png"))]
    return np.stack([np.asarray(one, np.uint8)[:, :, ::-1] for one in found])


def manifest(**changed: Any) -> dict[str, Any]:
    """The fields of a small image model's manifest."""
    return {
        "format": 1,
        "name": "m",
        "version": "1",
        "kind": "image",
        "task": "class",
        "size": [4, 2],
        "heat": [2, 1],
        "order": "RGB",
        "mean": [127, 127, 127],
        "scale": [128, 128, 128],
        "threshold": 0.5,
        "data": {},
        "metrics": {},
        "versions": {},
        "files": {"model.onnx": "a", "golden.npz": "b"},
        "licence": "",
        "credit": "",
    } | changed
