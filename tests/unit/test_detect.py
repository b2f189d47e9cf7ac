"""The detecting half of a worker: the same detections however records are taken, and books that
balance."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import Detection, DetectionBatch, Verdict, decode_json
from contracts.plant import read_plant
from contracts.readings import ReadingBatch
from stream.core.detect import Detect, Fetched, align
from stream.core.rules import rule
from tests.chaos.world import HOP_US, batches, count_windows

ASSETS = ["chaos/a0", "chaos/a1", "chaos/a2"]
PLANT = read_plant("""
vigia: 1
sites: [{id: chaos, assets: [{id: a0, signals: x}, {id: a1, signals: x}, {id: a2, signals: x}]}]
signal_sets:
  x:
    signals:
      - {id: flow1, topic: t1}
      - {id: flow2, topic: t2}
      - {id: pre1, topic: t3}
      - {id: pre2, topic: t4}
detectors:
  - id: balance
    kind: imbalance
    window: {width: 3s, hop: 500ms, lateness: 300ms}
    inlet: flow1
    outlet: flow2
    limit: 0.02
    baseline: {chaos/a0: 0.016, chaos/a1: 0.016, chaos/a2: 0.016}
  - {id: high, kind: limit, window: {width: 3s, hop: 500ms, lateness: 300ms}, signal: pre1, high: 0}
  - {id: slow, kind: limit, window: {width: 10s, hop: 2s}, signal: pre1, high: 0, assets: ["*/a1"]}
""")


def new() -> Detect:
    detectors = {section.id: rule(section) for section in PLANT.detectors}
    detect = Detect(PLANT, {key: value for key, value in detectors.items() if value is not None})
    detect.assign([0])
    return detect


def fetched(log: list[ReadingBatch], start: int = 0) -> list[Fetched]:
    return [Fetched(0, start + at, batch) for at, batch in enumerate(log)]


def marks(detect: Detect, log: list[ReadingBatch], size: int) -> dict[str, bool]:
    """Of each detection whether it is a backfill, of messages taken `size` at a time."""
    found: dict[str, bool] = {}
    for at in range(0, len(log), size):
        detect.take(fetched(log[at : at + size], at))
        for batch in (decode_json(DetectionBatch, one.value) for one in detect.score()):
            found |= {one.id: batch.backfill for one in batch.items}
    return found


def test_backfills_are_told_alike_however_records_are_taken() -> None:
    log = [
        replace(batch, position=replace(batch.position, backfill=100 < at < 200))
        for at, batch in enumerate(batches(3, ASSETS, 3_000))
    ]
    expected = marks(new(), log, 1)
    assert set(expected.values()) == {True, False}
    for size in (7, 150, len(log)):
        assert marks(new(), log, size) == expected


def found_by(detect: Detect, log: list[ReadingBatch], cuts: list[int]) -> dict[str, Detection]:
    found: dict[str, Detection] = {}
    at = 0
    for size in [*cuts, len(log)]:
        detect.take(fetched(log[at : at + size], at))
        at += size
        made = detect.score()
        detect.acknowledged(sum(batch.windows for batch in made))
        for one in (i for b in made for i in decode_json(DetectionBatch, b.value).items):
            assert one.id not in found
            found[one.id] = one
    return found


@given(st.integers(0, 10**6), st.lists(st.integers(1, 9), max_size=30))
@settings(max_examples=30, deadline=None)
def test_however_records_are_taken(seed: int, cuts: list[int]) -> None:
    log = batches(seed, ASSETS, 400, size=8)
    one, other = new(), new()
    assert found_by(one, log, cuts) == found_by(other, log, [1] * len(log))
    for account in (*one.accounts().values(), *other.accounts().values()):
        assert account.missing == 0
    rows = one.accounts()["stream.rows"]
    assert rows.taken_in == 400


def test_all_windows_are_decided() -> None:
    log = batches(7, ASSETS[:1], 2000)
    found = found_by(new(), log, [])
    expected = count_windows(log)
    starts = {(one.start_us) for one in found.values() if one.end_us - one.start_us == 6 * HOP_US}
    assert starts == {start for _, start in expected}
    assert {one.verdict for one in found.values()} >= {Verdict.NORMAL, Verdict.ABNORMAL}


def test_an_asset_that_is_not_in_the_plant_is_counted_and_passed_over() -> None:
    detect = new()
    log = fetched(batches(1, ["chaos/other"], 50))
    detect.take(log)
    account = detect.accounts()["stream.rows"]
    assert account.dropped == {"unwatched": 50}
    assert detect.heads() == {0: len(log)}


def test_a_rebalance_forgets_and_says_so() -> None:
    detect = new()
    log = batches(3, ASSETS, 300)
    detect.take(fetched(log[:-3]))
    assert detect.open_windows()
    head = detect.heads()[0]
    detect.assign([0, 1])
    assert (detect.open_windows(), detect.heads()) == (0, {})
    for account in detect.accounts().values():
        assert account.missing == 0
    detect.take([Fetched(0, head, None)])
    assert detect.heads() == {0: head + 1}


@pytest.mark.parametrize("order", [("flow2", "flow1"), ("flow1",), ("new", "flow1", "flow2")])
def test_columns_are_those_of_the_plant(order: tuple[str, ...]) -> None:
    (batch,) = batches(1, ASSETS[:1], 5)[:1]
    aligned = align(batch, order)
    assert aligned.signals == order
    for index, signal in enumerate(order):
        known = signal in batch.signals
        column = aligned.values[:, index]
        expected = batch.values[:, batch.signals.index(signal)] if known else column
        assert (column == expected).all() or not known
        assert bool((aligned.quality[:, index] == 0).all()) == known
