"""The belt of tiles before the demo's first camera."""

from __future__ import annotations

import numpy as np
import pytest

from vigia.demo.belt import SIDE, Belt, Tiles, tiles
from vigia.demo.scenes import TILE_FRAMES

GOOD, BAD = np.full((SIDE, SIDE, 3), 60, np.uint8), np.full((SIDE, SIDE, 3), 180, np.uint8)
BELT = Belt(7, Tiles([GOOD], [BAD]))


@pytest.mark.parametrize("passed", range(TILE_FRAMES + 1))
def test_a_tile_comes_in_from_the_right(passed: int) -> None:
    shown = BELT.picture(5 * TILE_FRAMES + passed, frozenset({5}))
    columns = np.flatnonzero(shown[:, :, 1].mean(axis=0) > 120)
    assert len(columns) == SIDE * passed // TILE_FRAMES
    assert (columns >= SIDE - len(columns)).all()


def test_a_picture_follows_from_seed_and_number() -> None:
    real = tiles()
    one, same, other = (Belt(seed, real).picture(-40, frozenset()) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()
    assert one.shape == (SIDE, SIDE, 3)
    assert one.dtype == np.uint8


def test_no_two_pictures_are_alike_even_of_plain_tiles() -> None:
    one, other = (BELT.picture(at, frozenset()) for at in (8, 16))
    assert (one != other).mean() > 0.5


def test_the_shipped_tiles() -> None:
    real = tiles()
    assert (len(real.good), len(real.defective)) == (16, 16)
    assert {one.shape for one in (*real.good, *real.defective)} == {(SIDE, SIDE, 3)}
