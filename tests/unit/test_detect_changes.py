"""Detectors that change while windows are open, and workers that die before, at and after that:
each window is decided once, by one version, and none is left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import DetectionBatch, decode_json
from contracts.plant import Plant, read_plant
from contracts.readings import ReadingBatch
from contracts.record import Record
from stream.adapters.decided_log import Key, looked_at, mark
from stream.core.detect import Detect, Fetched
from stream.core.rules import rule
from tests.chaos.world import batches, count_windows

ASSETS = ["chaos/a0", "chaos/a1", "chaos/a2"]


def marks(records: Iterable[Record]) -> dict[Key, int]:
    """What the log says is decided."""
    found: dict[Key, int] = {}
    for record in records:
        mark(found, record)
    return found


def plant(version: int, lateness: str = "300ms", more: str = "") -> Plant:
    """Each version has other limits, so that its decisions are others."""
    return read_plant(f"""
vigia: 1
kafka: {{partitions: 1}}
sites:
  - {{id: chaos, assets: [{{id: a0, signals: x}}, {{id: a1, signals: x}}, {{id: a2, signals: x}}]}}
signal_sets:
  x:
    signals:
      - {{id: flow1, topic: a}}
      - {{id: flow2, topic: b}}
      - {{id: pre1, topic: c}}
      - {{id: pre2, topic: d}}
detectors:
  - id: high
    kind: limit
    window: {{width: 3s, hop: 500ms, lateness: {lateness}}}
    signal: pre1
    high: {version}
  - {{id: slow, kind: limit, window: {{width: 20s, hop: 5s}}, signal: pre1, high: {version}}}
{more}
""")


VERSIONS = [plant(version) for version in range(41, 0, -1)]


@dataclass
class World:
    """A log of readings, a log of detections, and the worker between them."""

    readings: list[ReadingBatch]
    plant: Plant
    log: list[DetectionBatch] = field(default_factory=list)
    raw: list[Record] = field(default_factory=list)
    commit: int = 0
    at: int = 0

    def __post_init__(self) -> None:
        self.detect = self._worker()

    def _worker(self) -> Detect:
        detectors = {one.id: found for one in self.plant.detectors if (found := rule(one))}
        detect = Detect(self.plant, detectors)
        detect.assign([0], marks(self.raw))
        return detect

    def step(self, count: int, sent: float = 1.0) -> None:
        """The next messages; of what comes of them only this share reaches the log."""
        part = self.readings[self.at : self.at + count]
        self.detect.take([Fetched(0, self.at + n, batch) for n, batch in enumerate(part)])
        made = self.detect.score()
        for one in made[: round(sent * len(made))]:
            self.raw.append(Record("d", 0, len(self.raw), one.asset.encode(), one.value, [], 0))
            self.log.append(decode_json(DetectionBatch, one.value))
        self.detect.acknowledged(sum(one.windows for one in made))
        self.at += len(part)

    def head(self) -> int:
        return self.detect.heads().get(0, self.at)

    def die(self, count: int, sent: float) -> None:
        """In the middle of a step."""
        self.step(count, sent)
        self.at = self.commit
        self.detect = self._worker()

    def become(self, new: Plant) -> None:
        """As a worker that goes on does it, were the log too long to find what it decided last."""
        self.plant = new
        self.at = self.head()
        self.detect.become(new, {one.id: found for one in new.detectors if (found := rule(one))})
        self.detect.assign([0])

    def decided(self) -> list[tuple[str, str, int, int]]:
        """Every detection on the log: detector, asset, start and end."""
        return [
            (batch.detector, batch.asset, start, end)
            for batch in self.log
            for start, end in zip(batch.start_us, batch.end_us, strict=True)
        ]


ACTION = st.one_of(
    st.tuples(st.just("step"), st.integers(1, 12), st.just(1.0)),
    st.tuples(st.just("commit"), st.just(0), st.just(1.0)),
    st.tuples(st.just("die"), st.integers(1, 12), st.floats(0, 1)),
    st.tuples(st.just("become"), st.just(0), st.just(1.0)),
    st.tuples(st.just("die-and-become"), st.integers(1, 12), st.floats(0, 1)),
)


def play(world: World, actions: list[tuple[str, int, float]], versions: list[Plant]) -> None:
    for what, count, sent in actions:
        match what:
            case "step":
                world.step(count)
            case "commit":
                world.commit = max(world.commit, world.head())
            case "die":
                world.die(count, sent)
            case "become":
                world.become(versions.pop())
            case "die-and-become":
                world.plant = versions.pop()
                world.die(count, sent)
    while world.at < len(world.readings):
        world.step(20)


@given(st.integers(0, 10**6), st.lists(ACTION, max_size=40))
@settings(max_examples=25, deadline=None)
def test_each_window_is_decided_once(seed: int, actions: list[tuple[str, int, float]]) -> None:
    readings = batches(seed, ASSETS, 500, size=8)
    world = World(readings, plant(0))
    play(world, actions, list(VERSIONS))
    found = world.decided()
    assert len(found) == len(set(found)), "a window was decided twice"
    high = {(asset, start) for detector, asset, start, _ in found if detector == "high"}
    assert high == count_windows(readings)
    for account in world.detect.accounts().values():
        assert account.missing == 0
    for detector in ("high", "slow"):
        for asset in ASSETS:
            ends = [end for d, a, _, end in found if (d, a) == (detector, asset)]
            assert ends == sorted(ends)


@pytest.mark.parametrize(("lateness", "least"), [("0s", "0s"), ("2s", "300ms")])
@pytest.mark.parametrize("seed", range(3))
def test_with_another_lateness_too(seed: int, lateness: str, least: str) -> None:
    """What the old rule left open is decided by the new one, and what it had closed is not."""
    readings = batches(seed, ASSETS, 500, size=8)
    world = World(readings, plant(0))
    world.step(40)
    world.become(plant(1, lateness))
    play(world, [], [])
    found = world.decided()
    assert len(found) == len(set(found))
    strictest = World(readings, plant(1, least))
    play(strictest, [], [])
    assert set(strictest.decided()) <= set(found)


def test_a_new_detector_and_a_new_asset_begin_with_the_change() -> None:
    readings = batches(3, ASSETS, 500, size=8)
    old = plant(0)
    some = old.sites[0].model_copy(update={"assets": old.sites[0].assets[:2]})
    few = old.model_copy(update={"sites": (some,)})
    world = World(readings, few)
    world.step(40)
    before = world.decided()
    assert {asset for _, asset, _, _ in before} == set(ASSETS[:2])
    more = "  - {id: low, kind: limit, window: {width: 2s, hop: 1s}, signal: pre2, low: 1}"
    world.become(plant(0, more=more))
    play(world, [], [])
    after = world.decided()[len(before) :]
    assert {asset for _, asset, _, _ in after} == set(ASSETS)
    assert {detector for detector, _, _, _ in after} == {"high", "slow", "low"}
    assert len(set(world.decided())) == len(world.decided())


def test_an_asset_and_a_detector_that_are_gone_are_decided_no_more() -> None:
    readings = batches(4, ASSETS, 500, size=8)
    world = World(readings, plant(0))
    world.step(40)
    count = len(world.log)
    old = plant(0)
    some = old.sites[0].model_copy(update={"assets": old.sites[0].assets[1:]})
    world.become(old.model_copy(update={"sites": (some,), "detectors": old.detectors[:1]}))
    play(world, [], [])
    assert {(one.asset, one.detector) for one in world.log[count:]} == {
        (asset, "high") for asset in ASSETS[1:]
    }
    assert world.detect.accounts()["stream.rows"].missing == 0


def test_what_is_no_detection_marks_nothing() -> None:
    values = [None, b"", b"[]", b'{"asset": 1}', b'{"asset": "a", "detector": "d", "end_us": []}']
    values += [b'{"asset": "a", "detector": "d", "end_us": ["x"]}', b'{"asset": 2}', b"\xff"]
    records = [Record("d", 0, at, b"a", value, [], 0) for at, value in enumerate(values)]
    assert marks(records) == {}
    good = b'{"asset": "a", "detector": "d", "end_us": [3, 9, 4]}'
    assert marks([*records, Record("d", 0, 99, b"a", good, [], 0)]) == {("a", "d"): 9}


def test_what_is_looked_for_is_by_partition() -> None:
    wanted = looked_at(plant(0))
    assert wanted == {0: {(asset, name) for asset in ASSETS for name in ("high", "slow")}}
