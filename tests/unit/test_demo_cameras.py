"""The process that films: what it sends, when, and what it writes down."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest

from contracts.errors import VigiaError
from contracts.plant import read_plant
from vigia.demo.belt import Tiles
from vigia.demo.cameras import PERIOD_US, Cameras
from vigia.demo.coder import KEY_EVERY, Coder
from vigia.demo.eyes import Eyes
from vigia.demo.film import ASSETS, Film
from vigia.demo.truth import Filmed

TILES = Tiles([np.full((256, 256, 3), 90, np.uint8)], [np.full((256, 256, 3), 200, np.uint8)])


@dataclass
class Shelf:
    """A server that keeps what it is given, and ends after `most` units."""

    most: int = 10_000
    units: list[tuple[int, bytes, bool, int]] = field(default_factory=list)

    def show(self, stream: int, unit: bytes, *, key: bool) -> None:
        if len(self.units) == self.most:
            raise VigiaError("gone")
        self.units.append((stream, unit, key, time.time_ns() // 1000))

    def close(self) -> None:
        return


def cameras(folder: Path, shelf: Shelf, *, seconds: int | None, events: bool = True) -> Cameras:
    origin_us = time.time_ns() // 1000
    film = Film(1, events, seconds, TILES)
    return Cameras(film, shelf, folder / "begin", folder / "truth.json", origin_us)


def test_frames_have_their_time_from_the_begin_on(tmp_path: Path) -> None:
    shelf = Shelf()
    filming = cameras(tmp_path, shelf, seconds=1)
    begin_us = filming.origin_us + 450_000
    (tmp_path / "begin").write_text(str(begin_us))
    filming.run(threading.Event())
    # The first frame of the film is the first that is not before the begin.
    assert filming.first is not None
    first_us = filming.origin_us + filming.first * PERIOD_US
    assert 0 <= first_us - begin_us < PERIOD_US
    assert filming.until_us <= first_us + 4 * PERIOD_US
    early = [at for at in shelf.units if at[3] < filming.origin_us]
    assert not early
    assert {one[0] for one in shelf.units} == set(range(len(ASSETS)))
    written = Filmed.model_validate_json((tmp_path / "truth.json").read_bytes())
    assert written.events == ()


def test_what_is_planted_is_written_down_at_the_begin(tmp_path: Path) -> None:
    filming = cameras(tmp_path, Shelf(most=8), seconds=None)
    (tmp_path / "begin").write_text(str(filming.origin_us))
    with pytest.raises(VigiaError):
        filming.run(threading.Event())
    written = Filmed.model_validate_json((tmp_path / "truth.json").read_bytes())
    first_us = filming.origin_us
    planned = [round(event.start_s * 1e6) + first_us for event in filming.film.round(0)]
    assert [one.start_us for one in written.events] == planned
    assert len(planned) == 4


def test_until_the_begin_nothing_counts(tmp_path: Path) -> None:
    shelf = Shelf(most=6)
    filming = cameras(tmp_path, shelf, seconds=90)
    with pytest.raises(VigiaError):
        filming.run(threading.Event())
    assert len(shelf.units) == 6
    assert filming.filmed() == Filmed(until_us=0, events=(), shown=0)
    assert not (tmp_path / "truth.json").exists()


def test_it_stops_when_it_is_told(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    shelf = Shelf()
    cameras(tmp_path, shelf, seconds=None).run(stop)
    assert not shelf.units


def test_what_is_encoded_can_be_decoded_from_any_key_frame() -> None:
    coder = Coder(320, 240)
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 200, (240, 320, 3)).astype(np.uint8) for _ in range(25)]
    units = [coder.encode(one) for one in pictures]
    assert [at for at, (_, key) in enumerate(units) if key] == list(range(0, 25, KEY_EVERY))
    decoder = av.CodecContext.create("h264", "r")
    found = [f for unit, _ in units[KEY_EVERY:] for f in decoder.decode(av.Packet(unit))]
    assert len([*found, *decoder.decode(None)]) == 25 - KEY_EVERY


@pytest.mark.parametrize("guarded", [True, False])
def test_the_staged_plant_file_knows_where_the_cameras_are(tmp_path: Path, guarded: bool) -> None:
    (tmp_path / "camera.password").write_text("secret")
    eyes = Eyes(tmp_path, 12_345, guarded)
    staged = eyes.staged(Path("vigia/demo/plant.yaml"))
    plant = read_plant(staged.read_text(encoding="utf-8"), str(staged))
    assert list(plant.cameras()) == list(ASSETS)
    for asset, camera in plant.cameras().items():
        assert camera.rtsp == f"rtsp://127.0.0.1:12345/{asset.rpartition('/')[2]}"
        assert (camera.username is not None) is guarded
    assert "secret" not in staged.read_text(encoding="utf-8")
