"""A model package at work for one vision detector: frames of any size in, sightings out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts.plant import Plant
from stream.adapters.frame_agent import Watched
from stream.core.frames import Gauge, Image, ImageModel, Sighting
from stream.core.images import Pictures
from stream.core.manifest import ImageManifest

Score = Callable[
    [Pictures | list[NDArray[np.uint8]]], tuple[NDArray[np.float32], NDArray[np.float32]]
]
"""See ImagePackage.score."""


@dataclass(frozen=True)
class FrameModel:
    """See stream.core.frames.ImageModel. `manifest` and `score` are those of an ImagePackage;
    `factor` is the detector's, of the threshold."""

    manifest: ImageManifest
    score: Score
    factor: float

    @property
    def threshold(self) -> float:
        """The score above which a frame is abnormal."""
        return self.manifest.threshold * self.factor

    @property
    def sha256(self) -> str:
        """The hash of its model.onnx."""
        return self.manifest.sha256

    def look(self, images: list[Image]) -> list[Sighting]:
        """One sighting for each image, scaled to what the package was trained on."""
        scores, heat = self.score([fitted(image, self.manifest.size) for image in images])
        return [Sighting(float(score), warm) for score, warm in zip(scores, heat, strict=True)]


def fitted(image: Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 [height, width, 3] RGB, from grey or RGB of any size; of 16 bits the upper 8."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    if image.shape[1::-1] == tuple(size):
        return np.asarray(image, np.uint8)
    shrinks = image.shape[0] > size[1] or image.shape[1] > size[0]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)


def watched(plant: Plant, models: Mapping[str, ImageModel], gauge: Gauge) -> dict[str, Watched]:
    """Every asset that a camera watches, with the models of its vision detectors (`models` by the
    detector's id), and for thermal cameras the gauge."""
    columns = plant.columns()
    found = {}
    for asset, camera in plant.cameras().items():
        seen_by = {one.id: models[one.id] for one in plant.detectors_of(asset) if one.id in models}
        found[asset] = Watched(
            camera, columns[asset], gauge if camera.kind == "thermal" else None, seen_by
        )
    return found
