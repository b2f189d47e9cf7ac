"""The files of a model package: `model.onnx`, `golden.npz`, `manifest.json`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stream.core.features import Why
from stream.core.manifest import AssetSpec, FeatureSpec, GuardSpec, Manifest, Package, TrainedWindow
from training import recipe
from training.fitting import Fitted
from training.scenarios import withdraw
from training.whut import SHIPPED, SIGNALS

Scores: TypeAlias = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

CREDIT = (
    "Pipeline Test Bench Dataset, Wuhan University of Technology: Gou, Ping, et al., Resilient "
    "measurement reconstruction for pipelines, Measurement (2026) 121184, "
    "https://doi.org/10.1016/j.measurement.2026.121184"
)
UNITS = {"flow1": "1", "flow2": "1", "pre1": "MPa", "pre2": "MPa"}


def thresholds(scores: Scores, fitted: tuple[Fitted, ...]) -> dict[str, float]:
    """By asset: the highest score of the validation part, at every phase of the hop, times the
    margin."""
    found = {}
    for one in fitted:
        extracted = one.features(recipe.cut_windows(one.validation, hop=1))
        highest = scores(extracted.x[extracted.measured]).max()
        found[one.run.asset] = round(float(highest) * recipe.MARGIN, 4)
    return found


def golden(scores: Scores, fitted: tuple[Fitted, ...], seed: int) -> bytes:
    """Raw windows of all assets with the framework's scores: as recorded, with withdrawals, with
    gaps, and with too few rows. The same model gives the same bytes."""
    rng = np.random.default_rng(seed)
    values, assets, why, expected = [], [], [], []
    for one in fitted:
        windows = recipe.cut_windows(one.run.held_out)
        picked = windows[rng.permutation(len(windows))[: recipe.GOLDEN // len(fitted)]].copy()
        for index in range(2, 5):
            full = np.ones(recipe.ROWS)
            picked[index] = withdraw(picked[index], full, 0.02 * index, rng.uniform())
        picked[5, rng.permutation(recipe.ROWS)[:6], 1] = np.nan
        picked[6, : recipe.ROWS - 5] = np.nan
        extracted = one.features(picked)
        values.append(picked)
        assets += [one.run.asset] * len(picked)
        why.append(extracted.why)
        scored = scores(extracted.x)
        expected.append(np.where(extracted.why == Why.MEASURED, scored, np.nan))
    return _npz(
        values=np.concatenate(values),
        asset=np.array(assets),
        why=np.concatenate(why),
        score=np.concatenate(expected).astype(np.float32),
    )


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def describe(
    fitted: tuple[Fitted, ...],
    limits: dict[str, float],
    metrics: dict[str, object],
    versions: dict[str, str],
    files: dict[str, bytes],
) -> Manifest:
    """The manifest of what was built; `files` are the package's other files."""
    spec = recipe.FEATURES
    return Manifest(
        format=1,
        name=recipe.NAME,
        version=recipe.VERSION,
        kind="autoencoder",
        signals=SIGNALS,
        units=UNITS,
        window=TrainedWindow(width_us=recipe.WIDTH_US, hop_us=recipe.HOP_US, rows=recipe.ROWS),
        features=tuple(
            FeatureSpec.model_validate(one, from_attributes=True) for one in spec.features
        ),
        guard=GuardSpec.model_validate(spec.guard, from_attributes=True),
        clip=spec.clip,
        min_rows=spec.min_rows,
        assets={one.run.asset: _asset(one, limits[one.run.asset]) for one in fitted},
        data={"name": "WHUT pipeline rig", "file": SHIPPED.name, "sha256": _sha256(SHIPPED)},
        metrics=metrics,
        versions=versions,
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        licence="MIT (data), Apache-2.0 (model)",
        credit=CREDIT,
    )


def _asset(one: Fitted, threshold: float) -> AssetSpec:
    return AssetSpec(
        centre=tuple(one.centre.tolist()), spread=tuple(one.spread.tolist()), threshold=threshold
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(folder: Path, manifest: Package, files: dict[str, bytes]) -> None:
    """Write the package. The manifest comes last: without it a folder is no package."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=1) + "\n")
