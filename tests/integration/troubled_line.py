"""Messages of a line in which everything is wrong at once, so that every metric has values and
every alert a reason."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Self

from broker.producer import Producer
from contracts.messages import (
    CAMERA,
    Account,
    AlarmClass,
    AlarmState,
    DetectionBatch,
    Histogram,
    PlantUse,
    SourceHealth,
    SpoolState,
    Status,
    Transition,
)
from contracts.record import Outgoing
from tests import samples
from tests.samples import S

PLANT = """
vigia: 1
mqtt: {{host: 127.0.0.1, port: 1}}
kafka: {{partitions: 1, prefix: {prefix}}}
sites:
  - id: north
    assets:
      - {{id: line1, signals: line}}
      - {{id: gate, camera: {{video: gate.mp4}}}}
signal_sets:
  line:
    rows: {{by: exact}}
    idle: 60s
    signals:
      - {{id: inlet, topic: "plant/{{site}}/{{asset}}/inlet", unit: m3/h}}
      - {{id: outlet, topic: "plant/{{site}}/{{asset}}/outlet", unit: m3/h}}
detectors:
  - id: theft
    kind: limit
    signal: inlet
    high: 9
    assets: [north/line1]
    window: {{width: 1s, hop: 1s}}
  - id: dark
    kind: limit
    signal: brightness
    low: 10
    assets: [north/gate]
    window: {{width: 1s, hop: 1s}}
  - {{id: eye, kind: instrument, share: 0.5, window: {{width: 5s, hop: 5s}}}}
alarms:
  - {{id: theft, detector: theft, severity: critical}}
  - {{id: dark, detector: dark, severity: warning}}
  - {{id: eye, detector: eye, class: instrument, severity: warning}}
"""
_ALARMS = (
    ("north/line1", "theft"),
    ("north/line1", "eye"),
    ("north/gate", "dark"),
    ("north/gate", "eye"),
)
_SLOW_US = 20 * S
_READINGS_A_STEP = 60


class TroubledLine:
    """Writes twice a second, from a thread of its own, until left."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self._kafka = kafka
        self._prefix = prefix
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._write()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    async def _write(self) -> None:
        producer = Producer(self._kafka)
        await producer.start()
        await producer.send_all(self._outgoing(samples.status("edge/gone", _now_us())))
        step = 0
        while not self._stopped.is_set():
            step += 1
            await producer.send_all(list(self._step(step, _now_us())))
            await asyncio.sleep(0.5)
        await producer.stop()

    def _outgoing(self, *messages: Status) -> list[Outgoing]:
        return [samples.outgoing(one, self._prefix) for one in messages]

    def _step(self, step: int, now_us: int) -> Iterator[Outgoing]:
        yield from self._outgoing(edge(step, now_us), worker(step, now_us))
        for asset, rule in _ALARMS:
            yield samples.outgoing(judged(asset, rule, now_us), self._prefix)
            yield samples.outgoing(alarm(asset, rule, step), self._prefix)
        for transition in (Transition.RAISED, Transition.CLEARED):
            alert = samples.alert(transition, now_us)
            late = alert.model_copy(update={"received_us": now_us - _SLOW_US})
            yield samples.outgoing(late, self._prefix)
        yield samples.letter(step, prefix=self._prefix)
        for _ in range(_READINGS_A_STEP):
            yield samples.outgoing(samples.batch(), self._prefix)


def _now_us() -> int:
    return time.time_ns() // 1000


def _source(asset: str, signal: str, now_us: int, step: int) -> SourceHealth:
    silent = signal == "outlet"
    return SourceHealth(
        asset=asset,
        signal=signal,
        state="silent" if silent else "ok",
        clock="source",
        rate_hz=0.0 if silent else 2.0,
        readings=step,
        last_us=now_us,
        value=None if signal == CAMERA else float(step),
    )


def _account(step: int, unit: str) -> Account:
    """One is missing."""
    dropped = {"too-late": step}
    return Account(unit=unit, taken_in=9 * step + 3, gone_out=8 * step, held=2, dropped=dropped)


def _durations(step: int) -> Histogram:
    counts = (5 * step, 9 * step, 10 * step)
    return Histogram(bounds_s=(0.01, 0.1, 1.0), counts=counts, sum_s=float(step), count=10 * step)


def edge(step: int, now_us: int) -> Status:
    """What the edge says: its disk fills, another plant file lies there, a sensor is silent."""
    spool = SpoolState(messages=3, bytes=750, limit_bytes=1000, oldest_us=now_us - S)
    return samples.status("edge/north", now_us).model_copy(
        update={
            "account": {
                "edge.mqtt": _account(step, "message"),
                "edge.frames": _account(step, "frame"),
            },
            "sources": (
                _source("north/line1", "inlet", now_us, step),
                _source("north/line1", "outlet", now_us, step),
                _source("north/gate", CAMERA, now_us, step),
            ),
            "latencies": {"edge.frame-to-kafka": _durations(step)},
            "spools": {"readings": spool, "frames": spool},
            "plant": PlantUse(hash="one", taken=1, refused=1, differs=True),
        }
    )


def worker(step: int, now_us: int) -> Status:
    """What a worker says that starts again every two seconds."""
    return samples.status("stream/1", now_us).model_copy(
        update={
            "started_us": now_us - now_us % (2 * S),
            "account": {"stream.windows": _account(step, "window")},
            "sources": (),
            "latencies": {"detection": _durations(step)},
            "plant": PlantUse(hash="two"),
        }
    )


def judged(asset: str, detector: str, now_us: int) -> DetectionBatch:
    """A window that was judged late."""
    one = samples.detection(now_us - _SLOW_US)
    late = one.model_copy(update={"received_us": now_us - _SLOW_US})
    return samples.detections(late, asset=asset, detector=detector)


def alarm(asset: str, rule: str, step: int) -> AlarmState:
    """An alarm that stands, and was raised once more."""
    state = samples.alarm(asset=asset, rule=rule, activations=step)
    kind = AlarmClass.INSTRUMENT if rule == "eye" else AlarmClass.PROCESS
    return state.model_copy(update={"alarm_class": kind})
