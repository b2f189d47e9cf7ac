"""The whole edge without its world: messages in, batches and dead letters out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from contracts.messages import Account, SourceHealth
from contracts.plant.model import SignalSet
from edge.core.acks import Acks, Receipt
from edge.core.backlog import Backlog
from edge.core.batches import MIN_GAP_US, Parcel, Place
from edge.core.health import Change
from edge.core.nodes import Order
from edge.core.payload import PayloadError
from edge.core.reader import Reader
from edge.core.station import Station

ROWS, MESSAGES = "edge.rows", "edge.mqtt"
RETAINED = "retained"
DISK_GAP_US = 1_000_000
"""Batches for the disk are long: a second of rows costs one record and one write."""


class Incoming(NamedTuple):
    """One MQTT message. `connection` counts the connections: a message may only be
    acknowledged on the one that brought it. A `retained` one was kept by the broker for who
    subscribes, and may be of any age."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    connection: int
    received_us: int
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that could not be used, or not wholly."""

    topic: str
    payload: bytes
    error: PayloadError
    received_us: int
    receipt: Receipt


class Intake:
    """All assets of one edge. Nothing is acknowledged before what came of it is in Kafka, or on
    disk, as `backlog` says.

    `limit` bounds the messages that are received and not acknowledged.
    """

    def __init__(
        self,
        assets: dict[str, SignalSet],
        places: dict[str, Place],
        *,
        now_us: int,
        limit: int,
        backlog: Backlog | None = None,
    ) -> None:
        self._reader = Reader(assets)
        self._stations = {
            key: Station(key, group, places.get(key), now_us) for key, group in assets.items()
        }
        self.acks = Acks(limit)
        self.backlog = backlog or Backlog(0)
        self.in_haste = False
        self._letters: list[Letter] = []
        self._letters_under_way = 0
        # Stations that may have a batch to send: most have none at any moment.
        self._busy: dict[str, Station] = {}
        self._attentive_since_us = now_us

    @property
    def topics(self) -> tuple[str, ...]:
        """The MQTT topics to subscribe to; some may end in `/+`."""
        return self._reader.topics

    def orders(self, now_us: int) -> list[Order]:
        """Messages that are to be sent now, to be called while they can be."""
        return self._reader.orders(now_us)

    @property
    def stalled(self) -> bool:
        """Whether no message may be read until one is acknowledged, and none will be: every
        unacknowledged one waits in rows for others that cannot come."""
        if not self.acks.full or self._letters or self._letters_under_way:
            return False
        return not any(s.under_way or s.due_us() is not None for s in self._stations.values())

    def connection_lost(self) -> None:
        """What is not acknowledged comes again; other messages may have been missed."""
        self.acks.connection_lost()
        self._reader.connection_lost()

    def receive(self, message: Incoming) -> None:
        """Takes one message in. Raises nothing."""
        receipt = self.acks.take_in(
            message.connection,
            message.mid,
            message.qos,
            message.received_us,
            len(message.payload),
        )
        if message.retained:
            receipt.reason = RETAINED
        else:
            self._use(message, receipt)
        receipt.release()

    def _use(self, message: Incoming, receipt: Receipt) -> None:
        parsed = self._reader.read(message.topic, message.payload, message.received_us)
        for sample in parsed.samples:
            station = self._stations[sample.asset]
            station.receive(sample, message.received_us, receipt)
            self._busy[sample.asset] = station
        for asset, column in parsed.silenced:
            self._stations[asset].watches[column].mute()
        if parsed.error is not None:
            receipt.hold()
            receipt.reason = parsed.error.reason
            self._letters.append(
                Letter(message.topic, message.payload, parsed.error, message.received_us, receipt)
            )

    def take_due(self, now_us: int) -> list[Parcel]:
        """The batches that should leave now; each is under way until `written`."""
        parcels = []
        for key, station in list(self._busy.items()):
            due_us = station.due_us(self._gap_us(key))
            if due_us is None:
                del self._busy[key]
            elif due_us <= now_us:
                parcels.append(station.take(now_us))
        return parcels

    def next_due_us(self) -> int | None:
        """When `take_due` should be called again, unless something comes before."""
        dues = (station.due_us(self._gap_us(key)) for key, station in self._busy.items())
        return min((due for due in dues if due is not None), default=None)

    @property
    def pressed(self) -> bool:
        """Whether so many messages wait that the disk should take what Kafka does not."""
        return self.acks.held >= self.acks.limit // 4

    def _gap_us(self, asset: str) -> int:
        patient = self.backlog.holds(asset) and not self.pressed and not self.in_haste
        return DISK_GAP_US if patient else MIN_GAP_US

    def take_letters(self) -> list[Letter]:
        """The dead letters that are to be written, under way until `letters_written`."""
        letters, self._letters = self._letters, []
        self._letters_under_way += len(letters)
        return letters

    def letters_written(self, letters: list[Letter]) -> None:
        """Kafka acknowledged these dead letters."""
        self._letters_under_way -= len(letters)
        for letter in letters:
            letter.receipt.release()

    def written(self, asset: str, *, kept: bool = False) -> None:
        """Kafka acknowledged the batch of this asset that was under way; or it is `kept` on
        disk."""
        station = self._stations[asset]
        readings = station.written(kept=kept)
        if kept:
            self.backlog.took(readings)
        if station.due_us() is not None:
            self._busy[asset] = station

    def learn(self, places: Mapping[str, Place]) -> None:
        """Kafka, which did not answer at the start, says where the streams stand."""
        for asset in places.keys() & self._stations.keys():
            self._stations[asset].learn(places[asset])

    def tick(self, now_us: int, *, attentive: bool) -> list[Parcel]:
        """What time alone brings: heartbeats, now under way. To be called a few times a
        second. `attentive` says whether messages could come: while they cannot, nobody is
        silent but the edge."""
        if not attentive:
            self._attentive_since_us = now_us
        if self.stalled:
            for station in self._stations.values():
                station.give_up()
        beats = [s.tick(now_us, self._attentive_since_us) for s in self._stations.values()]
        self._busy.update(self._stations)
        return [beat for beat in beats if beat]

    def step(self, by_us: int) -> None:
        """The wall clock was set: what is remembered by it moves along."""
        self._attentive_since_us += by_us
        for station in self._stations.values():
            station.step(by_us)

    def look(self, now_us: int) -> list[Change]:
        """The changes in the health of all signals since the last look."""
        since_us = self._attentive_since_us
        return [change for s in self._stations.values() for change in s.look(now_us, since_us)]

    def sources(self) -> tuple[SourceHealth, ...]:
        """The health of all signals."""
        return tuple(w.health() for s in self._stations.values() for w in s.watches)

    def account(self) -> dict[str, Account]:
        """The books of the edge's two stages."""
        stations = self._stations.values()
        backlog = self.backlog
        dropped = Counter(backlog.dropped)
        for station in stations:
            dropped.update(station.assembler.dropped)
        rows = Account(
            unit="reading",
            taken_in=sum(s.assembler.taken_in for s in stations) + backlog.taken_in,
            gone_out=sum(s.readings_out for s in stations) + backlog.gone_out,
            held=sum(s.held for s in stations) + backlog.held,
            dropped=dict(dropped),
        )
        return {MESSAGES: self.acks.account(), ROWS: rows}
