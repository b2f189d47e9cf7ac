"""A hopping mean by Quix Streams, as a program of its own: run by a Python that has it, and so
imports nothing of ours. It reads a topic to its end, and ends.

A message is a row in JSON (`rows`), or an Arrow batch of rows (`batches`), which is expanded into
rows. The mean of one signal by asset, over 3 s by 0.5 s of event time, goes to another topic when
a window is final. State is kept without a changelog, which is Quix's fastest way.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import pyarrow as pa
from quixstreams import Application
from quixstreams.dataframe.windows.aggregations import Mean
from quixstreams.models import Deserializer

SIGNAL = "flow1"
PATIENCE_S = 20.0
"""Without a message; joining the group may take ten."""


class Arrow(Deserializer):  # type: ignore[misc]
    """The rows of a batch: event time in ms, and the signal."""

    def __call__(self, value: bytes, ctx: Any) -> list[dict[str, float]]:
        table = pa.ipc.open_stream(value).read_all()
        times = table["time"].cast(pa.int64()).to_pylist()
        values = table[SIGNAL].to_pylist()
        return [{"t": t // 1000, "v": v} for t, v in zip(times, values, strict=True)]


class Json(Deserializer):  # type: ignore[misc]
    """One row."""

    def __call__(self, value: bytes, ctx: Any) -> dict[str, float]:
        row = json.loads(value)
        return {"t": row["t"], "v": row[SIGNAL]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("form", choices=("rows", "batches"))
    for name in ("--kafka", "--topic", "--to", "--state"):
        parser.add_argument(name, required=True)
    asked = parser.parse_args()
    app = Application(
        broker_address=asked.kafka,
        consumer_group=f"quix-{asked.topic}",
        auto_offset_reset="earliest",
        state_dir=asked.state,
        use_changelog_topics=False,
        auto_create_topics=False,
        loglevel="WARNING",
    )
    batched = asked.form == "batches"
    read = Arrow() if batched else Json()
    source = app.topic(asked.topic, key_deserializer="str", value_deserializer=read)
    target = app.topic(asked.to, key_serializer="str", value_serializer="json")
    rows = app.dataframe(source)
    if batched:
        rows = rows.apply(lambda found: found, expand=True)
    rows = rows.set_timestamp(lambda row, *_: row["t"])
    windows = rows.hopping_window(duration_ms=3000, step_ms=500).agg(mean=Mean("v"))
    windows.final().to_topic(target)
    app.run(timeout=PATIENCE_S)


if __name__ == "__main__":
    main()
