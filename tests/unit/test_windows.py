"""The windower against a naive oracle: random out-of-order, late, gapped and silent streams,
cut anyhow, and re-read after crashes from what the ledger would have committed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.headers import NO_TIME
from contracts.readings import Column, Position, ReadingBatch
from stream.core.ledger import Ledger
from stream.core.windows import Windower, WindowSpec, concat_blocks

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
    windowers: dict[tuple[str, WindowSpec], Windower] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    dropped: Counter[str] = field(default_factory=Counter)
    taken_in: int = 0

    def feed(self, offset: int, message: Message) -> list[Window]:
        batch, found, earliest = message.batch(), [], []
        for spec in self.specs:
            key = (message.asset, spec)
            if key not in self.windowers:
                self.windowers[key] = Windower(message.asset, spec, ("x",))
            windower = self.windowers[key]
            block = windower.feed(batch, self.dropped)
            earliest.append(windower.earliest_us())
            if block:
                found += unpack(spec, block)
        self.taken_in += len(message.rows)
        self.ledger.read(offset, message.asset, batch.newest_us if message.rows else None)
        self.ledger.release(
            message.asset, min((e for e in earliest if e is not None), default=None)
        )
        return found


def unpack(spec: WindowSpec, block: Any) -> list[Window]:
    found = []
    for i, start in enumerate(block.starts_us):
        here = block.present[i]
        rows = zip(block.times_us[i][here], block.values[i, :, 0][here], strict=True)
        found.append(
            ((block.assets[i], spec, int(start)), tuple((int(t), int(x)) for t, x in rows))
        )
    return found


@given(logs(), st.lists(specs, min_size=1, max_size=2, unique=True))
@settings(max_examples=2000, deadline=None)
def test_equals_the_oracle(log: list[Message], wanted: list[WindowSpec]) -> None:
    worker = Worker(wanted)
    found = [window for at, message in enumerate(log) for window in worker.feed(at, message)]
    expected = {k: v for spec in wanted for k, v in oracle(log, spec).items()}
    assert dict(found) == expected
    assert len(found) == len(expected), "a window closed twice"
    opened = sum(w.opened_total for w in worker.windowers.values())
    still_open = sum(w.open_now for w in worker.windowers.values())
    assert opened == len(found) + still_open


@given(logs(), specs, st.integers(0, 2**32 - 1))
@settings(max_examples=2000, deadline=None)
def test_crashes_change_nothing(log: list[Message], spec: WindowSpec, seed: int) -> None:
    r = np.random.default_rng(seed)
    worker, at, committed, crashes = Worker([spec]), 0, 0, 0
    found: dict[tuple[str, WindowSpec, int], tuple[Row, ...]] = {}
    while at < len(log):
        for key, rows in worker.feed(at, log[at]):
            assert found.setdefault(key, rows) == rows, "decided twice differently"
        at += 1
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


@given(logs(), specs)
@settings(max_examples=300, deadline=None)
def test_every_row_is_accounted_for(log: list[Message], spec: WindowSpec) -> None:
    worker = Worker([spec])
    released = 0
    for at, message in enumerate(log):
        worker.feed(at, message)
    held = sum(len(w.rows.times) for w in worker.windowers.values())
    released = sum(w.released_total for w in worker.windowers.values())
    assert worker.taken_in == released + held + sum(worker.dropped.values())


def test_a_gap_of_years_is_not_walked_through() -> None:
    spec = WindowSpec(30, 1)
    windower = Windower("s/a", spec, ("x",))
    edge = Edge("s/a")
    far = 10**15
    dropped: Counter[str] = Counter()
    first = windower.feed(edge.write([(0, 1), (far, 2)], far).batch(), dropped)
    assert first is not None and len(first) == 30
    assert windower.open_now == 30


def test_without_what_the_message_says_of_the_past_recovery_is_wrong() -> None:
    """The rule is needed: a worker that starts in the middle and ignores `max_before_us`
    decides a window that was decided before, from half of its rows."""
    spec = WindowSpec(10, 5)
    edge = Edge("s/a")
    log = [edge.write([(t, t)], t + 1) for t in range(12)]
    blind = [
        Message(m.asset, m.rows, Position(0, m.position.wm_before_us, m.position.wm_after_us))
        for m in log
    ]
    worker = Worker([spec])
    found = dict(w for at in range(3, 12) for w in worker.feed(at, blind[at]))
    assert found[("s/a", spec, 0)] != oracle(log, spec)[("s/a", spec, 0)]
    worker = Worker([spec])
    found = dict(w for at in range(3, 12) for w in worker.feed(at, log[at]))
    assert ("s/a", spec, 0) not in found


def test_blocks_of_different_length_are_padded_together() -> None:
    edge, windower = Edge("s/a"), Windower("s/a", WindowSpec(4, 4), ("x",))
    dropped: Counter[str] = Counter()
    one = windower.feed(edge.write([(0, 1), (1, 2), (2, 3)], 4).batch(), dropped)
    two = windower.feed(edge.write([(5, 9)], 8).batch(), dropped)
    assert one is not None and two is not None
    both = concat_blocks([one, two])
    assert both.present.tolist() == [[True, True, True], [True, False, False]]
    assert np.isnan(both.values[1, 1:]).all()


@pytest.mark.parametrize(("lateness", "rows", "late"), [(0, 1, 1), (3, 2, 0)])
def test_a_window_waits_for_its_lateness(lateness: int, rows: int, late: int) -> None:
    edge, windower = Edge("s/a"), Windower("s/a", WindowSpec(4, 4, lateness), ("x",))
    dropped: Counter[str] = Counter()
    first = windower.feed(edge.write([(0, 1), (5, 1)], 6).batch(), dropped)
    assert (first is None) == bool(lateness)
    second = windower.feed(edge.write([(1, 7), (8, 1)], 9).batch(), dropped)
    assert second is not None
    assert int(second.present[0].sum()) == rows
    assert dropped["late"] == late
