"""Rows a second of two workers beside one, on the input of `throughput`."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.bench.figures import figure
from tests.bench.throughput import Throughput

SIZE = 100
SETTLED = 0.35
"""The share of the windows that is left out: within it both workers start and share the
partitions out."""
DETECTORS = {"balance": "rule alone", "model": "autoencoder alone"}


async def workers(bootstrap: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Both counts with each detector, each figure with its runs."""
    runs: dict[str, list[float]] = defaultdict(list)
    measured = Throughput.prepare(bootstrap, folder, SIZE)
    for number in range(rounds):
        print(f"workers, round {number + 1} of {rounds}", file=sys.stderr)
        for detector, told in DETECTORS.items():
            for count, name in enumerate(_names(told), 1):
                rate, _ = await measured.worker((detector,), count, SETTLED)
                runs[name].append(rate)
    found = []
    for told in DETECTORS.values():
        one, two = _names(told)
        found.append(figure(one, "rows/s", runs[one]))
        found.append(figure(two, "rows/s", runs[two], one, runs[one]))
    return found


def _names(told: str) -> tuple[str, str]:
    rest = f"{told}, batches of {SIZE} rows"
    return f"1 worker, {rest}", f"2 workers, {rest}"
