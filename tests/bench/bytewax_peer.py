"""The hopping mean of quix_peer.py by Bytewax, as a program of its own, in the same two forms. It
reads a topic to its end, and ends."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import pyarrow as pa
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, SlidingWindower, fold_window
from bytewax.run import cli_main

SIGNAL = "flow1"
PATIENCE = timedelta(seconds=10)
"""Between two batches of an asset. Bytewax lets event time pass with the clock meanwhile, and would
take the next one for late."""
Row = tuple[datetime, float]
BEGAN = "began at"
Sum = tuple[float, int]
Parse = Callable[[Any], Iterator[tuple[str, Row]]]


def batch_of(message: Any) -> Iterator[tuple[str, Row]]:
    """The rows of an Arrow batch, each with its asset."""
    table = pa.ipc.open_stream(message.value).read_all()
    key = message.key.decode()
    times = table["time"].cast(pa.int64()).to_pylist()
    for time_us, value in zip(times, table[SIGNAL].to_pylist(), strict=True):
        yield key, (datetime.fromtimestamp(time_us / 1e6, UTC), value)


def row_of(message: Any) -> Iterator[tuple[str, Row]]:
    """The only row of a message, with its asset."""
    row = json.loads(message.value)
    yield message.key.decode(), (datetime.fromtimestamp(row["t"] / 1e3, UTC), row[SIGNAL])


def flow(form: str, kafka: str, source: str, target: str) -> Dataflow:
    """From one topic to the other."""
    made = Dataflow("mean")
    read = op.input("in", made, KafkaSource([kafka], [source], tail=False))
    rows = op.flat_map("rows", read, _timed(batch_of if form == "batches" else row_of))
    windows = fold_window(
        "windows",
        rows,
        EventClock(lambda row: row[0], wait_for_system_duration=PATIENCE),
        SlidingWindower(
            timedelta(seconds=3), timedelta(seconds=0.5), datetime(2020, 1, 1, tzinfo=UTC)
        ),
        builder=lambda: (0.0, 0),
        folder=lambda total, row: (total[0] + row[1], total[1] + 1),
        merger=lambda one, other: (one[0] + other[0], one[1] + other[1]),
    )
    told = op.map("told", windows.down, _told)
    op.output("out", told, KafkaSink([kafka], target))
    return made


def _timed(parse: Parse) -> Parse:
    """The same; when it is first called, it says so."""
    began = False

    def told(message: Any) -> Iterator[tuple[str, Row]]:
        nonlocal began
        if not began:
            began = True
            print(BEGAN, time.time_ns() // 1_000_000, flush=True)
        return parse(message)

    return told


def _told(window: tuple[str, tuple[int, Sum]]) -> Any:
    key, (number, (total, count)) = window
    value = json.dumps({"window": number, "mean": total / count})
    return KafkaSinkMessage(key.encode(), value.encode())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("form", choices=("rows", "batches"))
    for name in ("--kafka", "--topic", "--to", "--state"):
        parser.add_argument(name, required=True)
    asked = parser.parse_args()
    cli_main(flow(asked.form, asked.kafka, asked.topic, asked.to))


if __name__ == "__main__":
    main()
