"""What processes say of themselves on `vigia.status`: alive, sources, stages, latencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from contracts.errors import FieldError
from contracts.messages import (
    Account,
    Histogram,
    SourceHealth,
    SourceState,
    Status,
    decode_json,
)
from contracts.record import Record
from contracts.topics import STATUS
from exporters.core.bounds import OTHER, Names, Words, is_word
from exporters.core.families import Family, Labels, counter, gauge, histogram, seconds
from exporters.core.wanted import Start, Wanted

STALE_US = 10_000_000
"""A process that says nothing for so long is taken for down (it speaks every second)."""
FORGET_US = 3_600_000_000
"""After so long its series end."""
_MOST_PROCESSES = 500
_MOST_BOUNDS = 50
_RECENT = 2_000
_STATES = (*get_args(SourceState), "unknown")
_SOURCE: Labels = ("asset", "signal")
_STAGE: Labels = ("process", "stage", "unit")


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest status of a process and when it came."""

    status: Status
    seen_us: int


class Processes:
    """The newest status of each process."""

    wanted = (Wanted(STATUS, Start.RECENT, _RECENT),)

    def __init__(self, names: Names) -> None:
        self._names = names
        self._seen: dict[str, Seen] = {}
        self._stages, self._units, self._measures = Words(50), Words(20), Words(50)
        self._reasons = Words(200)
        self._plants_known = Words(1_000)

    def take(self, record: Record, now_us: int, live: bool) -> str | None:
        """Keeps the status in `record`; why not, if not. Raises MessageError."""
        status = decode_json(Status, record.value)
        _check(status)
        known = self._seen.get(status.process)
        if known is None and len(self._seen) >= _MOST_PROCESSES:
            return "too-many-processes"
        # Its own clock orders what a process says, unless that was set back; ours says how old
        # that is.
        if known is not None and 0 < known.status.at_us - status.at_us < STALE_US:
            return "old"
        if known is not None and status == known.status:
            return "repeated"
        seen_us = now_us if live else min(now_us, record.timestamp_ms * 1000)
        self._seen[status.process] = Seen(status, seen_us)
        return None

    def families(self, now_us: int) -> Iterator[Family]:
        """Everything that statuses say, as of `now_us`."""
        self._seen = {n: s for n, s in self._seen.items() if now_us - s.seen_us < FORGET_US}
        yield from self._processes(now_us)
        yield from self._sources(now_us)
        yield from self._account()
        yield from self._spools(now_us)
        yield from self._plants()
        yield self._latencies()

    def _processes(self, now_us: int) -> Iterator[Family]:
        label: Labels = ("process",)
        seen = {(name,): one for name, one in sorted(self._seen.items())}
        yield gauge(
            "vigia_process_up",
            "Whether the process said something in the last 10 seconds.",
            label,
            [(name, float(_fresh(one, now_us))) for name, one in seen.items()],
        )
        yield gauge(
            "vigia_process_status_age_seconds",
            "Time since the process last said how it does.",
            label,
            [(name, seconds(max(0, now_us - one.seen_us))) for name, one in seen.items()],
        )
        yield gauge(
            "vigia_process_start_time_seconds",
            "When the process started, since 1970.",
            label,
            [(name, seconds(one.status.started_us)) for name, one in seen.items()],
        )
        yield gauge(
            "vigia_process_resident_memory_bytes",
            "Resident memory of the process.",
            label,
            [(name, one.status.rss_bytes) for name, one in seen.items()],
        )

    def _newest_sources(self, now_us: int) -> dict[Labels, tuple[SourceHealth, bool]]:
        """Each reported source as its edge saw it last, and whether that edge is up."""
        found: dict[Labels, tuple[SourceHealth, bool]] = {}
        for one in sorted(self._seen.values(), key=lambda seen: seen.seen_us):
            up = _fresh(one, now_us)
            for source in one.status.sources:
                found[self._names.signal(source.asset, source.signal)] = (source, up)
        return found

    def _sources(self, now_us: int) -> Iterator[Family]:
        sources = self._newest_sources(now_us)
        every = sorted({*self._names.signals, *sources})
        states = {
            key: sources[key][0].state if key in sources and sources[key][1] else "unknown"
            for key in every
        }
        yield gauge(
            "vigia_source_up",
            "Whether the source sends usable readings; 0 too where its edge is silent.",
            _SOURCE,
            [(key, float(states[key] == "ok")) for key in every],
        )
        yield gauge(
            "vigia_source_state",
            "1 for the state that the source is in.",
            (*_SOURCE, "state"),
            [((*key, state), float(states[key] == state)) for key in every for state in _STATES],
        )
        yield gauge(
            "vigia_source_readings_per_second",
            "Rate of the source's readings; 0 where its edge is silent.",
            _SOURCE,
            [(key, one.rate_hz if up else 0.0) for key, (one, up) in sources.items()],
        )
        yield gauge(
            "vigia_source_value",
            "The source's newest value, believed or not, in the plant file's unit.",
            (*_SOURCE, "unit"),
            [
                ((*key, self._names.signals.get((key[0], key[1]), OTHER)), one.value)
                for key, (one, up) in sources.items()
                if up and one.value is not None
            ],
        )
        yield counter(
            "vigia_source_readings_total",
            "Readings of the source since its edge started.",
            _SOURCE,
            [(key, one.readings) for key, (one, _) in sources.items()],
        )
        yield gauge(
            "vigia_source_last_reading_timestamp_seconds",
            "Event time of the source's newest reading, since 1970.",
            _SOURCE,
            [
                (k, seconds(one.last_us))
                for k, (one, _) in sources.items()
                if one.last_us is not None
            ],
        )

    def _account(self) -> Iterator[Family]:
        taken: Counter[Labels] = Counter()
        out: Counter[Labels] = Counter()
        held: Counter[Labels] = Counter()
        missing: Counter[Labels] = Counter()
        dropped: Counter[Labels] = Counter()
        for labels, one in self._accounts():
            taken[labels] += one.taken_in
            out[labels] += one.gone_out
            held[labels] += one.held
            missing[labels] += one.missing
            for reason, count in one.dropped.items():
                dropped[(*labels, self._reasons.label(reason))] += count
        yield counter("vigia_stage_in_total", "Units taken in.", _STAGE, taken.items())
        yield counter("vigia_stage_out_total", "Units passed on.", _STAGE, out.items())
        yield gauge("vigia_stage_held", "Units held now.", _STAGE, held.items())
        yield counter(
            "vigia_stage_dropped_total", "Units dropped.", (*_STAGE, "reason"), dropped.items()
        )
        yield gauge(
            "vigia_stage_unaccounted",
            "Units in that are neither out nor held nor dropped: 0 when the books balance.",
            _STAGE,
            missing.items(),
        )

    def _accounts(self) -> Iterator[tuple[Labels, Account]]:
        for name, seen in sorted(self._seen.items()):
            for stage, one in seen.status.account.items():
                yield (name, self._stages.label(stage), self._units.label(one.unit)), one

    def _spools(self, now_us: int) -> Iterator[Family]:
        found = {
            (name, self._measures.label(what)): one
            for name, seen in sorted(self._seen.items())
            for what, one in seen.status.spools.items()
        }
        ages = {k: now_us - (one.oldest_us or now_us) for k, one in found.items()}
        for name, help, samples in (
            ("messages", "Messages kept on disk.", {k: one.messages for k, one in found.items()}),
            ("bytes", "Bytes kept on disk.", {k: one.bytes for k, one in found.items()}),
            ("limit_bytes", "How many may be.", {k: one.limit_bytes for k, one in found.items()}),
            (
                "oldest_age_seconds",
                "How long ago the oldest message on disk was received.",
                {k: seconds(max(0, age)) for k, age in ages.items()},
            ),
        ):
            yield gauge(f"vigia_spool_{name}", help, ("process", "spool"), samples.items())

    def _plants(self) -> Iterator[Family]:
        uses = {n: s.status.plant for n, s in sorted(self._seen.items()) if s.status.plant}
        yield gauge(
            "vigia_process_plant_differs",
            "Whether the plant file or a model on disk is another than the process uses.",
            ("process",),
            [((name,), float(use.differs)) for name, use in uses.items()],
        )
        yield counter(
            "vigia_process_plant_changes_total",
            "Other plant files or models that the process found on disk since it started.",
            ("process", "outcome"),
            [((name, "taken"), use.taken) for name, use in uses.items()]
            + [((name, "refused"), use.refused) for name, use in uses.items()],
        )
        yield gauge(
            "vigia_process_plant_info",
            "The plant file that the process works by.",
            ("process", "hash"),
            [((name, self._plants_known.label(use.hash)), 1.0) for name, use in uses.items()],
        )

    def _latencies(self) -> Family:
        # A dictionary: two measures that are both OTHER would be one series twice.
        found: dict[Labels, Histogram] = {}
        for name, seen in sorted(self._seen.items()):
            for measure, one in seen.status.latencies.items():
                found[(name, self._measures.label(measure))] = one
        return histogram(
            "vigia_stage_latency_seconds",
            "Durations as the process itself measured them.",
            ("process", "measure"),
            found.items(),
        )


def _fresh(seen: Seen, now_us: int) -> bool:
    return now_us - seen.seen_us <= STALE_US


def _check(status: Status) -> None:
    if not is_word(status.process):
        raise FieldError("status: process is no plain name", reason="process-name")
    for name, one in status.latencies.items():
        steps = (0, *one.counts, one.count)
        if (
            len(one.bounds_s) != len(one.counts)
            or len(one.bounds_s) > _MOST_BOUNDS
            or list(one.bounds_s) != sorted(set(one.bounds_s))
            or list(steps) != sorted(steps)
            or one.count >= 2**63
        ):
            raise FieldError(f"status: latency {name[:60]!r} is no cumulative histogram")
