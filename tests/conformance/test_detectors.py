"""Every detector passes the kit, and the kit finds what is broken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from contracts.messages import Model
from contracts.plant.detectors import Autoencoder, DetectorBase, Vision
from contracts.plant.detectors import Detector as Section
from contracts.plant.panes import Panes
from contracts.readings import Column
from stream.adapters.onnx_image import load_image_package
from stream.adapters.onnx_package import load_package
from stream.core.autoencoder import AutoencoderDetector
from stream.core.detectors import Detector, Results
from stream.core.rules import LimitRule, rule
from stream.core.vision import VisionRule
from stream.core.windows import WindowBlock, WindowSpec
from tests.conformance.detector_kit import check_detector, sample

MODELS = Path(__file__).parents[2] / "models"
SIGNALS = ("flow1", "flow2", "pre1", "pre2")
ASSETS = ("whut/pumps-1", "whut/pumps-3")
SECTIONS: dict[str, dict[str, Any]] = {
    "limit": {"signal": "flow1", "low": 0.9, "high": 1.1},
    "rate": {"signal": "flow1", "limit": 0.5},
    "imbalance": {
        "inlet": "flow1",
        "outlet": "flow2",
        "limit": 0.02,
        "baseline": dict.fromkeys(ASSETS, 0.0),
        "pulse": 0.05,
        "guard": ["200ms", "1s"],
        "min_rows": 10,
    },
    "pulse": {"signal": "flow2", "reference": "flow1", "ratio": 1.3},
    "instrument": {},
    "autoencoder": {"package": "whut-lstm"},
    "vision": {"package": "piped-lite0", "id": "flow1", "hits": 3},
}


def section(kind: str, **more: Any) -> Any:
    body = {"id": kind, "kind": kind, "window": {"width": "3s", "hop": "500ms"}}
    return TypeAdapter(Section).validate_python(body | SECTIONS[kind] | more)


def build(kind: str, **more: Any) -> Detector:
    found = section(kind, **more)
    if isinstance(found, Autoencoder):
        package = load_package(MODELS / found.package)
        return AutoencoderDetector(found, package.manifest, package.score)
    if isinstance(found, Vision):
        return VisionRule(found, load_image_package(MODELS / found.package).manifest)
    built = rule(found)
    assert built is not None
    return built


def test_every_kind_is_here() -> None:
    kinds = {kind.__name__.lower() for kind in DetectorBase.__subclasses__()}
    assert kinds == set(SECTIONS)


@pytest.mark.parametrize("kind", SECTIONS)
def test_conforms(kind: str) -> None:
    check_detector(build(kind), SIGNALS, ASSETS)


def test_imbalance_against_history_conforms() -> None:
    built = rule(section("imbalance", baseline={}, history="10s"))
    assert built is not None
    check_detector(built, SIGNALS, ASSETS)


@pytest.mark.parametrize("of", ["mean", "min", "max", "last"])
def test_limit_over_panes_conforms(of: str) -> None:
    window = {"width": "3s", "hop": "500ms", "pane": "100ms"}
    built = rule(section("limit", of=of, window=window))
    assert built is not None
    rows = tuple(Column(signal) for signal in SIGNALS)
    panes = Panes(100_000, 0).keeping(section("limit", of=of).needs_of_panes()).columns(rows)
    check_detector(built, tuple(column.signal for column in panes), ASSETS)


@pytest.mark.parametrize("kind", sorted(set(SECTIONS) - {"imbalance"}))
def test_a_window_with_fewer_rows_than_asked_for_is_not_measured(kind: str) -> None:
    built = build(kind, min_rows=31)
    found = built.detect(sample(built, SIGNALS, ASSETS, seed=3))
    assert np.isnan(found.score).all()
    assert set(found.reason) <= {"too-few-rows", "masked"}


@dataclass(frozen=True)
class Broken:
    """A detector that breaks one promise."""

    inner: Detector
    fault: str

    @property
    def id(self) -> str:
        return self.inner.id

    @property
    def kind(self) -> str:
        return self.inner.kind

    @property
    def spec(self) -> WindowSpec:
        return self.inner.spec

    @property
    def model(self) -> Model | None:
        return self.inner.model

    def detect(self, block: WindowBlock) -> Results:
        found = self.inner.detect(block)
        match self.fault:
            case "neighbours":
                return replace(found, score=found.score + np.nanmean(block.values[..., 0]))
            case "length":
                return replace(found, score=found.score + block.values.shape[1])
            case "short":
                return replace(found, score=found.score[1:])
            case "guesses":
                return replace(found, abnormal=np.ones(len(block), bool))
            case "silent":
                return replace(found, reason=("",) * len(block))
            case "writes":
                block.values[0, 0, 0] += 1
        return found


@pytest.mark.parametrize("fault", ["neighbours", "length", "short", "guesses", "silent", "writes"])
def test_the_kit_finds(fault: str) -> None:
    with pytest.raises(AssertionError):
        check_detector(Broken(LimitRule(section("limit")), fault), SIGNALS, ASSETS)
