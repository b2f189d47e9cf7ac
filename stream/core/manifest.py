"""The manifest of a model package: what a model needs, was fitted with and is worth.

A package is a folder of three files: `model.onnx`, `manifest.json` (this) and `golden.npz`. Its
`kind` is "autoencoder" or "image".

An autoencoder's `model.onnx` takes `window` float32 [n, rows, F], the features of
`features.extract`, and gives `score` float32 [n] and `errors` float32 [n, F], the same error
feature by feature. Any n. Its `golden.npz` holds `values` float64 [m, rows, S] (raw, NaN for
missing), `asset` [m], `why` int8 [m] (features.Why) and `score` float32 [m] as the training
framework computed it, NaN where the window is not measured.

An image model's `model.onnx` takes `image` float32 [n, height, width, 3], what `images.preprocess`
makes of pictures, and gives `score` float32 [n] and `heat` float32 [n, rows, columns]: how abnormal
each cell of the picture is. Any n. Its `golden.npz` holds `images` uint8 [m, height, width, 3] and
`score` float32 [m] as the training framework computed it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, TypeAdapter, ValidationError

from contracts.durations import MAX_US
from contracts.errors import ModelError
from contracts.message import Many, Named, first_mistake
from contracts.messages import Model
from stream.core.features import Feature, FeatureKind, FeatureSet, Floats, PulseGuard

SCORE_TOLERANCE = 1e-4
MAX_WINDOW_ROWS = 10_000
MAX_BYTES = 2_000_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class TrainedWindow(_Part):
    """Windows [k hop, k hop + width) of `rows` rows, `width_us / rows` apart."""

    width_us: int = Field(gt=0, le=MAX_US)
    hop_us: int = Field(gt=0, le=MAX_US)
    rows: int = Field(gt=0, le=MAX_WINDOW_ROWS)


class FeatureSpec(_Part):
    """One feature, in the model's order."""

    name: str
    kind: FeatureKind
    signals: Many[str]
    floor: float = Field(gt=0)


class GuardSpec(_Part):
    """The pulse guard; see features.PulseGuard."""

    feature: str
    excess: float = Field(gt=0)
    before: int = Field(ge=0, le=MAX_WINDOW_ROWS)
    after: int = Field(ge=0, le=MAX_WINDOW_ROWS)


class AssetSpec(_Part):
    """What was fitted for one asset: `centre` and `spread` in the features' order, and the score
    from which on a window is abnormal."""

    centre: Many[float]
    spread: Many[float]
    threshold: float = Field(gt=0)


class Package(_Part):
    """What every `manifest.json` has. `files` maps the other files' names to their SHA-256; that
    of `model.onnx` is the model's hash, which every detection names."""

    format: Literal[1]
    name: str
    version: str
    data: Named[str]
    metrics: Named[object]
    versions: Named[str]
    files: Named[str]
    licence: str
    credit: str

    @property
    def sha256(self) -> str:
        """The model's hash."""
        return self.files["model.onnx"]

    @property
    def model(self) -> Model:
        """The package as detections name it."""
        return Model(name=self.name, version=self.version, sha256=self.sha256)


class Manifest(Package):
    """The manifest of an autoencoder."""

    kind: Literal["autoencoder"]
    signals: Many[str]
    units: Named[str]
    window: TrainedWindow
    features: Many[FeatureSpec]
    guard: GuardSpec | None
    clip: tuple[float, float]
    min_rows: int = Field(gt=0)
    assets: Named[AssetSpec]

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


Side = Annotated[int, Field(gt=0, le=2048)]
Colour = tuple[float, float, float]


class ImageManifest(Package):
    """The manifest of an image model. `size` and `heat` are [width, height], in pixels and in
    cells. Its input is (pixel - mean) / scale, colour by colour in `order`. A picture is abnormal
    from a score above `threshold` on; the score is the probability that it shows a defect (task
    `class`), or how far the picture is from normal ones (task `one-class`)."""

    kind: Literal["image"]
    task: Literal["class", "one-class"]
    size: tuple[Side, Side]
    heat: tuple[Side, Side]
    order: Literal["RGB"]
    mean: Colour
    scale: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    threshold: float = Field(gt=0)


_ANY: TypeAdapter[Manifest | ImageManifest] = TypeAdapter(
    Annotated[Manifest | ImageManifest, Field(discriminator="kind")]
)


def read_any(text: str | bytes, name: str = "manifest.json") -> Manifest | ImageManifest:
    """The manifest in `text`, of whatever kind. Raises ModelError that names the first field that
    is wrong, also where its parts do not fit together."""
    try:
        if len(text) > MAX_BYTES:
            raise ValueError(f"expected at most {MAX_BYTES} bytes")
        manifest = _ANY.validate_python(orjson.loads(text))
        if isinstance(manifest, Manifest):
            _check_features(manifest, name)
    except ValueError as error:
        raise ModelError(f"{name}: {_first(error)}") from error
    if not {"model.onnx", "golden.npz"} <= set(manifest.files):
        raise ModelError(f"{name}: files: expected model.onnx and golden.npz")
    return manifest


def read_manifest(text: str | bytes, name: str = "manifest.json") -> Manifest:
    """The manifest of an autoencoder; see read_any. Raises ModelError for another kind."""
    manifest = read_any(text, name)
    if not isinstance(manifest, Manifest):
        raise ModelError(f"{name}: kind: expected autoencoder, got {manifest.kind}")
    return manifest


def read_image_manifest(text: str | bytes, name: str = "manifest.json") -> ImageManifest:
    """The manifest of an image model; see read_any. Raises ModelError for another kind."""
    manifest = read_any(text, name)
    if not isinstance(manifest, ImageManifest):
        raise ModelError(f"{name}: kind: expected image, got {manifest.kind}")
    return manifest


def _check_features(manifest: Manifest, name: str) -> None:
    features = manifest.feature_set()
    for asset, spec in manifest.assets.items():
        if not len(spec.centre) == len(spec.spread) == len(features.features):
            raise ModelError(f"{name}: assets.{asset}: expected one centre and spread a feature")
    used = {signal for feature in features.features for signal in feature.signals}
    if not used <= set(manifest.signals):
        raise ModelError(f"{name}: signals: expected all of {', '.join(sorted(used))}")


def _first(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    # A manifest whose kind is known is told about without it.
    return first_mistake(error).removeprefix("autoencoder.").removeprefix("image.")
