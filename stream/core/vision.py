"""The detector behind an image model: enough of a window's frames above the model's threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contracts.messages import Model
from contracts.plant.cameras import BRIGHTNESS
from contracts.plant.detectors import Vision
from stream.core.culprits import MODEL_FAILED
from stream.core.detectors import Bools, Floats, Results, usable
from stream.core.manifest import ImageManifest
from stream.core.sections import OfSection
from stream.core.windows import I64, WindowBlock


@dataclass(frozen=True)
class VisionRule(OfSection[Vision]):
    """Looks at the scores that the model gave the frames, in the signal named after the detector;
    it runs no model itself. Frames that could be seen and have no score are those at which the
    model failed. See contracts.plant.detectors.Vision."""

    manifest: ImageManifest

    @property
    def model(self) -> Model:
        """The package that scored the frames."""
        return self.manifest.model

    def detect(self, block: WindowBlock) -> Results:
        section = self.section
        values, good = usable(block, section.id)
        frames = good.sum(axis=1)
        needed = max(section.min_rows, section.hits)
        enough = frames >= needed
        failed = ~enough & (self._seen(block) >= needed)
        score = np.where(enough, _largest(values, good, section.hits), np.nan)
        threshold = np.full(len(block), self.manifest.threshold * section.factor)
        with np.errstate(invalid="ignore"):
            abnormal = np.asarray(score > threshold)
            above = (good & (values > threshold[:, None])).sum(axis=1)
        reason = tuple(
            "image" if ok else MODEL_FAILED if fails else "too-few-rows"
            for ok, fails in zip(enough.tolist(), failed.tolist(), strict=True)
        )
        evidence = {"above": above.astype(np.float64), "frames": frames.astype(np.float64)}
        return Results(score, threshold, abnormal, reason, evidence)

    def _seen(self, block: WindowBlock) -> I64:
        """How many frames [n] of each window were worth a look."""
        if BRIGHTNESS not in block.signals:
            return np.zeros(len(block), np.int64)
        return np.asarray(usable(block, BRIGHTNESS)[1].sum(axis=1), np.int64)


def _largest(values: Floats, good: Bools, place: int) -> Floats:
    """The `place`-th largest usable value of each window; meaningless where there are fewer."""
    if values.shape[1] < place:
        return np.full(len(values), np.nan)
    return np.asarray(np.sort(np.where(good, values, -np.inf), axis=1)[:, -place])
