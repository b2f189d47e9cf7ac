"""Untrusted images, and what is kept of trusted ones."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.errors import DecodeError, SourceError
from contracts.frames import MAX_FRAME_BYTES
from contracts.plant.cameras import Camera
from edge.adapters import images
from edge.adapters.image_folder import FolderSource
from edge.adapters.images import decode, develop, read_image
from tests.clips import jpeg_clip, moving


def encoded(image: NDArray[Any], suffix: str) -> bytes:
    _, data = cv2.imencode(suffix, image)
    return bytes(data)


def camera(**settings: Any) -> Camera:
    return Camera.model_validate({"folder": "x", **settings})


NOISE = np.random.default_rng(1).integers(0, 256, (48, 64, 3)).astype(np.uint8)
DEEP = np.random.default_rng(2).integers(0, 65_536, (48, 64)).astype(np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp"])
def test_lossless_images_keep_their_pixels(suffix: str) -> None:
    np.testing.assert_array_equal(decode(encoded(NOISE, suffix)), NOISE)
    if suffix != ".bmp":
        np.testing.assert_array_equal(decode(encoded(DEEP, suffix)), DEEP)


def huge_png(width: int = 10_000, height: int = 10_000) -> bytes:
    data = bytearray(encoded(NOISE, ".png"))
    data[16:24] = struct.pack(">II", width, height)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no PNG"),
        (b"<html>", "no PNG"),
        (huge_png(), "10000 x 10000"),
        (huge_png(20_001, 1), "20001 x 1"),
        (encoded(NOISE, ".jpg")[:30], "in its head"),
        (encoded(NOISE, ".png")[:60], "broken png"),
        (encoded(NOISE, ".jpg")[:-500], "ends too early"),
        (encoded(np.zeros((4, 4), np.float32), ".tiff"), "float32"),
    ],
)
def test_what_cannot_be_used_says_why(data: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode(data)


SEEDS = [encoded(NOISE, suffix) for suffix in (".png", ".jpg", ".tiff", ".bmp")]


@given(st.sampled_from(SEEDS), st.integers(0, 400), st.binary(max_size=20))
def test_broken_bytes_never_do_more_than_fail(seed: bytes, at: int, junk: bytes) -> None:
    data = seed[:at] + junk + seed[at + len(junk) :]
    with contextlib.suppress(DecodeError):
        decode(data)


def test_jpeg_is_made_smaller_until_it_fits() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (1500, 2000, 3)).astype(np.uint8)
    picture = develop(noise, camera(quality=100))
    assert picture is not None and picture.reduced
    assert len(picture.value) <= MAX_FRAME_BYTES
    shape = decode(picture.value).shape
    assert (picture.height, picture.width) == shape[:2]


def test_png_keeps_sixteen_bits_or_is_dropped() -> None:
    picture = develop(DEEP, camera(encoding="png"), "frozen")
    assert picture is not None
    assert (picture.encoding, picture.view, picture.reduced) == ("png", "frozen", False)
    np.testing.assert_array_equal(decode(picture.value), DEEP)
    large = np.random.default_rng(4).integers(0, 65_536, (800, 800)).astype(np.uint16)
    assert develop(large, camera(encoding="png")) is None


def test_region_and_size_come_before_encoding() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[50:, 100:] = 255
    settings = camera(encoding="png", region=[0.5, 0.5, 1.0, 1.0], size=[50, 30])
    picture = develop(image, settings)
    assert picture is not None
    kept = decode(picture.value)
    assert kept.shape == (30, 50, 3) and kept.min() == 255


def test_thermal_images_are_grey() -> None:
    picture = develop(NOISE, camera(kind="thermal", encoding="png"))
    assert picture is not None
    assert decode(picture.value).shape == (48, 64)


def test_a_dark_region_is_dark() -> None:
    image = np.zeros((100, 200), np.uint8)
    image[:, 100:] = 200
    left = develop(image, camera(region=[0.0, 0.0, 0.5, 1.0]), "frozen")
    whole = develop(image, camera())
    assert left is not None and whole is not None
    assert (left.view, whole.view) == ("dark", "good")


def test_sixteen_bits_in_a_jpeg_are_the_upper_eight() -> None:
    flat = np.full((32, 32), 0x8000, np.uint16)
    picture = develop(flat, camera(quality=100))
    assert picture is not None
    assert abs(int(decode(picture.value)[0, 0]) - 0x80) <= 1


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    with file.open("wb") as out:
        out.truncate(images.MAX_FILE_BYTES + 1)
    with pytest.raises(SourceError, match="more than"):
        read_image(file)


def test_a_folder_gives_its_images_by_name_and_then_new_ones(tmp_path: Path) -> None:
    folder = jpeg_clip(tmp_path / "in", moving(3))
    (folder / "notes.txt").write_text("no image")
    settled(folder)
    shots = FolderSource(camera(folder="in", rate=60), tmp_path).shots()
    assert [next(shots).image().shape for _ in range(3)] == [(240, 320, 3)] * 3
    (folder / "0000b.png").write_bytes(encoded(NOISE, ".png"))
    assert next(shots).image().shape == (48, 64, 3)


def settled(folder: Path) -> None:
    """Waits until no file in it is so new that it may be in the making."""
    newest = max(os.stat(file).st_ctime for file in folder.iterdir())
    time.sleep(max(0.0, newest + 0.6 - time.time()))


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        next(FolderSource(camera(folder="gone"), tmp_path).shots())
