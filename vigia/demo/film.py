"""What both cameras see at a frame's number, and which events that is. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vigia.demo.belt import Belt, Picture, Tiles
from vigia.demo.planting import DEFAULT_SECONDS, Event, EventKind
from vigia.demo.scenes import BELT, FPS, TANK, TILE_FRAMES, draw_scenes
from vigia.demo.tank import Tank


@dataclass(frozen=True)
class Film:
    """Frame 0 is the first of the demo; nothing happens before it. Without `seconds` round
    follows round, with them there is one, and nothing happens after it."""

    seed: int
    events: bool
    seconds: int | None
    tiles: Tiles

    def round_of(self, frame: int) -> int:
        """The round in which a frame is shown."""
        return frame // (self._length * FPS)

    def round(self, number: int) -> tuple[Event, ...]:
        """The events of a round, by their start in seconds from frame 0."""
        if number < 0 or (self.seconds is not None and number > 0):
            return ()
        return _round(self.seed, self.events, self._length, number)

    def picture(self, asset: str, frame: int) -> Picture:
        """What is seen of BELT or of TANK, uint8 [height, width, 3] in OpenCV's order."""
        events = [event for event in self._near(frame) if event.asset == asset]
        for event in events:
            first, last = round(event.start_s * FPS), round(event.end_s * FPS)
            if event.kind is EventKind.STUCK and first <= frame < last:
                frame = first
        if asset == BELT:
            return self._belt(frame, events)
        return self._tank(frame, events)

    @property
    def _length(self) -> int:
        return DEFAULT_SECONDS if self.seconds is None else self.seconds

    def _near(self, frame: int) -> tuple[Event, ...]:
        return self.round(self.round_of(frame))

    def _belt(self, frame: int, events: list[Event]) -> Picture:
        starts = (round(e.start_s * FPS) for e in events if e.kind is EventKind.DEFECT)
        defects = frozenset(start // TILE_FRAMES for start in starts)
        return Belt(self.seed, self.tiles).picture(frame, defects)

    def _tank(self, frame: int, events: list[Event]) -> Picture:
        level, water = (_risen(events, kind) for kind in (EventKind.LEVEL, EventKind.INTERFACE))
        grey = Tank(self.seed, level, water).picture(frame)
        return np.repeat(grey[:, :, None], 3, axis=2)


def _risen(events: list[Event], kind: EventKind) -> Callable[[float], float]:
    mine = [event for event in events if event.kind is kind]

    def at(at_s: float) -> float:
        shapes = (
            event.size * min(1.0, max(0.0, min(at_s - event.start_s, event.end_s - at_s)) / ramp)
            for event in mine
            if (ramp := event.ramp_s)
        )
        return sum(shapes)

    return at


@lru_cache(maxsize=8)
def _round(seed: int, events: bool, seconds: int, number: int) -> tuple[Event, ...]:
    begin_s = number * seconds
    return tuple(event.later(begin_s) for event in draw_scenes(seed, events, seconds, number))


ASSETS = (BELT, TANK)
