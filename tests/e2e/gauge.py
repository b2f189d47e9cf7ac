"""A sensor for the tests: one gauge at 5 Hz, at its real pace."""

from __future__ import annotations

import json
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.processes.marked import MarkedProcess

TOPIC = "plant/works/boiler/pressure"


class Gauge:
    """Publishes single values; `with_time` says whether they carry their own times."""

    def __init__(self, port: int, *, with_time: bool = True) -> None:
        self._with_time = with_time
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="gauge")
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, value: float, seconds: float) -> None:
        """Publishes for so long."""
        for _ in range(int(seconds * 5)):
            payload: dict[str, float] = {"value": value}
            if self._with_time:
                payload["t"] = time.time_ns() // 1_000_000
            self._client.publish(TOPIC, json.dumps(payload), qos=1)
            time.sleep(0.2)

    def send_until(self, value: float, run: MarkedProcess, text: str) -> None:
        """Publishes until `run` has written `text`."""
        limit = time.monotonic() + 60
        while text not in run.text:
            assert time.monotonic() < limit, run.text
            self.send(value, 0.4)

    def close(self) -> None:
        """Leaves."""
        self._client.disconnect()
        self._client.loop_stop()
