"""Which offset of a partition may be committed: the log is the state.

A message is needed as long as a window that is open has, or may get from it, a row. What may be
committed is the first needed message: for each asset with open windows the first message with a
row at or after the start of its earliest one; over the partition the smallest of these. A worker
that starts again from there rebuilds every open window, and knows from `max_before_us` of the
first message of each asset which windows were decided before. See docs/adr/0002.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ledger:
    """The messages of one partition that open windows need. Offsets rise."""

    next_offset: int | None = None
    _needed: dict[str, deque[tuple[int, int]]] = field(default_factory=dict)
    # The offsets of all these, rising: the first is found without a look at every asset.
    _offsets: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def read(self, offset: int, asset: str | None = None, newest_us: int | None = None) -> None:
        """Message `offset` was read; it holds rows of `asset` up to `newest_us` (None: no
        rows that any window takes)."""
        self.next_offset = offset + 1
        if asset is not None and newest_us is not None:
            self._needed.setdefault(asset, deque()).append((offset, newest_us))
            self._offsets[offset] = None

    def release(self, asset: str, earliest_us: int | None) -> None:
        """The earliest open window of `asset` now starts at `earliest_us`; None: none is open."""
        messages = self._needed.get(asset)
        if messages is None:
            return
        while messages and (earliest_us is None or messages[0][1] < earliest_us):
            del self._offsets[messages.popleft()[0]]
        if not messages:
            del self._needed[asset]

    @property
    def head(self) -> int | None:
        """Everything below this offset may be committed; None before the first message."""
        return next(iter(self._offsets), self.next_offset)

    @property
    def held(self) -> int:
        """How many messages open windows still need."""
        return len(self._offsets)
