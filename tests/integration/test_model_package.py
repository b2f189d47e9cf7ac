"""A package is taken only as it was made: the shipped one is, and every way to break it is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import ModelError
from stream.adapters.onnx_package import load_package

SHIPPED = Path(__file__).parents[2] / "models" / "whut-lstm"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "package"))


def manifest(package: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = package / "manifest.json"
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def golden(package: Path, **changed: Any) -> None:
    path = package / "golden.npz"
    with np.load(path) as found:
        arrays = {name: found[name] for name in found.files}
    np.savez(path, **(arrays | changed))
    manifest(package, lambda m: m["files"].update({"golden.npz": _hash(path)}))


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_the_shipped_package_scores_here_as_where_it_was_trained(package: Path) -> None:
    assert load_package(package).manifest.name == "whut-lstm"


def test_scores_that_differ_are_refused(package: Path) -> None:
    with np.load(package / "golden.npz") as found:
        score = found["score"]
    golden(package, score=score + 2e-4)
    with pytest.raises(ModelError, match="score differently"):
        load_package(package)


def test_samples_that_are_no_longer_measured_are_refused(package: Path) -> None:
    with np.load(package / "golden.npz") as found:
        values = found["values"].copy()
    values[0] = np.nan
    golden(package, values=values)
    with pytest.raises(ModelError):
        load_package(package)


def test_a_pickle_is_not_opened(package: Path) -> None:
    golden(package, score=np.array([object()], dtype=object))
    with pytest.raises(ModelError, match=r"golden\.npz"):
        load_package(package)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "manifest.json"])
def test_a_missing_file_is_named(package: Path, name: str) -> None:
    (package / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_package(package)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_a_changed_file_is_refused(package: Path, name: str) -> None:
    content = bytearray((package / name).read_bytes())
    content[len(content) // 2] ^= 1
    (package / name).write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        load_package(package)


def test_what_is_no_model_is_refused(package: Path) -> None:
    path = package / "model.onnx"
    path.write_bytes(b"not a model")
    manifest(package, lambda m: m["files"].update({"model.onnx": _hash(path)}))
    with pytest.raises(ModelError, match=r"model\.onnx"):
        load_package(package)


@pytest.mark.parametrize("field", ["features", "window", "assets", "files", "clip"])
def test_a_manifest_without_a_field_is_refused(package: Path, field: str) -> None:
    manifest(package, lambda m: m.pop(field))
    with pytest.raises(ModelError, match=field):
        load_package(package)


@pytest.mark.parametrize("beside", [0, 14, 15, 127, 128, 300])
def test_a_score_is_the_same_whatever_stands_beside_it(package: Path, beside: int) -> None:
    loaded = load_package(package)
    shape = (loaded.manifest.window.rows, len(loaded.manifest.features))
    windows = np.random.default_rng(7).normal(0, 2, (1 + beside, *shape)).astype(np.float32)
    score, errors = loaded.score(windows[-1:])
    scores, all_errors = loaded.score(windows)
    assert len(scores) == 1 + beside
    assert (scores[-1], all_errors[-1].tolist()) == (score[0], errors[0].tolist())
