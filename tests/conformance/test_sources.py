"""Every source passes the kit, and the kit finds what is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from contracts.plant.model import Mqtt
from edge.adapters.mqtt import MqttSource
from edge.ports import MessageSource
from tests.conformance import source_kit
from tests.conformance.memory_source import (
    Careless,
    Forgetful,
    Fresh,
    Hasty,
    MemoryLab,
    MemorySource,
    Restless,
)
from tests.conformance.source_kit import CHECKS, TOPIC, Lab
from tests.integration.edge_world import Publisher, publisher
from tests.processes.mosquitto import Mosquitto

Check = Callable[[Lab], Awaitable[None]]


class MqttLab:
    """A real Mosquitto."""

    def __init__(self, broker: Mosquitto, device: Publisher) -> None:
        self._broker = broker
        self._device = device

    def source(self) -> MessageSource:
        settings = Mqtt(host=self._broker.host, port=self._broker.port, client_id="kit")
        return MqttSource(settings, limit=100)

    async def publish(self, payload: bytes) -> None:
        self._device.send(TOPIC, payload)
        await asyncio.to_thread(self._device.settle)

    async def break_connection(self) -> None:
        await asyncio.to_thread(self._broker.stop)
        await asyncio.to_thread(self._broker.start)


@pytest.fixture
def mqtt_lab(mosquitto: Mosquitto) -> Iterator[MqttLab]:
    with publisher(mosquitto.port) as device:
        yield MqttLab(mosquitto, device)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_mqtt(check: Check, mqtt_lab: MqttLab) -> None:
    await check(mqtt_lab)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_memory(check: Check) -> None:
    await check(MemoryLab(MemorySource))


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Hasty, source_kit.unacknowledged_messages_come_again),
        (Forgetful, source_kit.an_old_connection_acknowledges_nothing),
        (Fresh, source_kit.the_session_keeps_what_comes_meanwhile),
        (Careless, source_kit.nothing_comes_while_paused_and_nothing_is_lost),
        (Restless, source_kit.nothing_comes_while_paused_and_nothing_is_lost),
    ],
)
async def test_the_kit_finds_what_is_broken(
    broken: type[MemorySource], check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_kit, "PATIENCE_S", 0.5)
    with pytest.raises((AssertionError, TimeoutError)):
        await check(MemoryLab(broken))
