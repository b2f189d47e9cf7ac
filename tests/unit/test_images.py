"""Image models without a model: manifests, preprocessing, and the rule over a window's scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import ModelError
from contracts.plant.detectors import Vision, Window
from contracts.readings import Quality
from stream.core.detectors import Results
from stream.core.images import preprocess
from stream.core.manifest import (
    ImageManifest,
    Manifest,
    read_any,
    read_image_manifest,
    read_manifest,
)
from stream.core.vision import VisionRule
from stream.core.windows import WindowBlock
from tests import images

LSTM = Path(__file__).parents[2] / "models" / "whut-lstm" / "manifest.json"


def read(**changed: Any) -> ImageManifest:
    return read_image_manifest(json.dumps(images.manifest(**changed)))


def test_the_kind_says_what_a_manifest_is() -> None:
    assert isinstance(read_any(LSTM.read_bytes()), Manifest)
    assert isinstance(read_any(json.dumps(images.manifest())), ImageManifest)
    with pytest.raises(ModelError, match="kind: expected image, got autoencoder"):
        read_image_manifest(LSTM.read_bytes())
    with pytest.raises(ModelError, match="kind: expected autoencoder, got image"):
        read_manifest(json.dumps(images.manifest()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "sound"),
        ("task", "regression"),
        ("size", [0, 2]),
        ("size", [128]),
        ("heat", [2, 4096]),
        ("order", "BGR"),
        ("mean", [1, 2]),
        ("scale", [128, 0, 128]),
        ("threshold", 0),
        ("files", {"model.onnx": "a"}),
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ModelError, match=field):
        read(**{field: value})


def test_preprocessing_is_the_manifests() -> None:
    pictures = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    found = preprocess(pictures, read(mean=[0, 1, 2], scale=[1, 2, 4]))
    assert found.dtype == np.float32 and found.shape == pictures.shape
    assert found[0, 1, 3].tolist() == [21.0, 10.5, 5.25]


@pytest.mark.parametrize(
    "pictures",
    [np.zeros((1, 4, 2, 3), np.uint8), np.zeros((2, 4, 3), np.uint8), np.zeros((1, 2, 4, 3))],
)
def test_other_pictures_are_no_input(pictures: Any) -> None:
    with pytest.raises(ValueError, match=r"expected pictures uint8 \[n, 2, 4, 3\]"):
        preprocess(pictures, read())


def detect(scores: list[float], quality: Quality = Quality.GOOD, **section: Any) -> Results:
    n = len(scores)
    block = WindowBlock(
        ("a/b",),
        ("brightness", "spots"),
        1_000_000,
        np.array([0]),
        np.array([0]),
        np.zeros(1, bool),
        np.ones((1, n), bool),
        np.arange(n, dtype=np.int64)[None],
        np.stack([np.full(n, 9.0), np.array(scores)], -1)[None],
        np.full((1, n, 2), quality, np.uint8),
    )
    window = Window.model_validate({"width": "1s", "hop": "1s"})
    rule = VisionRule(
        Vision(id="spots", kind="vision", package="p", window=window, **section), read()
    )
    assert rule.model.sha256 == "a" and rule.kind == "vision"
    return rule.detect(block)


def test_the_score_is_that_of_the_frame_that_makes_it_enough() -> None:
    found = detect([0.1, 0.9, 0.7, 0.2], hits=2)
    assert found.score.tolist() == [0.7] and found.abnormal.tolist() == [True]
    assert found.reason == ("image",)
    assert found.evidence["above"].tolist() == [2] and found.evidence["frames"].tolist() == [4]
    assert detect([0.1, 0.9, 0.7, 0.2], hits=3).abnormal.tolist() == [False]


def test_the_factor_moves_the_threshold() -> None:
    found = detect([0.6], factor=1.5)
    assert found.threshold.tolist() == [0.75] and found.abnormal.tolist() == [False]


@pytest.mark.parametrize(("scores", "section"), [([0.9, 0.9, np.nan], {"hits": 3}), ([np.nan], {})])
def test_frames_that_were_seen_and_have_no_score_tell_of_a_failing_model(
    scores: list[float], section: dict[str, Any]
) -> None:
    found = detect(scores, **section)
    assert np.isnan(found.score).all() and found.reason == ("model-failed",)
    assert not found.abnormal.any()


@pytest.mark.parametrize(
    ("scores", "section"),
    [
        ([0.9, 0.9], {"hits": 3}),
        ([0.9, 0.9], {"min_rows": 3}),
        ([0.9], {"quality": Quality.OUT_OF_RANGE}),
    ],
)
def test_too_few_frames_are_not_measured(scores: list[float], section: dict[str, Any]) -> None:
    found = detect(scores, **section)
    assert np.isnan(found.score).all() and found.reason == ("too-few-rows",)
    assert not found.abnormal.any()
