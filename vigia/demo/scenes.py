"""What happens before the demo's cameras, and when: a pure function of a seed.

A belt of tiles passes the first camera, a tank stands before the second. In every round one tile
has a defect, the tank's level rises past its limit, its lower interface rises past its own, and
one of the cameras sticks: it goes on sending, but always the same picture. What does not fit into
the seconds is left out; without events there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from vigia.demo.planting import QUIET_S, Event, EventKind

T = TypeVar("T")
BELT, TANK = "works/belt", "works/tank"
FPS = 5
TILE_FRAMES = 8
"""A new tile comes into view every so many frames; it is to be seen for twice as many."""
# Between two events of one camera: windows empty, alarms clear, and a picture that was still
# counts as moving again.
GAP_FRAMES = 10 * FPS
_LENGTH = {
    EventKind.DEFECT: (2 * TILE_FRAMES, 2 * TILE_FRAMES),
    EventKind.LEVEL: (12 * FPS, 14 * FPS),
    EventKind.INTERFACE: (12 * FPS, 14 * FPS),
    EventKind.STUCK: (12 * FPS, 14 * FPS),
}
_RAMP_S = 3.0


@dataclass(slots=True)
class _Lane:
    """The events of one camera in one round: kinds, and how many frames are free for them."""

    asset: str
    free: int
    kinds: list[EventKind] = field(default_factory=list)

    def takes(self, kind: EventKind) -> bool:
        """Adds a kind where it fits at its longest."""
        wanted = [*self.kinds, kind]
        least = sum(_LENGTH[one][1] for one in wanted) + GAP_FRAMES * (len(wanted) - 1)
        # A defect comes with its tile: it may have to wait for the next one.
        if least + TILE_FRAMES * wanted.count(EventKind.DEFECT) > self.free:
            return False
        self.kinds = wanted
        return True


def draw_scenes(seed: int, events: bool, seconds: int, round: int = 0) -> tuple[Event, ...]:
    """The events of a round of so many seconds, by their start, which is in seconds from the
    round's begin. The same arguments give the same events."""
    if not events:
        return ()
    rng = np.random.default_rng((seed, round, 0xE7E5))
    free = (seconds - 2 * QUIET_S) * FPS
    belt, tank = _Lane(BELT, free), _Lane(TANK, free)
    belt.takes(EventKind.DEFECT)
    for kind in _shuffled((EventKind.LEVEL, EventKind.INTERFACE), rng):
        tank.takes(kind)
    any(lane.takes(EventKind.STUCK) for lane in _shuffled((belt, tank), rng))
    begin = round * seconds * FPS
    found = [event for lane in (belt, tank) for event in _events(lane, begin, rng)]
    return tuple(sorted(found, key=lambda event: (event.start_s, event.asset)))


def _shuffled(some: Sequence[T], rng: np.random.Generator) -> list[T]:
    return [some[at] for at in rng.permutation(len(some))]


def _events(lane: _Lane, begin: int, rng: np.random.Generator) -> Iterator[Event]:
    kinds = _shuffled(lane.kinds, rng)
    lengths = [int(rng.integers(_LENGTH[kind][0], _LENGTH[kind][1] + 1)) for kind in kinds]
    slack = lane.free - sum(lengths) - GAP_FRAMES * (len(kinds) - 1)
    slack -= TILE_FRAMES * kinds.count(EventKind.DEFECT)
    waits = np.diff(np.sort(rng.integers(slack + 1, size=len(kinds))), prepend=0)
    at = QUIET_S * FPS
    for kind, length, wait in zip(kinds, lengths, waits.tolist(), strict=True):
        at += wait
        if kind is EventKind.DEFECT:
            at += -(begin + at) % TILE_FRAMES
        ramp_s = _RAMP_S if kind in (EventKind.LEVEL, EventKind.INTERFACE) else 0.0
        yield Event(lane.asset, kind, at / FPS, (at + length) / FPS, ramp_s, _size(kind, rng), 0.0)
        at += length + GAP_FRAMES


def _size(kind: EventKind, rng: np.random.Generator) -> float:
    """By how many hundredths of the tank's height level or interface rise; 0 for the others."""
    if kind in (EventKind.LEVEL, EventKind.INTERFACE):
        return int(rng.integers(16, 21)) / 100
    return 0.0
