"""Assets with the same signals, and everything that looks at their windows: detectors, and what
cuts their rows into panes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from contracts.plant import Plant
from contracts.plant.panes import Panes
from contracts.readings import Column, ReadingBatch
from stream.core.detectors import Detector
from stream.core.panes import PaneMaker
from stream.core.segments import Bools
from stream.core.windower import Chunk, Windower
from stream.core.windows import WindowBlock, WindowSpec


@dataclass(frozen=True, slots=True)
class Watch:
    """Windows of one spec: `assets` have them, and each of `detectors` looks at those of the
    assets that `sees` [assets] says. Rows of `counted` [assets] are counted here: those that
    nobody keeps longer."""

    spec: WindowSpec
    assets: tuple[str, ...]
    detectors: tuple[Detector, ...]
    sees: tuple[Bools, ...]
    counted: Bools

    def windower(self, signals: tuple[str, ...]) -> Windower:
        """A windower that has seen nothing."""
        weights = np.sum(self.sees, axis=0)
        return Windower(self.spec, signals, self.assets, weights, self.counted)


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of `assets` are cut into `panes`. As in Watch, those of `counted` are counted here."""

    panes: Panes
    assets: tuple[str, ...]
    counted: Bools


@dataclass(slots=True)
class Fleet:
    """Assets with the same signals; all their windows are made together."""

    columns: tuple[Column, ...]
    assets: tuple[str, ...]
    watches: tuple[Watch, ...]
    cuts: tuple[Cut, ...] = ()
    signals: tuple[str, ...] = field(init=False)
    windowers: list[Windower] = field(init=False)
    makers: list[PaneMaker] = field(init=False)

    def __post_init__(self) -> None:
        self.signals = tuple(column.signal for column in self.columns)
        self.forget()

    def forget(self) -> None:
        """Begins anew, as if nothing had been seen."""
        self.windowers = [watch.windower(self.signals) for watch in self.watches]
        self.makers = [
            PaneMaker(cut.panes, self.columns, cut.assets, cut.counted) for cut in self.cuts
        ]

    def feed(self, chunk: Chunk, dropped: Counter[str]) -> Iterator[tuple[Detector, WindowBlock]]:
        """The windows that close, for each detector those that it looks at. See Windower.feed."""
        for watch, windower in zip(self.watches, self.windowers, strict=True):
            part = chunk
            if len(watch.assets) < len(self.assets):
                part = chunk.only(windower.slots)
            if not part.assets:
                continue
            for closed in windower.feed(part, dropped):
                for detector, sees in zip(watch.detectors, watch.sees, strict=True):
                    seen = sees[closed.slots]
                    if seen.all():
                        yield detector, closed.block
                    elif seen.any():
                        yield detector, closed.block.of(seen)

    def cut(self, chunk: Chunk, dropped: Counter[str]) -> list[ReadingBatch]:
        """The messages that say which panes are complete. See PaneMaker.feed."""
        made: list[ReadingBatch] = []
        for maker in self.makers:
            part = chunk.only(maker.windower.slots)
            if part.assets:
                made += maker.feed(part, dropped)
        return made

    def decided_us(self) -> Iterator[tuple[tuple[str, str], int]]:
        """For each asset that was heard of and each detector that looks at it, the end of the last
        window that is closed for good."""
        for watch, windower in zip(self.watches, self.windowers, strict=True):
            ends = windower.decided_us()
            for detector, sees in zip(watch.detectors, watch.sees, strict=True):
                for asset, seen in zip(watch.assets, sees.tolist(), strict=True):
                    if seen and asset in ends:
                        yield (asset, detector.id), ends[asset]

    def earliest_us(self, assets: Sequence[str]) -> list[int]:
        """The start of the earliest open window of each asset, NONE_OPEN when none is open."""
        starts: list[int] = np.min([w.earliest_us(assets) for w in self._all], axis=0).tolist()
        return starts

    @property
    def _all(self) -> list[Windower]:
        return [*self.windowers, *(maker.windower for maker in self.makers)]

    @property
    def open_windows(self) -> int:
        """Windows with rows that are not closed, times the detectors that wait for them."""
        return sum(windower.open_windows for windower in self.windowers)

    @property
    def windows_opened(self) -> int:
        """Windows that ever had a row, times the detectors that look at them."""
        return sum(windower.opened_total for windower in self.windowers)

    @property
    def open_panes(self) -> int:
        """Panes with rows that are not closed."""
        return sum(maker.windower.open_windows for maker in self.makers)

    @property
    def panes_opened(self) -> int:
        """Panes that ever had a row, in time or not."""
        return sum(maker.windower.opened_total + maker.marks_total for maker in self.makers)

    @property
    def rows_held(self) -> int:
        """Rows that some open window or pane needs."""
        return sum(windower.rows_held for windower in self._all)

    @property
    def rows_released(self) -> int:
        """Rows whose windows and panes have all closed."""
        return sum(windower.released_total for windower in self._all)


@dataclass(frozen=True, slots=True)
class _Looks:
    """What looks at the rows of an asset."""

    detectors: tuple[Detector, ...]
    panes: Panes | None = None

    @property
    def longest(self) -> WindowSpec:
        """The windows that keep rows longest; of several the first."""
        specs = [detector.spec for detector in self.detectors]
        if self.panes is not None:
            width = self.panes.width_us
            specs.append(WindowSpec(width, width, self.panes.lateness_us))
        return max(specs, key=lambda spec: spec.width_us + spec.lateness_us)


def fleets(plant: Plant, detectors: Mapping[str, Detector]) -> list[Fleet]:
    """The assets of a plant whose rows something looks at, those with the same signals
    together."""
    panes = plant.panes()
    looks: dict[tuple[Column, ...], dict[str, _Looks]] = {}
    for asset, columns in plant.columns().items():
        found = _detectors(plant, detectors, asset, panes=False)
        if found or asset in panes:
            looks.setdefault(columns, {})[asset] = _Looks(found, panes.get(asset))
    return [_fleet(columns, some) for columns, some in looks.items()]


def pane_fleets(plant: Plant, detectors: Mapping[str, Detector]) -> list[Fleet]:
    """The assets of a plant whose panes some detector looks at, those with the same ones
    together."""
    rows = plant.columns()
    looks: dict[tuple[Column, ...], dict[str, _Looks]] = {}
    for asset, panes in plant.panes().items():
        found = _detectors(plant, detectors, asset, panes=True)
        looks.setdefault(panes.columns(rows[asset]), {})[asset] = _Looks(found)
    return [_fleet(columns, some) for columns, some in looks.items()]


def _detectors(
    plant: Plant, detectors: Mapping[str, Detector], asset: str, *, panes: bool
) -> tuple[Detector, ...]:
    """Those that look at an asset's panes, or at its rows."""
    return tuple(
        detectors[section.id]
        for section in plant.detectors_of(asset)
        if (section.window.pane is not None) == panes
    )


def _fleet(columns: tuple[Column, ...], looks: Mapping[str, _Looks]) -> Fleet:
    longest = {asset: found.longest for asset, found in looks.items()}
    return Fleet(columns, tuple(looks), _watches(looks, longest), _cuts(looks, longest))


def _cuts(looks: Mapping[str, _Looks], longest: Mapping[str, WindowSpec]) -> tuple[Cut, ...]:
    by_panes: dict[Panes, list[str]] = {}
    for asset, found in looks.items():
        if found.panes is not None:
            by_panes.setdefault(found.panes, []).append(asset)
    made = []
    for panes, assets in by_panes.items():
        # Detectors with the same windows come first: rows are counted once.
        counted = [
            longest[asset] not in {detector.spec for detector in looks[asset].detectors}
            for asset in assets
        ]
        made.append(Cut(panes, tuple(assets), np.array(counted)))
    return tuple(made)


def _watches(looks: Mapping[str, _Looks], longest: Mapping[str, WindowSpec]) -> tuple[Watch, ...]:
    by_spec: dict[WindowSpec, dict[str, Detector]] = {}
    for found in looks.values():
        for detector in found.detectors:
            by_spec.setdefault(detector.spec, {})[detector.id] = detector
    seen_by = {asset: {d.id for d in found.detectors} for asset, found in looks.items()}
    watches = []
    for spec, detectors in by_spec.items():
        assets = tuple(asset for asset, ids in seen_by.items() if ids & detectors.keys())
        sees = tuple(np.array([name in seen_by[asset] for asset in assets]) for name in detectors)
        counted = np.array([longest[asset] == spec for asset in assets])
        watches.append(Watch(spec, assets, tuple(detectors.values()), sees, counted))
    return tuple(watches)
