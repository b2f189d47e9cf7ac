"""`vigia.frames`: one encoded image a message. What it is stands in the headers, so that a frame is
known before it is decoded; they also say where it stands in its asset's stream, as those of reading
batches do. And `vigia.evidence`: what a person is shown of a frame that made a detection abnormal.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import ClassVar, Literal, Self

from pydantic import Field, ValidationError

from contracts.errors import DecodeError
from contracts.headers import MOST, NO_TIME, Headers, cloud_event
from contracts.message import Message, Whole, first_mistake
from contracts.readings import Position

MAX_FRAME_BYTES = 900_000
"""Of one encoded image: Kafka takes 1 MB a message."""
MAX_PIXELS = 40_000_000
"""Of an image that is decoded at all."""
MAX_EVIDENCE_BYTES = 60_000


class OfFrame(Message):
    """What all these headers have: each field as `ce_<name>`, the asset as the subject. What is
    None, or false, is not written."""

    asset: str
    time_us: Whole

    KIND: ClassVar[str]

    def headers(self, *, source: str) -> Headers:
        """The message's headers."""
        fields = self.model_dump(exclude_none=True, exclude={"asset"})
        return cloud_event(
            self.KIND,
            source=source,
            id=self.identity,
            subject=self.asset,
            content_type=self.content_type,
            extensions={
                name.replace("_", ""): "true" if value is True else str(value)
                for name, value in fields.items()
                if value is not False
            },
        )

    @property
    def identity(self) -> str:
        """The event's id: what it is, never chance."""
        raise NotImplementedError

    @property
    def content_type(self) -> str:
        """What the value is."""
        return "image/jpeg"

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
            raise DecodeError(f"frame header {first_mistake(error)}") from None


class FrameHeaders(OfFrame):
    """One frame of one camera. `quality` says what the edge knows of the image: only a `good` one
    is worth a look; with `missing` there is none, the value is empty, and the frame says that the
    camera is silent. Frames of an asset rise in time; those that do not are not written."""

    camera: str
    kind: Literal["visible", "thermal"]
    clock: Literal["rtcp", "arrival", "source"]
    width: int = Field(ge=0, le=20_000)
    height: int = Field(ge=0, le=20_000)
    encoding: Literal["jpeg", "png", "tiff"]
    sequence: int = Field(ge=0, le=MOST)
    calibration: str | None = None
    quality: Literal["good", "missing", "frozen", "dark", "over-exposed", "blurred", "moved"] = (
        "good"
    )
    wm_before_us: Whole = NO_TIME
    wm_after_us: Whole = NO_TIME
    max_before_us: Whole = NO_TIME
    received_us: Whole = 0
    backfill: bool = False

    KIND: ClassVar[str] = "vigia.frame.v2"

    @property
    def identity(self) -> str:
        return f"{self.asset}/{self.camera}:{self.sequence}:{self.time_us}"

    @property
    def content_type(self) -> str:
        return f"image/{self.encoding}"

    @property
    def position(self) -> Position:
        """Where the frame stands in its asset's stream, for the readings that come of it."""
        return Position(
            self.sequence,
            self.wm_before_us,
            self.wm_after_us,
            self.max_before_us,
            self.received_us,
            self.backfill,
        )

    def at(self, position: Position) -> Self:
        """The same frame at another place of the stream."""
        return self.model_copy(update=asdict(position))


class EvidenceHeaders(OfFrame):
    """A small JPEG of the frame of `time_us`, on which `detector`'s model drew where it saw what
    (`score` against `threshold`)."""

    detector: str
    score: float
    threshold: float
    model: str = Field(description="SHA-256 of model.onnx")

    KIND: ClassVar[str] = "vigia.evidence.v1"

    @property
    def identity(self) -> str:
        return f"{self.asset}/{self.detector}:{self.time_us}"
