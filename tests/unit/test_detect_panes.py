"""Both stages of a worker: detections of windows from panes are those of the same windows from
rows, and the books of both balance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from contracts.errors import BrokerError
from contracts.headers import NO_TIME
from contracts.messages import Detection, DetectionBatch, decode_json
from contracts.partitions import partition_of
from contracts.plant import Plant, read_plant
from contracts.plant.model import Kafka
from contracts.readings import Position, ReadingBatch, ReadingDecoder, encode
from contracts.record import Outgoing, Record
from stream.adapters.detect_agent import DetectAgent
from stream.core.detect import Detect, Fetched
from stream.core.rules import rule
from tests.chaos.world import COLUMNS, START_US, batches

ASSETS = ["chaos/a0", "chaos/a1", "chaos/a2"]
PLANT = """
vigia: 1
kafka: {partitions: 4}
sites: [{id: chaos, assets: [{id: a0, signals: x}, {id: a1, signals: x}, {id: a2, signals: x}]}]
signal_sets:
  x:
    signals:
      - {id: flow1, topic: t1}
      - {id: flow2, topic: t2}
      - {id: pre1, topic: t3, unit: bar}
      - {id: pre2, topic: t4}
detectors:
  - {id: quick, kind: limit, signal: pre1, high: 0.2, window: {width: 3s, hop: 500ms}}
  - id: mean
    kind: limit
    signal: pre1
    high: 0.28
    window: {width: 40s, hop: 10s, lateness: 60s, pane: 2s}
  - id: peak
    kind: limit
    of: max
    signal: flow1
    high: 1.1
    min_rows: 120
    window: {width: 20s, hop: 2s, lateness: 60s, pane: 2s}
  - id: first
    kind: limit
    of: last
    signal: flow2
    low: 0.9
    assets: ["*/a1"]
    window: {width: 12s, hop: 4s, lateness: 60s, pane: 2s}
"""
LONG = ("mean", "peak", "first")


def of_rows() -> Plant:
    return read_plant(PLANT.replace(", pane: 2s", ""))


def detect(plant: Plant, *, of_panes: bool = False) -> Detect:
    found = {section.id: rule(section) for section in plant.detectors}
    made = Detect(plant, {key: one for key, one in found.items() if one}, of_panes=of_panes)
    made.assign(range(4))
    return made


Found = list[tuple[str, Detection]]


def fed(one: Detect, log: Sequence[ReadingBatch]) -> tuple[Found, list[ReadingBatch]]:
    """Everything taken one by one and acknowledged: the detections with their detectors, and the
    panes."""
    found: Found = []
    complete: list[ReadingBatch] = []
    for offset, batch in enumerate(log):
        one.take([Fetched(0, offset, batch)])
        made, panes = one.score(), one.complete()
        one.panes.sent(sum(len(pane.times_us) for pane in panes))
        windows = sum(batch.windows for batch in made)
        one.acknowledged(windows, sum(len(pane.times_us) for pane in panes))
        for message in (decode_json(DetectionBatch, encoded.value) for encoded in made):
            found += [(message.detector, item) for item in message.items]
        complete += panes
    return found, complete


def test_detections_are_those_of_the_same_windows_over_rows() -> None:
    log = batches(11, ASSETS, 6000)
    plain = {one.id: one for _, one in fed(detect(of_rows()), log)[0]}
    plant = read_plant(PLANT)
    rows, panes = detect(plant), detect(plant, of_panes=True)
    short, complete = fed(rows, log)
    long, none = fed(panes, complete)
    assert none == []
    assert {detector for detector, _ in short} == {"quick"}
    assert {detector for detector, _ in long} == set(LONG)
    found = {one.id: one for _, one in (*short, *long)}
    assert len(found) == len(short) + len(long), "a window decided twice"
    assert found.keys() == plain.keys()
    for key, one in found.items():
        other = plain[key]
        assert (one.verdict, one.reason) == (other.verdict, other.reason)
        assert one.score == pytest.approx(other.score, abs=1e-9)
        assert one.evidence == pytest.approx(other.evidence, abs=1e-9)
    assert {one.verdict.value for _, one in long} == {"normal", "abnormal", "not-measured"}
    books(rows, panes)
    counts = rows.accounts()["stream.panes"], panes.accounts()["stream.aggregate-rows"]
    assert counts[0].gone_out == counts[1].taken_in == sum(len(c.times_us) for c in complete)


def books(*both: Detect) -> None:
    for one in both:
        for stage, account in one.accounts().items():
            assert account.missing == 0, stage


def test_books_balance_while_panes_wait_and_after_a_rebalance() -> None:
    rows = detect(read_plant(PLANT))
    log = batches(3, ASSETS, 900)
    rows.take([Fetched(0, offset, batch) for offset, batch in enumerate(log[:-3])])
    books(rows)
    assert rows.accounts()["stream.panes"].held > 0
    rows.assign([0])
    books(rows)
    assert rows.accounts()["stream.panes"].dropped["reassigned"] > 0
    assert rows.accounts()["stream.panes"].held == 0


def test_the_commit_waits_for_panes_and_not_for_hours() -> None:
    """What rows a window of 40 s needs is on the other topic; here panes of 2 s hold them."""
    plant, log = read_plant(PLANT), batches(5, ASSETS[:1], 3000)
    rows, long = detect(plant), detect(of_rows())
    for one in (rows, long):
        one.take([Fetched(0, offset, batch) for offset, batch in enumerate(log[:-1])])
    of_panes, of_hours = (log[one.heads()[0]].position.wm_after_us for one in (rows, long))
    assert of_panes > of_hours + 25_000_000


@dataclass
class Broker:
    """Keeps what it is given, or refuses it."""

    refuses: bool = False
    sent: list[Outgoing] = field(default_factory=list)

    async def send_all(self, records: Iterable[Outgoing]) -> None:
        if self.refuses:
            raise BrokerError("away", retriable=True)
        self.sent += records


def record(at: int, batch: ReadingBatch) -> Record:
    value, headers = encode(batch, source="edge/x")
    return Record("vigia.readings", 0, at, batch.asset.encode(), value, headers, 0)


async def test_panes_go_to_their_topic_before_anything_is_committed() -> None:
    broker = Broker(refuses=True)
    agent = DetectAgent(detect(read_plant(PLANT)), broker, Kafka(), "stream/t", lambda: 0)
    log = [record(at, batch) for at, batch in enumerate(batches(5, ASSETS, 3000))]
    settle = await agent.handle(log)
    with pytest.raises(BrokerError):
        await settle()
    broker.refuses = False
    heads = await settle()
    assert 0 < heads[0] < len(log)
    panes = [one for one in broker.sent if one.topic == "vigia.aggregates"]
    made = [ReadingDecoder().decode(one.value, one.headers) for one in panes]
    assert {one.asset for one in made} == set(ASSETS)
    for sent, batch in zip(panes, made, strict=True):
        assert sent.key == batch.asset.encode()
        assert sent.partition == partition_of(batch.asset, 4)
    account = agent.accounts()["stream.panes"]
    assert account.gone_out == sum(len(one.times_us) for one in made)
    assert account.missing == 0


def test_an_asset_of_another_plant_file_has_its_panes_counted_and_passed_over() -> None:
    plant = read_plant(PLANT)
    _, complete = fed(detect(plant), batches(2, ASSETS, 600))
    other = [dataclasses.replace(one, asset="chaos/gone") for one in complete]
    panes = detect(plant, of_panes=True)
    fed(panes, other)
    rows = sum(len(one.times_us) for one in other)
    assert panes.accounts()["stream.aggregate-rows"].dropped == {"unwatched": rows}


def test_a_day_ahead_is_told_in_one_message() -> None:
    """A gap is not walked through, pane by pane."""
    rows, far = detect(read_plant(PLANT)), START_US + 86_400_000_000
    one = batches(4, ASSETS[:1], 30)[:-1]
    last = one[-1].position
    ahead = Position(last.sequence + 1, last.wm_after_us, far, max(b.newest_us for b in one))
    none = np.empty((0, len(COLUMNS)))
    quiet = ReadingBatch(
        ASSETS[0], ahead, COLUMNS, np.empty(0, np.int64), none, none.astype(np.uint8)
    )
    fed(rows, one)
    _, complete = fed(rows, [quiet])
    *panes, silence = complete
    assert len(panes) <= 30
    assert all(len(pane.times_us) == 1 for pane in panes)
    assert len(silence.times_us) == 0
    assert silence.position.wm_after_us == far - 60_000_000
    assert silence.position.max_before_us == panes[-1].times_us[0] != NO_TIME
