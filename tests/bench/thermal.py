"""How long it takes to read a tank, beside OpenCV's blur and resize of the same image, on one
core."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from contracts.plant.cameras import Tank
from stream.core.profile import Image
from stream.core.thermal import analyse
from tests.bench.figures import figure

CALLS = 100
"""Timed ones in a round; the round's figure is their median, of one call."""


def thermal(rounds: int) -> list[dict[str, Any]]:
    """Milliseconds a 640x480 frame, 8 and 16 bits, each figure with its runs."""
    runs: dict[str, list[float]] = defaultdict(list)
    tank = Tank()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for _ in range(rounds):
            for bits, image in _images().items():
                runs[f"read a tank, {bits}"].append(_median_ms(analyse, image, tank))
                runs[f"cv2 blur and resize, {bits}"].append(_median_ms(_bare, image))
    finally:
        cv2.setNumThreads(threads)
    figures = []
    for bits in _images():
        mine, bare = f"read a tank, {bits}", f"cv2 blur and resize, {bits}"
        figures.append(figure(bare, "ms", runs[bare]))
        figures.append(figure(mine, "ms", runs[mine], bare, runs[bare]))
    return figures


def _images() -> dict[str, Image]:
    """A wall, crude, emulsion and water, with noise."""
    greys = np.repeat([40.0, 210.0, 155.0, 100.0], [110, 150, 70, 150])
    noise = np.random.default_rng(1).normal(0, 5, (480, 640))
    shown = np.clip(greys[:, None] + noise, 0, 255)
    return {"8 bits": shown.astype(np.uint8), "16 bits": (shown * 257).astype(np.uint16)}


def _bare(image: Image) -> None:
    cv2.resize(cv2.GaussianBlur(image, (0, 0), 5), (320, 240), interpolation=cv2.INTER_AREA)


def _median_ms(call: Callable[..., object], *args: object) -> float:
    took = []
    for _ in range(CALLS):
        start = time.perf_counter_ns()
        call(*args)
        took.append(time.perf_counter_ns() - start)
    return float(np.median(took)) / 1e6
