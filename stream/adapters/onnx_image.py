"""Packages of image models: read, checked and run by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ModelError
from stream.adapters.onnx_package import (
    FAULTS,
    check_numbers,
    check_scores,
    open_session,
    read_files,
    read_golden,
    read_text,
)
from stream.core.images import Pictures, preprocess
from stream.core.manifest import ImageManifest, read_image_manifest


@dataclass(frozen=True)
class ImagePackage:
    """A package whose golden pictures score here as they did where it was trained."""

    manifest: ImageManifest
    session: Any

    def score(
        self, images: Pictures | list[NDArray[np.uint8]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores float32 [n] and heat float32 [n, rows, columns] of n `images` of the package's
        size, RGB. One picture goes through the model at a time, which costs no more than many do:
        so its score is the same to the last bit whatever stands beside it. Raises ModelError where
        the model fails, answers what is no number, or the pictures have another shape."""
        columns, rows = self.manifest.heat
        scores = np.empty(len(images), np.float32)
        heat = np.empty((len(images), rows, columns), np.float32)
        try:
            for at in range(len(images)):
                image = preprocess(images[at][None], self.manifest)
                found = self.session.run(("score", "heat"), {"image": image})
                scores[at : at + 1], heat[at : at + 1] = found
        except FAULTS as error:
            raise ModelError(f"model {self.manifest.name}: {error}") from error
        check_numbers(scores, self.manifest.name)
        return scores, heat


def load_image_package(folder: Path, *, threads: int = 1) -> ImagePackage:
    """The image model in `folder`. Raises ModelError when a file is missing, too large or changed,
    when the model keeps data outside its file, or when a golden picture scores differently here
    by more than SCORE_TOLERANCE."""
    manifest = read_image_manifest(read_text(folder), str(folder))
    model, golden = read_files(folder, manifest)
    session = open_session(model, folder, threads, "image", ("score", "heat"))
    package = ImagePackage(manifest, session)
    images, expected = read_golden(golden, folder, ("images", "score"))
    known = images.ndim == 4 and len(images) and expected.dtype.kind == "f"
    if not known or expected.shape != (len(images),):
        raise ModelError(f"{folder / 'golden.npz'}: expected pictures, and a score for each")
    check_scores(package.score(images)[0], expected, folder)
    return package
