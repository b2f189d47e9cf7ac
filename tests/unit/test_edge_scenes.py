"""Frozen and dark images, on noise, on codecs, with a clock in the corner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.scenes import FROZEN_US, Stillness, is_dark
from tests.clips import decoded, encode_h264

Image = NDArray[np.uint8]
Coded = Callable[[list[Image]], Iterable[NDArray[Any]]]
FPS = 15


def scene(seed: int = 1) -> NDArray[np.float32]:
    """A still life with edges and texture."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 40, (15, 20, 3)).astype(np.float32)
    image: NDArray[Any] = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC) + 120
    image = image + rng.normal(0, 6, (240, 320, 1))
    for left, top in rng.integers(0, 180, (8, 2)):
        image[top : top + 40, left : left + 60] += rng.normal(0, 40)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 1.2), 0, 255)


def with_clock(image: Image, number: int) -> Image:
    """The running clock that cameras write into a corner."""
    text = f"2026-11-03 12:00:{number // FPS % 60:02d}.{number % FPS:02d}"
    return np.asarray(cv2.putText(image.copy(), text, (6, 18), 0, 0.45, (255, 255, 255), 1))


def film(count: int, noise: float, *, seed: int = 2) -> list[Image]:
    rng, still = np.random.default_rng(seed), scene()
    return [
        with_clock(np.clip(still + rng.normal(0, noise, still.shape), 0, 255).astype(np.uint8), n)
        if noise
        else with_clock(still.astype(np.uint8), n)
        for n in range(count)
    ]


def raw(images: list[Image]) -> Iterable[NDArray[Any]]:
    return images


def as_jpeg(images: list[Image]) -> Iterable[NDArray[Any]]:
    for image in images:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
        yield np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def as_h264(images: list[Image]) -> Iterable[NDArray[Any]]:
    return decoded(encode_h264(images, fps=FPS, gop=2 * FPS, bit_rate=800_000))


def judged(images: Iterable[NDArray[Any]], *, period_us: int = 1_000_000 // FPS) -> list[bool]:
    still, found = Stillness(), []
    for number, image in enumerate(images):
        time_us = number * period_us
        if still.wants(time_us):
            still.show(image, time_us)
        found.append(still.frozen)
    return found


CODECS = pytest.mark.parametrize("coded", [raw, as_jpeg, as_h264], ids=lambda one: one.__name__)


@CODECS
def test_a_frozen_image_is_found_although_its_clock_runs(coded: Coded) -> None:
    found = judged(coded(film(9 * FPS, 0.0)))
    assert found[-1]
    assert not any(found[: FROZEN_US * FPS // 1_000_000])


@CODECS
@pytest.mark.parametrize("noise", [0.7, 2.0, 4.0])
def test_a_still_scene_with_the_noise_of_a_sensor_lives(coded: Coded, noise: float) -> None:
    assert not any(judged(coded(film(9 * FPS, noise))))


@pytest.mark.parametrize("crf", ["30", "36"])
def test_a_still_scene_that_is_coded_without_its_noise_lives(crf: str) -> None:
    """Nearly all blocks are skipped, until the next whole image."""
    for noise, frozen in ((1.5, False), (0.0, True)):
        coded = encode_h264(film(9 * FPS, noise), fps=FPS, gop=2 * FPS, crf=crf)
        assert any(judged(decoded(coded))) == frozen


def test_a_scene_that_moves_again_lives_again() -> None:
    found = judged([*film(8 * FPS, 0.0), *film(6 * FPS, 2.0)])
    assert found[8 * FPS - 1] and not found[-1]


@pytest.mark.parametrize("period_us", [200_000, 1_000_000, 10_000_000])
def test_slow_cameras_freeze_too(period_us: int) -> None:
    count = 3 + 10_000_000 // period_us
    assert judged(film(count, 0.0), period_us=period_us)[-1]
    assert not any(judged(film(count, 2.0), period_us=period_us))


def test_sixteen_bits_freeze_too() -> None:
    image = np.random.default_rng(3).integers(29_000, 30_000, (120, 160)).astype(np.uint16)
    noise = np.random.default_rng(4).integers(0, 4, (60, 120, 160)).astype(np.uint16)
    assert judged([image] * 60, period_us=200_000)[-1]
    assert not any(judged([image + one for one in noise], period_us=200_000))


def test_a_new_size_begins_anew_and_a_tiny_image_is_not_judged() -> None:
    still = Stillness()
    for number in range(40):
        image = np.zeros((8, 8) if number % 2 else (64, 64), np.uint8)
        assert still.wants(number * 1_000_000)
        still.show(image, number * 1_000_000)
    assert not still.frozen
    assert not is_dark(np.zeros((8, 8), np.uint8))


@CODECS
def test_a_black_image_is_dark_although_its_clock_runs(coded: Coded) -> None:
    rng = np.random.default_rng(5)
    black = [rng.integers(0, 12, (240, 320, 3)).astype(np.uint8) for _ in range(6)]
    images = [with_clock(image, number) for number, image in enumerate(black)]
    assert all(is_dark(image) for image in coded(images))


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_a_scene_by_night_with_some_light_is_not_dark(noise: float) -> None:
    (image,) = film(1, noise)
    assert not is_dark(image)
    assert not is_dark((image // 3).astype(np.uint8))


def test_a_thermal_image_of_sixteen_bits_is_not_dark() -> None:
    assert not is_dark(np.full((120, 160), 2_900, np.uint16))
    assert is_dark(np.zeros((120, 160), np.uint16))
