"""`vigia.frames`: one encoded image a message. What it is stands in the headers, so that a frame is
known before it is decoded."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, ValidationError

from contracts.errors import DecodeError
from contracts.headers import Headers, cloud_event
from contracts.messages import Message


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
