"""From reading batches to detections and panes: windows of every watched asset, scored in bounded
blocks, and what may be committed afterwards. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from contracts.messages import Account
from contracts.plant import Plant
from contracts.readings import Column, Quality, ReadingBatch
from stream.core.detectors import Detector, Encoded, Results, encode
from stream.core.fleet import Fleet, fleets, pane_fleets
from stream.core.ledger import Ledger
from stream.core.tally import Tally
from stream.core.windower import NONE_OPEN, Chunk
from stream.core.windows import WindowBlock


class Fetched(NamedTuple):
    """A message of `vigia.readings` or `vigia.aggregates`; no batch where it could not be used."""

    partition: int
    offset: int
    batch: ReadingBatch | None


@dataclass(frozen=True, slots=True)
class Ready:
    """Closed windows, and who shall look at them."""

    detector: Detector
    block: WindowBlock

    def detect(self) -> Results:
        """The detector's results. Needs nothing else: may run beside other work."""
        return self.detector.detect(self.block)


@dataclass(slots=True)
class Detect:
    """The detecting half of a worker. `take` messages in log order, `score` what is ready and send
    the `panes` that are complete, and after the broker has acknowledged that, commit up to `heads`.

    `detectors` maps a detector's id to what runs it. The messages are rows; or, `of_panes`, the
    panes that another one of these made of them, for the detectors that take those.
    """

    plant: Plant
    detectors: Mapping[str, Detector]
    of_panes: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    rows_in: int = 0
    rows_released: int = 0
    windows: Tally = field(default_factory=lambda: Tally("window"))
    panes: Tally = field(default_factory=lambda: Tally("pane"))
    _ledgers: dict[int, Ledger] = field(default_factory=dict)
    _fleets: list[Fleet] = field(default_factory=list)
    _fleet_of: dict[str, Fleet] = field(default_factory=dict)
    # By fleet, columns as they come and need no aligning: an asset kind's are one object.
    _right: dict[int, tuple[Column, ...]] = field(default_factory=dict)
    _ready: list[Ready] = field(default_factory=list)
    _complete: list[ReadingBatch] = field(default_factory=list)
    _plant_hash: str = ""
    # By asset and detector: windows that end until then were decided before.
    _decided: dict[tuple[str, str], int] = field(default_factory=dict)
    _kept: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._plant_hash = self.plant.hash
        build = pane_fleets if self.of_panes else fleets
        self._fleets = build(self.plant, self.detectors)
        self._fleet_of = {asset: fleet for fleet in self._fleets for asset in fleet.assets}
        self._right.clear()

    @property
    def looks(self) -> bool:
        """Whether there is anything that it looks at."""
        return bool(self._fleets)

    def become(self, plant: Plant, detectors: Mapping[str, Detector]) -> None:
        """Another plant file, once all that was taken is acknowledged: `assign` must follow. What
        the old detectors have decided stays decided."""
        closed = [one for fleet in self._fleets for one in fleet.decided_us()]
        self._kept = _latest(self._decided, closed)
        self._forget()
        self.plant, self.detectors = plant, detectors
        self.__post_init__()

    def assign(
        self, partitions: Iterable[int], decided: Mapping[tuple[str, str], int] | None = None
    ) -> None:
        """These partitions are read from their commits on: all that was in memory is forgotten.

        `decided` says, by asset and detector, up to which end (us) windows lie on the log, perhaps
        decided by another version of the detector: they are not decided again."""
        self._forget()
        self._decided = _latest(self._kept, (decided or {}).items())
        self._ledgers = {partition: Ledger() for partition in partitions}

    def _forget(self) -> None:
        rows = sum(fleet.rows_held for fleet in self._fleets)
        windows = self.open_windows() + self._waiting
        panes = self._open_panes + panes_in(self._complete)
        if rows or windows:
            self.dropped["reassigned"] += rows
            self.windows.dropped["reassigned"] += windows
        if panes:
            self.panes.dropped["reassigned"] += panes
        for fleet in self._fleets:
            self.rows_released += fleet.rows_released
            fleet.forget()
        self._ready.clear()
        self._complete.clear()
        self._ledgers = {}

    def take(self, messages: Sequence[Fetched]) -> None:
        """The next messages, those of each partition in order."""
        groups: dict[int, list[ReadingBatch]] = {}
        for partition, offset, batch in messages:
            ledger = self._ledgers[partition]
            if batch is None:
                ledger.read(offset)
                continue
            rows = len(batch.times_us)
            self.rows_in += rows
            fleet = self._fleet_of.get(batch.asset)
            if fleet is None:
                self.dropped["unwatched"] += rows
                ledger.read(offset)
                continue
            ledger.read(offset, batch.asset, batch.newest_us if rows else None)
            groups.setdefault(id(fleet), []).append(self._aligned(batch, fleet))
        touched = {b.asset: p for p, _, b in messages if b is not None}
        for batches in groups.values():
            self._feed(self._fleet_of[batches[0].asset], batches, touched)

    def _aligned(self, batch: ReadingBatch, fleet: Fleet) -> ReadingBatch:
        if batch.columns is self._right.get(id(fleet)):
            return batch
        found = align(batch, fleet.signals)
        if found is batch:
            self._right[id(fleet)] = batch.columns
        return found

    def _feed(
        self, fleet: Fleet, batches: Sequence[ReadingBatch], partitions: Mapping[str, int]
    ) -> None:
        chunk = Chunk.of(batches)
        windows, panes = fleet.windows_opened, fleet.panes_opened
        for detector, block in fleet.feed(chunk, self.dropped):
            fresh = self._undecided(detector.id, block) if self._decided else block
            if len(fresh):
                self._ready.append(Ready(detector, fresh))
        self._complete += fleet.cut(chunk, self.dropped)
        self.windows.taken_in += fleet.windows_opened - windows
        self.panes.taken_in += fleet.panes_opened - panes
        assets = tuple(dict.fromkeys(batch.asset for batch in batches))
        for asset, start in zip(assets, fleet.earliest_us(assets), strict=True):
            earliest = None if start == NONE_OPEN else start
            self._ledgers[partitions[asset]].release(asset, earliest)

    def _undecided(self, detector: str, block: WindowBlock) -> WindowBlock:
        """The windows of `block` that were not decided before."""
        fresh = np.ones(len(block), bool)
        for at, (asset, end) in enumerate(zip(block.assets, block.ends_us.tolist(), strict=True)):
            known = self._decided.get((asset, detector))
            if known is not None:
                fresh[at] = end > known
                if end > known:
                    # Windows close in their order: none of this asset is asked for again.
                    del self._decided[asset, detector]
        if fresh.all():
            return block
        self.windows.dropped["decided"] += len(block) - int(fresh.sum())
        return block.of(fresh)

    def ready(self) -> list[Ready]:
        """The windows that have closed, in bounded blocks; those of an asset in their order for
        each detector."""
        ready, self._ready = self._ready, []
        return ready

    def score(self) -> list[Encoded]:
        """The detections of all windows that are ready, under way until `acknowledged`."""
        self.windows.sent(self._waiting)
        return [batch for one in self.ready() for batch in self.detections(one, one.detect())]

    def complete(self) -> list[ReadingBatch]:
        """The messages that say which panes are complete, those of an asset in their order."""
        complete, self._complete = self._complete, []
        return complete

    def detections(self, one: Ready, results: Results) -> list[Encoded]:
        """The results of a block as messages."""
        return list(encode(one.detector, one.block, results, self._plant_hash))

    def acknowledged(self, windows: int, panes: int = 0) -> None:
        """The broker has the detections of so many windows, and so many panes."""
        self.windows.acknowledged(windows)
        self.panes.acknowledged(panes)

    def heads(self) -> dict[int, int]:
        """For each partition the offset below which nothing is needed, once all that `score` and
        `complete` returned is acknowledged."""
        heads = {number: ledger.head for number, ledger in self._ledgers.items()}
        return {number: head for number, head in heads.items() if head is not None}

    def open_windows(self) -> int:
        """Windows with rows that are not closed, times the detectors that wait for them."""
        return sum(fleet.open_windows for fleet in self._fleets)

    @property
    def _open_panes(self) -> int:
        return sum(fleet.open_panes for fleet in self._fleets)

    @property
    def _waiting(self) -> int:
        return sum(len(one.block) for one in self._ready)

    def accounts(self) -> dict[str, Account]:
        """What came in and what became of it: rows (of panes: one a pane), windows, and panes
        that rows were cut into."""
        found = {
            f"{self.stage}rows": Account(
                unit="row",
                taken_in=self.rows_in,
                gone_out=self.rows_released + sum(fleet.rows_released for fleet in self._fleets),
                held=sum(fleet.rows_held for fleet in self._fleets),
                dropped=dict(self.dropped),
            ),
            f"{self.stage}windows": self.windows.account(self.open_windows() + self._waiting),
        }
        if any(fleet.cuts for fleet in self._fleets):
            held = self._open_panes + panes_in(self._complete)
            found["stream.panes"] = self.panes.account(held)
        return found

    @property
    def stage(self) -> str:
        """How the names of its accounts begin."""
        return "stream.aggregate-" if self.of_panes else "stream."


def _latest(
    known: Mapping[tuple[str, str], int], more: Iterable[tuple[tuple[str, str], int]]
) -> dict[tuple[str, str], int]:
    found = dict(known)
    for key, end in more:
        found[key] = max(end, found.get(key, end))
    return found


def panes_in(messages: Iterable[ReadingBatch]) -> int:
    """How many panes these tell: those without rows only say what is complete."""
    return sum(len(message.times_us) for message in messages)


def align(batch: ReadingBatch, signals: tuple[str, ...]) -> ReadingBatch:
    """`batch` with the columns `signals`: others left out, missing ones NaN and MISSING. An edge
    with another version of the plant file may send other columns."""
    if batch.signals == signals:
        return batch
    have = {name: index for index, name in enumerate(batch.signals)}
    rows = len(batch.times_us)
    values = np.full((rows, len(signals)), np.nan)
    quality = np.full((rows, len(signals)), int(Quality.MISSING), np.uint8)
    columns = []
    for index, signal in enumerate(signals):
        at = have.get(signal)
        if at is not None:
            values[:, index], quality[:, index] = batch.values[:, at], batch.quality[:, at]
        columns.append(Column(signal) if at is None else batch.columns[at])
    return ReadingBatch(
        batch.asset, batch.position, tuple(columns), batch.times_us, values, quality
    )
