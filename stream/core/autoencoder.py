"""The detector behind a model package: reconstruction error against a fitted threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ModelError
from contracts.messages import Model
from contracts.plant.detectors import Autoencoder
from contracts.readings import Quality
from stream.core.culprits import MODEL_FAILED, culprits
from stream.core.detectors import Floats, Results
from stream.core.features import Why, extract
from stream.core.manifest import Manifest
from stream.core.sections import OfSection
from stream.core.windows import WindowBlock

Score = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""float32 [n, T, F] features to float32 [n] scores and [n, F] errors by feature. The scores of a
window are the same to the last bit whatever other windows stand beside it. Raises ModelError where
the model fails, or answers what is no number."""

_REASONS: dict[int, str] = {
    Why.MEASURED: "reconstruction",
    Why.MISSING: "too-few-rows",
    Why.PULSE: "masked",
}


@dataclass(frozen=True)
class AutoencoderDetector(OfSection[Autoencoder]):
    """Rows are put on the model's grid (`window.rows` a window; a slot without a row is
    missing), turned into features as in training, and scored. A window at which the model fails is
    not measured."""

    manifest: Manifest
    score: Score

    def __post_init__(self) -> None:
        window, trained = self.section.window, self.manifest.window
        if window.width != trained.width_us:
            raise ModelError(
                f"detector {self.id}: the window's width is {window.width} us, but model "
                f"{self.manifest.name} was trained on {trained.width_us} us"
            )

    @property
    def model(self) -> Model:
        """The package that scores."""
        return self.manifest.model

    def detect(self, block: WindowBlock) -> Results:
        manifest = self.manifest
        centre, spread = manifest.scaler(block.assets)
        values = to_grid(block, manifest.signals, manifest.window.rows)
        found = extract(values, manifest.signals, manifest.feature_set(), centre, spread)
        enough = found.kept >= self.section.min_rows
        places = np.flatnonzero(found.measured & enough)
        score = np.full(len(block), np.nan)
        errors = np.full((len(block), centre.shape[1]), np.nan)

        def run(part: slice) -> None:
            score[places[part]], errors[places[part]] = self.score(found.x[places[part]])

        failed = set(places[culprits(run, 0, len(places))].tolist())
        threshold = self._thresholds(block.assets)
        with np.errstate(invalid="ignore"):
            abnormal = np.asarray(score > threshold)
        told = zip(found.why.tolist(), enough.tolist(), strict=True)
        reason = tuple(
            MODEL_FAILED if at in failed else _REASONS[code] if ok or code else "too-few-rows"
            for at, (code, ok) in enumerate(told)
        )
        evidence = {
            feature.name: errors[:, index] for index, feature in enumerate(manifest.features)
        }
        return Results(score, threshold, abnormal, reason, evidence)

    def _thresholds(self, assets: tuple[str, ...]) -> Floats:
        fitted = self.manifest.assets
        return np.array([fitted[asset].threshold for asset in assets]) * self.section.factor


def to_grid(block: WindowBlock, signals: tuple[str, ...], rows: int) -> Floats:
    """float64 [n, rows, S]: the windows' usable values of `signals` in their slots, NaN elsewhere.
    Of two rows in one slot the later counts. Raises ValueError for a signal the block lacks."""
    columns = [block.signals.index(signal) for signal in signals]
    slots = (block.times_us - block.starts_us[:, None]) * rows // block.width_us
    quality, values = block.quality, block.values
    if signals != block.signals:
        quality, values = quality[:, :, columns], values[:, :, columns]
    good = (quality == Quality.GOOD) | (quality == Quality.HELD)
    if slots.shape[1] == rows and block.present.all() and (slots == np.arange(rows)).all():
        return values if good.all() else np.where(good, values, np.nan)
    window, row = np.nonzero(block.present)
    grid = np.full((len(block), rows, len(columns)), np.nan)
    grid[window, slots[window, row]] = np.where(good, values, np.nan)[window, row]
    return grid
