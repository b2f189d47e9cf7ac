"""The windower against a naive oracle: random out-of-order, late, gapped and silent streams,
cut anyhow, and re-read after crashes from what the ledger would have committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.headers import NO_TIME
from contracts.readings import Column, Position, Quality, ReadingBatch
from stream.core.ledger import Ledger
from stream.core.windower import MAX_WINDOWS, NONE_OPEN, Chunk, Windower
from stream.core.windows import WindowBlock, WindowSpec

ASSETS = [f"s/a{number}" for number in range(4)]
SEEDS = st.integers(0, 2**32 - 1)
Row = tuple[int, int]
Window = tuple[tuple[str, WindowSpec, int], tuple[Row, ...]]


@dataclass(frozen=True)
class Message:
    asset: str
    rows: tuple[Row, ...]
    position: Position

    def batch(self) -> ReadingBatch:
        times = np.array([t for t, _ in self.rows], np.int64)
        values = np.array([[float(x)] for _, x in self.rows]).reshape(len(times), 1)
        quality = np.zeros((len(times), 1), np.uint8)
        return ReadingBatch(self.asset, self.position, (Column("x"),), times, values, quality)


@dataclass
class Edge:
    """Writes messages as the edge does: positions that chain, a watermark that never goes back."""

    asset: str
    position: Position = field(default_factory=lambda: Position(0))
    newest: int = NO_TIME

    def write(self, rows: list[Row], watermark: int) -> Message:
        here = Position(
            self.position.sequence,
            self.position.wm_after_us,
            max(watermark, self.position.wm_after_us),
            max(self.position.max_before_us, self.newest),
            self.position.sequence,
        )
        self.position = Position(
            here.sequence + 1, here.wm_after_us, here.wm_after_us, here.max_before_us
        )
        self.newest = max([t for t, _ in rows], default=NO_TIME)
        return Message(self.asset, tuple(rows), here)


specs = st.builds(
    lambda hop, more, lateness: WindowSpec(hop + more, hop, lateness),
    st.integers(1, 12),
    st.one_of(st.just(0), st.integers(0, 40)),
    st.one_of(st.just(0), st.integers(0, 15)),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Message]:
    """One partition's log: up to four assets, with gaps, silence, late and repeated rows."""
    seed = draw(st.integers(0, 2**32 - 1))
    r = np.random.default_rng(seed)
    assets = [Edge(f"s/a{i}") for i in range(draw(st.integers(1, 4)))]
    clock = {edge.asset: int(r.integers(0, 60)) for edge in assets}
    behind: dict[str, list[Row]] = {edge.asset: [] for edge in assets}
    disorder = draw(st.integers(0, 10))
    messages = []
    for _ in range(draw(st.integers(1, 60))):
        edge = assets[int(r.integers(len(assets)))]
        rows: list[Row] = []
        late = behind[edge.asset]
        if r.random() < 0.07:
            clock[edge.asset] += int(r.integers(20, 200))
        for _ in range(0 if r.random() < 0.12 else int(r.integers(1, 12))):
            clock[edge.asset] += int(r.choice((0, 1, 1, 1, 2, 3)))
            row = (clock[edge.asset], int(r.integers(0, 99)))
            (late if r.random() < 0.15 else rows).append(row)
        if late and r.random() < 0.4:
            rows += late
            late.clear()
        r.shuffle(rows)
        rows = [(int(t), int(x)) for t, x in rows]
        newest = max([edge.newest, edge.position.max_before_us, *(t for t, _ in rows)])
        silent = clock[edge.asset] + 5 if r.random() < 0.05 else NO_TIME
        watermark = max(newest - disorder + 1, silent) if newest != NO_TIME else NO_TIME
        messages.append(edge.write(rows, watermark))
    return messages


def oracle(log: list[Message], spec: WindowSpec) -> dict[tuple[str, WindowSpec, int], Any]:
    """Every final window with its rows, in the plainest way."""
    windows: dict[tuple[str, WindowSpec, int], dict[int, int]] = {}
    final = {}
    for message in log:
        for t, x in message.rows:
            for start in range((t // spec.hop_us) * spec.hop_us, t - spec.width_us, -spec.hop_us):
                end = start + spec.width_us + spec.lateness_us
                if end > message.position.wm_before_us:
                    windows.setdefault((message.asset, spec, start), {}).setdefault(t, x)
        for key, rows in list(windows.items()):
            end = key[2] + spec.width_us + spec.lateness_us
            if key[0] == message.asset and end <= message.position.wm_after_us:
                final[key] = tuple(sorted(rows.items()))
                del windows[key]
    return final


@dataclass
class Worker:
    """What a stream worker keeps for one partition."""

    specs: list[WindowSpec]
    windowers: list[Windower] = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    dropped: Counter[str] = field(default_factory=Counter)
    taken_in: int = 0

    def __post_init__(self) -> None:
        self.windowers = [Windower(spec, ("x",), ASSETS) for spec in self.specs]

    def feed(self, offset: int, *messages: Message) -> list[Window]:
        """Takes messages together; the first lies at `offset`."""
        chunk, found = Chunk.of([message.batch() for message in messages]), []
        for windower in self.windowers:
            for closed in windower.feed(chunk, self.dropped):
                found += unpack(windower.spec, closed.block)
        for at, message in enumerate(messages, offset):
            newest = message.batch().newest_us if message.rows else None
            self.ledger.read(at, message.asset, newest)
            self.taken_in += len(message.rows)
        for asset in {message.asset for message in messages}:
            earliest = min(int(w.earliest_us([asset])[0]) for w in self.windowers)
            self.ledger.release(asset, None if earliest == NONE_OPEN else earliest)
        return found


def together(log: list[Message], seed: int) -> Iterator[tuple[int, list[Message]]]:
    """The log in runs of any length, each with its first offset."""
    r, at = np.random.default_rng(seed), 0
    while at < len(log):
        size = int(r.choice((1, 1, 2, 3, 8, 50)))
        yield at, log[at : at + size]
        at += size


def unpack(spec: WindowSpec, block: Any) -> list[Window]:
    found = []
    for i, start in enumerate(block.starts_us):
        here = block.present[i]
        rows = zip(block.times_us[i][here], block.values[i, :, 0][here], strict=True)
        found.append(
            ((block.assets[i], spec, int(start)), tuple((int(t), int(x)) for t, x in rows))
        )
    return found


@given(logs(), st.lists(specs, min_size=1, max_size=2, unique=True), SEEDS)
@settings(max_examples=2000, deadline=None)
def test_equals_the_oracle(log: list[Message], wanted: list[WindowSpec], seed: int) -> None:
    """However many messages are taken together, from one to all."""
    worker = Worker(wanted)
    found = [window for at, some in together(log, seed) for window in worker.feed(at, *some)]
    expected = {k: v for spec in wanted for k, v in oracle(log, spec).items()}
    assert dict(found) == expected
    assert len(found) == len(expected), "a window closed twice"
    opened = sum(w.opened_total for w in worker.windowers)
    still_open = sum(w.open_windows for w in worker.windowers)
    assert opened == len(found) + still_open


@given(logs(), specs, SEEDS)
@settings(max_examples=2000, deadline=None)
def test_crashes_change_nothing(log: list[Message], spec: WindowSpec, seed: int) -> None:
    r = np.random.default_rng(seed)
    worker, at, committed, crashes = Worker([spec]), 0, 0, 0
    found: dict[tuple[str, WindowSpec, int], tuple[Row, ...]] = {}
    while at < len(log):
        some = log[at : at + int(r.choice((1, 1, 3, 10)))]
        for key, rows in worker.feed(at, *some):
            assert found.setdefault(key, rows) == rows, "decided twice differently"
        at += len(some)
        head = worker.ledger.head
        assert head is not None and committed <= head <= at
        if r.random() < 0.3:
            committed = head
        if r.random() < 0.1 and crashes < 8:
            worker, at, crashes = Worker([spec]), committed, crashes + 1
    assert found == oracle(log, spec)


@given(logs(), specs, st.integers(1, 4))
@settings(max_examples=500, deadline=None)
def test_cut_into_other_batches(log: list[Message], spec: WindowSpec, size: int) -> None:
    """The same rows in smaller batches, the watermark moving where it moved: the same windows."""
    smaller: list[Message] = []
    for message in log:
        parts = [message.rows[i : i + size] for i in range(0, len(message.rows), size)] or [()]
        newest = message.position.max_before_us
        for number, part in enumerate(parts):
            before, last = message.position.wm_before_us, number == len(parts) - 1
            after = message.position.wm_after_us if last else before
            smaller.append(Message(message.asset, part, Position(0, before, after, newest)))
            newest = max([newest, *(t for t, _ in part)])
    worker = Worker([spec])
    found = [window for at, message in enumerate(smaller) for window in worker.feed(at, message)]
    assert dict(found) == oracle(log, spec)


@given(logs(), specs, SEEDS)
@settings(max_examples=300, deadline=None)
def test_every_row_is_accounted_for(log: list[Message], spec: WindowSpec, seed: int) -> None:
    worker = Worker([spec])
    for at, some in together(log, seed):
        worker.feed(at, *some)
    held = sum(w.rows_held for w in worker.windowers)
    released = sum(w.released_total for w in worker.windowers)
    assert worker.taken_in == released + held + sum(worker.dropped.values())


def feed(windower: Windower, message: Message, dropped: Counter[str]) -> list[WindowBlock]:
    return [one.block for one in windower.feed(Chunk.of([message.batch()]), dropped)]


def test_a_gap_of_years_is_not_walked_through() -> None:
    windower, edge, dropped = (
        Windower(WindowSpec(30, 1), ("x",), ASSETS),
        Edge("s/a0"),
        Counter[str](),
    )
    far = 10**15
    (first,) = feed(windower, edge.write([(0, 1), (far, 2)], far), dropped)
    assert len(first) == 30
    assert windower.open_windows == 30


def test_without_what_the_message_says_of_the_past_recovery_is_wrong() -> None:
    """The rule is needed: a worker that starts in the middle and ignores `max_before_us`
    decides a window that was decided before, from half of its rows."""
    spec = WindowSpec(10, 5)
    edge = Edge("s/a0")
    log = [edge.write([(t, t)], t + 1) for t in range(12)]
    blind = [
        Message(m.asset, m.rows, Position(0, m.position.wm_before_us, m.position.wm_after_us))
        for m in log
    ]
    worker = Worker([spec])
    found = dict(w for at in range(3, 12) for w in worker.feed(at, blind[at]))
    assert found[("s/a0", spec, 0)] != oracle(log, spec)[("s/a0", spec, 0)]
    worker = Worker([spec])
    found = dict(w for at in range(3, 12) for w in worker.feed(at, log[at]))
    assert ("s/a0", spec, 0) not in found


def test_windows_of_different_length_are_padded_together() -> None:
    one, two = Edge("s/a0"), Edge("s/a1")
    windower, dropped = Windower(WindowSpec(4, 4), ("x",), ASSETS), Counter[str]()
    log = [one.write([(0, 1), (1, 2), (2, 3)], 4), two.write([(5, 9)], 8)]
    (closed,) = windower.feed(Chunk.of([message.batch() for message in log]), dropped)
    both = closed.block
    assert both.assets == ("s/a0", "s/a1")
    assert both.present.tolist() == [[True, True, True], [True, False, False]]
    assert np.isnan(both.values[1, 1:]).all()
    assert (both.times_us[1, 1:] == 0).all()
    assert (both.quality[1, 1:] == Quality.MISSING).all()


def test_a_window_knows_the_message_that_completed_it() -> None:
    edge, windower = Edge("s/a0"), Windower(WindowSpec(4, 2), ("x",), ASSETS)
    log = [edge.write([(t, t)], t) for t in range(12)]
    (closed,) = windower.feed(Chunk.of([message.batch() for message in log]), Counter())
    # Message t states the watermark t, and `write` notes t as its receipt.
    assert (closed.block.received_us == closed.block.ends_us).all()


def test_a_window_is_a_backfill_when_what_completes_it_is() -> None:
    edge, windower = Edge("s/a0"), Windower(WindowSpec(4, 2), ("x",), ASSETS)
    log = [edge.write([(t, t)], t) for t in range(12)]
    late = {4, 5, 6, 7}
    marked = [
        replace(m, position=replace(m.position, backfill=n in late)) for n, m in enumerate(log)
    ]
    (closed,) = windower.feed(Chunk.of([message.batch() for message in marked]), Counter())
    # Message t completes the window that ends at t, whatever other rows it has.
    ends = closed.block.ends_us.tolist()
    assert closed.block.backfill.tolist() == [end in late for end in ends]
    assert {end in late for end in ends} == {True, False}


def test_blocks_are_bounded() -> None:
    windower = Windower(WindowSpec(4, 1), ("x",), ASSETS)
    edges = [Edge(asset) for asset in ASSETS]
    rows = [(t, t) for t in range(1000)]
    chunk = Chunk.of([edge.write(rows, 10_000).batch() for edge in edges])
    blocks = [closed.block for closed in windower.feed(chunk, Counter())]
    assert sum(len(block) for block in blocks) == 1003 * len(ASSETS)
    assert max(len(block) for block in blocks) <= MAX_WINDOWS


@pytest.mark.parametrize(("lateness", "rows", "late"), [(0, 1, 1), (3, 2, 0)])
def test_a_window_waits_for_its_lateness(lateness: int, rows: int, late: int) -> None:
    edge, windower = Edge("s/a0"), Windower(WindowSpec(4, 4, lateness), ("x",), ASSETS)
    dropped: Counter[str] = Counter()
    assert bool(feed(windower, edge.write([(0, 1), (5, 1)], 6), dropped)) != bool(lateness)
    (second,) = feed(windower, edge.write([(1, 7), (8, 1)], 9), dropped)
    assert int(second.present[0].sum()) == rows
    assert dropped["late"] == late


def test_many_assets_grow_and_shrink_in_one_memory() -> None:
    """Rows of assets that come at very different rates stay their own."""
    assets = [f"s/{number}" for number in range(40)]
    spec = WindowSpec(50, 10)
    edges, windower = [Edge(asset) for asset in assets], Windower(spec, ("x",), assets)
    r, log, found, dropped = np.random.default_rng(5), [], [], Counter[str]()
    clock = np.zeros(40, int)
    for _ in range(300):
        some = []
        for which in r.choice(40, 5, replace=False):
            count = int(r.choice((1, 2, 90 if which % 7 == 0 else 3)))
            rows = [(int(clock[which]) + t, int(r.integers(99))) for t in range(count)]
            clock[which] += count
            some.append(edges[which].write(rows, int(clock[which])))
        log += some
        for closed in windower.feed(Chunk.of([m.batch() for m in some]), dropped):
            found += unpack(spec, closed.block)
    assert dict(found) == oracle(log, spec)
    assert not dropped
