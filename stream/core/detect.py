"""From reading batches to detections: windows of every watched asset, scored in bounded blocks,
and what may be committed afterwards. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from contracts.messages import Account
from contracts.plant import Plant
from contracts.readings import Column, Quality, ReadingBatch
from stream.core.detectors import Detector, Encoded, Results, encode
from stream.core.ledger import Ledger
from stream.core.windows import WindowBlock, Windower, WindowSpec, concat_blocks

MAX_BLOCK = 4096
"""Windows that are scored at once: bounds memory, and how long a step takes."""


@dataclass(slots=True)
class _Watched:
    """One asset: its windows, one windower a spec, and who looks at them."""

    signals: tuple[str, ...]
    windowers: tuple[tuple[Windower, tuple[Detector, ...]], ...]

    @property
    def longest(self) -> Windower:
        """The windower that keeps rows longest: each row is counted there, and only there."""
        return max(
            (windower for windower, _ in self.windowers),
            key=lambda w: w.spec.width_us + w.spec.lateness_us,
        )

    def earliest_us(self) -> int | None:
        """The start of the earliest open window of any spec."""
        starts = [windower.earliest_us() for windower, _ in self.windowers]
        return min((start for start in starts if start is not None), default=None)


@dataclass(slots=True)
class _Partition:
    ledger: Ledger = field(default_factory=Ledger)
    assets: dict[str, _Watched] = field(default_factory=dict)


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
    """The detecting half of a worker. `take` batches in log order, `score` what is ready, and
    after the broker has acknowledged that, commit up to `heads`.

    `detectors` maps a detector's id to what runs it.
    """

    plant: Plant
    detectors: Mapping[str, Detector]
    dropped: Counter[str] = field(default_factory=Counter)
    rows_in: int = 0
    rows_released: int = 0
    windows_in: int = 0
    windows_out: int = 0
    in_flight: int = 0
    windows_dropped: Counter[str] = field(default_factory=Counter)
    _partitions: dict[int, _Partition] = field(default_factory=dict)
    _ready: list[tuple[Detector, WindowBlock]] = field(default_factory=list)
    _signals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _by_spec: dict[str, dict[WindowSpec, tuple[Detector, ...]]] = field(default_factory=dict)

    _plant_hash: str = ""

    def __post_init__(self) -> None:
        self._plant_hash = self.plant.hash
        for asset, group in self.plant.assets().items():
            specs: dict[WindowSpec, tuple[Detector, ...]] = {}
            for section in self.plant.detectors_of(asset):
                detector = self.detectors[section.id]
                specs[detector.spec] = (*specs.get(detector.spec, ()), detector)
            self._signals[asset] = tuple(signal.id for signal in group.signals)
            self._by_spec[asset] = specs

    def assign(self, partitions: Iterable[int]) -> None:
        """These partitions are read from their commits on: all that was in memory is forgotten."""
        for partition in self._partitions.values():
            for watched in partition.assets.values():
                self._forget(watched)
        self.windows_dropped["reassigned"] += sum(len(block) for _, block in self._ready)
        self._partitions = {partition: _Partition() for partition in partitions}
        self._ready.clear()

    def _forget(self, watched: _Watched) -> None:
        self.dropped["reassigned"] += len(watched.longest.rows.times)
        self.rows_released += watched.longest.released_total
        for windower, detectors in watched.windowers:
            self.windows_dropped["reassigned"] += windower.open_now * len(detectors)

    def skip(self, partition: int, offset: int) -> None:
        """Message `offset` could not be used; it is needed no more."""
        self._partitions[partition].ledger.read(offset)

    def take(self, partition: int, offset: int, batch: ReadingBatch) -> None:
        """The next message of a partition."""
        here = self._partitions[partition]
        watched = here.assets.get(batch.asset) or self._watch(here, batch.asset)
        self.rows_in += len(batch.times_us)
        if watched is None:
            self.dropped["unwatched"] += len(batch.times_us)
            here.ledger.read(offset)
            return
        aligned = align(batch, watched.signals)
        longest = watched.longest
        for windower, detectors in watched.windowers:
            # Rows are counted once, where they are kept longest.
            dropped = self.dropped if windower is longest else Counter[str]()
            opened = windower.opened_total
            block = windower.feed(aligned, dropped)
            self.windows_in += (windower.opened_total - opened) * len(detectors)
            if block is not None:
                self._ready += [(detector, block) for detector in detectors]
        here.ledger.read(offset, batch.asset, batch.newest_us if len(batch.times_us) else None)
        here.ledger.release(batch.asset, watched.earliest_us())

    def _watch(self, partition: _Partition, asset: str) -> _Watched | None:
        specs = self._by_spec.get(asset)
        if not specs:
            return None
        signals = self._signals[asset]
        windowers = tuple(
            (Windower(asset, spec, signals), detectors) for spec, detectors in specs.items()
        )
        watched = partition.assets[asset] = _Watched(signals, windowers)
        return watched

    def ready(self) -> list[Ready]:
        """The windows that have closed, over all assets, in bounded blocks by detector; those of
        an asset in their order. They are in flight until `acknowledged`."""
        groups: dict[tuple[str, tuple[str, ...]], list[WindowBlock]] = {}
        for detector, block in self._ready:
            groups.setdefault((detector.id, block.signals), []).append(block)
            self.in_flight += len(block)
        self._ready.clear()
        return [
            Ready(self.detectors[name], block)
            for (name, _), blocks in groups.items()
            for block in _bounded(blocks)
        ]

    def score(self) -> list[Encoded]:
        """The detections of all windows that are ready."""
        return [batch for one in self.ready() for batch in self.detections(one, one.detect())]

    def detections(self, one: Ready, results: Results) -> list[Encoded]:
        """The results of a block as messages."""
        return list(encode(one.detector, one.block, results, self._plant_hash))

    def acknowledged(self, batches: Sequence[Encoded]) -> None:
        """The broker has these detections."""
        done = sum(len(batch.received_us) for batch in batches)
        self.windows_out += done
        self.in_flight -= done

    def heads(self) -> dict[int, int]:
        """For each partition the offset below which nothing is needed, once all that `score`
        returned is acknowledged."""
        heads = {number: here.ledger.head for number, here in self._partitions.items()}
        return {number: head for number, head in heads.items() if head is not None}

    def open_windows(self) -> int:
        """Windows with rows that are not closed, times the detectors that wait for them."""
        return sum(w.open_now * len(detectors) for w, detectors in self._windowers())

    def accounts(self) -> dict[str, Account]:
        """What came in and what became of it: rows and windows."""
        held = released = 0
        for here in self._partitions.values():
            for watched in here.assets.values():
                held += len(watched.longest.rows.times)
                released += watched.longest.released_total
        return {
            "stream.rows": Account(
                unit="row",
                taken_in=self.rows_in,
                gone_out=self.rows_released + released,
                held=held,
                dropped=dict(self.dropped),
            ),
            "stream.windows": Account(
                unit="window",
                taken_in=self.windows_in,
                gone_out=self.windows_out,
                held=self.open_windows()
                + self.in_flight
                + sum(len(block) for _, block in self._ready),
                dropped=dict(self.windows_dropped),
            ),
        }

    def _windowers(self) -> Iterable[tuple[Windower, tuple[Detector, ...]]]:
        for here in self._partitions.values():
            for watched in here.assets.values():
                yield from watched.windowers


def _bounded(blocks: Sequence[WindowBlock]) -> Iterable[WindowBlock]:
    pending: list[WindowBlock] = []
    size = 0
    for block in blocks:
        if pending and size + len(block) > MAX_BLOCK:
            yield concat_blocks(pending)
            pending, size = [], 0
        pending.append(block)
        size += len(block)
    if pending:
        yield concat_blocks(pending)


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
