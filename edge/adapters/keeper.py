"""Brings notes to Kafka; while it does not answer, to the disk, and from there in their order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from broker.status import Figures
from contracts.errors import MessageTooLarge, SpoolError
from contracts.texts import NOTES
from edge.adapters.agent import now_us
from edge.adapters.shelf import RETRY_S, Shelf
from edge.core.backlog import Backlog, Chains, Note, Posted
from edge.core.batches import Place
from edge.ports import Post

LATE_S = 2.0
_LOOK_S = 0.25
_log = logging.getLogger(__name__)
Learn = Callable[[Mapping[str, Place]], None]


@dataclass(frozen=True, slots=True)
class Ways:
    """`live` carries what comes, `patient` what was on disk, so that neither waits for the other.
    What comes to Kafka `backfill_us` after its receipt is marked. What is on disk waits for the
    backlog `behind` which it stands."""

    live: Post
    patient: Post
    backfill_us: int
    behind: Backlog | None = None


class _Stranded(NamedTuple):
    """Notes that are on their way to Kafka for too long, and on disk too."""

    sending: asyncio.Future[None]
    posted: list[Posted]


class Keeper:
    """All that one kind of notes goes through. At most one note of an asset is written at a time.

    While something is late, all goes to the disk; what follows something on disk does so too.
    """

    def __init__(
        self,
        shelf: Shelf,
        ways: Ways,
        *,
        clock: Callable[[], int] = now_us,
        late_s: float = LATE_S,
    ) -> None:
        self.backlog = shelf.backlog
        self._shelf = shelf
        self._ways = ways
        self._clock = clock
        self._late_s = late_s
        self._late: set[asyncio.Future[None]] = set()
        self._stranded: deque[_Stranded] = deque()
        self._wake = asyncio.Event()
        self._asking: Awaitable[Mapping[str, Place]] | None = None
        self._learn: Learn = _nothing
        self._pressed: Callable[[], bool] = _never

    async def open(self) -> None:
        """Finds what an earlier edge left."""
        await self._shelf.open()

    def expect(self, asking: Awaitable[Mapping[str, Place]]) -> None:
        """Kafka is being asked where the streams stand."""
        self._asking = asking

    def serve(self, learn: Learn, pressed: Callable[[], bool]) -> None:
        """Whom to tell what Kafka answers, and who says that too many wait for it."""
        self._learn, self._pressed = learn, pressed

    def goes_live(self, asset: str) -> bool:
        """Whether a note of the asset may go straight to Kafka."""
        return self._shelf.chains is not None and not self._late and not self.backlog.holds(asset)

    async def write(self, notes: Sequence[Note]) -> frozenset[str]:
        """Returns once all are in Kafka, or on disk: the assets whose notes are on disk. Raises
        BrokerError when Kafka will never take one."""
        kept: set[str] = set()
        left = list(notes)
        while left:
            live, left = _split(left, self.goes_live)
            if live:
                kept |= await self._send(live)
            elif await self._keep(left):
                return frozenset(kept | {note.asset for note in left})
        return frozenset(kept)

    async def run(self) -> None:
        """Brings to Kafka what is on disk, until cancelled. Raises BrokerError."""
        places = await self._asking if self._asking is not None else {}
        await self._shelf.settle(places)
        self._learn(places)
        while True:
            await self._settle()
            await self._empty()
            await self._wake.wait()
            self._wake.clear()

    async def drain(self, patience_s: float) -> None:
        """What is on disk stays there for the next edge."""

    async def close(self) -> None:
        """Ends the disk's work. What is under way to Kafka is given up; it is on disk."""
        for sending in self._late:
            sending.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await self._shelf.close()

    def figures(self) -> Figures:
        """What the status says."""
        notes = []
        if self._late or self._shelf.chains is None:
            notes.append("kafka-away")
        elif self.backlog.messages:
            notes.append("draining")
        if self._shelf.faulty:
            notes.append("disk-refuses")
        told = tuple(NOTES[code]["en"] for code in notes)
        return Figures(spools={self._shelf.what: self._shelf.state()}, notes=told)

    @property
    def _chains(self) -> Chains:
        """Known once Kafka has answered, before which nothing is sent."""
        assert self._shelf.chains is not None
        return self._shelf.chains

    def _placed(self, notes: Sequence[Note]) -> list[Posted]:
        return self._chains.place(notes, self._clock(), self._ways.backfill_us)

    async def _send(self, notes: list[Note]) -> set[str]:
        posted = self._placed(notes)
        sending = asyncio.ensure_future(self._ways.live.post(posted))
        try:
            if not await self._in_time(sending) and await self._strand(sending, posted):
                return {note.asset for note in notes}
            sending.result()
        except asyncio.CancelledError:
            sending.cancel()
            raise
        finally:
            if sending.done():
                self._late.discard(sending)
                self._wake.set()
        self._chains.landed(posted)
        return set()

    async def _in_time(self, sending: asyncio.Future[None]) -> bool:
        waited_s = 0.0
        while waited_s < self._late_s and not sending.done():
            look_s = min(_LOOK_S, self._late_s)
            await asyncio.wait({sending}, timeout=look_s)
            waited_s += look_s
            if self._late or self._pressed():
                break
        return sending.done()

    async def _strand(self, sending: asyncio.Future[None], posted: list[Posted]) -> bool:
        """Kafka does not answer: whether these are on disk before it does."""
        if not self._late:
            _log.warning("Kafka does not answer: %s go to the disk", self._shelf.what)
        self._late.add(sending)
        while not sending.done():
            try:
                numbered = await self._shelf.put([one.note for one in posted])
            except SpoolError:
                await asyncio.wait({sending}, timeout=RETRY_S)
            else:
                self._shelf.pin(numbered)
                both = zip(numbered, posted, strict=True)
                again = [Posted(note, one.place) for note, one in both]
                self._stranded.append(_Stranded(sending, again))
                self._wake.set()
                return True
        return False

    async def _keep(self, notes: Sequence[Note]) -> bool:
        try:
            await self._shelf.put(notes)
        except SpoolError:
            await asyncio.sleep(RETRY_S)
            return False
        self._wake.set()
        return True

    async def _settle(self) -> None:
        """Waits for what was under way to Kafka when it ceased to answer."""
        while self._stranded:
            sending, posted = self._stranded[0]
            await self._finish(sending, posted)
            self._stranded.popleft()
            self._late.discard(sending)
            if not self._late:
                _log.info("Kafka answers again")

    async def _empty(self) -> None:
        """Sends what is on disk, until there is nothing more or Kafka ceases to answer."""
        behind = self._ways.behind
        while self.backlog.messages and not self._late and not self._stranded:
            if behind is not None and behind.messages:
                await asyncio.sleep(_LOOK_S)
            elif notes := await self._shelf.next():
                await self._post(notes)
            else:
                await asyncio.sleep(RETRY_S)

    async def _post(self, notes: Sequence[Note]) -> None:
        posted = self._placed(notes)
        try:
            await self._finish(self._ways.patient.post(posted), posted)
        except MessageTooLarge:
            for note in notes:
                await self._post([note])

    async def _finish(self, sending: Awaitable[None], posted: Sequence[Posted]) -> None:
        """Waits until Kafka has the notes, or will never have the only one. Raises MessageTooLarge
        when there are others."""
        notes = [one.note for one in posted]
        try:
            await sending
        except MessageTooLarge as error:
            if len(notes) > 1:
                raise
            _log.warning("%s: %s", self._shelf.what, error)
            await self._shelf.refused(notes)
        else:
            self._chains.landed(posted)
            await self._shelf.landed(notes)


def _nothing(places: Mapping[str, Place]) -> None:
    """Nobody wants to know."""


def _never() -> bool:
    return False


def _split(notes: Iterable[Note], wanted: Callable[[str], bool]) -> tuple[list[Note], list[Note]]:
    """The notes of the assets that are wanted, and the others."""
    yes: list[Note] = []
    no: list[Note] = []
    for note in notes:
        (yes if wanted(note.asset) else no).append(note)
    return yes, no
