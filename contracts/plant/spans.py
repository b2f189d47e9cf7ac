"""How long the windows of a plant file may be: what is kept on the topics, how many rows a worker
may have to hold and to read again, and what panes can stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from contracts.durations import format_duration
from contracts.plant.detectors import DetectorBase, Imbalance
from contracts.plant.lines import Path
from contracts.plant.model import Kafka
from contracts.topics import AGGREGATES, READINGS

Found = Iterator[tuple[Path, str]]
MAX_ROWS = 25_000
"""Rows, or panes, of an asset in a window: they are held in memory and read again after a crash."""


def width_of(detector: DetectorBase) -> int:
    """How much a window covers, in µs: with what a detector needs before it."""
    history = detector.history if isinstance(detector, Imbalance) else None
    return detector.window.width + (history or 0)


def spans(path: Path, detector: DetectorBase, kafka: Kafka, periods: Mapping[str, int]) -> Found:
    """What is wrong with a detector's windows. `periods` has the assets that it looks at and, in
    µs, the distance of their rows, as far as that is known."""
    window = (*path, "window")
    pane = detector.window.pane
    if pane is None:
        yield from _kept(window, width_of(detector) + detector.window.lateness, "readings", kafka)
        yield from _rows(window, width_of(detector), detector, periods)
        return
    if not detector.needs_of_panes():
        yield (
            (*window, "pane"),
            "expected no pane: that needs the rows themselves; panes serve detectors of kind "
            "limit, of mean, min, max or last",
        )
    yield from _kept(window, pane + detector.window.lateness, "readings", kafka)
    needs = detector.window.width + pane + detector.window.lateness
    yield from _kept(window, needs, "aggregates", kafka)
    yield from _rows((*window, "pane"), pane, detector, periods)
    if detector.window.width > pane * MAX_ROWS:
        count = detector.window.width // pane
        text = f"expected a longer pane: windows of at most {MAX_ROWS} panes, not {count}"
        yield (*window, "pane"), text


def _kept(path: Path, needs: int, topic: str, kafka: Kafka) -> Found:
    default = {"readings": READINGS, "aggregates": AGGREGATES}[topic].retention_ms * 1000
    asked = {str(name): kept for name, kept in kafka.retention.items()}
    kept = asked.get(topic, default)
    if needs > kept:
        yield (
            path,
            f"needs {format_duration(needs)} of {topic}, but they are kept "
            f"{format_duration(kept)} (kafka.retention.{topic})",
        )


def _rows(path: Path, width: int, detector: DetectorBase, periods: Mapping[str, int]) -> Found:
    for asset, period in periods.items():
        if width > period * MAX_ROWS:
            longest = format_duration(period * MAX_ROWS)
            pane = detector.window.pane is None and detector.needs_of_panes()
            instead = ", or a pane such as 1min" if pane else ""
            text = f"expected at most {longest}{instead}: that is {MAX_ROWS} rows of {asset}"
            yield path, text
            return


def panes_together(
    path: Path, detector: DetectorBase, assets: Sequence[str], known: dict[str, DetectorBase]
) -> Found:
    """What is wrong between the panes of a detector and those of others for the same assets:
    an asset has one kind of panes. Notes the detector's own in `known`, by asset."""
    window, wrong = detector.window, False
    for asset in assets:
        first = known.setdefault(asset, detector)
        other = first.window
        if (window.pane, window.lateness) != (other.pane, other.lateness) and not wrong:
            wrong = True
            yield (
                (*path, "window"),
                f"expected pane {format_duration(other.pane or 0)} and lateness "
                f"{format_duration(other.lateness)} as detector {first.id!r} has: "
                f"{asset} has one kind of panes",
            )
