"""Kafka with TLS and SASL, Mosquitto with TLS and passwords: nothing is open, what is wrong is
said, and the line goes on when it is mended."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker.cluster import Cluster, User
from broker.producer import Producer
from broker.refusal import refusal
from broker.tls import tls_context
from contracts.plant.model import Kafka
from tests.conftest import RunningKafka
from tests.integration.secure_site import ACLS, Site, until
from tests.processes.mosquitto import Mosquitto, find_mosquitto


@pytest.fixture
def site(tmp_path: Path, kafka: RunningKafka, mosquitto: Mosquitto) -> Iterator[Site]:
    """Beside the plain brokers, which say whether there are any at all."""
    program = find_mosquitto()
    assert program is not None
    made = Site(tmp_path / "site", program)
    with made.kafka, made.mosquitto:
        yield made


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
        assert "metrics on" in exporter.read_text()
        for log in (edge, stream, exporter):
            text = log.read_text()
            assert "not allowed" not in text
            for secret in site.passwords.values():
                assert secret not in text


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
