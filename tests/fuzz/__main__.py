"""`make fuzz`: FUZZ_RUNS, FUZZ_SECONDS, FUZZ_SEED, FUZZ_TARGETS, FUZZ_OUT, FUZZ_JSON; exit code 0
only if no decoder crashed, hung, took more memory than its bound, or raised a foreign error."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.runner import Result, fuzz
from tests.fuzz.targets import TARGETS

_TITLES = ("target", "executions", "per s", "outcomes", "peak MB", "bound MB", "found")
_WIDTHS = (12, 12, 9, 9, 8, 9, 6)


def main() -> int:
    names = os.environ.get("FUZZ_TARGETS", "").split() or list(TARGETS)
    runs = int(os.environ.get("FUZZ_RUNS", 10**12))
    seconds = float(os.environ.get("FUZZ_SECONDS", 60))
    seed = os.environ.get("FUZZ_SEED", "1")
    out = Path(os.environ.get("FUZZ_OUT", ".fuzz"))
    print(_line(_TITLES), flush=True)
    results = []
    for name in names:
        results.append(fuzz(name, runs=runs, seconds=seconds / len(names), seed=seed, out=out))
        print(_row(results[-1]), flush=True)
    total = sum(one.executions for one in results)
    print(f"{total:,} executions", flush=True)
    if "FUZZ_JSON" in os.environ:
        told = {"executions": total, "targets": [asdict(one) for one in results]}
        Path(os.environ["FUZZ_JSON"]).write_text(json.dumps(told, indent=1) + "\n")
    return 1 if any(one.found for one in results) else 0


def _row(one: Result) -> str:
    rate = one.executions / max(one.seconds, 1e-3)
    figures = (f"{one.executions:,}", f"{rate:,.0f}", f"{one.outcomes}", f"{one.peak_mb:.0f}")
    return _line((one.target, *figures, f"{one.bound_mb}", f"{len(one.found)}"))


def _line(cells: tuple[str, ...]) -> str:
    pairs = list(zip(cells, _WIDTHS, strict=True))
    return pairs[0][0].ljust(pairs[0][1]) + "".join(cell.rjust(width) for cell, width in pairs[1:])


if __name__ == "__main__":
    sys.exit(main())
