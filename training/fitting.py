"""Scalers and windows of the histories, through the features that serve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.features import Extracted, Floats, extract, raw_features, robust_scale
from training import recipe
from training.whut import SIGNALS, Rows, Run


@dataclass(frozen=True, slots=True)
class Fitted:
    """One run and what its history says is normal: `centre` and `spread` float64 [F]."""

    run: Run
    centre: Floats
    spread: Floats

    def features(self, windows: Rows) -> Extracted:
        """Features of windows [n, ROWS, S] of this asset."""
        n = len(windows)
        centre = np.broadcast_to(self.centre, (n, len(self.centre)))
        spread = np.broadcast_to(self.spread, (n, len(self.spread)))
        return extract(windows, SIGNALS, recipe.FEATURES, centre, spread)

    @property
    def training(self) -> Rows:
        """The rows that the autoencoder learns from."""
        history = self.run.history
        return history[: int(len(history) * recipe.TRAIN_SHARE)]

    @property
    def validation(self) -> Rows:
        """The rows that set the threshold."""
        history = self.run.history
        return history[int(len(history) * recipe.TRAIN_SHARE) :]


def fit(run: Run) -> Fitted:
    """The scaler of one run, from its history alone."""
    raw = raw_features(run.history, SIGNALS, recipe.FEATURES.features)
    centre, spread = robust_scale(raw, [feature.floor for feature in recipe.FEATURES.features])
    return Fitted(run, centre, spread)


def training_windows(fitted: tuple[Fitted, ...]) -> npt.NDArray[np.float32]:
    """All measured windows of the training parts, one row apart: float32 [n, ROWS, F]."""
    parts = []
    for one in fitted:
        extracted = one.features(recipe.cut_windows(one.training, hop=1))
        parts.append(extracted.x[extracted.measured])
    return np.concatenate(parts)


def drifted(x: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """`x` with both square laws moved together, by another amount in each window."""
    moved = x.copy()
    by = rng.uniform(-recipe.LAW_DRIFT, recipe.LAW_DRIFT, (len(x), 1, 1))
    moved[:, :, 1:] += by.astype(np.float32)
    return np.clip(moved, *recipe.FEATURES.clip)
