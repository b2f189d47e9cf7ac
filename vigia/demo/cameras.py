"""The cameras: a process that films the belt and the tank and serves both by RTSP, live.

It knows no Kafka, and nobody of the line knows it: what it planted stands in a file that the
demo's summary reads when all is over. A picture has its time whoever watches, so that who comes
late, or again, has missed what was meanwhile.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import click

from contracts.errors import VigiaError
from vigia.demo.belt import tiles
from vigia.demo.coder import Coder
from vigia.demo.film import ASSETS, Film
from vigia.demo.rtsp import GstServer, Server
from vigia.demo.scenes import FPS
from vigia.demo.truth import Filmed, Planted, planted

PERIOD_US = 1_000_000 // FPS
# Before the demo begins the cameras show frames from long before its first one.
_BEFORE = 10_000_000


@dataclass(slots=True)
class Cameras:
    """Films and sends, frame by frame. `begin_file` holds the time at which the demo begins, once
    that is known; until then nothing happens before the cameras."""

    film: Film
    server: Server
    begin_file: Path
    truth_file: Path
    origin_us: int
    first: int | None = None
    round: int | None = None
    until_us: int = 0
    shown: int = 0
    events: list[Planted] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Until the film's seconds are over, or without them until `stop`. Raises VigiaError when
        the server has ended."""
        coders = [Coder(*self.film.picture(one, -_BEFORE).shape[1::-1]) for one in ASSETS]
        index = 0
        while not stop.is_set():
            # A picture that cannot be there in time is not taken.
            index = max(index, (_now_us() - self.origin_us) // PERIOD_US)
            frame = self._frame(index)
            if self.film.seconds is not None and frame >= self.film.seconds * FPS:
                return
            pictures = (self.film.picture(one, frame) for one in ASSETS)
            units = [one.encode(made) for one, made in zip(coders, pictures, strict=True)]
            time_us = self.origin_us + index * PERIOD_US
            if stop.wait(max(0.0, (time_us - _now_us()) / 1e6)):
                return
            for stream, (unit, key) in enumerate(units):
                self.server.show(stream, unit, key=key)
            self._note(frame, time_us)
            index += 1

    def filmed(self) -> Filmed:
        """What was shown until now."""
        return Filmed(until_us=self.until_us, events=tuple(self.events), shown=self.shown)

    def _frame(self, index: int) -> int:
        """The number in the film of the `index`-th frame that is shown."""
        if self.first is None and (begin_us := _read_time(self.begin_file)) is not None:
            self.first = max(index, -((self.origin_us - begin_us) // PERIOD_US))
        return index - _BEFORE if self.first is None else index - self.first

    def _note(self, frame: int, time_us: int) -> None:
        if self.first is None or frame < 0:
            return
        if (number := self.film.round_of(frame)) != self.round:
            self.round = number
            begin_us = self.origin_us + self.first * PERIOD_US
            self.events += [planted(event, begin_us) for event in self.film.round(number)]
            self.until_us = time_us
            self.filmed().write(self.truth_file)
        self.until_us = time_us
        self.shown += len(ASSETS)


def _server(port: int, names: list[str], user: str | None, password_file: Path | None) -> Server:
    if user is None or password_file is None:
        # Only where it is needed: it takes a second to load.
        from vigia.demo.pip_server import PipServer

        return PipServer(port, names)
    return GstServer(port, names, user, password_file)


def _read_time(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _now_us() -> int:
    return time.time_ns() // 1000


@click.command()
@click.option("--port", required=True, type=int)
@click.option("--user", help="with --password-file: GStreamer's server, which asks for both")
@click.option("--password-file", type=click.Path(path_type=Path))
@click.option("--seed", required=True, type=int)
@click.option("--events/--no-events", required=True)
@click.option("--seconds", type=int, help="default: round after round until SIGTERM")
@click.option("--begin", required=True, type=click.Path(path_type=Path), help="when it begins")
@click.option("--truth", required=True, type=click.Path(path_type=Path), help="what was planted")
def main(
    port: int,
    user: str | None,
    password_file: Path | None,
    seed: int,
    events: bool,
    seconds: int | None,
    begin: Path,
    truth: Path,
) -> None:
    """Films a belt and a tank, with events before them, and serves both by RTSP."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    names = [one.rpartition("/")[2] for one in ASSETS]
    server = _server(port, names, user, password_file)
    film = Film(seed, events, seconds, tiles())
    cameras = Cameras(film, server, begin, truth, _now_us() // PERIOD_US * PERIOD_US)
    try:
        cameras.run(stop)
    except VigiaError as error:
        sys.exit(f"cameras: {error}")
    finally:
        server.close()
        if cameras.first is not None:
            cameras.filmed().write(truth)


if __name__ == "__main__":
    main(prog_name="cameras")
