"""The edge nodes of Sparkplug B that feed a plant: born or not, in sequence or not, and what
their aliases stand for; after the Eclipse Sparkplug specification 3.0.0, chapters 4 to 6."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from contracts.plant.model import SignalSet
from contracts.units import conversion
from edge.core.payload import (
    BadTime,
    FutureTime,
    Parsed,
    PayloadError,
    Sample,
    Sensor,
    UnknownTopic,
)
from edge.core.routes import LATEST_US, Cell, ahead_of
from edge.core.sparkplug import (
    BD_SEQ,
    NAMESPACE,
    Metric,
    Payload,
    number_of,
    read_payload,
    rebirth,
)

_ASK_AGAIN_US = 10_000_000
_ASK_AT_LEAST_US = 320_000_000
_NODE_KINDS, _DEVICE_KINDS = ("NBIRTH", "NDEATH", "NDATA"), ("DBIRTH", "DDEATH", "DDATA")
_MODULUS = 256


class NotBorn(PayloadError):
    """Data of a node or device whose birth is not known: what its aliases mean is not either."""

    reason = "no-birth"


class Gap(PayloadError):
    """A message before this one was lost, or came in another order."""

    reason = "sequence"


class Repeated(PayloadError):
    """This message came before."""

    reason = "repeated"


class UnknownAlias(PayloadError):
    """The birth told of no such alias."""

    reason = "alias"


class StaleDeath(PayloadError):
    """The death of a connection that is not the node's present one."""

    reason = "stale-death"


class Order(NamedTuple):
    """A message that the edge sends."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """A signal that a metric feeds."""

    asset: str
    ahead_us: int
    cell: Cell


Wanted = dict[str, list[Target]]


@dataclass(slots=True)
class Source:
    """A node itself, or one of its devices: what is wanted of it, by the names of metrics, and
    what its birth said."""

    wanted: Wanted = field(default_factory=dict)
    born: bool = False
    aliases: dict[int, str | None] = field(default_factory=dict)
    types: dict[str, int | None] = field(default_factory=dict)

    def bear(self, metrics: Sequence[Metric]) -> None:
        """Learns what a birth says. Of a metric that nobody wants the alias alone is kept."""
        self.born = True
        self.aliases, self.types = {}, {}
        for metric in metrics:
            wanted = metric.name if metric.name in self.wanted else None
            if metric.alias is not None:
                self.aliases[metric.alias] = wanted
            if wanted is not None:
                self.types[wanted] = metric.datatype

    def name_of(self, metric: Metric) -> str | None:
        """Which wanted metric it is, if any. Raises UnknownAlias."""
        if metric.name:
            return metric.name if metric.name in self.wanted else None
        if metric.alias is None:
            return None
        if metric.alias not in self.aliases:
            raise UnknownAlias(f"the birth has no alias {metric.alias}")
        return self.aliases[metric.alias]

    def sensors(self) -> Iterator[Sensor]:
        """All that it feeds."""
        for targets in self.wanted.values():
            yield from ((target.asset, target.cell.column) for target in targets)


@dataclass(slots=True)
class Node:
    """One edge node. `seq` is that of its last message; while it `lacks` its birth it is asked for
    it, more and more seldom."""

    group: str
    name: str
    own: Source = field(default_factory=Source)
    devices: dict[str, Source] = field(default_factory=dict)
    seq: int = 0
    bd_seq: int | float | None = None
    lacks: bool = True
    _asked_us: int | None = None
    _patience_us: int = _ASK_AGAIN_US

    def topics(self) -> Iterator[str]:
        """What to subscribe to: all devices, since they share one sequence."""
        yield from (f"{NAMESPACE}/{self.group}/{kind}/{self.name}" for kind in _NODE_KINDS)
        yield from (f"{NAMESPACE}/{self.group}/{kind}/{self.name}/+" for kind in _DEVICE_KINDS)

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Those that feed something, each with where its data come."""
        if self.own.wanted:
            yield f"{NAMESPACE}/{self.group}/NDATA/{self.name}", self.own
        for name, device in self.devices.items():
            yield f"{NAMESPACE}/{self.group}/DDATA/{self.name}/{name}", device

    def order(self, now_us: int) -> Order | None:
        """A request for its births, where one is due."""
        due = self._asked_us is None or now_us - self._asked_us >= self._patience_us
        if not self.lacks or not due:
            return None
        if self._asked_us is not None:
            self._patience_us = min(2 * self._patience_us, _ASK_AT_LEAST_US)
        self._asked_us = now_us
        return Order(f"{NAMESPACE}/{self.group}/NCMD/{self.name}", rebirth(now_us))

    def miss(self) -> None:
        """It is there, and what it says cannot be read without a birth: it is asked soon."""
        self.lacks, self._patience_us = True, _ASK_AGAIN_US

    def doubt(self) -> None:
        """We may have missed its birth: it is asked for it, and believed until then."""
        if self.own.born or self.lacks:
            self.lacks, self._asked_us, self._patience_us = True, None, _ASK_AGAIN_US

    def bear(self, payload: Payload) -> None:
        """A birth of the node: all before it is over, and its devices are to be born again."""
        self.own.bear(payload.metrics)
        self.seq = payload.seq
        self.bd_seq = _bd_seq(payload)
        self.lacks, self._asked_us, self._patience_us = False, None, _ASK_AGAIN_US
        for device in self.devices.values():
            device.born = False

    def follow(self, seq: int) -> None:
        """Checks that a message comes next. After a gap nothing is believed before the next birth,
        which may be what was lost. Raises PayloadError."""
        if not self.own.born:
            self.miss()
            raise NotBorn(f"{self.name}: its birth is not known")
        if seq == self.seq:
            raise Repeated(f"{self.name}: the message {seq} came before")
        if seq != (self.seq + 1) % _MODULUS:
            self.own.born = False
            self.miss()
            raise Gap(f"{self.name}: expected {(self.seq + 1) % _MODULUS}, got {seq}")
        self.seq = seq

    def die(self, payload: Payload) -> list[Sensor]:
        """The end of its connection; whom it silences. Raises StaleDeath."""
        ended = _bd_seq(payload)
        if self.bd_seq is not None and ended is not None and ended != self.bd_seq:
            raise StaleDeath(f"{self.name}: connection {ended} ended, {self.bd_seq} is its last")
        self.own.born = self.lacks = False
        for device in self.devices.values():
            device.born = False
        return [sensor for _, source in self.sources() for sensor in source.sensors()]


def _bd_seq(payload: Payload) -> int | float | None:
    return next((metric.value for metric in payload.metrics if metric.name == BD_SEQ), None)


class Nodes:
    """All nodes that feed `assets`. Raises UnitError."""

    def __init__(self, assets: Mapping[str, SignalSet]) -> None:
        self._nodes: dict[tuple[str, str], Node] = {}
        for key, group in assets.items():
            for column, signal in enumerate(group.signals):
                if (place := signal.sparkplug_of(key)) is not None:
                    source = self._source(place.group, place.node, place.device)
                    factor, offset = conversion(signal.source_unit or signal.unit, signal.unit)
                    cell = Cell(column, signal.id, (), factor, offset)
                    target = Target(key, ahead_of(group), cell)
                    source.wanted.setdefault(place.metric, []).append(target)

    def _source(self, group: str, name: str, device: str | None) -> Source:
        node = self._nodes.setdefault((group, name), Node(group, name))
        return node.own if device is None else node.devices.setdefault(device, Source())

    def topics(self) -> list[str]:
        """The MQTT topics to subscribe to; a `+` at their end stands for any device."""
        return [topic for node in self._nodes.values() for topic in node.topics()]

    def sensors(self) -> dict[str, list[Sensor]]:
        """What each node or device feeds, by the topic of its data."""
        return {
            place: list(source.sensors())
            for node in self._nodes.values()
            for place, source in node.sources()
        }

    def connection_lost(self) -> None:
        """What was sent meanwhile with QoS 0, as Sparkplug has it, will not come. Mostly the
        sequence shows it; but a node that was born anew may have come to the number that is
        next."""
        for node in self._nodes.values():
            node.doubt()

    def orders(self, now_us: int) -> list[Order]:
        """What is to be sent now: requests for births that are not known."""
        return [one for node in self._nodes.values() if (one := node.order(now_us))]

    def read(self, topic: str, payload: bytes, arrival_us: int) -> Parsed:
        """The readings, and the silences, in one message. Raises nothing."""
        parsed = Parsed()
        try:
            node, kind, device = self._find(topic)
            self._apply(node, kind, device, read_payload(payload), arrival_us, parsed)
        except PayloadError as error:
            parsed.fail(error)
        return parsed

    def _find(self, topic: str) -> tuple[Node, str, str | None]:
        parts = topic.split("/")
        if len(parts) in (4, 5) and parts[0] == NAMESPACE:
            node = self._nodes.get((parts[1], parts[3]))
            kinds = _NODE_KINDS if len(parts) == 4 else _DEVICE_KINDS
            if node is not None and parts[2] in kinds:
                return node, parts[2], parts[4] if len(parts) == 5 else None
        raise UnknownTopic(f"no signal is fed by the topic {topic[:200]!r}")

    def _apply(
        self,
        node: Node,
        kind: str,
        device: str | None,
        payload: Payload,
        arrival_us: int,
        parsed: Parsed,
    ) -> None:
        if kind == "NDEATH":
            parsed.silenced += node.die(payload)
            return
        if kind == "NBIRTH":
            node.bear(payload)
        else:
            node.follow(payload.seq)
        # Of a device that feeds nothing only the sequence counts.
        source = node.own if device is None else node.devices.get(device, Source())
        if kind == "DDEATH":
            source.born = False
            parsed.silenced += source.sensors()
            return
        if kind == "DBIRTH":
            source.bear(payload.metrics)
        elif source.wanted and not source.born:
            node.miss()
            raise NotBorn(f"{device}: its birth is not known")
        if kind in ("NBIRTH", "DBIRTH"):
            # A metric may be born before it has a value.
            payload = replace(payload, metrics=[m for m in payload.metrics if not m.is_null])
        if source.wanted:
            _read(node, source, payload, arrival_us, parsed)


def _read(node: Node, source: Source, payload: Payload, arrival_us: int, parsed: Parsed) -> None:
    """The values of wanted metrics, gathered by asset and time."""
    found: dict[tuple[str, int], list[tuple[int, float]]] = {}
    told: set[tuple[str, int]] = set()
    for metric in payload.metrics:
        try:
            name = source.name_of(metric)
            if name is None:
                continue
            sent_ms = payload.time_ms if metric.time_ms is None else metric.time_ms
            datatype = metric.datatype or source.types.get(name)
            value = number_of(metric, datatype, name)
            for target in source.wanted[name]:
                time_us = _time_us(sent_ms, arrival_us, target.ahead_us)
                cell = target.cell
                place = target.asset, time_us
                found.setdefault(place, []).append((cell.column, value * cell.factor + cell.offset))
                if sent_ms is not None:
                    told.add(place)
        except UnknownAlias as error:
            node.miss()
            parsed.fail(error)
        except PayloadError as error:
            parsed.fail(error)
    for (asset, time_us), cells in found.items():
        clock = cells[0][0] if (asset, time_us) in told else None
        parsed.samples.append(Sample(asset, time_us, cells, clock))


def _time_us(sent_ms: int | None, arrival_us: int, ahead_us: int) -> int:
    if sent_ms is None:
        return arrival_us
    time_us = sent_ms * 1000
    if time_us >= LATEST_US:
        raise BadTime(f"expected milliseconds since 1970, got {sent_ms}")
    if time_us > arrival_us + ahead_us:
        raise FutureTime(f"{sent_ms} lies more than {ahead_us} us ahead of the clock")
    return time_us
