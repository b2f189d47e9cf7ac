"""One MQTT connection of paho's client on the running event loop, without a thread.

All reading and writing happens on the event loop. So a source that must not read simply does
not look at the socket, and an acknowledgement is never sent from another thread than the one
that counts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from ssl import SSLError
from typing import Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker.tls import tls_fault
from contracts.errors import SourceError
from edge.adapters.mqtt_wire import Publish, Wire, WiredClient

CONNECT_S = 10
_MESSAGES_A_TURN = 64
_MOMENT_S, _GATHER_S = 0.001, 0.011
# Many at once are worth the work of a look, and may be all that the broker lets be under way
# (Mosquitto in MQTT 3.1.1: 20) until they are acknowledged.
_MANY, _GATHER_MANY_S = 20, 0.005
_TOPICS_A_PACKET = 200
_MOST_TOPICS = 100_000
_UNSUPPORTED_VERSION = 132


class VersionRefused(SourceError):
    """The broker does not speak this version of MQTT, or (not `sure`) just closed the door."""

    def __init__(self, text: str, *, sure: bool) -> None:
        super().__init__(text)
        self.sure = sure


class Link:
    """One connection. It ends once; make another client and link for the next.

    `on_message` is called on the event loop for each message; those of `topics` come to it
    without paho.
    """

    def __init__(
        self, client: WiredClient, topics: frozenset[str], on_message: Callable[[Publish], None]
    ) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._topics = {topic.encode(): topic for topic in topics}
        self._five = client.protocol == mqtt.MQTTv5
        self._on_message = on_message
        self._paused = False
        self._attached: Wire | None = None
        self._flush_soon = self._blocked = False
        self._timer: asyncio.TimerHandle | None = None
        # A message and an acknowledgement that paho must see, to know that the broker lives.
        self._show_message = self._show_ack = False
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._subscribed: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        client.on_connect = self._connack
        client.on_subscribe = self._suback
        client.on_message = self._message
        client.on_disconnect = self._disconnected
        client.on_socket_close = self._socket_closed
        client.on_socket_register_write = self._want_write

    @property
    def accepted(self) -> bool:
        """Whether the broker let us in: before, no message can have come."""
        done = self._accepted.done() and not self._accepted.cancelled()
        return done and self._accepted.exception() is None

    async def open(self, connect: Callable[[], MQTTErrorCode], patience_s: float) -> None:
        """Connects by `connect`, which may block, and waits `patience_s` to be accepted.

        Raises SourceError; VersionRefused where another version may be accepted.
        """
        await self._connect(connect)
        socket = self._client.socket()
        if socket is None:
            raise SourceError("the connection was closed at once")
        self._attached = wire = cast(Wire, socket)
        self._loop.add_reader(wire, self._readable)
        self._write()
        await asyncio.wait(
            (self._accepted, self._lost),
            timeout=patience_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if isinstance(wire.error, SSLError):
            # In TLS 1.3 a broker looks at our certificate when we have done our part.
            raise SourceError(tls_fault(wire.error, "mqtt"))
        if not self._accepted.done():
            # Some brokers never answer a version that they do not know.
            silent = not self._lost.done()
            raise VersionRefused("the broker does not accept the connection", sure=silent)
        self._accepted.result()

    async def subscribe(self, topics: Sequence[str], options: SubscribeOptions | None) -> list[str]:
        """Subscribes with QoS 1; the topics that the broker refuses. Raises SourceError."""
        refused = []
        for start in range(0, len(topics), _TOPICS_A_PACKET):
            some = topics[start : start + _TOPICS_A_PACKET]
            codes = await self._subscribe(some, options)
            pairs = zip(some, codes, strict=False)
            refused += [topic for topic, code in pairs if code.is_failure]
        return refused

    async def run(self) -> None:
        """Keeps the connection alive until it is lost, and raises SourceError then."""
        while not self._lost.done():
            self._show_message = self._show_ack = True
            self._client.loop_misc()
            await asyncio.wait((self._lost,), timeout=1.0)
        raise SourceError(self._lost.result())

    def acknowledge(self, mid: int, qos: int) -> bool:
        """Acknowledges a message of this connection; False when it is lost."""
        wire = self._attached
        if self._lost.done() or wire is None:
            return False
        if qos == 1 and not self._show_ack:
            wire.acknowledge(mid)
            self._flush_later()
            return True
        self._show_ack = False
        accepted = qos == 0 or self._client.ack(mid, qos) == MQTTErrorCode.MQTT_ERR_SUCCESS
        # At once, or a later acknowledgement would overtake it.
        self._client.loop_write()
        self._flush_later()
        return accepted

    def learn(self, topic: str) -> None:
        """Messages on this topic, of those that a `+` stands for, come without paho from now on."""
        if len(self._topics) < _MOST_TOPICS:
            self._topics[topic.encode()] = topic

    def unsubscribe(self, topic: str) -> None:
        """Tells the broker that a topic is no longer wanted."""
        self._client.unsubscribe(topic)

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends a message, once at most."""
        self._client.publish(topic, payload)

    def pause(self) -> None:
        """Does not read the socket until `resume`."""
        self._paused = True
        self._stop_reading()

    def resume(self) -> None:
        """Reads the socket again."""
        self._paused = False
        if self._attached is not None:
            self._later(0.0, self._read)

    def close(self) -> None:
        """Says goodbye, after the acknowledgements that wait, and closes the connection."""
        self._client.disconnect()
        self._client.loop_write()
        if (socket := self._client.socket()) is not None:
            self._detach()
            socket.close()
        if not self._lost.done():
            self._lost.set_result("closed by us")

    async def _connect(self, connect: Callable[[], MQTTErrorCode]) -> None:
        done: asyncio.Future[None] = self._loop.create_future()

        def settle(error: OSError | ValueError | None) -> None:
            if done.cancelled():
                if (socket := self._client.socket()) is not None:
                    socket.close()
            elif error is None:
                done.set_result(None)
            else:
                done.set_exception(SourceError(_told(error)))

        def work() -> None:
            failed: OSError | ValueError | None = None
            try:
                connect()
            except (OSError, ValueError) as error:
                failed = error
            # The loop may have ended while a name was looked up.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(settle, failed)

        # A daemon: a look-up that hangs must not hold up the end of the process.
        threading.Thread(target=work, name="mqtt-connect", daemon=True).start()
        await done

    async def _subscribe(
        self, topics: Sequence[str], options: SubscribeOptions | None
    ) -> list[ReasonCode]:
        wanted: list[Any] = [(topic, options or 1) for topic in topics]
        _, mid = self._client.subscribe(wanted)
        if mid is None:
            raise SourceError("the connection was lost while subscribing")
        answer = self._subscribed[mid] = self._loop.create_future()
        await asyncio.wait(
            (answer, self._lost), timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED
        )
        del self._subscribed[mid]
        if not answer.done():
            raise SourceError("the broker does not answer the subscription")
        codes: list[ReasonCode] = answer.result()
        return codes

    def _readable(self) -> None:
        """Something came after a silence. Until the next one the socket is read by the clock, as
        a look for each message is dear: every twelve milliseconds, all that came by then."""
        if self._attached is not None:
            self._loop.remove_reader(self._attached)
            self._ask()

    def _ask(self) -> None:
        """Lets the broker send what it holds back, and reads after a moment."""
        if self._attached is not None:
            # In this order: the kernel answers for what was read.
            self._attached.fill()
            self._attached.hurry()
            self._later(_MOMENT_S, self._read)

    def _later(self, delay_s: float, do: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, do)

    def _read(self) -> None:
        wire, heard = self._attached, 0
        if wire is None or self._paused:
            return
        wire.drained = False
        while heard < _MESSAGES_A_TURN and self._hear(wire):
            heard += 1
            if self._attached is None or self._paused:
                return
        if heard == _MESSAGES_A_TURN or not wire.drained:
            self._later(0.0, self._read)
        elif heard:
            self._later(_GATHER_S if heard < _MANY else _GATHER_MANY_S, self._ask)
        else:
            self._loop.add_reader(wire, self._readable)

    def _stop_reading(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._attached is not None:
            self._loop.remove_reader(self._attached)

    def _hear(self, wire: Wire) -> bool:
        """Handles the packet at the head; False when there is none."""
        if not wire.ready and not wire.drained:
            wire.fill()
        message = None if self._show_message else wire.take(self._topics, five=self._five)
        if message is not None:
            self._on_message(message)
        elif wire.lend():
            self._client.loop_read()
        else:
            return False
        return True

    def _write(self) -> None:
        """Writes what paho has for the broker, and the acknowledgements that wait."""
        self._client.loop_write()
        self._flush()

    def _flush(self) -> None:
        self._flush_soon = False
        wire = self._attached
        if wire is None:
            return
        if not wire.flush():
            self._blocked = True
            self._loop.add_writer(wire, self._flush)
        elif self._blocked:
            self._blocked = False
            self._loop.remove_writer(wire)
        if wire.broken:
            # paho is told by its next look, and ends the connection.
            self._client.loop_read()

    def _flush_later(self) -> None:
        if not self._flush_soon:
            self._flush_soon = True
            self._loop.call_soon(self._flush)

    def _want_write(self, client: mqtt.Client, userdata: object, socket: Any) -> None:
        if self._attached is not None:
            self._loop.call_soon(self._write)

    def _socket_closed(self, client: mqtt.Client, userdata: object, socket: Any) -> None:
        self._detach()

    def _detach(self) -> None:
        self._stop_reading()
        if self._attached is not None:
            self._loop.remove_writer(self._attached)
            self._attached = None

    def _connack(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if self._accepted.done():
            return
        if not code.is_failure:
            self._accepted.set_result(None)
        elif code.value == _UNSUPPORTED_VERSION:
            self._accepted.set_exception(VersionRefused(str(code), sure=True))
        else:
            self._accepted.set_exception(SourceError(f"the broker refuses: {code}"))

    def _suback(
        self,
        client: mqtt.Client,
        userdata: object,
        mid: int,
        codes: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        answer = self._subscribed.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(codes)

    def _message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        self._show_message = False
        self._on_message(
            Publish(message.topic, bytes(message.payload), message.qos, message.mid, message.retain)
        )

    def _disconnected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if not self._lost.done():
            self._lost.set_result(f"the connection was lost: {code}")


def _told(error: OSError | ValueError) -> str:
    """Why there is no connection, for a person."""
    if isinstance(error, SSLError):
        return tls_fault(error, "mqtt")
    return (isinstance(error, OSError) and error.strerror) or str(error)
