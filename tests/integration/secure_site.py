"""A site whose brokers ask for TLS and users, by the files under deploy/."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.enums import CallbackAPIVersion

from broker.kafka_local import LocalKafka
from broker.loopback import HOST, free_port
from broker.tether import spawn, stop
from tests.processes.authority import Authority
from tests.processes.secure_kafka import secure_kafka, stamp
from tests.processes.secure_mosquitto import SecureMosquitto

ROOMS = ("edge", "stream", "exporters", "operator", "admin")
LIMIT_S = 90.0
ACLS = Path(__file__).parents[2] / "deploy" / "kafka" / "acls.yaml"


class Site:
    """Its brokers, its plant file and the secrets of who works there."""

    def __init__(self, folder: Path, mosquitto: str) -> None:
        self.folder = folder
        self.authority = Authority(folder / "authority")
        self.passwords = {room: f"secret-of-{room}-0123456789" for room in ROOMS}
        self.sensors = "secret-of-the-sensors"
        self.internal = free_port()
        users = {f"vigia-{room}": password for room, password in self.passwords.items()}
        self.kafka: LocalKafka = secure_kafka(
            folder / "kafka", self.authority, users, self.internal
        )
        self.mosquitto = SecureMosquitto(
            mosquitto,
            folder / "mosquitto",
            self.authority,
            {"vigia-edge": self.passwords["edge"], "sensors": self.sensors},
        )
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        for room, password in self.passwords.items():
            self.secret(room, password)
        self.rooms: dict[str, subprocess.Popen[bytes]] = {}
        self.printed: list[str] = []
        self.plant = folder / "plant.yaml"
        self.plant.write_text(self._plant())

    def secret(self, room: str, password: str) -> None:
        """Writes what a room takes for its password."""
        (self.secrets / room).write_text(f"{password}\n")

    def certificates(self, *, expired: bool) -> None:
        """Both brokers start again, with others."""
        for broker in (self.kafka, self.mosquitto):
            broker.stop()
        stamp(self.folder / "kafka", self.authority, expired=expired)
        self.mosquitto.stamp(expired=expired)
        for broker in (self.kafka, self.mosquitto):
            broker.start()

    def set_passwords(
        self, text: str, certificate: Path, *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """`vigia users` with a file of this text, by the listener at which the broker speaks to
        itself."""
        file = self.folder / "users"
        file.write_text(text)
        words = ["users", str(file), "--kafka", f"{HOST}:{self.internal}"]
        words += ["--ca-file", str(self.authority.ca_file), "--certificate-file", str(certificate)]
        return self._ran(words, check)

    def vigia(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command, with this plant."""
        return self._ran([*words, "--plant", str(self.plant)], check)

    def _ran(self, words: Sequence[str], check: bool) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "vigia", *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT_S)
        self.printed += [done.stdout, done.stderr]
        if check and done.returncode:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    @contextmanager
    def room(self, name: str, *words: str) -> Iterator[Path]:
        """A process of one room; the file that it writes its log into."""
        log = self.folder / f"{name}-{time.monotonic_ns()}.log"
        argv = [sys.executable, "-m", name, *words, "--plant", str(self.plant)]
        with log.open("wb") as output:
            self.rooms[name] = process = spawn(argv, output=output)
        try:
            yield log
        finally:
            stop(process)
            del self.rooms[name]

    def processes(self) -> dict[str, psutil.Process]:
        """All that runs."""
        pids = {name: room.pid for name, room in self.rooms.items()}
        pids |= {"kafka": self.kafka.pid or 0, "mosquitto": self.mosquitto.pid or 0}
        return {name: psutil.Process(pid) for name, pid in pids.items()}

    def listeners(self) -> dict[str, set[tuple[str, int]]]:
        """Where each of them listens."""
        return {
            name: {
                (one.laddr.ip.removeprefix("::ffff:"), one.laddr.port)
                for one in process.net_connections("tcp")
                if one.status == psutil.CONN_LISTEN
            }
            for name, process in self.processes().items()
        }

    @contextmanager
    def sensor(self) -> Iterator[Callable[[float], None]]:
        """Publishes values of the pressure, as of now."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set("sensors", self.sensors)
        client.tls_set_context(ssl.create_default_context(cafile=self.authority.ca_file))
        client.connect("127.0.0.1", self.mosquitto.port)
        client.loop_start()

        def publish(value: float) -> None:
            payload = {"value": value, "t": time.time_ns() // 1_000_000}
            client.publish(
                "plant/works/boiler/pressure", json.dumps(payload), qos=1
            ).wait_for_publish(LIMIT_S)

        try:
            yield publish
        finally:
            client.disconnect()
            client.loop_stop()

    def stranger(self) -> str:
        """What Mosquitto says to who comes without a name."""
        said: list[str] = []
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.tls_set_context(ssl.create_default_context(cafile=self.authority.ca_file))
        client.on_connect = lambda *args: said.append(str(args[3]))
        client.connect("127.0.0.1", self.mosquitto.port)
        client.loop_start()
        until(lambda: bool(said), lambda: "Mosquitto says nothing")
        client.loop_stop()
        return said[0]

    def _plant(self) -> str:
        return f"""
vigia: 1
kafka:
  bootstrap: {self.kafka.bootstrap}
  username: "vigia-{{room}}"
  password: {{file: "{self.secrets}/{{room}}"}}
  ca_file: {self.authority.ca_file}
  partitions: 2
mqtt:
  host: 127.0.0.1
  port: {self.mosquitto.port}
  username: vigia-edge
  password: {{file: "{self.secrets}/edge"}}
  ca_file: {self.authority.ca_file}
sites:
  - id: works
    assets: [{{id: boiler, name: The boiler, signals: boiler}}]
signal_sets:
  boiler:
    rows: {{by: exact, period: 200ms}}
    lateness: 100ms
    idle: 60s
    signals: [{{id: pressure, topic: "plant/{{site}}/{{asset}}/pressure", time: /t, unit: kPa}}]
detectors:
  - {{id: high, kind: limit, signal: pressure, high: 900, window: {{width: 1s, hop: 1s}}}}
alarms:
  - {{id: overpressure, detector: high, severity: critical}}
"""


def until(true: Callable[[], object], told: Callable[[], str]) -> None:
    """Waits for an outcome; `told` is what to show where it does not come."""
    limit = time.monotonic() + LIMIT_S
    while not true():
        if time.monotonic() > limit:
            raise AssertionError(told())
        time.sleep(0.1)
