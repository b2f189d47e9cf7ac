"""From an MQTT topic to the signals that it feeds, compiled once from the plant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from contracts.plant.cameras import Camera
from contracts.plant.model import Plant, Signal, SignalSet
from contracts.units import conversion
from edge.core.pointer import Tokens, tokens_of

LATEST_US = 253_402_300_800_000_000
"""The year 10000: no clock shows more."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where one signal's value stands: kept value = factor · value + offset."""

    column: int
    signal: str
    value: Tokens
    factor: float
    offset: float


@dataclass(frozen=True, slots=True)
class Feed:
    """The signals of one asset that share a time in a payload.

    `items` leads to an array of such values (None: the payload is one), `time` to their time
    (None: the time of arrival). `ahead_us` is how far a time may lie ahead of the clock.
    """

    asset: str
    items: Tokens | None
    time: Tokens | None
    time_format: Literal["us", "ms", "s", "iso8601"]
    ahead_us: int
    cells: tuple[Cell, ...]


Routes = dict[str, tuple[Feed, ...]]


def assets_of(plant: Plant, site: str | None = None) -> dict[str, SignalSet]:
    """The assets of one site, or of all, by their keys."""
    return {
        key: group
        for key, group in plant.sensed().items()
        if site is None or key.split("/")[0] == site
    }


def cameras_of(plant: Plant, site: str | None = None) -> dict[str, Camera]:
    """The assets of one site, or of all, that a camera watches."""
    return {
        key: camera
        for key, camera in plant.cameras().items()
        if site is None or key.split("/")[0] == site
    }


def ahead_of(group: SignalSet) -> int:
    """How far a time may lie ahead of the clock. With a `skew` the source's clock is judged,
    whatever it shows."""
    return group.ahead if group.skew is None else LATEST_US


def routes(assets: Mapping[str, SignalSet]) -> Routes:
    """Every MQTT topic of these assets with what it feeds. Raises UnitError."""
    found: dict[str, dict[tuple[object, ...], tuple[Signal, str, int, list[Cell]]]] = {}
    for key, group in assets.items():
        site, asset = key.split("/")
        for column, signal in enumerate(group.signals):
            if signal.topic is None:
                continue
            topic = signal.topic.format(site=site, asset=asset)
            shared = (key, signal.items, signal.time, signal.time_format)
            feeds = found.setdefault(topic, {})
            feed = feeds.setdefault(shared, (signal, key, ahead_of(group), []))
            feed[3].append(_cell(column, signal))
    return {topic: tuple(_feed(*feed) for feed in feeds.values()) for topic, feeds in found.items()}


def _cell(column: int, signal: Signal) -> Cell:
    factor, offset = conversion(signal.source_unit or signal.unit, signal.unit)
    return Cell(column, signal.id, tokens_of(signal.pointer), factor, offset)


def _feed(signal: Signal, asset: str, ahead_us: int, cells: list[Cell]) -> Feed:
    return Feed(
        asset=asset,
        items=None if signal.items is None else tokens_of(signal.items),
        time=None if signal.time is None else tokens_of(signal.time),
        time_format=signal.time_format,
        ahead_us=ahead_us,
        cells=tuple(cells),
    )
