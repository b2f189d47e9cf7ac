"""What an MQTT broker lets us hear, and whether what comes can be read."""

from __future__ import annotations

import asyncio
from functools import partial

from contracts.errors import SourceError, VigiaError
from contracts.findings import Field, Finding
from contracts.plant.model import Mqtt, SignalSet
from contracts.texts import number_text
from edge.adapters.agent import now_us
from edge.adapters.mqtt_link import Link, VersionRefused
from edge.adapters.mqtt_session import FIVE, THREE, Session
from edge.adapters.mqtt_wire import Publish
from edge.core.payload import Sensor
from edge.core.reader import Reader

_LIMIT = 1_000
_SHOWN = 4


class MqttProbe:
    """One connection to the broker of `settings`, beside that of the edge, which it does not
    disturb. It waits `wait_s` at most for each topic of `assets`."""

    def __init__(self, settings: Mqtt, assets: dict[str, SignalSet], wait_s: float) -> None:
        self._settings = settings
        self._assets = assets
        self._wait_s = wait_s
        self._reader = Reader(assets)
        self._fed = self._reader.sensors()
        self._values: dict[Sensor, float] = {}
        self._faults: dict[str, str] = {}
        self._all_heard = asyncio.Event()
        self._link: Link | None = None

    async def run(self) -> list[Finding]:
        """What was found: the broker, and each topic."""
        settings = self._settings
        where = f"{settings.host}:{settings.port}"
        try:
            async with asyncio.timeout(30):
                refused = await self._open()
        except (VigiaError, TimeoutError) as error:
            self._close()
            why = str(error) or "the broker does not answer"
            return [
                Finding("mqtt", where, "refused", {"why": why}),
                *(Finding("sensor", topic, "not-asked", {"why": where}) for topic in self._fed),
            ]
        lost = await self._listen()
        self._close()
        door: dict[str, Field] = {"tls": settings.secured, "user": settings.username or ""}
        denied = {topic.removesuffix("/+") for topic in refused}
        sensors = [
            self._sensor(topic, denied=topic in denied or topic.rpartition("/")[0] in denied)
            for topic in self._fed
        ]
        if lost is not None:
            return [Finding("mqtt", where, "refused", {"why": lost}), *sensors]
        return [Finding("mqtt", where, "lets-in", door), *sensors]

    async def _open(self) -> list[str]:
        """The topics that the broker refuses, by the version of MQTT that it speaks."""
        for version in (FIVE, THREE):
            session = Session(self._settings, version, _LIMIT, lasting=False)
            client = session.client()
            self._link = link = Link(client, frozenset(self._reader.topics), self._deliver)
            try:
                await link.open(partial(session.connect, client), session.patience_s)
            except VersionRefused:
                if version == THREE:
                    raise
                self._close()
            else:
                return await link.subscribe(self._reader.topics, session.options())
        raise AssertionError("one of two versions")

    async def _listen(self) -> str | None:
        """Until every sensor was heard, or for as long as it waits; why the connection was lost
        before, if it was."""
        if self._link is None or not self._wait_s:
            return None
        for order in self._reader.orders(now_us()):
            self._link.publish(order.topic, order.payload)
        living = asyncio.create_task(self._link.run())
        hearing = asyncio.create_task(self._all_heard.wait())
        both = {living, hearing}
        await asyncio.wait(both, timeout=self._wait_s, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        ends = await asyncio.gather(living, hearing, return_exceptions=True)
        return next((str(end) for end in ends if isinstance(end, SourceError)), None)

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _deliver(self, message: Publish) -> None:
        if self._link is not None:
            self._link.acknowledge(message.mid, message.qos)
        if message.retained:
            return
        parsed = self._reader.read(message.topic, message.payload, now_us())
        if parsed.error is not None:
            self._faults[self._reader.place_of(message.topic)] = str(parsed.error)
        for sample in parsed.samples:
            for column, value in sample.cells:
                self._values[sample.asset, column] = value
        if all(sensor in self._values for sensors in self._fed.values() for sensor in sensors):
            self._all_heard.set()

    def _sensor(self, topic: str, *, denied: bool) -> Finding:
        if denied:
            return Finding("sensor", topic, "denied")
        sensors = self._fed[topic]
        heard = [sensor for sensor in sensors if sensor in self._values]
        if len(heard) == len(sensors):
            return Finding("sensor", topic, "readings", {"values": self._told(heard)})
        if topic in self._faults:
            return Finding("sensor", topic, "unread", {"why": self._faults[topic]})
        if not self._wait_s:
            return Finding("sensor", topic, "subscribed")
        if not heard:
            return Finding("sensor", topic, "late", {"seconds": self._wait_s})
        missing = _few([self._name(sensor) for sensor in sensors if sensor not in heard])
        fields: dict[str, Field] = {
            "values": self._told(heard),
            "missing": missing,
            "seconds": self._wait_s,
        }
        return Finding("sensor", topic, "partly", fields)

    def _told(self, sensors: list[Sensor]) -> str:
        return _few([f"{self._name(one)} {self._reading(one)}" for one in sensors])

    def _name(self, sensor: Sensor) -> str:
        asset, column = sensor
        return self._assets[asset].signals[column].id

    def _reading(self, sensor: Sensor) -> str:
        asset, column = sensor
        unit = self._assets[asset].signals[column].unit
        return f"{number_text(self._values[sensor])} {'' if unit == '1' else unit}".rstrip()


def _few(words: list[str]) -> str:
    shown = ", ".join(words[:_SHOWN])
    return f"{shown}, +{len(words) - _SHOWN}" if len(words) > _SHOWN else shown
