"""How fast the edge is: `python -m tests.bench_edge` prints JSON lines.

A device sends as fast as it can (or at 1,000 rows a second, for the latency) to a real
Mosquitto; the edge is a process of its own; all times are read from Kafka: `received` in the
headers is the edge's, the record's timestamp is the broker's (LogAppendTime).
"""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import yaml

from broker.kafka_local import LocalKafka
from broker.reader import read
from broker.topics import TopicSpec, create_topics
from contracts.headers import header_map, int_header
from contracts.readings import KIND, ReadingDecoder
from contracts.topics import DEAD_LETTERS, READINGS, STATUS, topic_name
from tests.integration.edge_world import EdgeProcess
from tests.processes.mosquitto import Mosquitto, find_mosquitto

ASSETS, SIGNALS, BATCH_ROWS = 20, 4, 100
LIMIT_S = 120.0
Messages = Iterator[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure, with the middle half of its runs."""

    name: str
    unit: str
    runs: list[float]
    median: float
    iqr: float


def figure(name: str, unit: str, runs: list[float]) -> Figure:
    low, _, high = quantiles(runs, n=4) if len(runs) > 1 else (runs[0],) * 3
    return Figure(name, unit, [round(x, 2) for x in runs], round(median(runs), 2), high - low)


def measure(kafka: str, mqtt_port: int, folder: Path, *, runs: int = 5) -> list[Figure]:
    """All figures of the edge, each from `runs` runs."""
    single, batched, p50, p99 = [], [], [], []
    for run in range(runs):
        where = folder / str(run)
        seconds, _ = _run(kafka, mqtt_port, where / "single", _single_values(10_000), None)
        single.append(10_000 * SIGNALS / seconds)
        seconds, _ = _run(kafka, mqtt_port, where / "batch", _batches(1_000), None, items=True)
        batched.append(1_000 * BATCH_ROWS / seconds)
        _, latencies = _run(kafka, mqtt_port, where / "latency", _single_values(10_000), 1_000.0)
        cuts = quantiles(latencies, n=100)
        p50.append(cuts[49])
        p99.append(cuts[98])
    return [
        figure("edge: single values", "messages/s", single),
        figure("edge: payloads of 100 rows of 4 values", "rows/s", batched),
        figure("edge: receipt to Kafka at 1,000 rows/s, p50", "ms", p50),
        figure("edge: receipt to Kafka at 1,000 rows/s, p99", "ms", p99),
    ]


def _single_values(rows: int) -> Messages:
    """Rows of one message a signal, the assets in turn."""
    start_us = time.time_ns() // 1000
    for row in range(rows):
        for signal in range(SIGNALS):
            payload = json.dumps({"t": start_us + 50 * row, "value": row + 0.125})
            yield f"rig/a{row % ASSETS}/x{signal}", payload.encode()


def _batches(count: int) -> Messages:
    start_us = time.time_ns() // 1000
    for number in range(count):
        times = (start_us + 1000 * number + 10 * row for row in range(BATCH_ROWS))
        rows = [{"t": t, **{f"x{i}": 1.125 for i in range(SIGNALS)}} for t in times]
        yield f"rig/a{number % ASSETS}", json.dumps(rows).encode()


def _run(
    kafka: str,
    mqtt_port: int,
    folder: Path,
    messages: Messages,
    rows_per_s: float | None,
    *,
    items: bool = False,
) -> tuple[float, list[float]]:
    """Seconds from the first receipt to the last write, and each batch's latency in ms."""
    prefix = f"b{uuid.uuid4().hex[:8]}"
    asyncio.run(_make_topics(kafka, prefix))
    packets = [_publish(topic, data, n) for n, (topic, data) in enumerate(messages)]
    rows = len(packets) * BATCH_ROWS if items else len(packets) // SIGNALS
    edge = EdgeProcess(folder, _plant(prefix, items), kafka, mqtt_port)
    try:
        edge.start()
        pace = None if rows_per_s is None else rows_per_s * SIGNALS
        _send(mqtt_port, packets, pace)
        found = asyncio.run(_wait_for(kafka, prefix, rows))
        edge.terminate()
    finally:
        edge.close()
    begin_us = min(received_us for received_us, _ in found)
    end_us = max(written_ms for _, written_ms in found) * 1000
    return (end_us - begin_us) / 1e6, [ms - us / 1000 for us, ms in found]


async def _make_topics(kafka: str, prefix: str) -> None:
    config = {"message.timestamp.type": "LogAppendTime"}
    wanted = (READINGS, DEAD_LETTERS, STATUS)
    await create_topics(kafka, [TopicSpec(topic_name(t, prefix), 4, config) for t in wanted])


async def _wait_for(kafka: str, prefix: str, rows: int) -> list[tuple[int, int]]:
    """(received, written) of every batch, once `rows` rows are there."""
    decoder, name = ReadingDecoder(), topic_name(READINGS, prefix)
    found = []
    async with asyncio.timeout(LIMIT_S):
        records = read(kafka, name)
        async for record in records:
            headers = header_map(record.headers)
            assert headers["ce_type"] == KIND.encode()
            rows -= len(decoder.decode(record.value, record.headers).times_us)
            found.append((int_header(headers, "ce_received"), record.timestamp_ms))
            if rows <= 0:
                break
        await records.aclose()
    return found


def _plant(prefix: str, items: bool) -> str:
    def signal(name: str) -> dict[str, Any]:
        place = (
            {"topic": "{site}/{asset}", "items": "", "pointer": f"/{name}"}
            if items
            else {"topic": f"{{site}}/{{asset}}/{name}"}
        )
        return {"id": name, "time": "/t", "time_format": "us", **place}

    signals = [signal(f"x{i}") for i in range(SIGNALS)]
    assets = [{"id": f"a{i}", "signals": "set"} for i in range(ASSETS)]
    rule = {"rows": {"by": "exact"}, "idle": "1h", "lateness": "0s", "signals": signals}
    plant = {
        "vigia": 1,
        "mqtt": {"client_id": prefix},
        "kafka": {"prefix": prefix},
        "sites": [{"id": "rig", "assets": assets}],
        "signal_sets": {"set": rule},
    }
    return yaml.safe_dump(plant)


def _publish(topic: str, payload: bytes, number: int) -> bytes:
    """An MQTT 3.1.1 PUBLISH packet at QoS 1."""
    name = topic.encode()
    body = struct.pack("!H", len(name)) + name + struct.pack("!H", number % 60_000 + 1) + payload
    length, left = bytearray(), len(body)
    while True:
        left, digit = left >> 7, left & 0x7F
        length.append(digit | 0x80 if left else digit)
        if not left:
            return b"\x32" + bytes(length) + body


_DEVICE = """
import socket, sys, threading, time
port, pace, sizes = int(sys.argv[1]), float(sys.argv[2]), []
packets = sys.stdin.buffer.read()
count = int(sys.argv[3])
device = socket.create_connection(("127.0.0.1", port))
name = f"device-{port}".encode()
rest = b"\\0\\4MQTT\\4\\2\\0\\0" + len(name).to_bytes(2, "big") + name
device.sendall(b"\\x10" + bytes([len(rest)]) + rest)
device.recv(4)
# An acknowledgement has four bytes.
awaited = 4 * count
def listen():
    got = 0
    while got < awaited:
        got += len(device.recv(65536))
ears = threading.Thread(target=listen)
ears.start()
begin, sent, step = time.monotonic(), 0, max(1, len(packets) // 1000) if pace else 1 << 20
while sent < len(packets):
    if pace:
        due = begin + sent / len(packets) * count / pace
        time.sleep(max(0.0, due - time.monotonic()))
    device.sendall(packets[sent : sent + step])
    sent += step
ears.join()
"""


def _send(port: int, packets: list[bytes], pace: float | None) -> None:
    """Sends from a process of its own, which ends when the broker has taken all."""
    argv = [sys.executable, "-c", _DEVICE, str(port), str(pace or 0), str(len(packets))]
    subprocess.run(argv, input=b"".join(packets), check=True, timeout=LIMIT_S)


def main(report: Callable[[str], object] = print) -> None:
    program = find_mosquitto()
    if program is None:
        sys.exit("bench: no Mosquitto")
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalKafka(Path(folder) / "kafka") as kafka,
        Mosquitto(program, Path(folder) / "mosquitto") as mosquitto,
    ):
        for one in measure(kafka.bootstrap, mosquitto.port, Path(folder) / "edge"):
            report(json.dumps(asdict(one)))


if __name__ == "__main__":
    main()
