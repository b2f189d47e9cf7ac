"""Whether a reader goes on: who lives and does not read is ill, and nothing else would tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Progress:
    """Watches positions in partitions. One that has not moved for `patience_s` while there was
    something to read is stalled."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._stood: dict[Place, tuple[int, float]] = {}

    def judge(
        self, positions: Mapping[Place, int], ends: Mapping[Place, int], now_s: float
    ) -> list[Place]:
        """The places that are stalled at `now_s`, seconds of a steady clock. A place that is not
        in `positions` is not this reader's (any more), and one that is not in `ends` could not
        be judged: both begin anew."""
        stood = {}
        for place, position in positions.items():
            if position < ends.get(place, position):
                known = self._stood.get(place)
                same = known is not None and known[0] == position
                stood[place] = known if known and same else (position, now_s)
        self._stood = stood
        return [p for p, (_, since_s) in stood.items() if now_s - since_s > self._patience_s]
