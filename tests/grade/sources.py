"""`python -m tests.grade.sources`: misses, false finds and time to notice of every fault of a
source, on the part of the real data on which the parameters were chosen and on the rest.

GRADE_SEED, GRADE_EACH (photos of a source) and GRADE_JSON (a file) may be set.
"""

from __future__ import annotations

import json
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from tests.grade import cameras, sensors
from tests.grade.photos import SHARED, Part, photos
from tests.grade.series import is_here, series

_FOLDERS = ("piped", "petronor", "classification_crops", "radiometric")
_TABLES = ("contugas", "azerbaijan_gas_pipeline", "skab")


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
    """What was told of a source with no fault: how long it was watched, what was told."""

    of: str
    watched: int
    days: float
    finds: dict[str, int]


def camera_lines(part: Part, each: int, seed: int) -> tuple[list[Line], Untouched]:
    """All cameras of a part."""
    tried: defaultdict[str, list[tuple[bool, float | None]]] = defaultdict(list)
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
        tried["frozen, its clock runs"].append((True, cameras.froze(scenery, frozen=True)))
        finds["frozen"] += cameras.froze(scenery, frozen=False) is not None
    return _lines("camera", tried), Untouched("camera", len(known), seconds / 86_400, dict(finds))


def sensor_lines(part: Part, seed: int) -> tuple[list[Line], list[Untouched]]:
    """All signals of a part, by source."""
    tried: defaultdict[str, dict[str, list[tuple[bool, float | None]]]] = defaultdict(dict)
    watched: defaultdict[str, list[sensors.Clean]] = defaultdict(list)
    for number, one in enumerate(series(part)):
        rules = sensors.rules_of(one)
        watched[one.source].append(sensors.clean(one, rules))
        for trial in sensors.trials(one, rules, seed + number):
            lists = tried[one.source].setdefault(f"{trial.planted}, {trial.size}", [])
            lists.append((trial.judged, trial.after_s))
    lines = [line for source, trials in tried.items() for line in _lines(source, trials)]
    return lines, [_together(source, found) for source, found in watched.items()]


def clock_lines(seed: int) -> list[Line]:
    """Sources whose clock is wrong from a moment on; those that are right must never be told."""
    seeds = range(seed, seed + 5)
    tried = {kind: [(True, sensors.clock(kind, one)) for one in seeds] for kind in sensors.CLOCKS}
    return _lines("clock", tried)


def _together(source: str, found: Sequence[sensors.Clean]) -> Untouched:
    finds: defaultdict[str, int] = defaultdict(int)
    for one in found:
        for kind, count in one.finds.items():
            finds[kind] += count
    return Untouched(source, len(found), sum(one.days for one in found), dict(finds))


def _lines(of: str, tried: dict[str, list[tuple[bool, float | None]]]) -> list[Line]:
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
        told = ", ".join(f"{n} {kind}" for kind, n in sorted(one.finds.items()) if n) or "nothing"
        rate = sum(one.finds.values()) / one.days if one.days else 0.0
        print(
            f"  {one.of:12} nothing wrong: {one.watched} watched for {one.days:.2f} days in all: "
            f"told {told} ({rate:.4g} a day each)"
        )


def main() -> None:
    """Prints both parts."""
    seed, each = int(os.environ.get("GRADE_SEED", "7")), int(os.environ.get("GRADE_EACH", "3"))
    for folder in (*_FOLDERS, *_TABLES):
        if not is_here(folder):
            print(f"skipped: {SHARED / folder} is not here")
    told: dict[str, object] = {"seed": seed, "each": each}
    for part in get_args(Part):
        print(f"{part}:")
        seen, unharmed = camera_lines(part, each, seed)
        read, untouched = sensor_lines(part, seed)
        _print([*seen, *read], [unharmed, *untouched])
        told[part] = {
            "faults": [asdict(line) for line in (*seen, *read)],
            "clean": [asdict(one) for one in (unharmed, *untouched)],
        }
    print("clocks, limit 30 s, wrong from a moment on; `missed` is right where nothing is wrong:")
    clocks = clock_lines(seed)
    _print(clocks, [])
    told["clocks"] = [asdict(line) for line in clocks]
    if file := os.environ.get("GRADE_JSON"):
        Path(file).write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
