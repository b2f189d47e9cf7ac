"""What docker-compose.yml and the units start, started as they do: by secrets that deploy/secrets
made, `vigia kafka`, the files under deploy/, and each room's own health."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml

from broker.loopback import HOST, free_port
from broker.tether import spawn, stop
from tests.conftest import RunningKafka
from tests.processes.deployed import DEPLOY, deployed
from tests.processes.mosquitto import Mosquitto, find_mosquitto

LIMIT_S = 90.0


class Box:
    """The parts of one box, in a folder of their own and on ports of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self.kafka, self.inner, self.controller, self.mqtt = (free_port() for _ in range(4))
        words = [sys.executable, str(DEPLOY / "secrets" / "make"), str(self.secrets)]
        self.told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        self.plant = folder / "plant.yaml"
        swaps = {
            "kafka:9092": f"{HOST}:{self.kafka}",
            "/run/secrets/kafka-{room}": f"{self.secrets}/rooms/kafka-{{room}}",
            "/run/secrets/mqtt-edge": f"{self.secrets}/rooms/mqtt-edge",
            "/run/secrets/ca": f"{self.secrets}/rooms/ca.pem",
            "host: mosquitto": f"host: {HOST}",
            "8883": str(self.mqtt),
        }
        self.plant.write_text(deployed("site/plant.yaml", swaps))

    def kafka_words(self) -> list[str]:
        """As the container's command is, but for ports and paths."""
        tls = self.secrets / "kafka"
        advertised = f"CLIENTS://{HOST}:{self.kafka},INTERNAL://{HOST}:{self.inner}"
        settings = {
            "listeners": f"{advertised},CONTROLLER://{HOST}:{self.controller}",
            "advertised.listeners": advertised,
            "controller.quorum.voters": f"1@{HOST}:{self.controller}",
            "ssl.keystore.location": tls / "internal.pem",
            "listener.name.clients.ssl.keystore.location": tls / "server.pem",
            "ssl.truststore.location": tls / "ca.pem",
            "log.dirs": self.folder / "kafka",
        }
        words = ["kafka", "--properties", str(DEPLOY / "kafka" / "server.properties")]
        words += ["--users", str(self.secrets / "kafka" / "users")]
        return words + [part for k, v in settings.items() for part in ("--set", f"{k}={v}")]

    def mosquitto_conf(self) -> Path:
        """As the container's, but for ports and paths."""
        folder = self.folder / "mosquitto"
        (folder / "data").mkdir(parents=True)
        shutil.copytree(self.secrets / "mosquitto", folder / "config")
        shutil.copytree(self.secrets / "mosquitto", folder / "tls")
        shutil.copy(DEPLOY / "mosquitto" / "acl", folder / "config" / "acl")
        swaps = {"8883 0.0.0.0": f"{self.mqtt} {HOST}", "/mosquitto/": f"{folder}/"}
        conf = folder / "mosquitto.conf"
        text = deployed("mosquitto/mosquitto.conf", swaps)
        conf.write_text(f"{text}user root\n")
        return conf

    @contextmanager
    def running(self, name: str, argv: list[str]) -> Iterator[Path]:
        log = self.folder / f"{name}.log"
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        with log.open("wb") as output:
            env = {**os.environ, "TMPDIR": str(scratch)}
            process = spawn(argv, output=output, cwd=scratch, env=env)
        try:
            yield log
        finally:
            stop(process)

    def vigia(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-P", "-m", "vigia", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def until(true: Callable[[], bool], told: Callable[[], str]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < limit, told()
        time.sleep(0.2)


@pytest.fixture
def box(tmp_path: Path, kafka: RunningKafka, mosquitto: Mosquitto) -> Box:
    """Beside the plain brokers, which say whether there are any at all."""
    (tmp_path / "box").mkdir()
    return Box(tmp_path / "box")


def room(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "vigia", *words]


@pytest.mark.slow
def test_a_box_as_it_is_deployed(box: Box) -> None:
    program = find_mosquitto()
    assert program is not None
    if shutil.which("mosquitto_sub") is None:
        pytest.skip("no mosquitto_sub: install Debian's package mosquitto-clients")
    ca = str(box.secrets / "rooms" / "ca.pem")
    at = f"{HOST}:{box.kafka}"
    plant = ["--plant", str(box.plant)]
    health = box.folder / "health"
    health.mkdir()

    def well(*words: str) -> bool:
        return box.vigia("health", *words).returncode == 0

    with ExitStack() as stack:
        log = stack.enter_context(box.running("kafka", room(*box.kafka_words())))
        conf = str(box.mosquitto_conf())
        stack.enter_context(box.running("mosquitto", [program, "-c", conf]))
        assert not well("kafka", at)
        until(lambda: well("kafka", at, "--ca-file", ca), log.read_text)
        _passwords_are_renewed(box)
        for task in (["create"], ["allow", str(DEPLOY / "kafka" / "acls.yaml")]):
            done = box.vigia("topics", *task, *plant)
            assert done.returncode == 0, done.stderr
        rooms = {
            "edge": ["edge", "run", "--spool", str(box.folder / "spool")],
            "stream": ["stream", "worker"],
            "exporters": ["exporters", "prometheus", "--port", "0"],
        }
        for name, words in rooms.items():
            argv = room(*words, *plant, "--instance", "box", "--health", str(health / name))
            stack.enter_context(box.running(name, argv))
        for name in ("stream", "exporters"):
            heard = partial(well, "process", str(health / name))
            until(heard, (box.folder / f"{name}.log").read_text)
        _mosquitto_is_well(box)
        # The sensor says nothing yet: the edge lives, and is of no use.
        until(lambda: (health / "edge").exists(), (box.folder / "edge.log").read_text)
        assert well("process", str(health / "edge"), "--alive")
        idle = box.vigia("health", "process", str(health / "edge"))
        assert idle.returncode == 1
        assert "no source sends usable readings (1 " in idle.stderr
        _publish_until(box, lambda: well("process", str(health / "edge")))
        shown = box.vigia("alarms", *plant)
        assert shown.returncode == 0, shown.stderr
    left = partial(os.listdir, box.folder / "scratch")
    until(lambda: left() == [], lambda: f"left behind: {left()}")
    _no_secret_is_told(box)


def _passwords_are_renewed(box: Box) -> None:
    """With Kafka running: the rooms that start later know no other."""
    tls = box.secrets / "kafka"
    for name in ("edge", "admin"):
        (box.secrets / "rooms" / f"kafka-{name}").unlink()
    words = [sys.executable, str(DEPLOY / "secrets" / "make"), str(box.secrets)]
    subprocess.run(words, capture_output=True, text=True, check=True)
    words = ["users", str(tls / "users"), "--kafka", f"{HOST}:{box.inner}", "--wait", "60"]
    words += ["--ca-file", str(tls / "ca.pem"), "--certificate-file", str(tls / "internal.pem")]
    done = box.vigia(*words)
    assert done.stdout.count("password set: vigia-") == 5, done.stderr


def _mosquitto_is_well(box: Box) -> None:
    """By the health check of its container."""
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text(encoding="utf-8"))
    service = compose["services"]["mosquitto"]
    (target,) = (one["target"] for one in service["secrets"] if "health" in one["source"])
    assert str(Path(target).parent) == service["environment"]["XDG_CONFIG_HOME"]
    options = box.folder / "options" / Path(target).name
    options.parent.mkdir()
    shutil.copy(box.secrets / "mosquitto" / "health", options)
    swaps = {
        "/mosquitto/tls/ca.pem": f"{box.secrets}/mosquitto/ca.pem",
        "8883": str(box.mqtt),
        "$$SYS/broker/uptime": "$SYS/broker/uptime",
    }
    words = [swaps.get(word, word) for word in service["healthcheck"]["test"][1:]]
    assert set(swaps.values()) <= set(words)
    env = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(options.parent)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("seconds\n")
    env["XDG_CONFIG_HOME"] = str(box.folder)
    nobody = subprocess.run(words, capture_output=True, check=False, timeout=60, env=env)
    assert nobody.returncode != 0


def _publish_until(box: Box, true: Callable[[], bool]) -> None:
    """The sensor, let in by the password and the certificate that were made."""
    import ssl

    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("sensors", (box.secrets / "sensors" / "mqtt-password").read_text())
    ca = box.secrets / "rooms" / "ca.pem"
    client.tls_set_context(ssl.create_default_context(cafile=ca))
    client.connect(HOST, box.mqtt)
    client.loop_start()

    def sent() -> bool:
        client.publish("plant/works/boiler/pressure", b'{"value": 812.5}', qos=1)
        return true()

    try:
        until(sent, lambda: (box.folder / "edge.log").read_text())
    finally:
        client.disconnect()
        client.loop_stop()


def _no_secret_is_told(box: Box) -> None:
    made = [one for one in box.secrets.rglob("*") if one.is_file() and one.suffix != ".pem"]
    words = {word for one in made for word in one.read_text().replace(":", "\n").split()}
    secret = {word for word in words if len(word) >= 32}
    assert len(secret) > 8
    logs = "".join(one.read_text(errors="replace") for one in box.folder.glob("*.log"))
    assert [word for word in secret if word in box.told + logs] == []
    assert [one for one in (box.folder / "kafka").parent.rglob("*.args")] == []


def test_secrets_that_are_there_stay_and_are_for_their_readers(tmp_path: Path) -> None:
    make = [sys.executable, str(DEPLOY / "secrets" / "make"), str(tmp_path / "s")]
    subprocess.run([*make, "--host", "10.1.2.3"], check=True, capture_output=True)
    files = [one for one in (tmp_path / "s").rglob("*") if one.is_file()]
    before = {one: one.read_bytes() for one in files}
    assert all(one.stat().st_mode & 0o077 == 0 for one in files)
    again = subprocess.run(make, check=True, capture_output=True, text=True).stdout
    assert "secrets: 0 files made" in again
    assert {one: one.read_bytes() for one in files} == before
    (tmp_path / "s" / "mosquitto" / "server.crt.pem").unlink()
    subprocess.run([*make, "--host", "box.example"], check=True, capture_output=True)
    shown = ["openssl", "x509", "-noout", "-ext", "subjectAltName"]
    text = (tmp_path / "s" / "mosquitto" / "server.crt.pem").read_text()
    names = subprocess.run(shown, input=text, check=True, capture_output=True, text=True).stdout
    assert "DNS:box.example" in names


def test_a_password_that_was_renewed_is_in_the_lists_of_users(tmp_path: Path) -> None:
    make = [sys.executable, str(DEPLOY / "secrets" / "make"), str(tmp_path)]
    subprocess.run(make, check=True, capture_output=True)
    lists = [tmp_path / name for name in ("kafka/users", "mosquitto/passwords")]
    for file in lists:
        file.write_text(f"{file.read_text()}theirs:as it was\n")
    before = [file.read_text().splitlines() for file in lists]
    for name in ("kafka-edge", "mqtt-edge"):
        (tmp_path / "rooms" / name).unlink()
    subprocess.run(make, check=True, capture_output=True)
    after = [file.read_text().splitlines() for file in lists]
    for old, new in zip(before, after, strict=True):
        changed = [here for here, there in zip(old, new, strict=True) if here != there]
        assert [line.split(":")[0] for line in changed] == ["vigia-edge"]
        assert new[-1] == "theirs:as it was"
    told = (tmp_path / "rooms" / "kafka-edge").read_text()
    assert f"vigia-edge:{told}" in after[0]


def test_no_two_sites_have_one_secret(tmp_path: Path) -> None:
    make = [sys.executable, str(DEPLOY / "secrets" / "make")]
    for name in ("one", "two"):
        subprocess.run([*make, str(tmp_path / name)], check=True, capture_output=True)
    one, two = (
        {file.read_text() for file in (tmp_path / name).rglob("*") if file.is_file()}
        for name in ("one", "two")
    )
    # The mail server's password, which nobody has filled in yet.
    assert one & two == {""}
