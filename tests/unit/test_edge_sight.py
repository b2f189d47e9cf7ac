"""Moved and blurred cameras, on pictures made from real photos."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from contracts.plant.cameras import Camera
from contracts.texts import NOTES, note_text
from edge.adapters.sight_files import SightFiles
from edge.core.camera_station import CameraStation
from edge.core.scenes import is_over_exposed
from edge.core.sharpness import Sharpness, edges
from edge.core.sight import Lasting, Sight, reduced
from edge.core.viewpoint import WIDTH, Viewpoint
from tests.grade.cameras import LEARNING_S, Watched, cameras, learned
from tests.grade.photos import shipped
from tests.simulation.scenery import Fault, Scenery, Weather

S = 1_000_000
CAMERA = Camera(rtsp="rtsp://camera/", watch=("moved", "blurred"))
UNSEEN = tuple(f"works/gate: {NOTES[code]['en']}" for code in ("moved-unseen", "blurred-unseen"))


@pytest.fixture(scope="module")
def known() -> tuple[Watched, Scenery]:
    """A camera that knows its view."""
    ((_, scenery), *_) = cameras(shipped(), 3)
    return learned(scenery), scenery


def seen(watched: Watched, scenery: Scenery, fault: Fault, seconds: int, begin: int = 60) -> str:
    """What is told at the end."""
    for second in range(begin, begin + seconds):
        told = watched.look(scenery.frame(second, "day", fault), second)
    return told


def test_a_fault_is_told_and_the_end_of_it(known: tuple[Watched, Scenery]) -> None:
    for fault, name, seconds in (
        (Fault(shift=0.03), "moved", 20),
        (Fault(turn=6), "moved", 45),
        (Fault(blur=4), "blurred", 20),
    ):
        watched, scenery = copy.deepcopy(known)
        assert seen(watched, scenery, fault, seconds) == name
        assert seen(watched, scenery, Fault(), 20, begin=200) == "good"


def test_what_is_short_is_not_told(known: tuple[Watched, Scenery]) -> None:
    watched, scenery = copy.deepcopy(known)
    assert seen(watched, scenery, Fault(shift=0.05), 6) == "good"
    assert seen(watched, scenery, Fault(), 5, begin=66) == "good"
    assert seen(watched, scenery, Fault(elsewhere=True), 20, begin=71) == "good"


def test_a_camera_that_was_moved_while_the_edge_was_down_is_told_after_a_restart(
    known: tuple[Watched, Scenery], tmp_path: Path
) -> None:
    watched, scenery = copy.deepcopy(known)
    files = SightFiles(tmp_path / "edge")
    kept = watched.sight.memory(LEARNING_S * S)
    assert kept is not None and watched.sight.memory(61 * S) is None
    files.save("works/gate", kept)
    again = Watched(Sight.recalled(watched.sight.camera, files.load("works/gate")))
    assert seen(copy.deepcopy(again), scenery, Fault(), 20) == "good"
    assert seen(again, scenery, Fault(shift=0.03), 20) == "moved"
    other = Sight.recalled(Camera(rtsp="rtsp://other/"), files.load("works/gate"))
    assert other.viewpoint.first is None and other.sharpness.normal is None


def test_a_memory_of_which_any_byte_is_wrong_does_no_harm(
    known: tuple[Watched, Scenery], tmp_path: Path
) -> None:
    files, rng = SightFiles(tmp_path), np.random.default_rng(5)
    kept = copy.deepcopy(known[0].sight).memory(LEARNING_S * S)
    assert kept is not None
    files.save("works/gate", kept)
    file = tmp_path / "works.gate.npz"
    right = file.read_bytes()
    for at in rng.integers(0, len(right), 300).tolist():
        file.write_bytes(right[:at] + bytes([right[at] ^ 0xFF]) + right[at + 1 :])
        Sight.recalled(CAMERA, files.load("works/gate"))
        file.write_bytes(right[:at])
        assert files.load("works/gate") == {}


@pytest.mark.parametrize("spoil", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY\x01\x00"])
def test_a_spoilt_memory_is_forgotten(tmp_path: Path, spoil: bytes) -> None:
    (tmp_path / "works.gate.npz").write_bytes(spoil)
    assert SightFiles(tmp_path).load("works/gate") == {}
    assert SightFiles(None).load("works/gate") == {}


def test_a_memory_of_nonsense_is_not_used(known: tuple[Watched, Scenery]) -> None:
    kept = copy.deepcopy(known[0].sight).memory(LEARNING_S * S)
    assert kept is not None
    for name, wrong in (
        ("first", np.zeros(4)),
        ("first-marks", np.full((20, 2), 10_000)),
        ("first-marks", np.full((20, 2), -1)),
        ("first", np.full((90, 160), np.nan)),
    ):
        sight = Sight.recalled(CAMERA, {**kept, name: wrong})
        assert sight.viewpoint.first is None
    assert Sight.recalled(CAMERA, {**kept, "blocks": np.zeros(3)}).sharpness.normal is None


def test_without_watch_nothing_is_told(known: tuple[Watched, Scenery]) -> None:
    scenery = known[1]
    camera = CAMERA.model_copy(update={"watch": ()})
    watched = Watched(Sight(camera))
    assert seen(watched, scenery, Fault(), 70, begin=0) == "good"
    assert seen(watched, scenery, Fault(blur=6, shift=0.1), 60) == "good"
    assert watched.sight.memory(200 * S) is None


def test_what_cannot_be_judged_is_never_told() -> None:
    rng = np.random.default_rng(1)
    for shape in ((8, 8), (63, 300), (240, 320)):
        sight = Sight(CAMERA)
        for second in range(130):
            base = 100 + 40 * (second >= 65)
            sight.show(rng.normal(base, 3, shape).clip(0, 255).astype(np.uint8), second * S)
        assert sight.view == "good"


def test_what_cannot_be_told_for_long_is_said(known: tuple[Watched, Scenery]) -> None:
    watched, scenery = copy.deepcopy(known)
    assert watched.sight.unseen(LEARNING_S * S) == ()
    station = CameraStation("works/gate", CAMERA, None, 0)
    bare = Sight(CAMERA)
    for second in (0, 1, 599, 600):
        bare.show(np.full((240, 320), 120, np.uint8), second * S)
        station.sees(bare.unseen(second * S), second * S)
        assert station.notes() == (() if second < 600 else UNSEEN), second
    assert len(station.look(600 * S)) == 2
    assert note_text(UNSEEN[0], "es").startswith("works/gate: no se puede saber ahora")
    watched.look(scenery.frame(900), 900)
    watched.look(scenery.frame(901), 901)
    station.sees(watched.sight.unseen(901 * S), 901 * S)
    assert station.notes() == ()


@pytest.mark.parametrize(
    ("weather", "fault", "state"),
    [
        ("night", Fault(), "good"),
        ("night", Fault(shift=0.02), "moved"),
        ("lamp", Fault(blur=4), "blurred"),
    ],
)
def test_by_night_the_mean_of_looks_is_looked_at(
    known: tuple[Watched, Scenery], weather: Weather, fault: Fault, state: str
) -> None:
    watched, scenery = copy.deepcopy(known)
    seen(watched, scenery, Fault(), 10)
    for second in range(100, 140):
        told = watched.look(scenery.frame(second, weather, fault), second)
    assert told == state
    assert watched.sight.unseen(140 * S) == ()


def test_a_camera_that_sways_by_night_is_not_blurred(known: tuple[Watched, Scenery]) -> None:
    rng, (watched, scenery) = np.random.default_rng(4), copy.deepcopy(known)
    for second in range(60, 120):
        sway = Fault(shift=float(rng.normal(0, 1 / 640)))
        assert watched.look(scenery.frame(second, "night", sway), second) == "good"


def test_what_came_later_than_the_first_minute_must_stay_for_an_hour(
    known: tuple[Watched, Scenery],
) -> None:
    pictures = [reduced(known[1].frame(second), 640) for second in range(20)]
    bare = np.full_like(pictures[0], 120)
    place, sharpness = Viewpoint(), Sharpness()
    for second in range(300):
        picture = pictures[second % 20] if 60 <= second < 240 else bare
        place.look(reduced(picture, WIDTH))
        sharpness.look(picture)
    assert place.first is None and sharpness.normal is None


def test_another_size_is_learned_anew(known: tuple[Watched, Scenery]) -> None:
    watched, scenery = copy.deepcopy(known)
    for second in range(60, 160):
        small = np.ascontiguousarray(scenery.frame(second)[::2, ::2])
        assert watched.look(small, second) == "good"


def test_edges_tell_the_blur_whatever_the_light_and_the_noise() -> None:
    rng = np.random.default_rng(2)
    x = np.arange(320)
    for blur in (1.0, 2.0, 3.0):
        # Steps of many heights, each as wide as the blur.
        picture = np.zeros((240, 320))
        for at in range(10, 320, 26):
            step = rng.uniform(30, 60) * rng.choice([-1, 1])
            picture += step / (1 + np.exp(-(x - at) / (0.588 * blur)))
        for gain, noise in ((1.0, 0.5), (0.4, 0.5), (1.0, 4.0)):
            shown = 128 + gain * picture + rng.normal(0, noise, picture.shape)
            squared, _ = edges(shown.astype(np.float32))
            assert np.sqrt(np.nanmedian(squared)) == pytest.approx(blur, rel=0.15)


def test_the_parts_of_a_picture_are_its_means() -> None:
    image = np.arange(720 * 1280).reshape(720, 1280).astype(np.uint16)
    small = reduced(image.astype(np.uint8), 640)
    assert small.shape == (360, 640)
    assert small[3, 5] == pytest.approx(image.astype(np.uint8)[6:8, 10:12].mean())


def test_what_lasts_is_so_and_a_look_that_cannot_tell_changes_nothing() -> None:
    lasting = Lasting(5 * S)
    told = [True, None, True, True, True, True, True, False, True, False, False, None, False]
    states = []
    for second, so in enumerate(told):
        lasting.tell(so, second * S)
        states.append(lasting.is_so)
    assert states == [False] * 5 + [True] * 7 + [False]


def test_a_white_picture_is_over_exposed_and_a_white_sky_is_not() -> None:
    scene = np.random.default_rng(3).integers(60, 200, (240, 320)).astype(np.uint8)
    white = np.full_like(scene, 255)
    white[:20, :60] = scene[:20, :60]
    sky = scene.copy()
    sky[:140] = 255
    assert is_over_exposed(white) and not is_over_exposed(sky)
    assert is_over_exposed(np.full((240, 320), 65_535, np.uint16))
    assert not is_over_exposed(np.zeros((8, 8), np.uint8))
