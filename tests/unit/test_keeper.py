"""What goes by way of the disk: nothing lost, the chain exact, whenever the edge is killed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from contracts.errors import SpoolError, SpoolLost
from contracts.headers import NO_TIME
from contracts.texts import NOTES, note_text
from edge.adapters.keeper import Keeper, Ways
from edge.adapters.shelf import Shelf
from edge.core.backlog import DAMAGED, IN_KAFKA, LETTER, SPOOL_FULL, Backlog, Note, Posted
from tests.conformance.memory_spool import MemoryKafka, MemorySpool

ASSETS = ("s/a", "s/b", "s/c")
S = 1_000_000


def note(asset: str, number: int, size: int = 10) -> Note:
    value = f"{asset}:{number}".encode().ljust(size)
    return Note(asset, number * S, number * S, number * S, 1, value)


class Life:
    """One edge, until it is killed. Rows are written one after the other, each asset for itself."""

    def __init__(
        self,
        kafka: MemoryKafka,
        spool: MemorySpool,
        limit: int = 10**6,
        behind: Backlog | None = None,
        drops: bool = False,
        late_s: float = 0.001,
    ) -> None:
        self.kafka, self.backlog = kafka, Backlog(limit)
        shelf = Shelf(self.backlog, spool, "readings", drops=drops)
        ways = Ways(kafka, kafka, 30 * S, behind)
        self.now_us = 0
        self.keeper = Keeper(shelf, ways, clock=lambda: self.now_us, late_s=late_s)
        self.kept = 0

    async def begin(self) -> None:
        await self.keeper.open()
        self.keeper.expect(asyncio.ensure_future(self.kafka.places()))

    async def write(self, one: Note) -> None:
        if await self.keeper.write([one]):
            self.backlog.took(one.units)
            self.kept += one.units

    @property
    def balanced(self) -> bool:
        b = self.backlog
        taken = b.taken_in + self.kept
        return taken == b.gone_out + b.held + sum(b.dropped.values()) and b.held >= 0


@asynccontextmanager
async def living(kafka: MemoryKafka, spool: MemorySpool, **more: object) -> AsyncIterator[Life]:
    life = Life(kafka, spool, **more)  # type: ignore[arg-type]
    await life.begin()
    task = asyncio.create_task(life.keeper.run())
    try:
        yield life
    finally:
        task.cancel()
        await asyncio.wait([task])
        await life.keeper.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


def check_chain(posted: list[Posted]) -> None:
    """Sequence, watermark and largest time follow each other."""
    newest, mark = NO_TIME, NO_TIME
    for sequence, one in enumerate(posted):
        position = one.position
        assert (position.sequence, position.wm_before_us) == (sequence, mark)
        assert position.max_before_us == newest
        newest, mark = max(newest, one.note.newest_us), position.wm_after_us


class Plant:
    """Devices that send again what was not acknowledged, over lives of an edge."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kafka, self.spool = MemoryKafka(), MemorySpool()
        self.safe = dict.fromkeys(ASSETS, 0)
        self.open_at_kill: set[bytes] = set()

    async def live(self, steps: int) -> None:
        """An edge lives for so many steps of the event loop, then everything of it is gone."""
        life = Life(self.kafka, self.spool, late_s=self.random.choice([0.0, 0.001]))
        await life.begin()
        tasks = [asyncio.create_task(life.keeper.run())]
        tasks += [asyncio.create_task(self._send(life, asset)) for asset in ASSETS]
        for _ in range(steps):
            await asyncio.sleep(0 if self.random.random() < 0.9 else 0.001)
            if self.random.random() < 0.05:
                (self.kafka.open.clear if self.kafka.open.is_set() else self.kafka.open.set)()
        assert life.balanced
        for task in (*tasks, *life.keeper._late):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.open_at_kill |= {note(a, n + 1).value for a, n in self.safe.items()}

    async def _send(self, life: Life, asset: str) -> None:
        while True:
            await life.write(note(asset, self.safe[asset] + 1))
            self.safe[asset] += 1
            if self.random.random() < 0.3:
                await asyncio.sleep(0)

    async def end(self) -> None:
        """A last life, in which all that is on disk comes to Kafka."""
        self.kafka.open.set()
        async with living(self.kafka, self.spool) as life:
            # Counted first, then taken off the disk.
            await until(lambda: not (life.backlog.messages or self.spool.notes))
        assert self.spool.based == {}


@pytest.mark.parametrize("seed", range(60))
async def test_killed_at_any_moment_nothing_is_lost_and_the_chain_is_exact(seed: int) -> None:
    plant = Plant(seed)
    for _ in range(6):
        await plant.live(plant.random.randrange(1, 120))
    await plant.end()
    for asset in ASSETS:
        posted = plant.kafka.of(asset)
        check_chain(posted)
        values = [one.note.value for one in posted]
        assert set(values) >= {note(asset, n).value for n in range(1, plant.safe[asset] + 1)}
        assert values == sorted(values, key=lambda value: int(value.split(b":")[1]))
        # Only what was not acknowledged when the edge was killed came twice.
        twice = {value for value in values if values.count(value) > 1}
        assert twice <= plant.open_at_kill


async def test_what_follows_something_on_disk_goes_there_and_others_do_not_wait() -> None:
    kafka, spool = MemoryKafka(), MemorySpool()
    async with living(kafka, spool) as life:
        await until(lambda: life.keeper.goes_live("s/a"))
        kafka.open.clear()
        await life.write(note("s/a", 1))
        await life.write(note("s/a", 2))
        assert (life.backlog.messages, life.kept, kafka.log) == (2, 2, [])
        assert life.keeper.figures().notes == (NOTES["kafka-away"]["en"],)
        assert spool.based == {"s/a": 0}
        kafka.open.set()
        await until(lambda: life.backlog.messages == 0)
        await life.write(note("s/b", 1))
        assert [one.note.value for one in kafka.of("s/a")] == [b"s/a:1     ", b"s/a:2     "]
        assert life.keeper.figures().notes == ()
        assert (life.kept, life.backlog.gone_out) == (2, 2)


async def test_what_comes_late_is_marked_and_nothing_else() -> None:
    kafka, spool = MemoryKafka(), MemorySpool()
    async with living(kafka, spool) as life:
        kafka.open.clear()
        for number in (1, 40):
            await life.write(note("s/a", number))
        life.now_us = 60 * S
        kafka.open.set()
        await until(lambda: life.backlog.messages == 0)
        await life.write(note("s/a", 60))
        # The first one was on its way already when nothing was late.
        assert [one.position.backfill for one in kafka.log] in ([False] * 3, [True, False, False])


async def test_another_edge_wrote_meanwhile_and_nothing_is_taken_for_there() -> None:
    kafka, spool = MemoryKafka(), MemorySpool()
    kafka.open.clear()
    async with living(kafka, spool) as life:
        await life.write(note("s/a", 1))
    spool.based["s/a"] = 0
    kafka.open.set()
    async with living(kafka, MemorySpool()) as other:
        await until(lambda: other.keeper.goes_live("s/a"))
        await other.write(note("s/a", 7))
    async with living(kafka, spool) as life:
        await until(lambda: life.backlog.messages == 0)
        assert life.backlog.dropped == {}
    assert [one.note.value.strip() for one in kafka.log] == [b"s/a:7", b"s/a:1"]
    check_chain(kafka.log)


async def test_what_kafka_has_already_is_not_sent_again() -> None:
    kafka, spool = MemoryKafka(), MemorySpool()
    async with living(kafka, spool) as life:
        await until(lambda: life.keeper.goes_live("s/a"))
        await life.write(note("s/a", 1))
    spool.notes = {n: replace(note("s/a", n), number=n) for n in (1, 2)}
    spool.based = {"s/a": 0}
    async with living(kafka, spool) as life:
        await until(lambda: life.backlog.messages == 0)
        assert (life.backlog.dropped, life.backlog.gone_out) == ({IN_KAFKA: 1}, 1)
    assert [one.note.value.strip() for one in kafka.log] == [b"s/a:1", b"s/a:2"]


async def test_a_disk_that_refuses_makes_the_writer_wait_and_recovers() -> None:
    kafka, spool = MemoryKafka(), MemorySpool()
    async with living(kafka, spool) as life:
        kafka.open.clear()
        spool.fault = SpoolError("no space left")
        writing = asyncio.create_task(life.write(note("s/a", 1)))
        await until(lambda: NOTES["disk-refuses"]["en"] in life.keeper.figures().notes)
        assert not writing.done()
        spool.fault = None
        await writing
        assert life.backlog.messages == 1
        assert NOTES["disk-refuses"]["en"] not in life.keeper.figures().notes
        spool.fault = SpoolError("no space left")
        kafka.open.set()
        await until(lambda: life.backlog.messages == 0)
        await life.write(note("s/a", 2))
        spool.fault = None
    # It could not be taken off the disk, nor could its place be noted there: an edge that is
    # killed now sends it again, at a place of its own, where readers drop it.
    async with living(kafka, spool) as life:
        await until(lambda: life.backlog.messages == 0 and not spool.notes)
    assert [one.note.value.strip() for one in kafka.log] == [b"s/a:1", b"s/a:2", b"s/a:1"]
    check_chain(kafka.log)


async def test_where_the_share_is_full_readings_wait_and_frames_go_oldest_first() -> None:
    for drops in (False, True):
        kafka, spool = MemoryKafka(), MemorySpool()
        kafka.open.clear()
        size = note("s/a", 1).size
        async with living(kafka, spool, limit=3 * size, drops=drops) as life:
            for number in (1, 2, 3):
                await life.write(note("s/a", number))
            fourth = asyncio.create_task(life.write(note("s/a", 4)))
            await asyncio.sleep(0.05)
            assert fourth.done() == drops
            assert life.backlog.dropped == ({SPOOL_FULL: 1} if drops else {})
            assert life.balanced
            kafka.open.set()
            await fourth
            await until(lambda: life.backlog.messages == 0)
        first = 2 if drops else 1
        values = [one.note.value.strip() for one in kafka.log]
        assert values == [f"s/a:{number}".encode() for number in range(first, 5)]
        check_chain(kafka.log)


async def test_frames_wait_for_the_backlog_of_readings() -> None:
    kafka, spool = MemoryKafka(), MemorySpool()
    readings = Backlog(10**6)
    readings.kept(readings.numbered([note("s/z", 1)]), {})
    kafka.open.clear()
    async with living(kafka, spool, behind=readings) as life:
        await life.write(note("s/a", 1))
        kafka.open.set()
        await asyncio.sleep(0.1)
        assert kafka.log == []
        readings.lost()
        await until(lambda: len(kafka.log) == 1)


async def test_what_is_lost_with_the_disk_is_counted() -> None:
    kafka, spool = MemoryKafka(), MemorySpool()
    kafka.open.clear()
    async with living(kafka, spool) as life:
        await life.write(note("s/a", 1))
        spool.fault = SpoolLost("not a database")
        waiting = asyncio.create_task(life.write(note("s/a", 2)))
        await until(lambda: life.backlog.dropped[DAMAGED] == 1)
        spool.fault = None
        kafka.open.set()
        await waiting
        await until(lambda: len(kafka.log) == 1)
        assert life.balanced


async def test_a_message_that_kafka_never_takes_holds_up_none() -> None:
    kafka, spool = MemoryKafka(), MemorySpool()
    kafka.open.clear()
    async with living(kafka, spool) as life:
        for number in (1, 2, 3):
            await life.write(note("s/a", number))
        await life.write(note(LETTER, 1))
        kafka.too_large = note("s/a", 2).value
        kafka.open.set()
        await until(lambda: life.backlog.messages == 0)
        assert life.backlog.dropped == {"refused": 1}
    assert [one.note.value.strip() for one in kafka.of("s/a")] == [b"s/a:1", b"s/a:3"]
    check_chain(kafka.of("s/a"))


def test_notes_are_told_in_spanish_too() -> None:
    assert note_text(NOTES["draining"]["en"], "es") == NOTES["draining"]["es"]
    assert note_text("of a later version", "es") == "of a later version"
