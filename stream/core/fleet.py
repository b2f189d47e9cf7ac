"""Assets with the same signals, and everything that looks at their windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from contracts.plant import Plant
from stream.core.detectors import Detector
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


@dataclass(slots=True)
class Fleet:
    """Assets with the same signals; all their windows are made together."""

    signals: tuple[str, ...]
    assets: tuple[str, ...]
    watches: tuple[Watch, ...]
    windowers: list[Windower] = field(init=False)

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begins anew, as if nothing had been seen."""
        self.windowers = [watch.windower(self.signals) for watch in self.watches]

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

    def earliest_us(self, assets: Sequence[str]) -> list[int]:
        """The start of the earliest open window of each asset, NONE_OPEN when none is open."""
        starts: list[int] = np.min([w.earliest_us(assets) for w in self.windowers], axis=0).tolist()
        return starts

    @property
    def open_windows(self) -> int:
        """Windows with rows that are not closed, times the detectors that wait for them."""
        return sum(windower.open_windows for windower in self.windowers)

    @property
    def windows_opened(self) -> int:
        """Windows that ever had a row, times the detectors that look at them."""
        return sum(windower.opened_total for windower in self.windowers)

    @property
    def rows_held(self) -> int:
        """Rows that some open window needs."""
        return sum(windower.rows_held for windower in self.windowers)

    @property
    def rows_released(self) -> int:
        """Rows whose windows have all closed."""
        return sum(windower.released_total for windower in self.windowers)


def fleets(plant: Plant, detectors: Mapping[str, Detector]) -> list[Fleet]:
    """The assets of a plant that some detector looks at, those with the same signals together."""
    looks: dict[tuple[str, ...], dict[str, tuple[Detector, ...]]] = {}
    for asset, columns in plant.columns().items():
        found = tuple(detectors[section.id] for section in plant.detectors_of(asset))
        if found:
            signals = tuple(column.signal for column in columns)
            looks.setdefault(signals, {})[asset] = found
    return [_fleet(signals, some) for signals, some in looks.items()]


def _fleet(signals: tuple[str, ...], looks: Mapping[str, tuple[Detector, ...]]) -> Fleet:
    by_spec: dict[WindowSpec, dict[str, Detector]] = {}
    for found in looks.values():
        for detector in found:
            by_spec.setdefault(detector.spec, {})[detector.id] = detector
    seen_by = {asset: {detector.id for detector in found} for asset, found in looks.items()}
    longest = {asset: _longest(found) for asset, found in looks.items()}
    watches = []
    for spec, detectors in by_spec.items():
        assets = tuple(asset for asset, ids in seen_by.items() if ids & detectors.keys())
        sees = tuple(np.array([name in seen_by[asset] for asset in assets]) for name in detectors)
        counted = np.array([longest[asset] == spec for asset in assets])
        watches.append(Watch(spec, assets, tuple(detectors.values()), sees, counted))
    return Fleet(signals, tuple(looks), tuple(watches))


def _longest(detectors: Sequence[Detector]) -> WindowSpec:
    """The windows that keep rows longest; of several the first."""
    specs = [detector.spec for detector in detectors]
    return max(specs, key=lambda spec: spec.width_us + spec.lateness_us)
