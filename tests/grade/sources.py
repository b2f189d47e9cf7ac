"""`python -m tests.grade.sources`: misses, false finds and time to notice of every fault of a
source, on the part of the real data on which the parameters were chosen and on the rest.

GRADE_SEED, GRADE_EACH (photos of a source), GRADE_PART (one of both), GRADE_OF (cameras or sensors)
and GRADE_JSON (a file) may be set.
"""

from __future__ import annotations

import json
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import get_args

from tests.grade import cameras, clocks, sensors, silences
from tests.grade.photos import SHARED, Part, photos
from tests.grade.series import is_here, series

_FOLDERS = ("piped", "petronor", "classification_crops", "radiometric")
_TABLES = ("contugas", "azerbaijan_gas_pipeline", "skab", "nab")
Tried = defaultdict[str, list[tuple[bool, float | None]]]


@dataclass(frozen=True, slots=True)
class Line:
    """One kind and size of fault: planted so often, of these not to be judged (no fixed view, no
    edges, a signal that may stand still), missed of the others, and the seconds to notice."""

    of: str
    fault: str
    planted: int
    not_judged: int
    missed: int
    median_s: float | None


@dataclass(frozen=True, slots=True)
class Untouched:
    """What was told of a source with no fault: for how many hours it was watched, what was told."""

    of: str
    watched: int
    hours: float
    finds: dict[str, int]


def camera_lines(part: Part, each: int, seed: int) -> tuple[list[Line], Untouched]:
    """All cameras of a part."""
    tried: Tried = defaultdict(list)
    finds: defaultdict[str, int] = defaultdict(int)
    seconds, known = 0, photos(part, each)
    for name, scenery in cameras.cameras(known, seed):
        found = cameras.clean(name, scenery)
        seconds += found.seconds
        for _, kind in found.finds:
            finds[kind] += 1
        for one in cameras.trials(name, scenery):
            key = f"{one.planted}, {one.size}, by {one.weather}"
            tried[key].append((one.judged, one.after_s))
        for coding in cameras.CODINGS:
            after_s = cameras.froze(scenery, coding, frozen=True)
            tried[f"frozen, its clock runs, {coding}"].append((True, after_s))
            finds["frozen"] += cameras.froze(scenery, coding, frozen=False) is not None
            seconds += cameras.FILM_S
    return _lines("camera", tried), Untouched("camera", len(known), seconds / 3_600, dict(finds))


def sensor_lines(part: Part, seed: int) -> tuple[list[Line], list[Untouched]]:
    """All signals of a part, by source."""
    tried: defaultdict[str, Tried] = defaultdict(lambda: defaultdict(list))
    watched: defaultdict[str, list[sensors.Clean]] = defaultdict(list)
    for number, one in enumerate(series(part)):
        rules = sensors.rules_of(one)
        found, of = sensors.clean(one, rules), tried[one.source]
        for trial in sensors.trials(one, rules, seed + number):
            of[f"{trial.planted}, {trial.size}"].append((trial.judged, trial.after_s))
        silent = _silent(silences.Arrivals(one, seed + number), seed + number, of)
        watched[one.source].append(replace(found, finds={**found.finds, "silent": silent}))
    lines = [line for source, trials in tried.items() for line in _lines(source, trials)]
    return lines, [_together(source, found) for source, found in watched.items()]


def _silent(arrivals: silences.Arrivals, seed: int, tried: Tried) -> int:
    """The silences that were told and were none; those that were are noted in `tried`."""
    false = 0
    for one in silences.own(arrivals):
        if one.end_us - one.begin_us <= arrivals.patience_us:
            false += 1
        else:
            tried["silent, its own pauses"].append((True, _seconds(one.after_us)))
    for size, silent, after_us in silences.planted(arrivals, seed):
        if silent:
            tried[f"silent, {size}"].append((True, _seconds(after_us)))
        false += after_us is not None and not silent
    return false


def _seconds(after_us: int | None) -> float | None:
    return None if after_us is None else after_us / 1e6


def clock_lines(part: Part, seed: int) -> tuple[list[Line], list[Untouched]]:
    """Clocks that are wrong from a moment on, and those that are right, at the moments of a
    part."""
    tried: Tried = defaultdict(list)
    false, hours, watched = 0, 0.0, 0
    for _, times_s in clocks.moments(part):
        for one in range(seed, seed + 5):
            for kind in clocks.WRONG:
                after_s = clocks.told(kind, times_s, one)
                tried[kind].append((clocks.lasts(kind, times_s), after_s))
            for kind in clocks.RIGHT:
                false += clocks.told(kind, times_s, one) is not None
                hours, watched = hours + float(times_s[-1]) / 3600, watched + 1
    return _lines("clock", tried), [Untouched("clock", watched, hours, {"clock": false})]


def _together(source: str, found: Sequence[sensors.Clean]) -> Untouched:
    finds: defaultdict[str, int] = defaultdict(int)
    for one in found:
        for kind, count in one.finds.items():
            finds[kind] += count
    return Untouched(source, len(found), sum(one.hours for one in found), dict(finds))


def _lines(of: str, tried: Tried) -> list[Line]:
    lines = []
    for fault, trials in tried.items():
        judged = [after for known, after in trials if known]
        found = [after for after in judged if after is not None]
        middle = statistics.median(found) if found else None
        aside, missed = len(trials) - len(judged), len(judged) - len(found)
        lines.append(Line(of, fault, len(trials), aside, missed, middle))
    return lines


def _print(lines: Iterable[Line], clean: Iterable[Untouched]) -> None:
    for line in lines:
        judged = line.planted - line.not_judged
        when = "" if line.median_s is None else f"after {line.median_s:g} s"
        aside = f" ({line.not_judged} not judged)" if line.not_judged else ""
        share = f"{line.missed} of {judged} missed"
        print(f"  {line.of:12} {line.fault:42} {share:18}{aside:17} {when}")
    for one in clean:
        rates = ", ".join(
            f"{kind} {count} ({count / one.hours:.2g} an hour)"
            for kind, count in sorted(one.finds.items())
        )
        print(f"  {one.of:12} nothing wrong, {one.watched} for {one.hours:,.1f} h in all: {rates}")


def _grade(part: Part, of: str, each: int, seed: int) -> tuple[list[Line], list[Untouched]]:
    lines: list[Line] = []
    clean: list[Untouched] = []
    if of in ("", "cameras"):
        seen, unharmed = camera_lines(part, each, seed)
        lines, clean = lines + seen, [*clean, unharmed]
    if of in ("", "sensors"):
        for found, untouched in (sensor_lines(part, seed), clock_lines(part, seed)):
            lines, clean = lines + found, clean + untouched
    return lines, clean


def main() -> None:
    """Prints both parts, or one."""
    seed, each = int(os.environ.get("GRADE_SEED", "7")), int(os.environ.get("GRADE_EACH", "3"))
    of, only = os.environ.get("GRADE_OF", ""), os.environ.get("GRADE_PART", "")
    for folder in (*_FOLDERS, *_TABLES):
        if not is_here(folder):
            print(f"skipped: {SHARED / folder} is not here")
    told: dict[str, object] = {"seed": seed, "each": each}
    for part in get_args(Part):
        if only in ("", part):
            print(f"{part}:")
            lines, clean = _grade(part, of, each, seed)
            _print(lines, clean)
            told[part] = {
                "faults": [asdict(line) for line in lines],
                "clean": [asdict(one) for one in clean],
            }
    if file := os.environ.get("GRADE_JSON"):
        Path(file).write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
