"""`make bench`: prints the figures, and writes them to BENCH_JSON.

Every round measures everything once, one after the other, so that a slow moment of the machine
is a slow moment for all; BENCH_RUNS rounds (5). `python -m tests.bench PART...` measures some of
throughput, workers, latency, frames and thermal; and size and recovery, which take four minutes a
round and are measured only when they are named.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.figures import figure, on_kafka, show
from tests.bench.frames import frames
from tests.bench.latency import latency
from tests.bench.peers import PROGRAMS, bytewax_is_missing, peer
from tests.bench.recovery import recovery
from tests.bench.size import size
from tests.bench.thermal import thermal
from tests.bench.throughput import Throughput
from tests.bench.workers import workers

SIZES = (100, 500)
"""Rows in a batch; 500 is what an edge writes at most, when it catches up."""
ONNX = "bare ONNX Runtime, same windows"
FORMS = {"batches": "batches of 100 rows", "rows": "a row a message"}


def main() -> int:
    rounds = int(os.environ.get("BENCH_RUNS", "5"))
    figures = []
    for part in sys.argv[1:] or [part for part in PARTS if part not in LONG]:
        for one in PARTS[part](rounds):
            show(one)
            figures.append(one)
    if path := os.environ.get("BENCH_JSON"):
        Path(path).write_text(json.dumps(figures, indent=2))
    return 0


async def throughput(bootstrap: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Rows a second, each figure with its runs."""
    runs: dict[str, list[float]] = defaultdict(list)
    lines = [Throughput.prepare(bootstrap, folder, size) for size in SIZES]
    peers = _peers()
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        runs[ONNX].append(lines[0].bare_onnx())
        for measured in lines:
            model, rules, reader = names(measured.size)
            rate, line = await measured.worker(("model",))
            runs[model].append(rate)
            runs[reader].append(await measured.bare_reader(line))
            runs[rules].append((await measured.worker(("balance",)))[0])
        for name, (who, form) in peers.items():
            runs[name].append(await peer(bootstrap, folder, who, form, lines[0].log))
    figures = [figure(name, "rows/s", runs[name]) for name in (ONNX, *peers)]
    for rows in SIZES:
        model, rules, reader = names(rows)
        figures.append(figure(reader, "rows/s", runs[reader]))
        for name in (model, rules):
            for other in (ONNX, reader, *peers):
                figures.append(figure(name, "rows/s", runs[name], other, runs[other]))
    return figures


def _peers() -> dict[str, tuple[str, str]]:
    """Each peer in each form, by the name of its figure."""
    missing = bytewax_is_missing()
    if missing:
        print(f"without Bytewax: {missing}", file=sys.stderr)
    return {
        f"{who}, mean of 30 by 5, {told}": (who, form)
        for who in PROGRAMS
        for form, told in FORMS.items()
        if not (missing and who == "Bytewax")
    }


def names(rows: int) -> tuple[str, str, str]:
    """The figures of one batch size: with the autoencoder, with rules alone, bare aiokafka."""
    batches = f"batches of {rows} rows"
    return (
        f"worker, autoencoder, windows of 30 by 5, {batches}",
        f"worker, rule alone, windows of 30 by 5, {batches}",
        f"bare aiokafka, same bytes, {batches}",
    )


PARTS: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "throughput": partial(on_kafka, throughput),
    "workers": partial(on_kafka, workers),
    "latency": partial(on_kafka, latency),
    "frames": partial(on_kafka, frames),
    "thermal": thermal,
    "size": partial(on_kafka, size),
    "recovery": partial(on_kafka, recovery),
}
LONG = ("size", "recovery")


if __name__ == "__main__":
    sys.exit(main())
