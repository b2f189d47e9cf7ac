"""Metrics as plain values, after Prometheus's data model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from contracts.messages import Histogram

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """All series of one metric. A counter's `name` ends in `_total`; names are in base units
    (seconds, bytes). `samples` has numbers, of a histogram the Histogram."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    labels: Labels
    samples: tuple[tuple[Labels, float | Histogram], ...]


def gauge(name: str, help: str, labels: Labels, samples: Iterable[tuple[Labels, float]]) -> Family:
    """A value that goes up and down."""
    return Family(name, "gauge", help, labels, tuple((one, float(x)) for one, x in samples))


def counter(
    name: str, help: str, labels: Labels, samples: Iterable[tuple[Labels, float]]
) -> Family:
    """A count since some start."""
    return Family(name, "counter", help, labels, tuple((one, float(x)) for one, x in samples))


def histogram(
    name: str, help: str, labels: Labels, samples: Iterable[tuple[Labels, Histogram]]
) -> Family:
    """Durations in buckets."""
    return Family(name, "histogram", help, labels, tuple(samples))


def seconds(us: int) -> float:
    """Microseconds as Prometheus has time."""
    return us / 1e6
