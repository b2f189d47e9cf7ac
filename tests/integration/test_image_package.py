"""The shipped image model: taken only as it was made, and right on samples it has never seen."""

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
from stream.adapters.onnx_image import ImagePackage, load_image_package
from stream.adapters.onnx_package import load_package
from stream.core.golden import MAX_ARRAY_BYTES
from tests import images


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(images.PACKAGE, tmp_path / "package"))


@pytest.fixture(scope="module")
def shipped() -> ImagePackage:
    return load_image_package(images.PACKAGE)


def manifest(package: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = package / "manifest.json"
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def hashed(package: Path, name: str) -> None:
    digest = sha256((package / name).read_bytes()).hexdigest()
    manifest(package, lambda m: m["files"].update({name: digest}))


def golden(package: Path, **changed: Any) -> None:
    path = package / "golden.npz"
    with np.load(path) as found:
        arrays = {name: found[name] for name in found.files}
    np.savez_compressed(path, **(arrays | changed))
    hashed(package, "golden.npz")


def test_it_tells_defects_that_it_has_never_seen(shipped: ImagePackage) -> None:
    good, _ = shipped.score(images.tiles("good"))
    defects, _ = shipped.score(images.tiles("defect"))
    threshold = shipped.manifest.threshold
    assert (good < threshold).all()
    assert (defects > threshold).all()


def test_the_heat_lies_on_the_defect(shipped: ImagePackage) -> None:
    _, heat = shipped.score(images.tiles("defect"))
    columns, rows = shipped.manifest.heat
    masks = images.tiles("mask")[..., 0] > 0
    n, height, width = masks.shape
    cells = masks.reshape(n, rows, height // rows, columns, width // columns).any((2, 4))
    hottest = heat.reshape(n, -1).argmax(1)
    assert cells.reshape(n, -1)[np.arange(n), hottest].all()


def test_a_seam_is_no_defect(shipped: ImagePackage) -> None:
    good = images.tiles("good")
    beside = np.concatenate([good, np.roll(good, 5, axis=0)], axis=2)
    above = np.concatenate([good, np.roll(good, 5, axis=0)], axis=1)
    half = good.shape[1] // 2
    for seam in (beside[:, :, half : half + 2 * half], above[:, half : half + 2 * half]):
        scores, _ = shipped.score(np.ascontiguousarray(seam))
        assert (scores < shipped.manifest.threshold).all()


def test_scores_do_not_depend_on_their_neighbours(shipped: ImagePackage) -> None:
    pictures = np.concatenate([images.tiles("good"), images.tiles("defect")])
    scores, heat = shipped.score(pictures)
    for at in (0, 7, 31):
        alone = shipped.score(pictures[at : at + 1])
        assert np.array_equal(alone[0][0], scores[at])
        assert np.array_equal(alone[1][0], heat[at])
    backwards, _ = shipped.score(pictures[::-1])
    assert np.array_equal(backwards[::-1], scores)
    assert heat.dtype == scores.dtype == np.float32
    assert np.array_equal(heat.max((1, 2)), scores)


def test_no_pictures_are_no_scores(shipped: ImagePackage) -> None:
    scores, heat = shipped.score(images.tiles("good")[:0])
    assert scores.shape == (0,) and heat.shape == (0, 16, 16)


def test_pictures_of_another_size_are_refused(shipped: ImagePackage) -> None:
    with pytest.raises(ModelError, match="expected pictures"):
        shipped.score(np.zeros((1, 64, 64, 3), np.uint8))


def test_scores_that_differ_are_refused(package: Path) -> None:
    with np.load(package / "golden.npz") as found:
        score = found["score"]
    golden(package, score=score + np.float32(2e-4))
    with pytest.raises(ModelError, match="score differently"):
        load_image_package(package)


@pytest.mark.parametrize(
    "changed",
    [
        {"score": np.zeros(0, np.float32), "images": np.zeros((0, 128, 128, 3), np.uint8)},
        {"score": np.zeros(3, np.float32)},
        {"images": np.zeros((10, 64, 64, 3), np.uint8)},
        {"images": np.array([object()], dtype=object)},
    ],
)
def test_golden_pictures_that_are_none_are_refused(package: Path, changed: dict[str, Any]) -> None:
    golden(package, **changed)
    with pytest.raises(ModelError):
        load_image_package(package)


def test_a_small_file_that_holds_too_much_is_refused(package: Path) -> None:
    golden(package, more=np.zeros(MAX_ARRAY_BYTES, np.uint8))
    assert (package / "golden.npz").stat().st_size < 2_000_000
    with pytest.raises(ModelError, match="expected at most"):
        load_image_package(package)


def test_golden_samples_that_are_no_archive_are_refused(package: Path) -> None:
    (package / "golden.npz").write_bytes(b"not an archive")
    hashed(package, "golden.npz")
    with pytest.raises(ModelError, match=r"golden\.npz"):
        load_image_package(package)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "manifest.json"])
def test_a_missing_file_is_named(package: Path, name: str) -> None:
    (package / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_image_package(package)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_a_changed_file_is_refused(package: Path, name: str) -> None:
    content = bytearray((package / name).read_bytes())
    content[len(content) // 2] ^= 1
    (package / name).write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        load_image_package(package)


def test_a_model_with_weights_elsewhere_is_refused(package: Path) -> None:
    path = package / "model.onnx"
    # A second graph is added to the first: one initializer of it lies in another file.
    named = b"\x6a\x0d\x0a\x88\x00location\x12\x00"
    path.write_bytes(path.read_bytes() + b"\x3a\x11\x2a\x0f" + named)
    hashed(package, "model.onnx")
    with pytest.raises(ModelError, match="inside the file"):
        load_image_package(package)


def test_heat_of_another_shape_is_refused(package: Path) -> None:
    manifest(package, lambda m: m.update(heat=[8, 8]))
    with pytest.raises(ModelError, match="piped-lite0"):
        load_image_package(package)


def test_a_model_of_another_kind_is_refused(package: Path) -> None:
    with pytest.raises(ModelError, match="kind"):
        load_package(package)
    with pytest.raises(ModelError, match="kind"):
        load_image_package(images.ROOT / "models" / "whut-lstm")
