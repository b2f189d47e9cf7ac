"""What waits on disk between the edge and Kafka: how much, whose, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from contracts.readings import Position
from edge.core.batches import Place, follow

IN_KAFKA, DAMAGED, SPOOL_FULL = "already-in-kafka", "spool-damaged", "spool-full"
LETTER = ""
"""In place of an asset: a dead letter, which has no position."""
_OVERHEAD_BYTES = 100


@dataclass(frozen=True, slots=True)
class Note:
    """A message for Kafka without its position, which follows from the one before it once that is
    known: `wm_us` is the watermark that it states, `newest_us` its largest event time, `units`
    the readings or frames in it. `head` has what is peculiar to its kind. On disk it is found by
    `number`: those of an asset are sent in the order of their numbers."""

    asset: str
    wm_us: int
    newest_us: int
    received_us: int
    units: int
    value: bytes
    head: bytes = b""
    number: int = 0

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return len(self.value) + len(self.head) + _OVERHEAD_BYTES

    @property
    def entry(self) -> Entry:
        """It without its bytes."""
        return Entry(self.number, self.asset, self.units, self.size, self.received_us)


class Entry(NamedTuple):
    """What must be known of a note on disk without its bytes."""

    number: int
    asset: str
    units: int
    size: int
    received_us: int


class Posted(NamedTuple):
    """A note at its position; with it the asset's stream stands at `place`."""

    note: Note
    place: Place

    @property
    def position(self) -> Position:
        """Where it goes."""
        return self.place.position


class Chains:
    """Where the stream of each asset stands in Kafka, as far as this edge knows."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = dict(places)

    def next_sequence(self, asset: str) -> int:
        """The number of the asset's next message."""
        place = self._places.get(asset)
        return 0 if place is None else place.position.sequence + 1

    def place(self, notes: Iterable[Note], now_us: int, backfill_us: int) -> list[Posted]:
        """The notes at the positions that follow each other from what Kafka has on. What was
        received more than `backfill_us` before is marked."""
        ahead: dict[str, Place] = {}
        posted = []
        for note in notes:
            before = ahead.get(note.asset) or self._places.get(note.asset)
            position = follow(before, note.wm_us, note.received_us)
            if now_us - note.received_us > backfill_us:
                position = replace(position, backfill=True)
            newest_us = note.newest_us if before is None else max(before.newest_us, note.newest_us)
            ahead[note.asset] = Place(position, newest_us)
            posted.append(Posted(note, ahead[note.asset]))
        return posted

    def landed(self, posted: Iterable[Posted]) -> None:
        """Kafka has these."""
        self._places.update((one.note.asset, one.place) for one in posted)


@dataclass(slots=True)
class Backlog:
    """The index of one spool of `limit_bytes`. `taken_in`, `gone_out`, `held` and `dropped` are
    the books of units; an edge that starts takes in what it finds.

    `bases` has for each asset the sequence number of its first note on disk: what is sent and
    taken off the disk together moves it. So an edge that starts again knows how many of its notes
    Kafka has, though the last ones that came there are still on disk. There is none while
    it is not known where the asset stands.
    """

    limit_bytes: int
    bytes: int = 0
    messages: int = 0
    oldest_us: int | None = None
    taken_in: int = 0
    gone_out: int = 0
    held: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    bases: dict[str, int] = field(default_factory=dict)
    _waiting: Counter[str] = field(default_factory=Counter)
    _last: int = 0
    _lost_to: int = 0

    def holds(self, asset: str) -> bool:
        """Whether something of the asset is on disk, behind which all else must go."""
        return asset in self._waiting

    @property
    def assets(self) -> tuple[str, ...]:
        """Those that have something on disk."""
        return tuple(asset for asset in self._waiting if asset != LETTER)

    def room(self, size: int) -> bool:
        """Whether so many bytes more may be kept."""
        return self.bytes + size <= self.limit_bytes

    def found(self, entries: Iterable[Entry], bases: Mapping[str, int]) -> None:
        """An earlier edge left these on disk."""
        self.bases.update(bases)
        for one in entries:
            self._put(one)
            self.taken_in += one.units
            self.held += one.units
            self._last = max(self._last, one.number)

    def numbered(self, notes: Iterable[Note]) -> list[Note]:
        """The notes with the numbers that they will have on disk."""
        given = []
        for note in notes:
            self._last += 1
            given.append(replace(note, number=self._last))
        return given

    def new_bases(self, notes: Iterable[Note], chains: Chains | None) -> dict[str, int]:
        """The bases of the assets among these that have nothing on disk yet."""
        if chains is None:
            return {}
        fresh = {note.asset for note in notes} - self._waiting.keys() - {LETTER}
        return {asset: chains.next_sequence(asset) for asset in fresh}

    def kept(self, notes: Iterable[Note], bases: Mapping[str, int]) -> None:
        """These are on disk. Their units are told by `took`, by whoever held them until then."""
        self.bases.update(bases)
        for note in notes:
            self._put(note)

    def took(self, units: int) -> None:
        """So many units are no longer held elsewhere, but here."""
        self.held += units

    def landed(self, notes: Sequence[Note]) -> None:
        """Kafka has these, the first ones of their assets."""
        notes = [note for note in notes if note.number > self._lost_to]
        for note in notes:
            if note.asset in self.bases:
                self.bases[note.asset] += 1
            self.gone_out += note.units
        self._take(notes)

    def drop(self, entries: Sequence[Entry | Note], reason: str) -> None:
        """These are sent nowhere."""
        entries = [one for one in entries if one.number > self._lost_to]
        if units := sum(one.units for one in entries):
            self.dropped[reason] += units
        self._take(entries)

    def lost(self) -> None:
        """The disk cannot give back what it had. What is under way to Kafka is not known here any
        more, and counts as lost."""
        self._lost_to = self._last
        self.dropped[DAMAGED] += self.held
        self.held = self.bytes = self.messages = 0
        self.oldest_us = None
        self._waiting.clear()
        self.bases.clear()

    def maybe_there(self, places: Mapping[str, Place]) -> dict[str, int]:
        """By asset, how many of its first notes Kafka has by their numbers."""
        found = {}
        for asset, base in self.bases.items():
            place = places.get(asset)
            count = 0 if place is None else place.position.sequence - base + 1
            if 0 < count <= self._waiting[asset]:
                found[asset] = count
        return found

    def settle(
        self, firsts: Mapping[str, Sequence[Entry]], places: Mapping[str, Place]
    ) -> list[Entry]:
        """Kafka answers: the notes that it has already, of the first ones of each asset that
        `maybe_there` told; and the bases as they are now. Where the last of them is not what
        Kafka has last, another edge wrote there: then all are sent."""
        there: list[Entry] = []
        for asset, entries in firsts.items():
            if entries[-1].received_us == places[asset].position.received_us:
                there += entries
        self.drop(there, IN_KAFKA)
        chains = Chains(places)
        self.bases = {asset: chains.next_sequence(asset) for asset in self.assets}
        return there

    def _put(self, one: Entry | Note) -> None:
        self._waiting[one.asset] += 1
        self.messages += 1
        self.bytes += one.size
        if self.oldest_us is None:
            self.oldest_us = one.received_us

    def _take(self, some: Sequence[Entry | Note]) -> None:
        for one in some:
            self._waiting[one.asset] -= 1
            if not self._waiting[one.asset]:
                del self._waiting[one.asset]
                self.bases.pop(one.asset, None)
            self.held -= one.units
            self.bytes -= one.size
            self.messages -= 1
            self.oldest_us = one.received_us
        if not self.messages:
            self.oldest_us = None
