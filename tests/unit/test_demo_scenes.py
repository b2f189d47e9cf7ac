"""What happens before the demo's cameras: it fits, it is repeatable, and all of it is seen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigia.demo.belt import Tiles
from vigia.demo.film import Film
from vigia.demo.planting import DEFAULT_SECONDS, QUIET_S, EventKind
from vigia.demo.scenes import BELT, FPS, GAP_FRAMES, TANK, TILE_FRAMES, draw_scenes

SEEDS = st.integers(0, 2**32 - 1)
ROUNDS = st.integers(0, 30)
OF = {EventKind.DEFECT: {BELT}, EventKind.LEVEL: {TANK}, EventKind.INTERFACE: {TANK}}
PLAIN = Tiles([np.full((256, 256, 3), 90, np.uint8)], [np.full((256, 256, 3), 200, np.uint8)])


@given(SEEDS, st.integers(1, 400), ROUNDS)
def test_events_lie_within_and_apart(seed: int, seconds: int, number: int) -> None:
    events = draw_scenes(seed, True, seconds, number)
    for event in events:
        assert QUIET_S <= event.start_s < event.end_s <= seconds - QUIET_S
        assert event.asset in OF.get(event.kind, {BELT, TANK})
    for asset in (BELT, TANK):
        mine = [event for event in events if event.asset == asset]
        for earlier, later in pairwise(mine):
            assert later.start_s - earlier.end_s >= GAP_FRAMES / FPS - 1e-9


@given(SEEDS, ROUNDS)
def test_a_whole_round_has_one_of_each_kind(seed: int, number: int) -> None:
    kinds = [event.kind for event in draw_scenes(seed, True, DEFAULT_SECONDS, number)]
    assert sorted(kinds) == ["defect", "interface", "level", "stuck-camera"]


@given(SEEDS, st.integers(1, 400), ROUNDS)
def test_the_same_seed_draws_the_same(seed: int, seconds: int, number: int) -> None:
    assert draw_scenes(seed, True, seconds, number) == draw_scenes(seed, True, seconds, number)


def test_without_events_there_are_none_and_seeds_differ() -> None:
    assert draw_scenes(1, False, 90) == ()
    assert len({draw_scenes(seed, True, 90) for seed in range(10)}) == 10


@given(SEEDS, ROUNDS)
def test_a_defect_comes_with_its_tile(seed: int, number: int) -> None:
    for event in draw_scenes(seed, True, DEFAULT_SECONDS, number):
        if event.kind is EventKind.DEFECT:
            first = round((number * DEFAULT_SECONDS + event.start_s) * FPS)
            assert first % TILE_FRAMES == 0
            assert round((event.end_s - event.start_s) * FPS) == 2 * TILE_FRAMES


@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_film_shows_a_defect_while_it_lasts_and_at_no_other_time(number: int) -> None:
    film = Film(3, True, None, PLAIN)
    (defect,) = (event for event in film.round(number) if event.kind is EventKind.DEFECT)
    first, last = round(defect.start_s * FPS), round(defect.end_s * FPS)
    assert film.round_of(first) == number
    shows = [film.picture(BELT, at).max() > 150 for at in range(first - 10, last + 10)]
    assert shows == [False] * 11 + [True] * (last - first - 1) + [False] * 10


@pytest.mark.parametrize("seed", range(6))
def test_a_stuck_camera_repeats_itself(seed: int) -> None:
    film = Film(seed, True, DEFAULT_SECONDS, PLAIN)
    (stuck,) = (event for event in film.round(0) if event.kind is EventKind.STUCK)
    first, last = round(stuck.start_s * FPS), round(stuck.end_s * FPS)
    pictures = [film.picture(stuck.asset, at) for at in (first - 1, first, last - 1, last)]
    same = [bool((one == other).all()) for one, other in pairwise(pictures)]
    assert same == [False, True, False]


def test_nothing_happens_before_and_after_a_film_of_so_many_seconds() -> None:
    film = Film(1, True, 90, PLAIN)
    assert film.round(0)
    assert (film.round(-1), film.round(1)) == ((), ())
    assert (film.round_of(-1), film.round_of(449), film.round_of(450)) == (-1, 0, 1)
    assert Film(1, True, None, PLAIN).round(1)
