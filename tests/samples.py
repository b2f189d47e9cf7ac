"""Messages as the rooms write them, for tests of those who read them."""

from __future__ import annotations

import numpy as np

from contracts import readings
from contracts.deadletters import dead_letter
from contracts.errors import FieldError
from contracts.frames import EvidenceHeaders, FrameHeaders
from contracts.identity import activation_id, alarm_key, alert_id, detection_id
from contracts.message import Message
from contracts.messages import (
    Account,
    AlarmClass,
    AlarmState,
    Alert,
    Command,
    Detection,
    DetectionBatch,
    Histogram,
    Model,
    Phase,
    Severity,
    SourceHealth,
    Status,
    Transition,
    Verdict,
    encode_json,
    headers_for,
)
from contracts.readings import Column, Position, Quality, ReadingBatch
from contracts.record import Outgoing, Record
from contracts.topics import (
    ALARMS,
    ALERTS,
    COMMANDS,
    DEAD_LETTERS,
    DETECTIONS,
    EVIDENCE,
    FRAMES,
    READINGS,
    STATUS,
    Topic,
    topic_name,
)

T0 = 1_700_000_000_000_000
S = 1_000_000
ASSET = "north/line1"
PLANT = "0123456789abcdef"
MODEL = Model(name="line", version="1.2.0", sha256="ab" * 32)


def batch(asset: str = ASSET, sequence: int = 3) -> ReadingBatch:
    """Three rows of two signals: good, held, missing and out of range."""
    return ReadingBatch(
        asset,
        Position(sequence, T0 - S, T0 + 2 * S, T0 - S, T0 + 3 * S),
        (Column("inlet", "m3/h", "source"), Column("outlet", "m3/h", "arrival")),
        np.array([T0, T0 + 2 * S, T0 + S], np.int64),
        np.array([[10.5, 10.25], [11.0, np.nan], [900.0, 10.0]]),
        np.array(
            [
                [Quality.GOOD, Quality.GOOD],
                [Quality.HELD, Quality.MISSING],
                [Quality.OUT_OF_RANGE, Quality.GOOD],
            ],
            np.uint8,
        ),
    )


def detection(end_us: int = T0 + 30 * S, score: float | None = 0.042) -> Detection:
    """The result of one window of 30 s."""
    verdicts = {True: Verdict.ABNORMAL, False: Verdict.NORMAL}
    return Detection(
        id=detection_id(ASSET, "theft", end_us - 30 * S, end_us),
        start_us=end_us - 30 * S,
        end_us=end_us,
        verdict=Verdict.NOT_MEASURED if score is None else verdicts[score > 0.02],
        score=score,
        threshold=0.02,
        reason="too-few-rows" if score is None else "imbalance-loss",
        evidence={} if score is None else {"excess": score, "normal": 0.001},
        received_us=end_us + S,
    )


def detections(*items: Detection, asset: str = ASSET, detector: str = "theft") -> DetectionBatch:
    """A batch; one window by default."""
    return DetectionBatch.of(
        items or (detection(),),
        asset=asset,
        detector=detector,
        kind="imbalance",
        model=MODEL,
        plant=PLANT,
    )


def alarm(
    phase: Phase = Phase.ACTIVE,
    applied_us: int = T0 + 30 * S,
    *,
    asset: str = ASSET,
    rule: str = "theft",
    activations: int = 2,
) -> AlarmState:
    """The state of one alarm."""
    key = alarm_key(asset, rule)
    return AlarmState(
        alarm=key,
        asset=asset,
        rule=rule,
        detector="theft",
        phase=phase,
        alarm_class=AlarmClass.PROCESS,
        severity=Severity.CRITICAL,
        applied_us=applied_us,
        since_us=applied_us,
        activation=activation_id(key, applied_us),
        raised_us=applied_us,
        score=0.042,
        peak=0.05,
        threshold=0.02,
        reason="imbalance-loss",
        evidence={"excess": 0.042, "normal": 0.001},
        detection=detection().id,
        activations=activations,
        plant=PLANT,
        model=MODEL,
    )


def alert(transition: Transition = Transition.RAISED, at_us: int = T0 + 30 * S) -> Alert:
    """One transition of the alarm."""
    key = alarm_key(ASSET, "theft")
    return Alert(
        id=alert_id(key, transition, at_us),
        alarm=key,
        activation=activation_id(key, at_us),
        asset=ASSET,
        rule="theft",
        detector="theft",
        transition=transition,
        at_us=at_us,
        alarm_class=AlarmClass.PROCESS,
        severity=Severity.CRITICAL,
        score=0.042,
        threshold=0.02,
        reason="imbalance-loss",
        evidence={"excess": 0.042, "normal": 0.001},
        detection=detection().id,
        received_us=at_us + S,
        plant=PLANT,
        model=MODEL,
    )


def command() -> Command:
    """An operator shelves the alarm."""
    return Command(
        id="c-1",
        alarm=alarm_key(ASSET, "theft"),
        action="shelve",
        actor="ana",
        at_us=T0 + 60 * S,
        until_us=T0 + 3600 * S,
        comment="valve test",
    )


def status(process: str = "edge/north", at_us: int = T0) -> Status:
    """What an edge says: two sources, of which one is silent, and books that balance."""
    return Status(
        process=process,
        at_us=at_us,
        started_us=T0 - 100 * S,
        account={
            "edge.mqtt": Account(
                unit="message", taken_in=103, gone_out=100, held=1, dropped={"json": 2}
            )
        },
        sources=(
            SourceHealth(
                asset=ASSET,
                signal="inlet",
                state="ok",
                clock="source",
                rate_hz=10.0,
                readings=1000,
                last_us=at_us,
                unit="m3/h",
                value=10.5,
            ),
            SourceHealth(
                asset=ASSET,
                signal="outlet",
                state="silent",
                clock="arrival",
                rate_hz=0.0,
                readings=7,
                last_us=None,
                unit="m3/h",
            ),
        ),
        latencies={
            "batch": Histogram(bounds_s=(0.01, 0.1, 1.0), counts=(5, 9, 10), sum_s=0.8, count=11)
        },
        rss_bytes=104_857_600,
        notes=("a note",),
    )


def frame() -> FrameHeaders:
    """What is known of a frame before it is decoded."""
    return FrameHeaders(
        asset=ASSET,
        camera="cam1",
        kind="thermal",
        time_us=T0,
        clock="rtcp",
        width=640,
        height=512,
        encoding="tiff",
        sequence=17,
        calibration="cal-2024",
        wm_before_us=T0,
        wm_after_us=T0 + 1,
        max_before_us=T0 - S,
        received_us=T0 + 70_000,
    )


_PLACES: dict[type[Message], Topic] = {
    DetectionBatch: DETECTIONS,
    AlarmState: ALARMS,
    Alert: ALERTS,
    Command: COMMANDS,
    Status: STATUS,
}


def outgoing(message: Message | ReadingBatch, prefix: str = "vigia") -> Outgoing:
    """`message` as its room writes it; partition 0."""
    if isinstance(message, ReadingBatch):
        value, headers = readings.encode(message, source="edge/north")
        return Outgoing(
            topic_name(READINGS, prefix), message.asset.encode(), value, headers, partition=0
        )
    key = _key(message)
    headers = headers_for(message, source="stream/1", id=f"{key}:1", subject=key)
    topic = topic_name(_PLACES[type(message)], prefix)
    return Outgoing(topic, key.encode(), encode_json(message), headers, partition=0)


def _key(message: Message) -> str:
    if isinstance(message, AlarmState | Alert | Command):
        return message.alarm
    if isinstance(message, Status):
        return message.process
    assert isinstance(message, DetectionBatch)
    return message.asset


def letter(number: int = 1, reason: str = "json", prefix: str = "vigia") -> Outgoing:
    """A message that could not be used."""
    value, headers = dead_letter(
        b"{broken",
        FieldError("expected JSON", reason=reason),
        source="edge/north",
        origin="plant/north/line1/inlet",
        at_us=T0,
        number=number,
    )
    name = topic_name(DEAD_LETTERS, prefix)
    return Outgoing(name, b"plant/north/line1/inlet", value, headers, partition=0)


def picture(prefix: str = "vigia") -> Outgoing:
    """A frame."""
    headers = frame().headers(source="edge/north")
    return Outgoing(topic_name(FRAMES, prefix), ASSET.encode(), b"II*\0", headers, partition=0)


def evidence(prefix: str = "vigia") -> Outgoing:
    """What was seen on a frame."""
    told = EvidenceHeaders(
        asset=ASSET, time_us=T0, detector="spots", score=0.75, threshold=0.5, model="ab" * 32
    )
    headers = told.headers(source="stream/1")
    return Outgoing(topic_name(EVIDENCE, prefix), ASSET.encode(), b"\xff\xd8", headers, partition=0)


def record(out: Outgoing, offset: int = 0, timestamp_us: int = T0 + 32 * S) -> Record:
    """`out` as the broker gives it back."""
    return Record(
        out.topic, out.partition or 0, offset, out.key, out.value, out.headers, timestamp_us // 1000
    )
