"""Kafka with TLS and SASL, Mosquitto with TLS and passwords: nothing is open, what is wrong is
said, and the line goes on when it is mended."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker.cluster import Cluster, User
from broker.producer import Producer
from broker.refusal import refusal
from broker.tls import tls_context
from contracts.plant.model import Kafka
from tests.integration.secure_site import ACLS, Site, until


def alarms(site: Site) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(site.vigia("alarms", "--json").stdout)
    return found


def test_a_line_whose_rooms_have_their_own_rights(site: Site, tmp_path: Path) -> None:
    site.vigia("topics", "create")
    told = site.vigia("topics", "allow", str(ACLS)).stdout
    assert "vigia-edge: WRITE topic vigia.readings" in told
    with ExitStack() as stack:
        edge = stack.enter_context(
            site.room("edge", "run", "--spool", str(tmp_path / "spool"), "--instance", "box")
        )
        stream = stack.enter_context(site.room("stream", "worker"))
        exporter = stack.enter_context(site.room("exporters", "prometheus", "--port", "0"))
        publish = stack.enter_context(site.sensor())
        until(lambda: "MQTT: 1 topics" in edge.read_text(), edge.read_text)

        def raised() -> bool:
            publish(1000.0)
            time.sleep(0.5)
            return any(one["raised"] for one in alarms(site))

        until(raised, lambda: edge.read_text() + stream.read_text())
        until(lambda: "metrics on" in exporter.read_text(), exporter.read_text)
        logs = [log.read_text() for log in (edge, stream, exporter)]
        assert "not allowed" not in "".join(logs)
        _every_listener_is_known_and_shut(site)
        _no_secret_was_printed(site, [*logs, _metrics(exporter.read_text())])


def _metrics(log: str) -> str:
    found = re.search(r"metrics on (\S+)", log)
    assert found is not None
    with urllib.request.urlopen(found[1], timeout=10) as answer:
        text: str = answer.read().decode()
    assert "vigia_alarm_active" in text
    return text


def _every_listener_is_known_and_shut(site: Site) -> None:
    """All are on the loopback here; those that the files under deploy/ open to others, and those
    that are the broker's own, let nobody in who shows nothing."""
    found = site.listeners()
    assert {name: len(places) for name, places in found.items()} == {
        "kafka": 3,
        "mosquitto": 1,
        "exporters": 1,
        "edge": 0,
        "stream": 0,
    }
    assert {ip for places in found.values() for ip, _ in places} == {"127.0.0.1"}
    ca = tls_context(Kafka(ca_file=str(site.authority.ca_file)), "kafka")
    for ip, port in found["kafka"]:
        assert asyncio.run(refusal(f"{ip}:{port}")) is not None
        assert asyncio.run(refusal(Cluster(f"{ip}:{port}", ca))) is not None
    assert site.stranger() == "Not authorized"


def _no_secret_was_printed(site: Site, logs: list[str]) -> None:
    # Each of three processes says something every second.
    site.vigia("tail", "status", "--json", "--from-start", "--until-idle", "0.2")
    site.printed += [
        subprocess.run(
            [sys.executable, "-m", "vigia", *words], capture_output=True, text=True
        ).stdout
        for words in (("config", "check", str(site.plant)), ("config", "schema"))
    ]
    arguments = [" ".join(process.cmdline()) for process in site.processes().values()]
    kept = [file.read_text(errors="replace") for file in site.folder.rglob("*.log")]
    everything = "\n".join([*site.printed, *logs, *arguments, *kept])
    assert "works/boiler" in everything
    for secret in (*site.passwords.values(), site.sensors):
        assert secret not in everything


async def test_an_edge_may_not_write_alerts(site: Site) -> None:
    await asyncio.to_thread(site.vigia, "topics", "create")
    await asyncio.to_thread(site.vigia, "topics", "allow", str(ACLS))
    producer = Producer(_as(site, "edge"))
    await producer.start(20)
    await producer.send("vigia.readings", b"works/boiler", b"x")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await producer.send("vigia.alerts", b"works/boiler", b"x")
    await producer.stop()


def _as(site: Site, room: str, password: str | None = None, ca: bool = True) -> Cluster:
    kafka = Kafka(ca_file=str(site.authority.ca_file)) if ca else Kafka()
    user = User(f"vigia-{room}", password or site.passwords[room], "SCRAM-SHA-512")
    return Cluster(site.kafka.bootstrap, tls_context(kafka, "kafka"), user)


async def test_why_kafka_does_not_let_us_in_is_said(site: Site) -> None:
    at = site.kafka.bootstrap
    assert await refusal(_as(site, "edge")) is None
    said = await refusal(_as(site, "edge", "a wrong password"))
    assert said == "the broker knows no user vigia-edge with this password"
    nobody = Cluster(at, tls_context(Kafka(tls=True), "kafka"), User("x", "y", "SCRAM-SHA-512"))
    said = await refusal(nobody)
    assert said == "the broker's certificate is signed by nobody whom kafka.ca_file names"
    assert "without TLS and without a user" in (await refusal(at) or "")
    other = Cluster(at, tls_context(Kafka(ca_file=str(site.authority.ca_file)), "kafka"))
    assert "with TLS and without a user" in (await refusal(other) or "")
    plain = _as(site, "edge", ca=False)
    assert "without TLS" in (await refusal(plain) or "")


async def test_a_password_is_changed_while_kafka_runs(site: Site) -> None:
    broker = site.folder / "kafka" / "tls" / "internal.pem"
    new = {room: f"another-secret-of-{room}-0123456789" for room in ("edge", "admin")}
    text = "".join(f"vigia-{room}:{password}\n" for room, password in new.items())
    done = await asyncio.to_thread(site.set_passwords, text, broker)
    assert done.stdout == "password set: vigia-edge\npassword set: vigia-admin\n"
    for room, password in new.items():
        assert await refusal(_as(site, room, password)) is None
        said = f"the broker knows no user vigia-{room} with this password"
        assert await refusal(_as(site, room)) == said
    assert await refusal(_as(site, "stream")) is None

    stranger = site.authority.issue("stranger").both
    done = await asyncio.to_thread(site.set_passwords, text, stranger, check=False)
    assert done.returncode == 2
    at = f"127.0.0.1:{site.internal}"
    assert done.stderr == f"vigia: Kafka at {at}: whom we come as may not set passwords\n"
    for room, password in new.items():
        assert await refusal(_as(site, room, password)) is None
        assert password not in done.stdout + done.stderr


def test_a_wrong_password_is_said_and_mended_while_the_edge_runs(
    site: Site, tmp_path: Path
) -> None:
    site.vigia("topics", "create")
    site.vigia("topics", "allow", str(ACLS))
    site.secret("edge", "something else entirely")
    with site.room("edge", "run", "--spool", str(tmp_path / "spool")) as log:
        said = "the broker knows no user vigia-edge with this password"
        until(lambda: said in log.read_text(), log.read_text)
        assert "something else" not in log.read_text()
        site.secret("edge", site.passwords["edge"])
        until(lambda: "MQTT: 1 topics" in log.read_text(), log.read_text)
        with site.sensor() as publish:
            publish(1.0)
        _rows_arrive(site)


def _rows_arrive(site: Site) -> None:
    def there() -> bool:
        words = ("tail", "readings", "--json", "--from-start", "--until-idle", "1")
        return "works/boiler" in site.vigia(*words).stdout

    until(there, lambda: site.vigia("tail", "readings", "--until-idle", "1").stdout)


def test_rights_that_are_missing_are_said_and_given_while_the_line_runs(
    site: Site, tmp_path: Path
) -> None:
    site.vigia("topics", "create")
    with (
        site.room("edge", "run", "--spool", str(tmp_path / "spool")) as edge,
        site.room("stream", "worker") as stream,
    ):
        said = "user vigia-edge is not allowed to write to any topic"
        until(lambda: said in edge.read_text(), edge.read_text)
        until(lambda: "user vigia-stream is not allowed" in stream.read_text(), stream.read_text)
        site.vigia("topics", "allow", str(ACLS))
        until(lambda: "MQTT: 1 topics" in edge.read_text(), edge.read_text)
        with site.sensor() as publish:
            publish(1.0)
        _rows_arrive(site)


def test_expired_certificates_are_said_and_renewed_while_the_edge_runs(
    site: Site, tmp_path: Path
) -> None:
    site.vigia("topics", "create")
    site.vigia("topics", "allow", str(ACLS))
    site.certificates(expired=True)
    with site.room("edge", "run", "--spool", str(tmp_path / "spool")) as log:
        said = "the broker's certificate has expired"
        until(lambda: re.search(rf"Kafka at \S+ {said}", log.read_text()), log.read_text)
        until(lambda: re.search(rf"MQTT \S+ {said}", log.read_text()), log.read_text)
        site.certificates(expired=False)
        until(lambda: "MQTT: 1 topics" in log.read_text(), log.read_text)
        with site.sensor() as publish:
            publish(1.0)
        _rows_arrive(site)
