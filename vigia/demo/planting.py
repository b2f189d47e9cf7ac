"""What the demo plants in the recording, and when: a pure function of a seed.

Events are withdrawals: between the two meters `size` of the flow is taken; the inlet rises by
`split` of it, the outlet falls by the rest. Non-events are pump changes: both flows change by
`size`. Pressure follows the flow at its end of the line, p = k q^2.

`DEMO_EVENTS=n` counts withdrawals, at most two an asset. Pump changes are drawn besides, at most
one an asset, and at least one in every plan in which an asset has room for one. The pulses of the
outlet meter are in the recording itself; nothing plants them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from contracts.errors import VigiaError
from vigia.demo.recording import ROWS_PER_S, Recording, Rows

DEFAULT_EVENTS = 4
DEFAULT_SECONDS = 90
MOST_AN_ASSET = 2
# Nothing happens in the first and in the last seconds: detectors fill, alarms clear.
QUIET_S = 15
# Between the end of one and the start of the next on an asset: the window empties and the alarm
# clears.
GAP_ROWS = 10 * ROWS_PER_S
DECIMALS = 6


class PlantingError(VigiaError):
    """That many events do not fit."""


class EventKind(StrEnum):
    """What is planted. A pump change is not to be found, all others are: a withdrawal in a
    pipeline, and what happens before the cameras (vigia.demo.scenes)."""

    WITHDRAWAL = "withdrawal"
    PUMP_CHANGE = "pump-change"
    DEFECT = "defect"
    LEVEL = "level"
    INTERFACE = "interface"
    STUCK = "stuck-camera"


@dataclass(frozen=True, slots=True)
class Event:
    """One planted event; times in seconds from the first reading. It rises for `ramp_s` from
    `start_s` and has fallen again at `end_s`. `size` is a fraction of the flow, negative where a
    pump change lowers it, or of a tank's height; `split` is a withdrawal's, else 0."""

    asset: str
    kind: EventKind
    start_s: float
    end_s: float
    ramp_s: float
    size: float
    split: float

    def later(self, by_s: float) -> Event:
        """The same event so many seconds later."""
        return replace(self, start_s=self.start_s + by_s, end_s=self.end_s + by_s)


@dataclass(frozen=True, slots=True)
class Plan:
    """One round of the demo: `seconds` of rows for each asset. `offsets` are the rows of the
    held-out parts at which the assets' replay starts."""

    seed: int
    round: int
    seconds: int
    offsets: Mapping[str, int]
    events: tuple[Event, ...]

    @property
    def truth(self) -> tuple[Event, ...]:
        """What must be found: the withdrawals, by start."""
        return tuple(event for event in self.events if event.kind is EventKind.WITHDRAWAL)


@dataclass(frozen=True, slots=True)
class _Span:
    """How long a kind of event is, in rows: least and most of each ramp and of the hold."""

    ramp: tuple[int, int]
    hold: tuple[int, int]

    @property
    def least(self) -> int:
        return 2 * self.ramp[0] + self.hold[0]


_SPANS = {
    EventKind.WITHDRAWAL: _Span(ramp=(5, 30), hold=(80, 120)),
    EventKind.PUMP_CHANGE: _Span(ramp=(10, 40), hold=(20, 80)),
}


def room(seconds: int, pump_changes: int = 0) -> int:
    """How many withdrawals fit on one asset beside `pump_changes`."""
    rows = (seconds - 2 * QUIET_S) * ROWS_PER_S
    for withdrawals in range(MOST_AN_ASSET, -1, -1):
        if _least(withdrawals, pump_changes) <= rows:
            return withdrawals
    return 0


def _least(withdrawals: int, pump_changes: int) -> int:
    gaps = max(withdrawals + pump_changes - 1, 0) * GAP_ROWS
    least = withdrawals * _SPANS[EventKind.WITHDRAWAL].least
    return least + pump_changes * _SPANS[EventKind.PUMP_CHANGE].least + gaps


def draw(
    seed: int,
    n_events: int,
    seconds: int,
    held_out: Mapping[str, int],
    round: int = 0,
) -> Plan:
    """The plan of a seed. `held_out` has the assets and how many rows each can replay. An endless
    demo draws round after round: each starts where the one before ended, with other events.

    The same arguments give the same plan. Raises PlantingError where `n_events` withdrawals do
    not fit, saying how many do.
    """
    most = room(seconds) * len(held_out)
    if not 0 <= n_events <= most:
        raise PlantingError(
            f"{n_events} events do not fit into {seconds} s of {len(held_out)} assets: at most "
            f"{most} do ({MOST_AN_ASSET} an asset, none in the first or last {QUIET_S} s)"
        )
    rng = np.random.default_rng((seed, round))
    counts = _withdrawals(n_events, tuple(held_out), room(seconds), rng)
    pumps = _pump_changes(counts, seconds, rng)
    events = [
        event
        for asset, count in counts.items()
        for event in _events(asset, count, asset in pumps, seconds, rng)
    ]
    events.sort(key=lambda event: (event.start_s, event.asset))
    return Plan(seed, round, seconds, _offsets(seed, round, seconds, held_out), tuple(events))


def _offsets(seed: int, round: int, seconds: int, held_out: Mapping[str, int]) -> dict[str, int]:
    rng = np.random.default_rng(seed)
    rows = seconds * ROWS_PER_S
    # The first round does not meet the seam where the held-out part is long enough.
    starts = {asset: int(rng.integers(max(n - rows, 1))) for asset, n in held_out.items()}
    return {asset: (start + round * rows) % held_out[asset] for asset, start in starts.items()}


def _withdrawals(
    n_events: int, assets: Sequence[str], most: int, rng: np.random.Generator
) -> dict[str, int]:
    places = [asset for asset in assets for _ in range(most)]
    chosen = [places[at] for at in rng.permutation(len(places))[:n_events]]
    return {asset: chosen.count(asset) for asset in assets}


def _pump_changes(
    counts: Mapping[str, int], seconds: int, rng: np.random.Generator
) -> frozenset[str]:
    rows = (seconds - 2 * QUIET_S) * ROWS_PER_S
    able = [asset for asset, count in counts.items() if _least(count, 1) <= rows]
    if not able:
        return frozenset()
    some = int(rng.integers(1, len(able) + 1))
    return frozenset(able[at] for at in rng.permutation(len(able))[:some])


def _events(
    asset: str, withdrawals: int, pump_change: bool, seconds: int, rng: np.random.Generator
) -> list[Event]:
    kinds = [EventKind.WITHDRAWAL] * withdrawals + [EventKind.PUMP_CHANGE] * pump_change
    if not kinds:
        return []
    kinds = [kinds[at] for at in rng.permutation(len(kinds))]
    free = (seconds - 2 * QUIET_S) * ROWS_PER_S - (len(kinds) - 1) * GAP_ROWS
    spans = _lengths(kinds, free, rng)
    slack = free - sum(2 * ramp + hold for ramp, hold in spans)
    waits = np.diff(np.sort(rng.integers(slack + 1, size=len(kinds))), prepend=0)
    at, events = QUIET_S * ROWS_PER_S, []
    for kind, (ramp, hold), wait in zip(kinds, spans, waits.tolist(), strict=True):
        start = at + wait
        end = start + 2 * ramp + hold
        size, split = _size(kind, rng)
        times = (start / ROWS_PER_S, end / ROWS_PER_S, ramp / ROWS_PER_S)
        events.append(Event(asset, kind, *times, size, split))
        at = end + GAP_ROWS
    return events


def _lengths(
    kinds: Sequence[EventKind], free: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """(ramp, hold) of each event, shortened towards the least where they would not fit."""
    least = [(_SPANS[kind].ramp[0], _SPANS[kind].hold[0]) for kind in kinds]
    drawn = [
        tuple(int(rng.integers(low, high + 1)) for low, high in (span.ramp, span.hold))
        for span in (_SPANS[kind] for kind in kinds)
    ]
    extra = sum(2 * (d[0] - m[0]) + d[1] - m[1] for d, m in zip(drawn, least, strict=True))
    spare = free - sum(2 * ramp + hold for ramp, hold in least)
    share = min(1.0, spare / extra) if extra else 1.0
    return [
        (m[0] + int((d[0] - m[0]) * share), m[1] + int((d[1] - m[1]) * share))
        for d, m in zip(drawn, least, strict=True)
    ]


def _size(kind: EventKind, rng: np.random.Generator) -> tuple[float, float]:
    """(size, split), in thousandths and hundredths, so that what is written is what was done."""
    if kind is EventKind.WITHDRAWAL:
        return int(rng.integers(30, 151)) / 1000, int(rng.integers(0, 101)) / 100
    return int(rng.integers(50, 151)) / 1000 * int(rng.choice((-1, 1))), 0.0


def rows(plan: Plan, recording: Recording, start: int, n: int) -> Rows:
    """float64 [n, 4], columns recording.SIGNALS: rows `start` to `start + n` of the plan for the
    recording's asset, with what was planted, rounded to DECIMALS.

    After its last row the held-out part starts again at its first; the step at that seam is less
    than 1 %, and a pulse may be cut short there. However the rows are asked for, they are the same.
    """
    held_out = recording.held_out
    index = np.arange(start, start + n)
    values = held_out[(plan.offsets[recording.asset] + index) % len(held_out)]
    for event in plan.events:
        if event.asset == recording.asset:
            values = values * _factors(event, index / ROWS_PER_S)
    return np.round(values, DECIMALS)


def _factors(event: Event, at_s: Rows) -> Rows:
    """float64 [n, 4]: what the event multiplies each signal by at the times `at_s` [n]."""
    nearest = np.minimum(at_s - event.start_s, event.end_s - at_s)
    shape = event.size * np.clip(nearest / event.ramp_s, 0.0, 1.0)
    if event.kind is EventKind.PUMP_CHANGE:
        inlet = outlet = 1.0 + shape
    else:
        inlet, outlet = 1.0 + event.split * shape, 1.0 - (1.0 - event.split) * shape
    return np.stack([inlet, outlet, inlet**2, outlet**2], axis=-1)
