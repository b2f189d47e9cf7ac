"""Rows a second of the same hopping mean by others, on the same broker and the same batches: Quix
Streams, and Bytewax where there is one for this Python, from a virtual environment of its own
(`make bench` makes it)."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from broker.producer import Producer
from broker.reader import read
from broker.topics import TopicSpec, create_topics
from contracts.partitions import partition_of
from contracts.readings import ReadingBatch, encode
from contracts.record import Outgoing
from tests.bench.plants import HOP_ROWS
from tests.bench.throughput import PARTITIONS, rate

PEERS = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
PROGRAMS = {"Quix Streams": "quix_peer.py", "Bytewax": "bytewax_peer.py"}
PEER_ROWS = {"batches": 200_000, "rows": 100_000}
"""How much of the input each form gets; at a tenth of the worker's speed all of it takes long."""
LIMIT_S = 300.0


@cache
def bytewax_is_missing() -> str:
    """Why Bytewax cannot be measured; empty where it can. It has no wheels for Python 3.13 on."""
    if not PEERS.exists():
        raise SystemExit("bench: no peers here: `make bench` installs them")
    asked = [str(PEERS), "-c", "import bytewax.connectors.kafka"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stderr.strip().rsplit("\n", 1)[-1] if done.returncode else ""


async def peer(
    bootstrap: str, folder: Path, who: str, form: str, log: Sequence[ReadingBatch]
) -> float:
    """Rows a second of one of PROGRAMS doing a mean of 30 rows by 5. `form` is `batches`, or
    `rows`: a row a message. Topics are made anew.

    Between the acknowledgements of its windows; where it says when it began, from then to the
    last of them: Bytewax writes nearly all of its windows once it has read everything."""
    program = PROGRAMS[who]
    kind = f"{program.split('_')[0]}-{form}"
    name = f"{kind}-{len(list(folder.glob(f'{kind}-*.log')))}"
    topics = (f"{name}-in", f"{name}-out")
    # Quix gives a result the time of its window: when it came, the broker must say.
    broker_time = {"message.timestamp.type": "LogAppendTime"}
    await create_topics(bootstrap, [TopicSpec(topic, PARTITIONS, broker_time) for topic in topics])
    part = _first(log, PEER_ROWS[form])
    await _publish(bootstrap, topics[0], _batches(part) if form == "batches" else _rows(part))
    argv = [str(PEERS), str(Path(__file__).with_name(program)), form]
    argv += ["--kafka", bootstrap, "--topic", topics[0], "--to", topics[1]]
    with (folder / f"{name}.log").open("wb") as output:
        subprocess.run(
            [*argv, "--state", str(folder / name)],
            stdout=output,
            stderr=output,
            timeout=LIMIT_S,
            check=True,
        )
    windows = [(r.timestamp_ms, 1) async for r in read(bootstrap, topics[1], until_end=True)]
    if len(windows) * HOP_ROWS < 0.8 * sum(len(batch.times_us) for batch in part):
        raise SystemExit(f"bench: {who} decided {len(windows)} windows: see {name}.log")
    if began := re.search(r"^began at (\d+)$", (folder / f"{name}.log").read_text(), re.MULTILINE):
        took_ms = max(at for at, _ in windows) - int(began.group(1))
        return len(windows) * HOP_ROWS / (took_ms / 1000)
    return rate(windows)


def _first(log: Sequence[ReadingBatch], rows: int) -> list[ReadingBatch]:
    counts = np.cumsum([len(batch.times_us) for batch in log])
    return list(log[: int(np.searchsorted(counts, rows)) + 1])


def _batches(part: Sequence[ReadingBatch]) -> Iterator[tuple[str, bytes]]:
    for batch in part:
        yield batch.asset, encode(batch, source="edge/bench")[0]


def _rows(part: Sequence[ReadingBatch]) -> Iterator[tuple[str, bytes]]:
    for batch in part:
        for time_us, values in zip(batch.times_us.tolist(), batch.values.tolist(), strict=True):
            row = {"t": time_us // 1000, **dict(zip(batch.signals, values, strict=True))}
            yield batch.asset, json.dumps(row).encode()


async def _publish(bootstrap: str, topic: str, messages: Iterator[tuple[str, bytes]]) -> None:
    producer = Producer(bootstrap, client_id="bench-input")
    await producer.start()
    records = [
        Outgoing(topic, asset.encode(), value, [], partition_of(asset, PARTITIONS))
        for asset, value in messages
    ]
    for at in range(0, len(records), 5_000):
        await producer.send_all(records[at : at + 5_000])
    await producer.stop()
