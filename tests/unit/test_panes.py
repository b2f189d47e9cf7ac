"""Windows of hours from panes, against a naive oracle over the rows themselves, which knows of
panes only what lateness they give: logs with disorder, gaps, silence, late and repeated rows, cut
anyhow, and both stages thrown back to what their ledgers would have committed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.headers import NO_TIME
from contracts.plant.panes import Panes, Statistic, column_of
from contracts.readings import Column, Position, Quality, ReadingBatch, encode
from stream.core.aggregates import of_panes
from stream.core.ledger import Ledger
from stream.core.panes import PaneMaker
from stream.core.windower import NONE_OPEN, Chunk, Windower
from stream.core.windows import WindowBlock, WindowSpec
from tests.unit.test_windows import ASSETS, SEEDS, Edge, Message, logs, together

ROWS = (Column("x"),)
KEPT: tuple[Statistic, ...] = ("mean", "min", "max", "last")
Key = tuple[str, int]
Value = tuple[int, float, float, float, float]
"""How many rows a window has, and their mean, least, greatest and last value."""


@dataclass(frozen=True)
class Span:
    """Windows of `width` and `hop` panes."""

    panes: Panes
    width: int
    hop: int

    @property
    def spec(self) -> WindowSpec:
        return WindowSpec(self.width * self.panes.width_us, self.hop * self.panes.width_us)


def panes_of(pane: int, lateness: int = 0, signals: Sequence[str] = ("x",)) -> Panes:
    return Panes(pane, lateness).keeping((signal, one) for signal in signals for one in KEPT)


spans = st.builds(
    lambda pane, lateness, hop, more: Span(panes_of(pane, lateness), hop + more, hop),
    st.integers(1, 9),
    st.one_of(st.just(0), st.integers(0, 15)),
    st.integers(1, 4),
    st.integers(0, 8),
)


@st.composite
def silent_logs(draw: st.DrawFn) -> list[Message]:
    """Assets that often fall silent, so that their watermark moves on without them and the next
    row is too late though it is the newest; and messages that are written again, as the rows of
    frames are after a crash."""
    r = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges = [Edge(asset) for asset in ASSETS[: draw(st.integers(1, 3))]]
    clock = {edge.asset: int(r.integers(0, 60)) for edge in edges}
    again = draw(st.sampled_from((0.0, 0.1)))
    log: list[Message] = []
    for _ in range(draw(st.integers(1, 60))):
        edge = edges[int(r.integers(len(edges)))]
        mine = [message for message in log if message.asset == edge.asset]
        if mine and r.random() < again:
            log += mine[-int(r.integers(1, 6)) :]
            continue
        count = 0 if r.random() < 0.4 else int(r.integers(1, 4))
        rows = []
        for _ in range(count):
            clock[edge.asset] += int(r.choice((1, 1, 2, 9)))
            rows.append((clock[edge.asset], int(r.integers(0, 99))))
        ahead = int(r.choice((1, 20, 60))) if not rows else 1
        log.append(edge.write(rows, clock[edge.asset] + ahead))
    return log


every_log = st.one_of(logs(), silent_logs())


def oracle(log: Sequence[Message], span: Span) -> tuple[dict[Key, Value], set[Key]]:
    """Every final window with what its rows say; and those that have none in time, but in which the
    newest row of an asset came too late for its pane and not too late for the window."""
    pane, lateness, spec = span.panes.width_us, span.panes.lateness_us, span.spec
    rows: dict[str, dict[int, int]] = {asset: {} for asset in ASSETS}
    complete = dict.fromkeys(ASSETS, NO_TIME)
    empty: set[Key] = set()
    for asset, some, position in ((one.asset, one.rows, one.position) for one in log):
        before = (position.wm_before_us - lateness) // pane * pane
        for t, x in some:
            if t >= before:
                rows[asset].setdefault(t, x)
        newest = max((t for t, _ in some), default=NO_TIME)
        if position.max_before_us // pane < newest // pane < before // pane:
            mine = starts(newest // pane * pane, spec)
            empty |= {(asset, start) for start in mine if start + spec.width_us > before}
        after = (position.wm_after_us - lateness) // pane * pane
        complete[asset] = max(complete[asset], after)
    found: dict[Key, list[int]] = {}
    for asset, of_asset in rows.items():
        for t, x in sorted(of_asset.items()):
            for start in starts(t, spec):
                found.setdefault((asset, start), []).append(x)
    final = {key for key in {*found, *empty} if key[1] + spec.width_us <= complete[key[0]]}
    values = {key: say(xs) for key, xs in found.items() if key in final}
    return values, final - values.keys()


def starts(t: int, spec: WindowSpec) -> range:
    """The windows that have time `t`."""
    return range((t // spec.hop_us) * spec.hop_us, t - spec.width_us, -spec.hop_us)


def say(values: list[int]) -> Value:
    mean = sum(values) / len(values)
    return len(values), mean, min(values), max(values), values[-1]


@dataclass
class Cutter:
    """The first stage: rows to messages with panes."""

    span: Span
    ledger: Ledger = field(default_factory=Ledger)
    dropped: Counter[str] = field(default_factory=Counter)
    maker: PaneMaker = field(init=False)

    def __post_init__(self) -> None:
        self.maker = PaneMaker(self.span.panes, ROWS, ASSETS)

    def feed(self, offset: int, *messages: Message) -> list[ReadingBatch]:
        made = self.maker.feed(Chunk.of([one.batch() for one in messages]), self.dropped)
        note(self.ledger, offset, [one.batch() for one in messages], self.maker.windower)
        return made


@dataclass
class Decider:
    """The second stage: panes to windows."""

    span: Span
    ledger: Ledger = field(default_factory=Ledger)
    windower: Windower = field(init=False)

    def __post_init__(self) -> None:
        columns = self.span.panes.columns(ROWS)
        self.windower = Windower(self.span.spec, tuple(c.signal for c in columns), ASSETS)

    def feed(self, offset: int, *messages: ReadingBatch) -> list[tuple[Key, Value]]:
        found = []
        for closed in self.windower.feed(Chunk.of(messages), Counter()):
            found += self.unpack(closed.block)
        note(self.ledger, offset, messages, self.windower)
        return found

    def unpack(self, block: Any) -> list[tuple[Key, Value]]:
        pane = self.span.panes.width_us
        columns = [of_panes(block, "x", of, pane) for of in ("mean", "min", "max", "last")]
        counts = columns[0][1].astype(int).tolist()
        values = zip(*(value.tolist() for value, _ in columns), strict=True)
        keys = zip(block.assets, block.starts_us.tolist(), strict=True)
        return [
            (key, (count, *some)) for key, count, some in zip(keys, counts, values, strict=True)
        ]


def note(ledger: Ledger, offset: int, batches: Sequence[ReadingBatch], windower: Windower) -> None:
    for at, batch in enumerate(batches, offset):
        ledger.read(at, batch.asset, batch.newest_us if len(batch.times_us) else None)
    for asset in {batch.asset for batch in batches}:
        earliest = int(windower.earliest_us([asset])[0])
        ledger.release(asset, None if earliest == NONE_OPEN else earliest)


def alike(one: Value, other: Value) -> bool:
    """The same, the mean but for its last bits."""
    if one[0] != other[0]:
        return False
    if not one[0]:
        return True
    return math.isclose(one[1], other[1], rel_tol=1e-12) and one[2:] == other[2:]


def check(found: dict[Key, Value], log: Sequence[Message], span: Span) -> None:
    expected, empty = oracle(log, span)
    assert {key for key, value in found.items() if value[0]} == expected.keys()
    assert {key for key, value in found.items() if not value[0]} == empty
    for key, value in expected.items():
        assert alike(found[key], value), key


@given(every_log, spans, SEEDS)
@settings(max_examples=400, deadline=None)
def test_equals_the_oracle_over_rows(log: list[Message], span: Span, seed: int) -> None:
    cutter, decider = Cutter(span), Decider(span)
    made = [one for at, some in together(log, seed) for one in cutter.feed(at, *some)]
    found: dict[Key, Value] = {}
    for at, batch in enumerate(made):
        for key, value in decider.feed(at, batch):
            assert key not in found, "decided twice"
            found[key] = value
    check(found, log, span)


@given(every_log, spans, SEEDS)
@settings(max_examples=800, deadline=None)
def test_crashes_of_both_stages_change_nothing(log: list[Message], span: Span, seed: int) -> None:
    """What is sent when a worker dies is there up to some message, and made again from the
    commit."""
    r = np.random.default_rng(seed)
    panes: list[ReadingBatch] = []
    cut(log, span, r, panes)
    found: dict[Key, Value] = {}
    decider, at, committed, crashes = Decider(span), 0, 0, 0
    while at < len(panes):
        some = panes[at : at + int(r.choice((1, 1, 3, 10)))]
        for key, value in decider.feed(at, *some):
            known = found.setdefault(key, value)
            assert known[0] == value[0] and (not value[0] or known == value), "decided differently"
        at += len(some)
        head = decider.ledger.head
        assert head is not None and committed <= head <= at
        if r.random() < 0.3:
            committed = head
        if r.random() < 0.15 and crashes < 12:
            decider, at, crashes = Decider(span), committed, crashes + 1
    check(found, log, span)


def cut(
    log: Sequence[Message], span: Span, r: np.random.Generator, panes: list[ReadingBatch]
) -> None:
    """Writes what comes of the log to `panes`, crashing now and then. A pane that is made again is
    the same message, byte by byte."""
    cutter, at, committed, crashes = Cutter(span), 0, 0, 0
    told: dict[tuple[str, int], Any] = {}
    while at < len(log):
        some = log[at : at + int(r.choice((1, 1, 3, 10)))]
        made = cutter.feed(at, *some)
        for one in made:
            if len(one.times_us):
                message = encode(one, source="stream/x")
                assert told.setdefault((one.asset, one.newest_us), message) == message
        crash = r.random() < 0.15 and crashes < 8
        if crash and r.random() < 0.5:
            panes += made[: int(r.integers(len(made) + 1))]
        else:
            panes += made
            at += len(some)
            if r.random() < 0.3:
                committed = cutter.ledger.head or 0
        if crash:
            cutter, at, crashes = Cutter(span), committed, crashes + 1


def test_a_mean_that_stands_at_its_limit_is_that_value() -> None:
    """However many rows each pane has."""
    value, pane = 0.1, 1_000_000
    panes = panes_of(pane)
    names = tuple(column.signal for column in panes.columns(ROWS))
    counts = np.array([[3.0, 7.0, 600.0, 0.0, 1.0]])
    values = np.where(counts[..., None] > 0, value, np.nan) * np.ones(len(names))
    values[..., names.index(column_of("x", "n", pane))] = counts
    quality = np.where(np.isnan(values), Quality.MISSING, Quality.GOOD).astype(np.uint8)
    times = np.arange(5)[None, :] * pane
    start, live = np.zeros(1, np.int64), np.zeros(1, bool)
    here = np.ones((1, 5), bool)
    block = WindowBlock(("a",), names, 5 * pane, start, start, live, here, times, values, quality)
    found, rows = of_panes(block, "x", "mean", pane)
    assert (found.tolist(), rows.tolist()) == ([value], [611.0])


def test_what_is_usable_is_decided_row_by_row() -> None:
    """A pane keeps of each signal the values that may be used, and says how many they were."""
    panes = panes_of(10, 0, ("a", "b"))
    rows = (Column("a", "m"), Column("other"), Column("b", "bar", "arrival"))
    maker = PaneMaker(panes, rows, ["s/1"])
    values = np.array([[1.0, 9.0, 5.0], [2.0, 9.0, np.nan], [3.0, 9.0, 7.0]])
    good, missing, far = Quality.GOOD, Quality.MISSING, Quality.OUT_OF_RANGE
    quality = np.array([[good] * 3, [good, good, missing], [far, good, Quality.HELD]], np.uint8)
    times = np.array([0, 4, 9])
    batch = ReadingBatch("s/1", Position(0, 0, 10, NO_TIME, 77), rows, times, values, quality)
    (made,) = maker.feed(Chunk.of([batch]), Counter())
    assert made.columns[:2] == (Column("a.n.10us"), Column("a.mean.10us", "m"))
    assert made.columns[-1] == Column("b.last.10us", "bar", "arrival")
    assert made.values.tolist() == [[2.0, 1.5, 1.0, 2.0, 2.0, 2.0, 6.0, 5.0, 7.0, 7.0]]
    assert (made.quality == good).all()
    assert made.position == Position(0, 0, 10, NO_TIME, 77)


def test_a_pane_that_a_backfill_completes_is_one() -> None:
    maker = PaneMaker(panes_of(10, 0), ROWS, ["s/1"])
    values, good = np.array([[1.0]]), np.full((1, 1), int(Quality.GOOD), np.uint8)
    told = []
    for number, backfill in enumerate((True, False)):
        before = 10 * number
        position = Position(
            number, before, before + 10, before - 10 if number else NO_TIME, 7, backfill
        )
        times = np.array([before])
        rows = values[:, : len(ROWS)].repeat(len(ROWS), axis=1)
        batch = ReadingBatch("s/1", position, ROWS, times, rows, good.repeat(len(ROWS), axis=1))
        told += [one.position.backfill for one in maker.feed(Chunk.of([batch]), Counter())]
    assert told == [True, False]
