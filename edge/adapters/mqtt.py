"""MQTT sensors: a lasting session, QoS 1, acknowledged by hand."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from contracts.errors import ConfigError, SourceError
from contracts.plant.model import Mqtt
from edge.adapters.agent import now_us
from edge.adapters.mqtt_link import Link, VersionRefused
from edge.adapters.mqtt_session import FIVE, THREE, Session
from edge.adapters.mqtt_wire import Publish
from edge.core.intake import Incoming
from edge.ports import Listener

_RETRY_S = (0.2, 5.0)
_SAY_AGAIN = 30
_log = logging.getLogger(__name__)


class MqttSource:
    """The session of `settings.client_id`. At most `limit` messages are unacknowledged.

    It speaks MQTT 5, and 3.1.1 with brokers that do not. In 3.1.1 the broker itself decides
    how many unacknowledged messages it sends. Retained messages, which may be of any age, are
    asked not to be sent, and marked when a 3.1.1 broker sends them.
    """

    def __init__(self, settings: Mqtt, *, limit: int, clock: Callable[[], int] = now_us) -> None:
        self._settings = settings
        self._limit = limit
        self._clock = clock
        self._version = FIVE
        self._link: Link | None = None
        self._connection = 0
        self._closed_doors = 0
        self._connected = False
        self._paused = False
        self._topics: frozenset[str] = frozenset()

    @property
    def connected(self) -> bool:
        """Whether messages could come now."""
        return self._connected

    async def run(self, topics: Sequence[str], listener: Listener) -> None:
        """Subscribes and delivers; reconnects for ever."""
        self._topics = frozenset(topics)
        retry_s, failures, said = _RETRY_S[0], 0, set[str]()
        while True:
            try:
                await self._session(topics, listener)
            except SourceError as error:
                if self._connected:
                    retry_s, failures, said = _RETRY_S[0], 0, set()
                # Each reason once, and then seldom.
                if failures % _SAY_AGAIN == 0 or str(error) not in said:
                    where = f"{self._settings.host}:{self._settings.port}"
                    _log.warning("MQTT %s: %s; trying again", where, error)
                said.add(str(error))
                failures += 1
            finally:
                self._end(listener)
            # Spread: a hundred edges must not knock on a broker's door at the same moment.
            await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))
            retry_s = min(2 * retry_s, _RETRY_S[1])

    def acknowledge(self, connection: int, mid: int, qos: int) -> bool:
        """Acknowledges a message; False when the connection that brought it is over."""
        # A new connection uses the same numbers for other messages.
        if self._link is None or connection != self._connection:
            return False
        return self._link.acknowledge(mid, qos)

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends a message of ours, once at most; without a connection it is lost."""
        if self._link is not None:
            self._link.publish(topic, payload)

    def pause(self) -> None:
        """Stops reading."""
        self._paused = True
        if self._link is not None:
            self._link.pause()

    def resume(self) -> None:
        """Reads again."""
        self._paused = False
        if self._link is not None:
            self._link.resume()

    async def _session(self, topics: Sequence[str], listener: Listener) -> None:
        """One connection from its beginning to its end, which is a SourceError."""
        self._connection += 1
        connection = self._connection
        session = Session(self._settings, self._version, self._limit)
        try:
            client = session.client()
        except ConfigError as error:
            if connection == 1:
                raise
            # A certificate or a password that is being renewed may be there only in part.
            raise SourceError(str(error)) from error

        def deliver(message: Publish) -> None:
            self._deliver(message, connection, listener)

        link = self._link = Link(client, self._topics, deliver)
        try:
            await link.open(lambda: session.connect(client), session.patience_s)
        except VersionRefused as refusal:
            self._try_another_version(refusal)
            raise
        refused = await link.subscribe(topics, session.options())
        for topic in refused:
            _log.error("the MQTT broker refuses the subscription to %s", topic)
        self._connected = True
        if self._paused:
            link.pause()
        _log.info("MQTT: %d topics of %s", len(topics), self._settings.host)
        await link.run()

    def _try_another_version(self, refusal: VersionRefused) -> None:
        # A broker that is just stopping closes the door once; one that knows no MQTT 5, always.
        self._closed_doors += 1
        if refusal.sure or self._closed_doors > 1:
            self._closed_doors = 0
            self._version = THREE if self._version == FIVE else FIVE

    def _end(self, listener: Listener) -> None:
        self._connected = False
        link, self._link = self._link, None
        if link is not None:
            link.close()
            if link.accepted:
                listener.on_connection_lost()

    def _deliver(self, message: Publish, connection: int, listener: Listener) -> None:
        topic, payload, qos, mid, retained = message
        if topic not in self._topics and self._link is not None:
            if f"{topic.rpartition('/')[0]}/+" in self._topics:
                self._link.learn(topic)
            else:
                # The session is older than the plant file: the topic was wanted once.
                self._link.unsubscribe(topic)
        listener.on_message(Incoming(topic, payload, qos, mid, connection, self._clock(), retained))
