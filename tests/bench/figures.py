"""Figures: measured in rounds on a Kafka of their own, compared round by round, and shown."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from broker.kafka_local import LocalKafka


def on_kafka(
    measure: Callable[[str, Path, int], Coroutine[Any, Any, list[dict[str, Any]]]], rounds: int
) -> list[dict[str, Any]]:
    """On KAFKA_BOOTSTRAP, or on a Kafka that is new: topics of what was measured before cost the
    next measurement."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        bootstrap = os.environ.get("KAFKA_BOOTSTRAP")
        if bootstrap is None:
            bootstrap = stack.enter_context(LocalKafka(folder / "kafka")).bootstrap
        return asyncio.run(measure(bootstrap, folder, rounds))


def figure(
    name: str,
    unit: str,
    runs: Sequence[float],
    other: str | None = None,
    others: Sequence[float] = (),
) -> dict[str, Any]:
    """One figure; `ratio` is the median of the ratios round by round."""
    low, high = np.percentile(runs, (25, 75))
    ratio = float(np.median(np.divide(runs, others))) if other else None
    return {
        "name": name,
        "unit": unit,
        "runs": [round(run, 3) for run in runs],
        "median": float(np.median(runs)),
        "iqr": float(high - low),
        "ratio_to": other,
        "ratio": ratio,
    }


def show(one: dict[str, Any]) -> None:
    """Prints a line."""
    digits = 3 if one["unit"] == "ms" and one["median"] < 10 else 1
    compared = f"   {one['ratio']:.2f} of {one['ratio_to']}" if one["ratio_to"] else ""
    overall = f"   overall {one['overall']:,.1f}" if "overall" in one else ""
    print(f"{one['median']:>12,.{digits}f} {one['unit']:<15} {one['name']}{compared}{overall}")
