"""The manifest of a model package: what a model needs, was fitted with and is worth.

A package is a folder of three files: `model.onnx`, `manifest.json` (this) and `golden.npz`.

`model.onnx` takes `window` float32 [n, rows, F], the features of `features.extract`, and gives
`score` float32 [n] and `errors` float32 [n, F], the same error feature by feature. Any n.

`golden.npz` holds `values` float64 [m, rows, S] (raw, NaN for missing), `asset` [m], `why` int8 [m]
(features.Why) and `score` float32 [m] as the training framework computed it, NaN where the
window is not measured.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.errors import ModelError
from stream.core.features import Feature, FeatureKind, FeatureSet, Floats, PulseGuard

SCORE_TOLERANCE = 1e-4


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class TrainedWindow(_Part):
    """Windows [k hop, k hop + width) of `rows` rows, `width_us / rows` apart."""

    width_us: int = Field(gt=0)
    hop_us: int = Field(gt=0)
    rows: int = Field(gt=0)


class FeatureSpec(_Part):
    """One feature, in the model's order."""

    name: str
    kind: FeatureKind
    signals: tuple[str, ...]
    floor: float = Field(gt=0)


class GuardSpec(_Part):
    """The pulse guard; see features.PulseGuard."""

    feature: str
    excess: float = Field(gt=0)
    before: int = Field(ge=0)
    after: int = Field(ge=0)


class AssetSpec(_Part):
    """What was fitted for one asset: `centre` and `spread` in the features' order, and the score
    from which on a window is abnormal."""

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    threshold: float = Field(gt=0)


class Manifest(_Part):
    """`manifest.json`. `files` maps the other files' names to their SHA-256; that of `model.onnx`
    is the model's hash, which every detection names."""

    format: Literal[1]
    name: str
    version: str
    kind: Literal["autoencoder"]
    signals: tuple[str, ...]
    units: dict[str, str]
    window: TrainedWindow
    features: tuple[FeatureSpec, ...]
    guard: GuardSpec | None
    clip: tuple[float, float]
    min_rows: int = Field(gt=0)
    assets: dict[str, AssetSpec]
    data: dict[str, str]
    metrics: dict[str, object]
    versions: dict[str, str]
    files: dict[str, str]
    licence: str
    credit: str

    @property
    def sha256(self) -> str:
        """The model's hash."""
        return self.files["model.onnx"]

    def feature_set(self) -> FeatureSet:
        """The features as `features.extract` takes them."""
        return self._feature_set

    @cached_property
    def _feature_set(self) -> FeatureSet:
        guard = None if self.guard is None else PulseGuard(**self.guard.model_dump())
        features = tuple(Feature(**feature.model_dump()) for feature in self.features)
        return FeatureSet(features, guard, self.clip, self.min_rows)

    def scaler(self, assets: tuple[str, ...]) -> tuple[Floats, Floats]:
        """Centre and spread float64 [n, F], one row for each of `assets` [n]. Raises ModelError
        for an asset that the model was not fitted for."""
        unknown = sorted(set(assets) - self.assets.keys())
        if unknown:
            raise ModelError(f"model {self.name} was not fitted for {', '.join(unknown)}")
        places, centre, spread = self._scales
        at = [places[asset] for asset in assets]
        return centre[at], spread[at]

    @cached_property
    def _scales(self) -> tuple[dict[str, int], Floats, Floats]:
        """Where each asset stands in the arrays of centres and spreads."""
        places = {asset: place for place, asset in enumerate(self.assets)}
        centre = np.array([spec.centre for spec in self.assets.values()])
        spread = np.array([spec.spread for spec in self.assets.values()])
        return places, centre, spread


def read_manifest(text: str | bytes, name: str = "manifest.json") -> Manifest:
    """The manifest in `text`. Raises ModelError that names the first field that is wrong, also
    where its parts do not fit together."""
    try:
        manifest = Manifest.model_validate_json(text)
        features = manifest.feature_set()
    except (ValidationError, ValueError) as error:
        raise ModelError(f"{name}: {_first(error)}") from error
    for asset, spec in manifest.assets.items():
        if not len(spec.centre) == len(spec.spread) == len(features.features):
            raise ModelError(f"{name}: assets.{asset}: expected one centre and spread a feature")
    used = {signal for feature in features.features for signal in feature.signals}
    if not used <= set(manifest.signals):
        raise ModelError(f"{name}: signals: expected all of {', '.join(sorted(used))}")
    if not {"model.onnx", "golden.npz"} <= set(manifest.files):
        raise ModelError(f"{name}: files: expected model.onnx and golden.npz")
    return manifest


def _first(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'manifest'}: {first['msg']}"
