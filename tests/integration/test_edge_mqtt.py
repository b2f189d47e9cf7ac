"""The MQTT session itself: TLS and passwords, many unacknowledged messages, 3.1.1."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from contracts.errors import ConfigError
from contracts.plant.model import Mqtt
from contracts.plant.sections import Secret
from edge.adapters.mqtt import MqttSource
from edge.adapters.mqtt_link import Link
from edge.adapters.mqtt_session import FIVE, THREE, Session
from edge.adapters.mqtt_wire import Publish
from tests.conformance.source_kit import Ears, until
from tests.integration.edge_world import publisher
from tests.processes.amqtt import amqtt
from tests.processes.authority import Authority, Pair
from tests.processes.mosquitto import Mosquitto, find_mosquitto

TLS = Path(__file__).parent / "tls"
PASSWORD = "only for this test"


class CertifiedMosquitto(Mosquitto):
    """TLS, and nobody without a certificate that its authority has signed."""

    def __init__(self, program: str, folder: Path, authority: Authority) -> None:
        super().__init__(program, folder)
        self._authority = authority

    def _config(self) -> str:
        pair = self._authority.issue("mosquitto")
        return super()._config() + (
            f"cafile {self._authority.ca_file}\n"
            f"certfile {pair.certificate}\n"
            f"keyfile {pair.key}\n"
            "require_certificate true\n"
            "use_identity_as_username true\n"
        )


@pytest.fixture
def certified(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[tuple[Mosquitto, Authority]]:
    """Beside the plain one, which says whether there is a Mosquitto at all."""
    program, authority = find_mosquitto(), Authority(tmp_path / "authority")
    assert program is not None
    with CertifiedMosquitto(program, tmp_path / "certified", authority) as broker:
        yield broker, authority


def with_certificate(broker: Mosquitto, authority: Authority, pair: Pair | None) -> Mqtt:
    ours = {} if pair is None else {"certificate_file": pair.certificate, "key_file": pair.key}
    files = {name: str(file) for name, file in {**ours, "ca_file": authority.ca_file}.items()}
    return Mqtt.model_validate({"port": broker.port, **files})


@pytest.mark.parametrize("version", [FIVE, THREE])
async def test_a_certificate_lets_us_in_by_both_versions(
    certified: tuple[Mosquitto, Authority], version: MQTTProtocolVersion
) -> None:
    broker, authority = certified
    settings = with_certificate(broker, authority, authority.issue("vigia-edge"))
    session, heard = Session(settings, version, 10), list[Publish]()
    client = session.client()
    link = Link(client, frozenset(["a"]), heard.append)
    await link.open(lambda: session.connect(client), 20)
    assert await link.subscribe(["a"], session.options()) == []
    living = asyncio.create_task(link.run())
    link.publish("a", b"7")
    await until(lambda: len(heard) == 1)
    assert heard[0].payload == b"7"
    living.cancel()
    await asyncio.wait([living])
    link.close()


async def test_messages_come_to_who_shows_a_certificate(
    certified: tuple[Mosquitto, Authority],
) -> None:
    broker, authority = certified
    settings = with_certificate(broker, authority, authority.issue("vigia-edge"))
    source, ears = MqttSource(settings, limit=100), Ears()
    task = asyncio.create_task(source.run(["a"], ears))
    await until(lambda: source.connected)
    for number in range(50):
        source.publish("a", b"%d" % number)
    await until(lambda: len(ears.messages) == 50)
    task.cancel()
    await asyncio.wait([task])
    assert ears.payloads == [b"%d" % number for number in range(50)]


@pytest.mark.parametrize("which", ["none", "expired", "of another authority"])
async def test_why_a_certificate_is_refused_is_said(
    certified: tuple[Mosquitto, Authority],
    which: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, authority = certified
    signer = Authority(tmp_path / "other") if which == "of another authority" else authority
    pair = signer.issue("vigia-edge", expired=which == "expired")
    shown = None if which == "none" else pair
    why = {
        "none": "the broker asks for a certificate: expected mqtt.certificate_file",
        "expired": "our certificate has expired, says the broker",
        "of another authority": "our certificate is signed by nobody whom the broker knows",
    }[which]
    source = MqttSource(with_certificate(broker, authority, shown), limit=10)
    task = asyncio.create_task(source.run(["a"], Ears()))
    await until(lambda: why in caplog.text)
    assert not source.connected
    task.cancel()
    await asyncio.wait([task])


class SecureMosquitto(Mosquitto):
    """TLS, and nobody without a password."""

    def _config(self) -> str:
        passwords = self._folder / "passwords"
        program = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
        subprocess.run([program, "-b", "-c", str(passwords), "edge", PASSWORD], check=True)
        return super()._config().replace("allow_anonymous true", "allow_anonymous false") + (
            f"password_file {passwords}\n"
            f"cafile {TLS / 'ca.crt'}\n"
            f"certfile {TLS / 'server.crt'}\n"
            f"keyfile {TLS / 'server.key'}\n"
        )


@pytest.fixture
def secure(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Mosquitto]:
    """Beside the plain one, which says whether there is a Mosquitto at all."""
    program = find_mosquitto()
    assert program is not None
    with SecureMosquitto(program, tmp_path / "secure") as broker:
        yield broker


async def hear(source: MqttSource, ears: Ears, topics: list[str], count: int) -> None:
    task = asyncio.create_task(source.run(topics, ears))
    try:
        await until(lambda: task.done() or (source.connected and len(ears.messages) >= count))
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def test_tls_and_a_password_from_a_file(secure: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    settings = Mqtt(
        port=secure.port,
        username="edge",
        password=Secret(file=str(tmp_path / "password")),
        ca_file=str(TLS / "ca.crt"),
    )
    device = mqtt.Client(CallbackAPIVersion.VERSION2)
    device.username_pw_set("edge", PASSWORD)
    device.tls_set_context(ssl.create_default_context(cafile=TLS / "ca.crt"))
    await hear(MqttSource(settings, limit=1000), Ears(), ["a"], 0)
    device.connect("127.0.0.1", secure.port)
    device.loop_start()
    for number in range(300):
        device.publish("a", json.dumps([number] * 200), qos=1)
    ears = Ears()
    await hear(MqttSource(settings, limit=1000), ears, ["a"], 300)
    device.disconnect()
    device.loop_stop()
    assert [json.loads(payload)[0] for payload in ears.payloads] == list(range(300))


async def test_a_password_that_is_gone_for_a_moment_ends_no_source(
    secure: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    settings = Mqtt(
        port=secure.port,
        username="edge",
        password=Secret(file=str(file)),
        ca_file=str(TLS / "ca.crt"),
    )
    source = MqttSource(settings, limit=10)
    task = asyncio.create_task(source.run(["a"], Ears()))
    await until(lambda: source.connected)
    file.unlink()
    await asyncio.to_thread(secure.stop)
    await asyncio.to_thread(secure.start)
    await until(lambda: task.done() or f"secret file {file}" in caplog.text)
    file.write_text(PASSWORD)
    await until(lambda: task.done() or source.connected)
    assert source.connected
    task.cancel()
    await asyncio.wait([task])


async def test_without_the_right_password_it_keeps_trying_and_never_prints_it(
    secure: Mosquitto, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_PASSWORD", "not the right one")
    settings = Mqtt(
        port=secure.port,
        username="edge",
        password=Secret(env="EDGE_PASSWORD"),
        ca_file=str(TLS / "ca.crt"),
    )
    task = asyncio.create_task(MqttSource(settings, limit=10).run(["a"], Ears()))
    await until(lambda: "trying again" in caplog.text)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    assert "Not authorized" in caplog.text
    assert "not the right one" not in caplog.text


async def test_a_ca_file_that_is_not_there_is_said_at_once(mosquitto: Mosquitto) -> None:
    settings = Mqtt(port=mosquitto.port, ca_file="/no/such/ca.crt")
    with pytest.raises(ConfigError, match=r"/no/such/ca\.crt"):
        await hear(MqttSource(settings, limit=10), Ears(), ["a"], 1)


async def test_thousands_of_messages_may_wait_for_their_acknowledgement(
    mosquitto: Mosquitto,
) -> None:
    ears, source = Ears(), MqttSource(Mqtt(port=mosquitto.port), limit=5000)
    await hear(source, Ears(), ["a"], 0)
    with publisher(mosquitto.port) as device:
        for number in range(3000):
            device.send("a", number)
        await hear(source, ears, ["a"], 3000)
    assert [int(payload) for payload in ears.payloads] == list(range(3000))


async def test_a_broker_that_speaks_only_3_1_1(tmp_path: Path) -> None:
    with amqtt(tmp_path) as port:
        source, ears = MqttSource(Mqtt(port=port), limit=100), Ears()
        task = asyncio.create_task(source.run(["a"], ears))
        await until(lambda: source.connected)
        with publisher(port, version=mqtt.MQTTv311) as device:
            device.send("a", 7)
            await until(lambda: len(ears.messages) == 1)
        message = ears.messages[0]
        assert source.acknowledge(message.connection, message.mid, message.qos)
        task.cancel()
        await asyncio.wait([task])
