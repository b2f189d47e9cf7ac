"""An edge node of Sparkplug B, for tests."""

from __future__ import annotations

import threading

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.core.sparkplug import REBIRTH, read_payload
from tests.sparkplug import death, metric, payload

NODE, DEVICE = "spBv1.0/rig/{}/n1", "spBv1.0/rig/{}/n1/a0"
METRICS = ("flow", "pressure")
METRICS = ("flow", "pressure")


class EdgeNode:
    """With one device of two metrics, which are born with `value`, or without any. It is born when
    it begins, and when it is asked to be."""

    def __init__(self, port: int, value: float | None = None) -> None:
        self.births = 0
        self._value = value
        self._seq = 0
        self._lock = threading.RLock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.will_set(NODE.format("NDEATH"), death(1), qos=1)
        self._client.on_message = self._commanded
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(NODE.format("NCMD"), qos=1)
        self._client.loop_start()
        self.be_born()

    def be_born(self) -> None:
        with self._lock:
            self.births += 1
            self._seq = -1
            self._send(NODE.format("NBIRTH"), metric("bdSeq", datatype=4, integer=1))
            told = [
                metric(name, self._value, alias=alias, datatype=10, null=self._value is None)
                for alias, name in enumerate(METRICS)
            ]
            self._send(DEVICE.format("DBIRTH"), *told)

    def measure(self, time_ms: int, value: float) -> None:
        both = [metric(alias=alias, value=value, time_ms=time_ms) for alias in (0, 1)]
        self._send(DEVICE.format("DDATA"), *both)

    def lose_a_message(self) -> None:
        with self._lock:
            self._seq += 1

    def break_off(self) -> None:
        """Its connection ends without a goodbye: the broker tells its death."""
        sock = self._client.socket()
        assert sock is not None
        self._client.loop_stop()
        sock.close()

    def _send(self, topic: str, *metrics: bytes) -> None:
        with self._lock:
            self._seq = (self._seq + 1) % 256
            self._client.publish(topic, payload(self._seq, *metrics, time_ms=None))

    def _commanded(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        (asked,) = read_payload(bytes(message.payload)).metrics
        assert (asked.name, asked.value) == (REBIRTH, 1)
        self.be_born()
