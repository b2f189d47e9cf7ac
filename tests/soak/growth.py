"""Whether processes grow: medians of minutes, compared. Pure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.soak.samples import Sample

SETTLED, MINUTE = 5 / 30, 1 / 30
"""Shares of the whole time: where the comparison begins, and how long what is compared lasts."""
MOST_GROWTH = 0.05
SPARE = 2
"""Threads, open files and connections more than before that are none yet: Kafka's clients close a
connection that nobody uses after nine minutes."""
EQUIPMENT = ("mosquitto", "cameras")
"""Not ours: told, and not judged."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians of a minute; memory in bytes. `files` are open files that are no sockets."""

    rss: float
    pss: float
    uss: float
    threads: float
    files: float
    sockets: float


@dataclass(frozen=True, slots=True)
class Life:
    """One process from its start to its end, in seconds of the soak. `early` is the minute in
    the middle of which it had settled, `late` its last one; None for a life too short for both.
    `minutes` has the median of the resident memory of each."""

    name: str
    pid: int
    begun_s: float
    ended_s: float
    early: Figures | None
    late: Figures | None
    most: Figures
    minutes: tuple[float, ...]

    @property
    def growth(self) -> float | None:
        """Of the resident memory, as a share."""
        if self.early is None or self.late is None:
            return None
        return self.late.rss / self.early.rss - 1

    def holds(self) -> bool:
        """Whether it did not grow, where that can be said: memory within 5 %, threads, open files
        and sockets as many as before. The sockets of a broker are its clients'."""
        early, late = self.early, self.late
        if early is None or late is None or self.name in EQUIPMENT:
            return True
        broker = self.name == "kafka"
        return (
            abs(late.rss / early.rss - 1) <= MOST_GROWTH
            and late.threads <= early.threads + SPARE
            and late.files <= early.files + SPARE
            and (broker or late.sockets <= early.sockets + SPARE)
        )


def lives(samples: Iterable[Sample], total_s: float) -> list[Life]:
    """The lives of all processes, by name and start."""
    by_process: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for one in samples:
        by_process[one.name, one.pid].append(one)
    found = [_life(name, pid, some, total_s) for (name, pid), some in by_process.items()]
    return sorted(found, key=lambda life: (life.name, life.begun_s))


def _life(name: str, pid: int, some: Sequence[Sample], total_s: float) -> Life:
    begun, ended = some[0].at_s, some[-1].at_s
    settled, minute = begun + SETTLED * total_s, MINUTE * total_s
    early = late = None
    if ended - begun >= (2 * SETTLED + MINUTE) * total_s:
        early = figures([s for s in some if abs(s.at_s - settled) <= minute / 2])
        late = figures([s for s in some if s.at_s >= ended - minute])
    return Life(name, pid, begun, ended, early, late, _figures(some, max), _minutes(some, minute))


def _minutes(some: Sequence[Sample], minute: float) -> tuple[float, ...]:
    parts: dict[int, list[int]] = defaultdict(list)
    for one in some:
        parts[int((one.at_s - some[0].at_s) // minute)].append(one.rss)
    return tuple(statistics.median(parts[number]) for number in sorted(parts))


def figures(some: Sequence[Sample]) -> Figures | None:
    """The medians; None of nothing."""
    return _figures(some, statistics.median) if some else None


def _figures(some: Sequence[Sample], of: Callable[[list[int]], float]) -> Figures:
    sockets = [one.files.get("socket", 0) for one in some]
    files = [sum(one.files.values()) for one in some]
    return Figures(
        of([one.rss for one in some]),
        of([one.pss for one in some]),
        of([one.uss for one in some]),
        of([one.threads for one in some]),
        of([every - mine for every, mine in zip(files, sockets, strict=True)]),
        of(sockets),
    )
