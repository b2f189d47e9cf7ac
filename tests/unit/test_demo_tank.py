"""The tank before the demo's second camera, read off by eye: where rows change most."""

from __future__ import annotations

import numpy as np
import pytest

from vigia.demo.scenes import FPS
from vigia.demo.tank import HEIGHT, LEVEL, SPAN, WATER, WIDTH, Tank


def still(_: float) -> float:
    return 0.0


def celsius(tank: Tank, frame: int) -> np.ndarray:
    low, high = SPAN
    rows: np.ndarray = low + tank.picture(frame).mean(axis=1) / 255 * (high - low)
    return rows


@pytest.mark.parametrize("frame", [-5000, 0, 37, 2000])
def test_what_is_seen_is_where_it_is(frame: int) -> None:
    tank = Tank(4, still, still)
    rows = celsius(tank, frame)
    surface, _, water = (HEIGHT * (1 - top) for top in tank.tops(frame / FPS))
    half = HEIGHT // 2
    assert abs(np.argmax(np.diff(rows[20:half])) + 21 - surface) <= 2
    assert abs(np.argmin(np.diff(rows[half + 40 :])) + half + 41 - water) <= 2
    assert tank.picture(frame).shape == (HEIGHT, WIDTH)


def test_the_wall_follows_late() -> None:
    tank = Tank(4, lambda at_s: 0.2 if at_s >= 10 else 0.0, still)
    row = round(HEIGHT * (1 - LEVEL - 0.1))
    at = [celsius(tank, frame)[row] for frame in (49, 50, 53, 80)]
    assert at[0] + 5 < at[1] < at[2] - 10 < at[3] - 20


def test_water_rises_and_the_level_stays() -> None:
    tank = Tank(4, still, lambda at_s: 0.15)
    level, emulsion, water = tank.tops(3.0)
    assert level == pytest.approx(LEVEL, abs=0.01)
    assert water == pytest.approx(WATER + 0.15, abs=0.01)
    assert water < emulsion < level


def test_pictures_follow_from_seed_and_number_and_use_the_scale() -> None:
    one, same, other = (Tank(seed, still, still).picture(9) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).mean() > 0.5
    assert one.min() > 0
    assert one.max() < 255
