"""One kind of notes on disk, with their index: what is said of the disk is said here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from contracts.errors import SpoolError, SpoolLost
from contracts.messages import SpoolState
from edge.core.backlog import SPOOL_FULL, Backlog, Chains, Entry, Note
from edge.core.batches import Place
from edge.ports import Spool

RETRY_S = 1.0
CHUNK_BYTES = 400_000
_HEADS = 5_000
_log = logging.getLogger(__name__)


class Shelf:
    """`what` names its notes in the log and the status. Where they may not have more room,
    `drops` says whether the oldest go; else nothing is taken."""

    def __init__(self, backlog: Backlog, spool: Spool, what: str, *, drops: bool = False) -> None:
        self.backlog = backlog
        self.what = what
        self._spool = spool
        self._drops = drops
        self.chains: Chains | None = None
        # What Kafka has, and a disk that refuses all change has still.
        self._undone: list[Entry] = []
        self._under_way: set[int] = set()
        # One change at a time, from what it is made of to its end.
        self._turn = asyncio.Lock()
        self._read_to = 0
        self._fault = ""

    @property
    def faulty(self) -> bool:
        """Whether the disk refused what was asked last."""
        return bool(self._fault)

    def state(self) -> SpoolState:
        """What the status says."""
        backlog = self.backlog
        return SpoolState(
            messages=backlog.messages,
            bytes=backlog.bytes,
            limit_bytes=backlog.limit_bytes,
            oldest_us=backlog.oldest_us,
        )

    async def open(self) -> None:
        """Finds what an earlier edge left. A disk that cannot be used is said; no error."""
        try:
            bases = await self._spool.bases()
            after = 0
            while entries := await self._spool.heads(after, _HEADS):
                self.backlog.found(entries, bases)
                after = entries[-1].number
        except SpoolError as error:
            self.backlog.lost()
            if not isinstance(error, SpoolLost):
                self._spool.leave()
            self._broken(error)
        if self.backlog.messages:
            _log.info("%s: %d messages on disk", self.what, self.backlog.messages)

    async def settle(self, places: Mapping[str, Place]) -> None:
        """Kafka says where the streams of all assets stand: what it has already leaves the disk."""
        firsts = await self._firsts(self.backlog.maybe_there(places))
        async with self._turn:
            self._undone += self.backlog.settle(firsts, places)
            self.chains = Chains(places)
            with self._complained():
                await self._change(self.backlog.bases)

    async def put(self, notes: Sequence[Note]) -> list[Note]:
        """Returns once the notes are on disk, with their numbers. Raises SpoolError when none of
        them is; it is said."""
        async with self._turn:
            try:
                gone = await self._gone_for(sum(note.size for note in notes))
                numbered = self.backlog.numbered(notes)
                bases = self.backlog.new_bases(notes, self.chains)
                await self._change(bases, numbered, gone)
            except SpoolError as error:
                self._broken(error)
                raise
            self.backlog.kept(numbered, bases)
            self.backlog.drop(gone, SPOOL_FULL)
        return numbered

    async def next(self) -> list[Note]:
        """The notes to send now, up to the first one that is under way; none where the disk
        refuses."""
        notes: list[Note] = []
        async with self._turn:
            with self._complained():
                notes = await self._spool.read(self._read_to, CHUNK_BYTES)
            below = min(self._under_way, default=2**63)
            notes = [note for note in notes if note.number < below]
            if notes:
                self._read_to = notes[-1].number
            undone = {one.number for one in self._undone}
        return [note for note in notes if note.number not in undone]

    async def landed(self, notes: Sequence[Note]) -> None:
        """Kafka has these: they leave the disk."""
        await self._remove(notes, lambda: self.backlog.landed(notes))

    async def refused(self, notes: Sequence[Note]) -> None:
        """Kafka will never take these."""
        await self._remove(notes, lambda: self.backlog.drop(notes, "refused"))

    def pin(self, notes: Sequence[Note]) -> None:
        """These are under way to Kafka already: they are neither sent nor dropped."""
        self._under_way.update(note.number for note in notes)

    async def close(self) -> None:
        """Ends the disk's work."""
        await self._spool.close()

    async def _firsts(self, wanted: Mapping[str, int]) -> dict[str, list[Entry]]:
        """The first notes on disk of each asset, as many as are wanted."""
        firsts: dict[str, list[Entry]] = {asset: [] for asset in wanted}
        missing, after = sum(wanted.values()), 0
        while missing and (entries := await self._heads(after)):
            after = entries[-1].number
            for one in entries:
                if len(firsts.get(one.asset, ())) < wanted.get(one.asset, 0):
                    firsts[one.asset].append(one)
                    missing -= 1
        return {} if missing else firsts

    async def _heads(self, after: int) -> list[Entry]:
        while True:
            try:
                return await self._spool.heads(after, _HEADS)
            except SpoolError as error:
                self._broken(error)
                if isinstance(error, SpoolLost):
                    return []
                await asyncio.sleep(RETRY_S)

    async def _gone_for(self, size: int) -> list[Entry]:
        """The oldest notes, without which there is room. Raises SpoolError where none may go."""
        missing = self.backlog.bytes + size - self.backlog.limit_bytes
        gone: list[Entry] = []
        if missing > 0 and self._drops:
            past = self._under_way | {one.number for one in self._undone}
            for one in await self._spool.heads(self._read_to, _HEADS):
                if missing > 0 and one.number not in past:
                    gone.append(one)
                    missing -= one.size
        if missing > 0:
            raise SpoolError(f"the share of {self.what} is full")
        return gone

    async def _change(
        self, bases: Mapping[str, int], add: Sequence[Note] = (), drop: Sequence[Entry] = ()
    ) -> None:
        """Changes what is on disk, and takes off it what Kafka has. Raises SpoolError."""
        undone = list(self._undone)
        told = {one.asset: self.backlog.bases.get(one.asset) for one in undone}
        numbers = [one.number for one in (*drop, *undone)]
        await self._spool.change(add, numbers, {**told, **bases})
        del self._undone[: len(undone)]
        if self._fault:
            self._fault = ""
            _log.info("the disk takes %s again", self.what)

    async def _remove(self, notes: Sequence[Note], count: Callable[[], None]) -> None:
        async with self._turn:
            count()
            self._undone += [note.entry for note in notes]
            self._under_way.difference_update(note.number for note in notes)
            # A disk that is full gives them up with a later change.
            with self._complained():
                await self._change({})
                if not self.backlog.messages:
                    await self._spool.shrink()
                    _log.info("%s: nothing is on disk any more", self.what)

    @contextlib.contextmanager
    def _complained(self) -> Iterator[None]:
        """Says what the disk refuses, and goes on."""
        try:
            yield
        except SpoolError as error:
            self._broken(error)

    def _broken(self, error: SpoolError) -> None:
        if isinstance(error, SpoolLost):
            self.backlog.lost()
            self._undone.clear()
        if str(error) != self._fault:
            self._fault = str(error)
            _log.warning("%s are not kept on disk: %s", self.what, error)
