"""The JSON messages: detections, alarms, alerts, commands and the state of processes.

A reader ignores fields that it does not know, so a writer may add some; a changed meaning is a
new version of the kind. All times are whole microseconds since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import orjson
from pydantic import ConfigDict, FailFast, Field, ValidationError, model_validator

from contracts.errors import DecodeError
from contracts.headers import Headers, cloud_event
from contracts.identity import detection_id
from contracts.message import Many, Message, Named, Whole, first_mistake

MAX_JSON_BYTES = 1_100_000
"""Kafka takes 1 MB a message. What is decoded takes up to thirty times that."""

M = TypeVar("M", bound=Message)


class AlarmClass(StrEnum):
    """What an alarm is about: the process, or the instrument that should see it."""

    PROCESS = "process"
    INSTRUMENT = "instrument"


class Severity(StrEnum):
    """How soon somebody must act."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Phase(StrEnum):
    """The life of an alarm, after ISA-18.2: `pending` waits for its on-delay, `clearing`
    for its off-delay and is still raised."""

    NORMAL = "normal"
    PENDING = "pending"
    ACTIVE = "active"
    CLEARING = "clearing"


class Transition(StrEnum):
    """What can happen to an alarm."""

    RAISED = "raised"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    CLEARED = "cleared"
    REVISED = "revised"


class Verdict(StrEnum):
    """What a detector says of one window. Only `normal` and `abnormal` are measurements."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    NOT_MEASURED = "not-measured"


class Model(Message):
    """The model that scored: its package's name and version, the SHA-256 of `model.onnx`."""

    name: str
    version: str
    sha256: str


class Detection(Message):
    """The result of one detector for one window [start, end) of one asset."""

    id: str
    start_us: Whole
    end_us: Whole
    revision: Whole = 0
    verdict: Verdict
    score: float | None = Field(description="null when the window could not be measured")
    threshold: float
    reason: str = Field(default="", description="why not measured, or what made the score")
    evidence: Named[float] = Field(default_factory=dict)
    received_us: Whole = Field(
        default=0, description="when the edge received the row that completed the window"
    )


class DetectionBatch(Message):
    """Detections of one detector for one asset, in the order of their windows, in columns: place
    i of each list is of window i. See Detection for what they mean; its `id` is
    contracts.identity.detection_id and is not sent."""

    asset: str
    detector: str
    kind: str
    model: Model | None = None
    plant: str = Field(description="hash of the plant file")
    backfill: bool = False
    revision: Whole = 0
    start_us: Many[Whole]
    end_us: Many[Whole]
    verdict: Many[Verdict]
    score: Many[float | None]
    threshold: Many[float]
    reason: Many[str]
    received_us: Many[Whole]
    evidence: Annotated[dict[int, Named[float]], FailFast()] = Field(
        default_factory=dict, description="by place in the lists; none where nobody is woken"
    )

    COLUMNS: ClassVar = (
        "start_us",
        "end_us",
        "verdict",
        "score",
        "threshold",
        "reason",
        "received_us",
    )

    @model_validator(mode="after")
    def _columns_of_one_length(self) -> Self:
        count = len(self.start_us)
        if not (
            len(self.end_us) == len(self.verdict) == len(self.score) == count
            and len(self.threshold) == len(self.reason) == len(self.received_us) == count
        ):
            raise ValueError(f"expected {', '.join(self.COLUMNS)} of one length")
        return self

    def __len__(self) -> int:
        return len(self.start_us)

    @property
    def items(self) -> tuple[Detection, ...]:
        """The detections one by one."""
        return tuple(map(self.item, range(len(self))))

    def item(self, at: int) -> Detection:
        """Detection `at` of the batch."""
        start, end = self.start_us[at], self.end_us[at]
        return Detection(
            id=detection_id(self.asset, self.detector, start, end, self.revision),
            revision=self.revision,
            evidence=self.evidence.get(at, {}),
            **{name: getattr(self, name)[at] for name in self.COLUMNS},
        )

    @classmethod
    def of(cls, items: Sequence[Detection], **head: Any) -> Self:
        """The batch of these detections; `head` has the other fields."""
        columns = {name: tuple(getattr(one, name) for one in items) for name in cls.COLUMNS}
        evidence = {at: one.evidence for at, one in enumerate(items) if one.evidence}
        return cls(**head, **columns, evidence=evidence)

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        document = orjson.loads(value)
        try:
            return cls.model_validate(document)
        except ValidationError:
            if not isinstance(document, dict) or "items" not in document:
                raise
        old = DetectionsV1.model_validate(document)
        head = old.model_dump(exclude={"items"})
        revision = max((one.revision for one in old.items), default=0)
        return cls.of(old.items, **head, revision=revision)


class DetectionsV1(Message):
    """Detections of one detector for one asset, in the order of their windows."""

    asset: str
    detector: str
    kind: str
    model: Model | None = None
    plant: str = Field(description="hash of the plant file")
    backfill: bool = False
    items: Many[Detection]


class AlarmState(Message):
    """The whole present state of one alarm.

    `applied_us` is the end of the last window that was applied: older detections change
    nothing. `since_us` is the event time at which the present phase began.
    """

    alarm: str
    asset: str
    rule: str
    detector: str
    phase: Phase
    alarm_class: AlarmClass
    severity: Severity
    applied_us: Whole
    since_us: Whole
    activation: str | None = None
    raised_us: Whole | None = None
    cleared_us: Whole | None = None
    acknowledged_us: Whole | None = None
    shelved_until_us: Whole | None = None
    score: float | None = None
    peak: float | None = None
    threshold: float | None = None
    reason: str = ""
    evidence: Named[float] = Field(default_factory=dict)
    detection: str | None = None
    activations: Whole = 0
    plant: str = ""
    model: Model | None = None
    backfill: bool = False

    @property
    def raised(self) -> bool:
        """Whether the alarm stands, for an operator."""
        return self.phase in (Phase.ACTIVE, Phase.CLEARING)


class Alert(Message):
    """One transition of one alarm."""

    id: str
    alarm: str
    activation: str
    asset: str
    rule: str
    detector: str
    transition: Transition
    at_us: Whole
    alarm_class: AlarmClass
    severity: Severity
    score: float | None
    threshold: float | None
    reason: str = ""
    evidence: Named[float] = Field(default_factory=dict)
    detection: str | None
    received_us: Whole = 0
    plant: str = ""
    model: Model | None = None
    backfill: bool = False


class Command(Message):
    """What an operator asked."""

    id: str
    alarm: str
    action: Literal["acknowledge", "shelve", "unshelve", "verdict"]
    actor: str
    at_us: Whole
    until_us: Whole | None = None
    verdict: Literal["true", "false", "nuisance"] | None = None
    comment: str = ""


class Account(Message):
    """What a stage took in and what became of it, each counted where it happens:
    `taken_in == gone_out + held + sum(dropped)`."""

    unit: str
    taken_in: int = Field(alias="in")
    gone_out: int = Field(alias="out")
    held: int
    dropped: Named[int] = Field(default_factory=dict)

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True
    )

    @property
    def missing(self) -> int:
        """How many units nobody can account for: 0 when the books balance."""
        return self.taken_in - self.gone_out - self.held - sum(self.dropped.values())


SourceState = Literal[
    "waiting",
    "ok",
    "silent",
    "out-of-range",
    "stuck",
    "jump",
    "clock",
    "lost",
    "unauthorised",
    "frozen",
    "dark",
    "over-exposed",
    "blurred",
    "moved",
]
CAMERA = "camera"
"""The `signal` of a SourceHealth that is of a camera."""


class SourceHealth(Message):
    """One signal (or camera) as its edge sees it."""

    asset: str
    signal: str
    state: SourceState
    clock: Literal["source", "arrival"]
    rate_hz: float
    readings: int
    last_us: Whole | None
    unit: str = "1"
    value: float | None = None


class Histogram(Message):
    """Cumulative counts: `counts[i]` observations were at most `bounds_s[i]`."""

    bounds_s: Many[float]
    counts: Many[int]
    sum_s: float
    count: int


class SpoolState(Message):
    """What a process keeps on its disk for Kafka; `oldest_us` is when it received the oldest."""

    messages: int
    bytes: int
    limit_bytes: int
    oldest_us: Whole | None = None


class PlantUse(Message):
    """Which plant file a process works by: its hash, how often another one or another model package
    was taken up and refused since the start, and whether what is on disk differs from it."""

    hash: str
    taken: Whole = 0
    refused: Whole = 0
    differs: bool = False


class Status(Message):
    """How one process does: sent every second, kept by process."""

    process: Annotated[str, Field(description="room and instance, as edge/box-1")]
    at_us: Whole
    started_us: Whole
    account: Named[Account] = Field(default_factory=dict)
    sources: Many[SourceHealth] = ()
    latencies: Named[Histogram] = Field(default_factory=dict)
    rss_bytes: int = 0
    notes: Many[str] = ()
    spools: Named[SpoolState] = Field(default_factory=dict)
    plant: PlantUse | None = None


KINDS: dict[type[Message], str] = {
    DetectionBatch: "vigia.detections.v2",
    AlarmState: "vigia.alarm.v1",
    Alert: "vigia.alert.v1",
    Command: "vigia.command.v1",
    Status: "vigia.status.v1",
}
OLD_KINDS: dict[type[Message], str] = {DetectionsV1: "vigia.detections.v1"}
"""What is still read, and written no more."""


def encode_json(message: Message) -> bytes:
    """The message's value."""
    return message.model_dump_json().encode()


def decode_json(kind: type[M], value: bytes | None) -> M:
    """The message in `value`. Raises DecodeError that names the first field that is wrong."""
    if value is None or len(value) > MAX_JSON_BYTES:
        raise DecodeError(f"expected at most {MAX_JSON_BYTES} bytes of JSON")
    try:
        return kind.from_json(value)
    except ValueError as error:
        raise DecodeError(f"{KINDS.get(kind, kind.__name__)}: {first_mistake(error)}") from None


def headers_for(message: Message, *, source: str, id: str, subject: str) -> Headers:
    """CloudEvents headers for one JSON message."""
    return cloud_event(
        KINDS[type(message)],
        source=source,
        id=id,
        subject=subject,
        content_type="application/json",
    )
