"""Every fault of a source, from what comes in at the edge to the alarm: it is one of class
instrument and names the fault, and in what it covers nothing is measured. The cores in a row,
without processes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from contracts.messages import Alert, Detection, DetectionBatch, Verdict, decode_json
from contracts.plant import read_plant
from contracts.plant.cameras import camera_columns
from contracts.readings import Quality, ReadingBatch, ReadingDecoder, encode
from contracts.record import Outgoing, Record
from edge.adapters.images import develop
from edge.core.camera_station import CameraStation
from edge.core.intake import Incoming, Intake
from edge.core.scenes import Stillness
from edge.core.sight import Sight
from stream.adapters.frame_agent import FrameAgent, Watched
from stream.core.alarms import Alarms
from stream.core.detect import Detect, Fetched
from stream.core.rules import rule
from tests.grade.cameras import cameras
from tests.grade.photos import shipped
from tests.simulation.scenery import Fault, Grey, Scenery

S = 1_000_000
T0 = 1_700_000_000 * S
PLANT = read_plant("""
vigia: 1
sites:
  - id: works
    assets:
      - {id: boiler, signals: boiler}
      - {id: gate, camera: {rtsp: "rtsp://gate/1", rate: 1, watch: [moved, blurred]}}
signal_sets:
  boiler:
    rows: {by: grid, period: 1s}
    skew: 30s
    signals:
      - id: pressure
        topic: "{asset}/pressure"
        time: /t
        time_format: us
        range: [0, 2000]
        stuck: {after: 20s, within: 0.5}
        jump: {rate: 2, step: 5, settle: 30s}
      - {id: flow, topic: "{asset}/flow", time: /t, time_format: us}
detectors:
  - {id: gauge, kind: instrument, assets: [works/boiler], share: 0.5,
     window: {width: 10s, hop: 5s}}
  - {id: high, kind: limit, assets: [works/boiler], signal: pressure, high: 900,
     window: {width: 5s, hop: 5s}}
  - {id: eye, kind: instrument, assets: [works/gate], share: 0.5, window: {width: 10s, hop: 5s}}
  - {id: light, kind: limit, assets: [works/gate], signal: brightness, high: 250,
     window: {width: 5s, hop: 5s}}
alarms:
  - {id: gauge, detector: gauge, class: instrument}
  - {id: high, detector: high}
  - {id: eye, detector: eye, class: instrument}
  - {id: bright, detector: light}
""")


@dataclass
class Told:
    """What a worker made of readings."""

    alerts: list[Alert] = field(default_factory=list)
    found: dict[str, list[Detection]] = field(default_factory=dict)

    @property
    def raised(self) -> list[tuple[str, str, str]]:
        """(rule, class, reason) of each alarm that was raised, in order."""
        return [
            (one.rule, one.alarm_class, one.reason)
            for one in self.alerts
            if one.transition == "raised"
        ]

    def measured(self, detector: str, begin_us: int, end_us: int) -> set[bool]:
        """Whether its windows that lie between two moments were measured."""
        inside = [
            one for one in self.found[detector] if begin_us <= one.start_us and one.end_us <= end_us
        ]
        return {one.verdict is not Verdict.NOT_MEASURED for one in inside}


def told(batches: Iterable[ReadingBatch]) -> Told:
    """What a worker makes of what is on the log."""
    rules = {section.id: one for section in PLANT.detectors if (one := rule(section)) is not None}
    detect, alarms, decoder = Detect(PLANT, rules), Alarms(PLANT), ReadingDecoder()
    detect.assign([0])
    alarms.assign([])
    result = Told()
    for offset, batch in enumerate(batches):
        value, headers = encode(batch, source="edge/box")
        detect.take([Fetched(0, offset, decoder.decode(value, headers))])
        for made in detect.score():
            detections = decode_json(DetectionBatch, made.value)
            result.found.setdefault(detections.detector, []).extend(detections.items)
            result.alerts += alarms.apply(detections)[0]
    return result


BEGIN_S, END_S, LAST_S = 60, 100, 140
"""Seconds: the fault begins, ends, and nothing more comes."""


def boiler(fault: str) -> Iterator[ReadingBatch]:
    """What the edge writes of two sensors that send each second, one of them with a fault."""
    edge = Intake({"works/boiler": PLANT.signal_sets["boiler"]}, {}, now_us=T0, limit=1000)
    for second in range(LAST_S):
        now_us = T0 + second * S
        value, ahead_us, silent = 500 + 2.0 * (second % 3), 0, False
        if BEGIN_S <= second < END_S:
            value = 501.0 if fault == "stuck" else 5000.0 if fault == "out-of-range" else value
            value += 600 * (fault == "jump" and second < BEGIN_S + 25)
            ahead_us = 3600 * S if fault == "clock" else 0
            silent = fault in ("missing", "all missing")
        if not silent:
            edge.receive(message("pressure", now_us + ahead_us, value, now_us))
        if not (silent and fault == "all missing"):
            edge.receive(message("flow", now_us, 1.0, now_us))
        yield from written(edge, now_us)


def message(signal: str, time_us: int, value: float, now_us: int) -> Incoming:
    payload = json.dumps({"t": time_us, "value": value}).encode()
    return Incoming(f"boiler/{signal}", payload, 1, 1, 1, now_us)


def written(edge: Intake, now_us: int) -> Iterator[ReadingBatch]:
    """What a second of looks brings."""
    for at_us in range(now_us, now_us + S, S // 4):
        for parcel in (*edge.tick(at_us, attentive=True), *edge.take_due(at_us)):
            yield parcel.batch
            edge.written(parcel.batch.asset)


@pytest.mark.parametrize(
    ("fault", "after_s", "lasts_s"),
    [
        ("missing", 1, 40),
        ("all missing", 1, 40),
        ("out-of-range", 0, 40),
        ("stuck", 21, 40),
        ("jump", 0, 25),
        ("clock", 0, 40),
    ],
)
def test_a_sensor(fault: str, after_s: int, lasts_s: int) -> None:
    found = told(boiler(fault))
    assert found.raised == [("gauge", "instrument", fault.removeprefix("all "))]
    assert [one.transition for one in found.alerts] == ["raised", "cleared"]
    begin_us = T0 + BEGIN_S * S
    assert found.measured("high", begin_us + after_s * S, begin_us + lasts_s * S) == {False}
    assert found.measured("high", T0, begin_us) == {True}
    assert found.measured("high", T0 + (END_S + 5) * S, T0 + LAST_S * S) == {True}


def test_without_a_fault_nothing_is_told_of_sensors() -> None:
    found = told(boiler("none"))
    assert found.alerts == []
    assert found.measured("high", T0, T0 + LAST_S * S) == {True}


CAMERA = PLANT.cameras()["works/gate"]
RATE = 3
FIRST_S, THEN_S, FILM_S = 20, 50, 75
"""The same of a camera, at RATE pictures a second."""
FAULTS = {
    "frozen": Fault(),
    "dark": Fault(gain=0.0),
    "over-exposed": Fault(gain=16.0),
    "blurred": Fault(blur=4.0),
    "moved": Fault(shift=0.04),
    "missing": Fault(),
    "none": Fault(),
}


@pytest.fixture(scope="module")
def known() -> tuple[Sight, Scenery]:
    """A camera that knows its view."""
    ((_, scenery), *_) = cameras(shipped(), 5)
    sight = Sight(CAMERA)
    for second in range(60):
        sight.show(scenery.frame(second), second * S)
    return sight, scenery


class Eye:
    """A camera at the edge, as edge.adapters.camera_eye runs it."""

    def __init__(self, sight: Sight) -> None:
        self.sight, self.still = sight, Stillness()
        self.station = CameraStation("works/gate", CAMERA, None, T0)

    def see(self, image: Grey | None, now_us: int) -> Iterator[Record]:
        """The messages that come of one picture, or of none."""
        if image is not None:
            self._look(image, now_us)
        parcel = self.station.tick(now_us, attentive=True) or self.station.take()
        if parcel is not None:
            headers = parcel.headers.headers(source="edge/box")
            offset = parcel.headers.sequence
            yield Record("vigia.frames", 0, offset, b"works/gate", parcel.value, headers, 0)
            self.station.written()

    def _look(self, image: Grey, now_us: int) -> None:
        if self.still.wants(now_us):
            self.still.show(image, now_us)
        if self.station.offer(None, now_us):
            self.station.taken()
            if self.sight.wants(now_us):
                self.sight.show(image, now_us)
            seen = "frozen" if self.still.frozen else self.sight.view
            picture = develop(image, CAMERA, seen)
            assert picture is not None
            self.station.developed(picture, now_us)


def gate(fault: str, sight: Sight, scenery: Scenery) -> Iterator[Record]:
    """What the edge writes of a camera that has a fault for a while."""
    eye, image = Eye(sight), scenery.frame(FIRST_S)
    for number in range(RATE * FILM_S):
        second = number / RATE
        faulty = FIRST_S <= second < THEN_S
        if faulty and fault == "frozen":
            # Its clock runs.
            image[: len(image) // 12, -40:] = number % 255
        else:
            image = scenery.frame(second, "day", FAULTS[fault] if faulty else None)
        gone = faulty and fault == "missing"
        yield from eye.see(None if gone else image, T0 + number * S // RATE)


@dataclass
class Kept:
    """A publisher that keeps what it is given."""

    sent: list[Outgoing] = field(default_factory=list)

    async def send_all(self, records: Iterable[Outgoing]) -> None:
        self.sent += records


async def seen_by_a_worker(frames: Iterable[Record]) -> list[ReadingBatch]:
    """The rows that the frames become."""
    kept, decoder = Kept(), ReadingDecoder()
    watched = Watched(CAMERA, camera_columns(CAMERA, []), None, {})
    agent = FrameAgent({"works/gate": watched}, kept, PLANT.kafka, "stream/t")
    for record in frames:
        await (await agent.handle([record]))()
    return [decoder.decode(one.value, one.headers) for one in kept.sent]


@pytest.mark.parametrize(
    ("fault", "after_s"),
    [
        ("missing", 1),
        ("frozen", 8),
        ("dark", 1),
        ("over-exposed", 1),
        ("blurred", 12),
        ("moved", 13),
    ],
)
async def test_a_camera(fault: str, after_s: int, known: tuple[Sight, Scenery]) -> None:
    sight, scenery = copy.deepcopy(known)
    found = told(rows := await seen_by_a_worker(gate(fault, sight, scenery)))
    assert found.raised == [("eye", "instrument", fault)]
    assert [one.transition for one in found.alerts] == ["raised", "cleared"]
    begin_us, end_us = T0 + (FIRST_S + after_s) * S, T0 + THEN_S * S
    inside = [one for one in rows if begin_us <= one.times_us[0] < end_us]
    code = Quality[fault.upper().replace("-", "_")]
    assert {int(one.quality[0, 0]) for one in inside} == {code}
    assert np.isnan([one.values[0, 0] for one in inside]).all()
    assert found.measured("light", begin_us, end_us) == {False}
    assert found.measured("light", T0, T0 + FIRST_S * S) == {True}


async def test_without_a_fault_nothing_is_told_of_a_camera(known: tuple[Sight, Scenery]) -> None:
    found = told(await seen_by_a_worker(gate("none", *copy.deepcopy(known))))
    assert found.alerts == []
    assert found.measured("light", T0, T0 + FILM_S * S) == {True}
