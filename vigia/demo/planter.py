"""The planter: a process that publishes the rig's recording to MQTT as if it happened now.

It knows no Kafka and nobody of the line knows it: what it planted stands in a file that the
demo's summary reads when all is over.
"""

from __future__ import annotations

import itertools
import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from contracts.messages import Account
from vigia.demo.planting import DEFAULT_SECONDS, Plan, draw, rows
from vigia.demo.recording import PERIOD_US, ROWS_PER_S, SIGNALS, Recording, Rows, recordings
from vigia.demo.truth import Planted, Pulse, Truth, planted

TOPIC = "plant/{asset}/{signal}"
PULSE_RATIO = 1.3
_CONNECT_S = 10.0
_LAST_ACKS_S = 2.0


class Publisher:
    """Single values to MQTT at QoS 1, counted when they are given and when the broker has
    acknowledged them."""

    def __init__(self, host: str, port: int) -> None:
        self._connected = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="vigia-demo-planter")
        self._client.max_inflight_messages_set(1_000)
        self._client.on_connect = lambda *_: self._connected.set()
        self._client.on_publish = lambda *_: self._count()
        self._under_way: list[mqtt.MQTTMessageInfo] = []
        self._given = 0
        self._acknowledged = 0
        self._client.connect(host, port)
        self._client.loop_start()

    def wait_connected(self) -> bool:
        """Whether the broker let us in."""
        return self._connected.wait(_CONNECT_S)

    def publish(self, asset: str, signal_id: str, time_us: int, value: float) -> None:
        """Gives one reading to the client, which sends it until it is acknowledged."""
        topic = TOPIC.format(asset=asset, signal=signal_id)
        payload = json.dumps({"t": time_us // 1000, "value": value})
        self._given += 1
        self._under_way.append(self._client.publish(topic, payload, qos=1))

    def account(self) -> Account:
        """Readings given, acknowledged, and under way, each counted for itself."""
        self._under_way = [info for info in self._under_way if not info.is_published()]
        return Account(
            unit="reading",
            taken_in=self._given,
            gone_out=self._acknowledged,
            held=len(self._under_way),
        )

    def close(self) -> None:
        """Waits a little for the last acknowledgements."""
        limit = time.monotonic() + _LAST_ACKS_S
        while self.account().held and time.monotonic() < limit:
            time.sleep(0.02)
        self._client.disconnect()
        self._client.loop_stop()

    def _count(self) -> None:
        # Called on paho's own thread alone.
        self._acknowledged += 1


@dataclass(slots=True)
class Planter:
    """Replays round after round, each row at its time, and remembers what it did."""

    seed: int
    n_events: int
    seconds: int | None
    runs: dict[str, Recording]
    publisher: Publisher
    first_us: int
    until_us: int = 0
    events: list[Planted] = field(default_factory=list)
    pulses: list[Pulse] = field(default_factory=list)

    def replay(self, stop: threading.Event, file: Path) -> None:
        """Until the seconds are over, or without them until `stop`."""
        for number in itertools.count() if self.seconds is None else (0,):
            length = DEFAULT_SECONDS if self.seconds is None else self.seconds
            plan = self._plan(number, length)
            begin_us = self.first_us + number * length * 1_000_000
            self.events += [planted(event, begin_us) for event in plan.events]
            self.truth().write(file)
            values = {
                asset: rows(plan, run, 0, length * ROWS_PER_S) for asset, run in self.runs.items()
            }
            done = self._round(values, begin_us, stop)
            self.pulses += pulses_in(values, done, begin_us)
            if stop.is_set():
                return

    def truth(self) -> Truth:
        """What was done until now."""
        return Truth(
            seed=self.seed,
            first_us=self.first_us,
            until_us=self.until_us,
            events=tuple(self.events),
            pulses=tuple(self.pulses),
            account=self.publisher.account(),
        )

    def _plan(self, number: int, length: int) -> Plan:
        held_out = {asset: len(run.held_out) for asset, run in self.runs.items()}
        return draw(self.seed, self.n_events, length, held_out, round=number)

    def _round(self, values: Mapping[str, Rows], begin_us: int, stop: threading.Event) -> int:
        """How many rows were published."""
        length = len(next(iter(values.values())))
        for index in range(length):
            time_us = begin_us + index * PERIOD_US
            if stop.wait(max(0.0, (time_us - _now_us()) / 1e6)):
                return index
            for asset, table in values.items():
                for signal_id, value in zip(SIGNALS, table[index].tolist(), strict=True):
                    self.publisher.publish(asset, signal_id, time_us, value)
            self.until_us = time_us
        return length


def pulses_in(values: Mapping[str, Rows], done: int, begin_us: int) -> list[Pulse]:
    """The stretches of rows, among the first `done`, in which more than PULSE_RATIO of what
    goes in comes out: the rig's outlet meter."""
    found = []
    for asset, table in values.items():
        hits = np.flatnonzero(table[:done, 1] > PULSE_RATIO * table[:done, 0])
        for stretch in np.split(hits, np.flatnonzero(np.diff(hits) > 1) + 1):
            if len(stretch):
                first, last = (begin_us + int(stretch[at]) * PERIOD_US for at in (0, -1))
                found.append(Pulse(asset=asset, start_us=first, end_us=last))
    return found


def _now_us() -> int:
    return time.time_ns() // 1000


@click.command()
@click.option("--mqtt", "address", required=True, help="HOST:PORT")
@click.option("--seed", required=True, type=int)
@click.option("--events", required=True, type=int, help="withdrawals in each round")
@click.option("--seconds", type=int, help="default: round after round until SIGTERM")
@click.option("--truth", required=True, type=click.Path(path_type=Path), help="what was planted")
def main(address: str, seed: int, events: int, seconds: int | None, truth: Path) -> None:
    """Publishes the rig's recording to MQTT, with withdrawals and pump changes in it."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    host, _, port = address.rpartition(":")
    publisher = Publisher(host, int(port))
    if not publisher.wait_connected():
        sys.exit(f"planter: the MQTT broker at {address} does not let us in")
    runs = recordings()
    first_us = (_now_us() // PERIOD_US + 3) * PERIOD_US
    planter = Planter(seed, events, seconds, runs, publisher, first_us)
    planter.replay(stop, truth)
    publisher.close()
    planter.truth().write(truth)


if __name__ == "__main__":
    main(prog_name="planter")
