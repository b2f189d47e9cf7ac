"""Reading one image of a tank: what is right by construction."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.plant.cameras import Camera, Layer, Tank, camera_columns
from contracts.readings import Quality
from stream.core.layers import inside, most_edges, split
from stream.core.profile import profile
from stream.core.thermal import TankReading, analyse, values

HEIGHT, WIDTH = 300, 400
TANK = Tank(height=6_000, span=(0, 102))
WALL, CRUDE, EMULSION, WATER = 30, 210, 155, 100


def drawn(
    *bands: tuple[float, int], noise: float = 4, dtype: type = np.uint8, seed: int = 7
) -> NDArray[Any]:
    """Bands of (grey 0 to 255, rows) from the top down."""
    column = np.repeat([grey for grey, _ in bands], [rows for _, rows in bands])
    shown = column[:, None] + np.random.default_rng(seed).normal(0, noise, (len(column), WIDTH))
    top = np.iinfo(dtype).max
    return np.asarray(np.rint(np.clip(shown * top / 255, 0, top)).astype(dtype))


def tops(reading: TankReading) -> list[float]:
    return [layer.top for layer in reading.layers]


FOUR = ((WALL, 60), (CRUDE, 90), (EMULSION, 45), (WATER, 105))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_layers_interfaces_and_temperatures(dtype: type) -> None:
    reading = analyse(drawn(*FOUR, dtype=dtype), TANK)
    assert reading.reason == ""
    assert reading.level == pytest.approx(80, abs=0.1)
    assert reading.level_mm == pytest.approx(4_800, abs=6)
    assert tops(reading) == pytest.approx([80, 50, 35], abs=0.1)
    assert [layer.share for layer in reading.layers] == pytest.approx([30, 15, 35], abs=0.1)
    assert [layer.temperature for layer in reading.layers] == pytest.approx([84, 62, 40], abs=0.2)
    assert [(one.above, one.below) for one in reading.interfaces] == [
        ("", "crude"),
        ("crude", "emulsion"),
        ("emulsion", "water"),
    ]
    assert [one.row for one in reading.interfaces] == pytest.approx([60, 150, 195], abs=0.2)
    assert [one.height_mm for one in reading.interfaces] == pytest.approx([4800, 3000, 2100], abs=9)
    assert reading.reliability > 90 and reading.reasons == ()


def test_a_filled_height_is_a_level_of_100() -> None:
    reading = analyse(drawn((CRUDE, 200), (WATER, 100)), TANK)
    assert reading.level == 100
    assert tops(reading) == pytest.approx([100, 33.3, 33.3], abs=0.1)
    assert reading.layers[1].share == 0 and math.isnan(reading.layers[1].temperature)


def test_one_layer_below_a_wall_is_seen() -> None:
    reading = analyse(drawn((WALL, 180), (WATER, 120)), TANK)
    assert tops(reading) == pytest.approx([40, 40, 40], abs=0.1)


def test_what_is_absent_below_has_its_top_at_the_bottom() -> None:
    reading = analyse(drawn((WALL, 180), (CRUDE, 120)), TANK)
    assert tops(reading) == pytest.approx([40, 0, 0], abs=0.1)


def test_a_wall_as_cold_as_the_water_is_no_layer_above_crude() -> None:
    reading = analyse(drawn((90, 60), (CRUDE, 90), (EMULSION, 45), (WATER, 105)), TANK)
    assert tops(reading) == pytest.approx([80, 50, 35], abs=0.1)


@pytest.mark.parametrize("band", [5, 120, 200])
def test_the_roofs_band_is_not_the_surface(band: int) -> None:
    image = drawn((WALL, 10), (band, 12), (WALL, 58), (CRUDE, 110), (WATER, 110))
    assert analyse(image, TANK).level == pytest.approx(73.3, abs=0.2)


def test_a_ring_across_the_content_costs_reliability_only() -> None:
    ringed = drawn((WALL, 60), (CRUDE, 30), (60, 6), (CRUDE, 54), (EMULSION, 45), (WATER, 105))
    reading = analyse(ringed, TANK)
    assert tops(reading) == pytest.approx([80, 50, 35], abs=0.1)
    assert "explained" in reading.reasons
    assert reading.reliability < analyse(drawn(*FOUR), TANK).reliability - 30


def test_a_wall_that_looks_like_the_topmost_layer_is_not_relied_on() -> None:
    reading = analyse(drawn((138, 150), (165, 60), (WATER, 90)), TANK)
    assert reading.level == 100
    assert "margin" in reading.reasons and reading.reliability < 50


def _noise(seed: int, dtype: type) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, np.iinfo(dtype).max, (HEIGHT, WIDTH), endpoint=True, dtype=dtype)


UNSEEN: dict[str, tuple[NDArray[Any], str]] = {
    "noise": (_noise(1, np.uint8), "noise"),
    "noise of 16 bits": (_noise(2, np.uint16), "noise"),
    "grey 127, which is water's range": (drawn((127, HEIGHT), noise=0), "one-layer"),
    "crude alone": (drawn((CRUDE, HEIGHT)), "one-layer"),
    "wall alone": (drawn((WALL, HEIGHT)), "no-layer"),
    "a wall with a roof's band": (drawn((WALL, 20), (60, 10), (WALL, 270)), "no-layer"),
    "white": (drawn((255, HEIGHT), noise=0), "saturation"),
    "too hot for the span": (drawn((300, 200), (270, 60), (WATER, 40)), "saturation"),
    "light from one side": (
        np.tile(np.linspace(75, 250, WIDTH).astype(np.uint8), (HEIGHT, 1)),
        "noise",
    ),
    "small": (drawn(*FOUR)[::10], "small"),
    "empty": (np.zeros((0, WIDTH), np.uint8), "small"),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_an_image_does_not_show_is_not_read(name: str) -> None:
    image, reason = UNSEEN[name]
    reading = analyse(image, TANK)
    assert reading.reason == reason
    assert math.isnan(reading.level) and math.isnan(reading.level_mm)
    assert all(math.isnan(top) for top in tops(reading))
    assert (reading.reliability, reading.interfaces) == (0, ())


def test_a_cold_wall_below_the_scale_is_no_saturation() -> None:
    reading = analyse(drawn((-20, 200), (CRUDE, 50), (WATER, 50), noise=2), TANK)
    assert reading.level == pytest.approx(33.3, abs=0.1)
    assert reading.reliability > 90


def test_noise_within_rows_is_counted_by_the_pixel() -> None:
    quiet, loud = (analyse(drawn(*FOUR, noise=noise), TANK) for noise in (4, 50))
    assert tops(loud) == pytest.approx(tops(quiet), abs=1)
    assert loud.reliability < 60 < quiet.reliability
    assert "coherence" in loud.reasons


def test_nothing_is_stretched() -> None:
    water = drawn((WALL, 60), (WATER, 240))
    assert tops(analyse(water, TANK)) == pytest.approx([80, 80, 80], abs=0.1)


@pytest.mark.parametrize(
    "image", [np.zeros((100, 100)), np.zeros((100, 100, 3), np.uint8), np.zeros(100, np.uint16)]
)
def test_other_images_are_refused(image: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="uint8 or uint16"):
        analyse(image, TANK)


def test_an_image_need_not_be_contiguous() -> None:
    wide = np.repeat(drawn(*FOUR), 2, axis=1)
    assert tops(analyse(wide[:, ::2], TANK)) == tops(analyse(drawn(*FOUR), TANK))


def test_many_layers() -> None:
    greys = [250 - 30 * index for index in range(8)]
    layers = tuple(Layer(id=f"l{g}", grey=(max(g - 15, 0), min(g + 15, 255))) for g in greys)
    reading = analyse(drawn(*((grey, 40) for grey in greys)), Tank(layers=layers))
    assert tops(reading) == pytest.approx([100 - 12.5 * index for index in range(8)], abs=0.2)


# The row of values ------------------------------------------------------------------------------


def camera(tank: Tank) -> Camera:
    return Camera(kind="thermal", folder="images", tank=tank)


def row(reading: TankReading, tank: Tank) -> dict[str, tuple[float, Quality]]:
    found, quality = values(reading, camera(tank))
    assert found.dtype == np.float64 and quality.dtype == np.uint8
    names = [column.signal for column in camera_columns(camera(tank), [])]
    pairs = zip(found.tolist(), map(Quality, quality.tolist()), strict=True)
    return dict(zip(names, pairs, strict=True))


def test_values_stand_in_the_order_of_the_columns() -> None:
    found = row(analyse(drawn(*FOUR), TANK), TANK)
    assert all(quality == Quality.GOOD for _, quality in found.values())
    assert found["brightness"][0] == pytest.approx(127.25, abs=0.2)
    assert found["level"][0] == pytest.approx(80, abs=0.1)
    assert found["level-mm"][0] == pytest.approx(4_800, abs=6)
    assert found["emulsion-share"][0] == pytest.approx(15, abs=0.1)
    assert found["water-top"][0] == pytest.approx(35, abs=0.1)
    assert found["crude-temperature"][0] == pytest.approx(84, abs=0.2)


def test_values_of_what_is_not_shown() -> None:
    flat = drawn((CRUDE, HEIGHT), noise=0)
    found = row(analyse(flat, TANK), TANK)
    brightness, shown = found.pop("brightness")
    assert brightness == pytest.approx(CRUDE) and shown == Quality.GOOD
    assert found.pop("reliability") == (0, Quality.GOOD)
    assert all(math.isnan(value) for value, _ in found.values())
    assert {quality for _, quality in found.values()} == {Quality.NOT_OBSERVABLE}


@pytest.mark.parametrize("bands", [FOUR, ((CRUDE, HEIGHT),)])
def test_mm_are_missing_without_a_height(bands: tuple[tuple[float, int], ...]) -> None:
    tank = Tank()
    found = row(analyse(drawn(*bands), tank), tank)
    assert math.isnan(found["level-mm"][0]) and found["level-mm"][1] == Quality.MISSING


def test_an_absent_layer_has_a_share_and_a_top_but_no_temperature() -> None:
    found = row(analyse(drawn((CRUDE, 200), (WATER, 100)), TANK), TANK)
    assert found["emulsion-share"] == (0, Quality.GOOD)
    assert found["emulsion-top"][1] == Quality.GOOD
    assert found["emulsion-temperature"][1] == Quality.NOT_OBSERVABLE


# The parts --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 255), st.integers(1, 90)), min_size=1, max_size=7),
    noise=st.sampled_from([0.0, 3.0, 30.0]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
)
def test_whatever_is_shown_the_reading_is_consistent(
    rows: list[tuple[int, int]], noise: float, dtype: type
) -> None:
    reading = analyse(drawn(*rows, noise=noise, dtype=dtype), TANK)
    assert 0 <= reading.brightness <= 255 and 0 <= reading.reliability <= 100
    if reading.reason:
        return
    assert 0 < reading.level <= 100
    assert tops(reading)[0] == reading.level == pytest.approx(reading.level_mm / 60)
    below = [*tops(reading)[1:], 0.0]
    for layer, under in zip(reading.layers, below, strict=True):
        assert layer.share == pytest.approx(layer.top - under, abs=1e-9) and layer.share >= 0
    heights = [one.height for one in reading.interfaces]
    assert heights and heights == sorted(heights, reverse=True)


def test_edges_are_where_two_rows_differ() -> None:
    (edge,) = profile(drawn((100, 120), (60, 180), noise=0)).edges
    assert edge.row == pytest.approx(120) and edge.slope < 0


def fitting(member: NDArray[np.bool_], cuts: list[int], starts: tuple[int, ...]) -> float:
    """What `split` promises to make as large as it can be, said once more."""
    ends = [*(cuts[one] for one in starts), cuts[-1]]
    spans = list(itertools.pairwise(ends))
    first = next((index for index, (a, b) in enumerate(spans) if b > a), len(member) - 1)
    total = float(np.sum(~member[: first + 1, : ends[0]].any(axis=0)))
    for index, (start, stop) in enumerate(spans):
        fit = int(member[index, start:stop].sum())
        total += fit if 2 * fit >= stop - start else -np.inf
    return total - 0.01 * cuts[-1] * len({end for end in ends if 0 < end < cuts[-1]})


@pytest.mark.parametrize("seed", range(20))
def test_split_is_the_best_of_all_combinations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0, 255, 40).repeat(3)
    cuts = [0, *sorted(rng.choice(np.arange(1, 119), 4, replace=False).tolist()), 120]
    found = split(rows, np.array(cuts), TANK.layers)
    member = np.array([inside(rows, layer) for layer in TANK.layers], bool)
    every = itertools.combinations_with_replacement(range(len(cuts)), 3)
    best = max(fitting(member, cuts, starts) for starts in every)
    assert fitting(member, cuts, found.ends[:-1]) == pytest.approx(best)


@pytest.mark.parametrize(("layers", "edges"), [(1, 12), (3, 12), (5, 12), (8, 8)])
def test_few_edges_are_combined_where_layers_are_many(layers: int, edges: int) -> None:
    assert most_edges(layers) == edges
