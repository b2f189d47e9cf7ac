"""Sensors that publish by the clock, and know what the MQTT broker has taken."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import orjson
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.faults.plant import GAUGES, METERS

PERIOD_S = 0.1
ROW_READINGS = 2
USUAL = 100.0


Row = tuple[str, int, float]
"""The asset, time and flow of a row."""


def now_us() -> int:
    """The wall clock."""
    return time.time_ns() // 1000


@dataclass
class Gauge:
    """What a sensor that may lie does now: with `value` it sends that alone, and `offset` is added
    to what it measures; `skew_us` is the error of its clock."""

    silent: bool = False
    value: float | None = None
    offset: float = 0.0
    skew_us: int = 0


@dataclass
class Meters:
    """Ten rows a second of each meter, five of each gauge, at QoS 1.

    `flow` sets what a meter reads beside its noise, `paused` lets all rest; `confirmed` has each
    meter's rows that the broker acknowledged: the flow by time.
    """

    port: int
    seed: int = 1
    flow: dict[str, float] = field(default_factory=lambda: dict.fromkeys(METERS, USUAL))
    gauges: dict[str, Gauge] = field(default_factory=lambda: {name: Gauge() for name in GAUGES})
    confirmed: dict[str, dict[int, float]] = field(
        default_factory=lambda: {name: {} for name in METERS}
    )
    paused: bool = False
    _waiting: dict[int, Row | None] = field(default_factory=dict)
    _early: set[int] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begins to publish."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(1, 1)
        client.on_publish = self._published
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        self._client = client
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._over.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def calm(self) -> None:
        """All of them read what they usually do."""
        self.paused = False
        self.flow.update(dict.fromkeys(METERS, USUAL))
        self.gauges.update({name: Gauge() for name in GAUGES})

    def publish(self, topic: str, payload: bytes, row: Row | None = None) -> mqtt.MQTTMessageInfo:
        """A message at QoS 1, and the row that it is."""
        sent = self._client.publish(topic, payload, qos=1)
        self._waiting[sent.mid] = row
        # The broker may have answered before we knew what it answers.
        if sent.mid in self._early:
            self._early.discard(sent.mid)
            self._published(None, None, sent.mid)
        return sent

    def _run(self) -> None:
        r = np.random.default_rng(self.seed)
        due, turn = time.monotonic(), 0
        while not self._over.is_set():
            for asset in () if self.paused else METERS:
                self._row(asset, self.flow[asset] + round(float(r.normal()), 6))
            if turn % 2 == 0 and not self.paused:
                for asset, gauge in self.gauges.items():
                    self._level(asset, gauge, 50 + round(float(r.normal(0, 0.5)), 6))
            due, turn = due + PERIOD_S, turn + 1
            time.sleep(max(0.0, due - time.monotonic()))

    def _row(self, asset: str, flow: float) -> None:
        time_us = now_us()
        body = orjson.dumps({"t": time_us, "flow": flow, "pressure": 5.0})
        self.publish(_topic(asset), body, (asset, time_us, flow))

    def _level(self, asset: str, gauge: Gauge, usual: float) -> None:
        if not gauge.silent:
            level = usual + gauge.offset if gauge.value is None else gauge.value
            body = orjson.dumps({"t": now_us() + gauge.skew_us, "level": level})
            self.publish(_topic(asset), body)

    def _published(self, client: object, userdata: object, mid: int, *_: object) -> None:
        if mid not in self._waiting:
            self._early.add(mid)
        elif (row := self._waiting.pop(mid)) is not None:
            asset, time_us, flow = row
            self.confirmed[asset][time_us] = flow


def _topic(asset: str) -> str:
    return f"plant/{asset.split('/')[1]}"
