"""The edge at work: the core on an event loop, between a source and the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from broker.status import Figures, Latency
from edge.core.batches import Parcel
from edge.core.health import Change
from edge.core.intake import Incoming, Intake, Letter
from edge.core.pulse import Pulse
from edge.ports import MessageSource, ReadingLog

TICK_S = 0.25
_TICKS_A_LOOK = 4
_KAFKA_LATE_US = 4_000_000
_GATHER_S = 0.003
_PARCELS_A_WRITE = 200
_LOG_LINES = 20
_log = logging.getLogger(__name__)


def now_us() -> int:
    """The wall clock, in microseconds."""
    return time.time_ns() // 1000


def steady_us() -> int:
    """A clock that nobody sets, in microseconds."""
    return time.monotonic_ns() // 1000


def together(parts: Sequence[Figures]) -> Figures:
    """The figures of several parts of one process, which share no name."""
    return Figures(
        account={name: one for part in parts for name, one in part.account.items()},
        sources=tuple(source for part in parts for source in part.sources),
        latencies={name: one for part in parts for name, one in part.latencies.items()},
        # What two parts say alike is said once.
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        spools={name: one for part in parts for name, one in part.spools.items()},
        plant=next((part.plant for part in parts if part.plant is not None), None),
    )


class Agent:
    """Carries messages from `source` through `intake` to `log`, and acknowledges them."""

    def __init__(
        self,
        intake: Intake,
        source: MessageSource,
        log: ReadingLog,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._intake = intake
        self._source = source
        self._log = log
        self._clock = clock
        self._wake = asyncio.Event()
        self._paused = False
        self._draining = False
        self._kafka_late = False
        self._sent_us: dict[str, int] = {}
        self._lanes: defaultdict[int, deque[Parcel]] = defaultdict(deque)
        self._writing: set[int] = set()
        self._letters_under_way = False
        self._latency = Latency()

    async def run(self) -> None:
        """Works until cancelled. Raises BrokerError when Kafka will never take a message."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._source.run(self._intake.topics, self))
            group.create_task(self._tick(group))
            group.create_task(self._send(group))

    def on_message(self, message: Incoming) -> None:
        """Listener: one message came."""
        self._intake.receive(message)
        self._wake.set()
        if self._intake.acks.full and not self._paused:
            self._paused = True
            self._source.pause()

    def on_connection_lost(self) -> None:
        """Listener: unacknowledged messages come again."""
        self._intake.connection_lost()
        self._read_on()

    def figures(self) -> Figures:
        """What the status says."""
        notes = () if self._source.connected else ("no connection to the MQTT broker",)
        return Figures(
            account=self._intake.account(),
            sources=self._intake.sources(),
            latencies={"edge.receipt-to-kafka": self._latency.histogram()},
            notes=(*notes, "reading is paused") if self._paused else notes,
        )

    async def drain(self, patience_s: float) -> None:
        """Stops reading; what is ready is written and acknowledged, `patience_s` at most.

        Rows that still wait for values are left: their messages are not acknowledged, and
        the MQTT broker sends them again.
        """
        self._paused = self._draining = self._intake.in_haste = True
        self._source.pause()
        try:
            async with asyncio.timeout(patience_s):
                while self._intake.next_due_us() is not None or self._sent_us:
                    self._wake.set()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            _log.warning("stopped with rows that are in no log; they come again")

    async def _send(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            next_look = loop.time() + _GATHER_S
            now = self._clock()
            self._start(group, self._intake.take_due(now), now)
            if not self._letters_under_way and (letters := self._intake.take_letters()):
                self._letters_under_way = True
                group.create_task(self._write_letters(letters))
            self._acknowledge()
            await self._until_due()
            # One look for the messages of a moment, not one for each of them; but one that
            # comes alone does not wait.
            await asyncio.sleep(max(0.0, next_look - loop.time()))

    async def _until_due(self) -> None:
        due_us = None if self._wake.is_set() else self._intake.next_due_us()
        wait_s = None if due_us is None else max(0.0, (due_us - self._clock()) / 1e6)
        with contextlib.suppress(TimeoutError):
            if wait_s is None:
                await self._wake.wait()
            else:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
        self._wake.clear()

    def _start(self, group: asyncio.TaskGroup, parcels: Sequence[Parcel], now_us: int) -> None:
        for parcel in parcels:
            asset = parcel.batch.asset
            self._sent_us[asset] = now_us
            lane = self._log.lane(asset)
            self._lanes[lane].append(parcel)
            if lane not in self._writing:
                self._writing.add(lane)
                group.create_task(self._write(lane))

    async def _write(self, lane: int) -> None:
        """Writes what waits in a lane, and then what gathered there meanwhile."""
        waiting = self._lanes[lane]
        while waiting:
            count = min(len(waiting), _PARCELS_A_WRITE)
            parcels = [waiting.popleft() for _ in range(count)]
            kept = await self._log.write([parcel.batch for parcel in parcels])
            self._written(parcels, kept, self._clock())
        self._writing.discard(lane)

    def _written(self, parcels: Sequence[Parcel], kept: frozenset[str], now_us: int) -> None:
        for parcel in parcels:
            asset = parcel.batch.asset
            del self._sent_us[asset]
            self._intake.written(asset, kept=asset in kept)
            if parcel.rows and asset not in kept:
                self._latency.observe((now_us - parcel.batch.position.received_us) / 1e6)
        self._acknowledge()
        if self._intake.next_due_us() is not None:
            self._wake.set()

    async def _write_letters(self, letters: list[Letter]) -> None:
        await self._log.write_letters(letters)
        self._intake.letters_written(letters)
        self._letters_under_way = False
        self._wake.set()

    def _acknowledge(self) -> None:
        acks = self._intake.acks
        while receipt := acks.next_ready():
            sent = self._source.acknowledge(receipt.connection, receipt.mid, receipt.qos)
            acks.settle(receipt, sent=sent)
        self._read_on()

    def _read_on(self) -> None:
        # Not at the first free place: reading again costs a look at the socket.
        acks = self._intake.acks
        if (
            self._paused
            and not self._draining
            and not acks.full
            and acks.held <= acks.limit * 3 // 4
        ):
            self._paused = False
            self._source.resume()

    async def _tick(self, group: asyncio.TaskGroup) -> None:
        ticks = 0
        pulse = Pulse(round(TICK_S * 1e6), self._clock(), steady_us())
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            now = self._clock()
            beat = pulse.look(now, steady_us())
            if beat.stepped_us:
                _log.warning("this machine's clock was set by %+.1f s", beat.stepped_us / 1e6)
                self._intake.step(beat.stepped_us)
            attentive = self._attentive(now) and not beat.missed
            self._start(group, self._intake.tick(now, attentive=attentive), now)
            if self._source.connected:
                for order in self._intake.orders(now):
                    self._source.publish(order.topic, order.payload)
            if ticks % _TICKS_A_LOOK == 0:
                _report(self._intake.look(now))
            self._wake.set()

    def _attentive(self, now: int) -> bool:
        """Whether messages could come: connected, reading, and Kafka takes what came."""
        oldest_us = min(self._sent_us.values(), default=now)
        late = now - oldest_us >= _KAFKA_LATE_US
        if late != self._kafka_late:
            self._kafka_late = late
            _log.warning("rows wait for Kafka" if late else "rows are written again")
        return self._source.connected and not self._paused and not late


def _report(changes: Sequence[Change]) -> None:
    for change in changes[:_LOG_LINES]:
        _log.info("%s", change)
    if len(changes) > _LOG_LINES:
        _log.info("and %d signals more changed their state", len(changes) - _LOG_LINES)
