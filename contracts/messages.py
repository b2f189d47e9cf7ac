"""The JSON messages: detections, alarms, alerts, commands and the state of processes.

A reader ignores fields that it does not know, so a writer may add some; a changed meaning is a
new version of the kind. All times are whole microseconds since 1970, UTC.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.errors import DecodeError
from contracts.headers import Headers, cloud_event

MAX_JSON_BYTES = 8_000_000


class Message(BaseModel):
    """A JSON value on a topic."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


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
    start_us: int
    end_us: int
    revision: int = 0
    verdict: Verdict
    score: float | None = Field(description="null when the window could not be measured")
    threshold: float
    reason: str = Field(default="", description="why not measured, or what made the score")
    evidence: dict[str, float] = Field(default_factory=dict)
    received_us: int = Field(
        default=0, description="when the edge received the row that completed the window"
    )


class DetectionBatch(Message):
    """Detections of one detector for one asset, in the order of their windows."""

    asset: str
    detector: str
    kind: str
    model: Model | None = None
    plant: str = Field(description="hash of the plant file")
    backfill: bool = False
    items: tuple[Detection, ...]


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
    applied_us: int
    since_us: int
    activation: str | None = None
    raised_us: int | None = None
    cleared_us: int | None = None
    acknowledged_us: int | None = None
    shelved_until_us: int | None = None
    score: float | None = None
    peak: float | None = None
    threshold: float | None = None
    reason: str = ""
    evidence: dict[str, float] = Field(default_factory=dict)
    detection: str | None = None
    activations: int = 0
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
    at_us: int
    alarm_class: AlarmClass
    severity: Severity
    score: float | None
    threshold: float | None
    reason: str = ""
    evidence: dict[str, float] = Field(default_factory=dict)
    detection: str | None
    received_us: int = 0
    plant: str = ""
    model: Model | None = None
    backfill: bool = False


class Command(Message):
    """What an operator asked."""

    id: str
    alarm: str
    action: Literal["acknowledge", "shelve", "unshelve", "verdict"]
    actor: str
    at_us: int
    until_us: int | None = None
    verdict: Literal["true", "false", "nuisance"] | None = None
    comment: str = ""


class Account(Message):
    """What a stage took in and what became of it, each counted where it happens:
    `taken_in == gone_out + held + sum(dropped)`."""

    unit: str
    taken_in: int = Field(alias="in")
    gone_out: int = Field(alias="out")
    held: int
    dropped: dict[str, int] = Field(default_factory=dict)

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True
    )

    @property
    def missing(self) -> int:
        """How many units nobody can account for: 0 when the books balance."""
        return self.taken_in - self.gone_out - self.held - sum(self.dropped.values())


class SourceHealth(Message):
    """One signal (or camera) as its edge sees it."""

    asset: str
    signal: str
    state: Literal["waiting", "ok", "silent", "out-of-range"]
    clock: Literal["source", "arrival"]
    rate_hz: float
    readings: int
    last_us: int | None
    unit: str = "1"
    value: float | None = None


class Histogram(Message):
    """Cumulative counts: `counts[i]` observations were at most `bounds_s[i]`."""

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    sum_s: float
    count: int


class Status(Message):
    """How one process does: sent every second, kept by process."""

    process: Annotated[str, Field(description="room and instance, as edge/box-1")]
    at_us: int
    started_us: int
    account: dict[str, Account] = Field(default_factory=dict)
    sources: tuple[SourceHealth, ...] = ()
    latencies: dict[str, Histogram] = Field(default_factory=dict)
    rss_bytes: int = 0
    notes: tuple[str, ...] = ()


KINDS: dict[type[Message], str] = {
    DetectionBatch: "vigia.detections.v1",
    AlarmState: "vigia.alarm.v1",
    Alert: "vigia.alert.v1",
    Command: "vigia.command.v1",
    Status: "vigia.status.v1",
}
M = TypeVar("M", bound=Message)


def encode_json(message: Message) -> bytes:
    """The message's value."""
    return message.model_dump_json().encode()


def decode_json(kind: type[M], value: bytes | None) -> M:
    """The message in `value`. Raises DecodeError that names the first field that is wrong."""
    if value is None or len(value) > MAX_JSON_BYTES:
        raise DecodeError(f"expected at most {MAX_JSON_BYTES} bytes of JSON")
    try:
        return kind.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise DecodeError(f"{KINDS.get(kind, kind.__name__)}: {where}: {first['msg']}") from error


def headers_for(message: Message, *, source: str, id: str, subject: str) -> Headers:
    """CloudEvents headers for one JSON message."""
    return cloud_event(
        KINDS[type(message)],
        source=source,
        id=id,
        subject=subject,
        content_type="application/json",
    )


class FrameHeaders(Message):
    """The headers of `vigia.frames` (each as `ce_<name>`): what a frame is before decoding it."""

    asset: str
    camera: str
    kind: Literal["visible", "thermal"]
    time_us: int
    clock: Literal["rtcp", "arrival", "source"]
    width: int = Field(gt=0, le=20_000)
    height: int = Field(gt=0, le=20_000)
    encoding: Literal["jpeg", "png", "tiff"]
    sequence: int = Field(ge=0)
    calibration: str | None = None

    KIND: ClassVar[str] = "vigia.frame.v1"

    def headers(self, *, source: str) -> Headers:
        """The message's headers."""
        fields = self.model_dump(exclude_none=True, exclude={"asset"})
        return cloud_event(
            self.KIND,
            source=source,
            id=f"{self.asset}/{self.camera}:{self.sequence}:{self.time_us}",
            subject=self.asset,
            content_type=f"image/{self.encoding}",
            extensions={name.replace("_", ""): str(value) for name, value in fields.items()},
        )

    @classmethod
    def parse(cls, headers: dict[str, bytes]) -> Self:
        """From the headers of a message. Raises DecodeError."""
        names = {name: f"ce_{name.replace('_', '')}" for name in cls.model_fields}
        names["asset"] = "ce_subject"
        found = {
            name: headers[header].decode(errors="replace")
            for name, header in names.items()
            if header in headers
        }
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise DecodeError(f"frame header {first['loc'][0]}: {first['msg']}") from error
