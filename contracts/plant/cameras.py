"""The cameras' part of the plant file, and what is measured of an asset that a camera watches."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contracts.durations import Duration
from contracts.plant.detectors import Id
from contracts.plant.sections import Secret, Section
from contracts.readings import Column

_RTSP = re.compile(r"rtsps?://[^/@\s]+(/\S*)?\Z")
BRIGHTNESS, LEVEL, LEVEL_MM, RELIABILITY = "brightness", "level", "level-mm", "reliability"


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError(f"expected [low, high] with low < high, got {list(pair)}")
    return pair


def _no_credentials(address: str) -> str:
    # The address is not repeated: it may hold a password.
    if _RTSP.match(address) is None:
        raise ValueError("expected rtsp://HOST[:PORT]/PATH without user and password")
    return address


RtspAddress = Annotated[str, AfterValidator(_no_credentials)]
Span = Annotated[tuple[float, float], AfterValidator(_ascending)]
Pixels = Annotated[int, Field(gt=0, le=8192)]
Grey = Annotated[float, Field(ge=0, le=255)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Layer(Section):
    """A layer of a tank's content: what is seen with grey levels from `grey[0]` to `grey[1]`."""

    id: Id
    grey: Annotated[tuple[Grey, Grey], AfterValidator(_ascending)]


class Tank(Section):
    """How a thermal image of a tank is read. Its rows from top to bottom are the region's height;
    `layers` are named from the top down, and `height` is that of the region in mm."""

    layers: tuple[Layer, ...] = Field(
        default=(
            Layer(id="crude", grey=(180, 255)),
            Layer(id="emulsion", grey=(130, 180)),
            Layer(id="water", grey=(70, 130)),
        ),
        min_length=1,
        max_length=8,
    )
    height: float | None = Field(default=None, gt=0, description="of the region, in mm")
    span: Span = Field(default=(0.0, 255.0), description="temperature of grey 0 and of grey 255")

    @model_validator(mode="after")
    def _layers_apart(self) -> Self:
        greys = sorted(layer.grey for layer in self.layers)
        if len({layer.id for layer in self.layers}) != len(self.layers):
            raise ValueError("expected layers with ids of their own")
        if any(low[1] > high[0] for low, high in itertools.pairwise(greys)):
            raise ValueError("expected layers whose grey levels do not overlap")
        return self


class Camera(Section):
    """A camera, or files in its place: one of `rtsp`, `device`, `video` and `folder`."""

    kind: Literal["visible", "thermal"] = "visible"
    rtsp: RtspAddress | None = Field(default=None, description="address, without user and password")
    transport: Literal["tcp", "udp"] = Field(
        default="tcp",
        description="of an RTSP stream. udp: where a camera gives nothing else; what is lost on "
        "the way is not sent again",
    )
    device: Annotated[str, StringConstraints(pattern=r"^/dev/[^\s]+$")] | None = Field(
        default=None, description="a webcam of this machine (Video4Linux), as /dev/video0"
    )
    video: str | None = Field(default=None, description="a file, from the plant file's folder")
    folder: str | None = Field(
        default=None, description="a folder of images, taken in the order of their names"
    )
    username: str | None = None
    password: Secret | None = None
    rate: float = Field(default=1.0, gt=0, le=60, description="frames a second that are kept")
    region: tuple[Fraction, Fraction, Fraction, Fraction] | None = Field(
        default=None, description="[left, top, right, bottom] as fractions of the image"
    )
    size: tuple[Pixels, Pixels] | None = Field(
        default=None, description="[width, height] that the region is scaled to"
    )
    encoding: Literal["jpeg", "png"] = Field(default="jpeg", description="png keeps all 16 bits")
    quality: int = Field(default=90, ge=1, le=100, description="of the JPEG")
    idle: Duration = Field(
        default=5_000_000, gt=0, description="silence after which the edge says so"
    )
    late: Literal["all", "newest"] = Field(
        default="all",
        description="frames that wait because models are slow: look at all, or at the newest",
    )
    watch: tuple[Literal["moved", "blurred"], ...] = Field(
        default=(),
        description="what is told by comparison with the camera's own normal view: for views that "
        "have edges and marks all over, by day",
    )
    tank: Tank = Tank()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.rtsp, self.device, self.video, self.folder)
        if sum(one is not None for one in sources) != 1:
            raise ValueError("expected one of rtsp, device, video and folder")
        if self.transport == "udp" and not (self.rtsp or "").startswith("rtsp:"):
            raise ValueError("expected transport: udp only beside an address rtsp://")
        if self.region is not None:
            left, top, right, bottom = self.region
            if left >= right or top >= bottom:
                raise ValueError("expected a region [left, top, right, bottom] that is not empty")
        return self


def camera_columns(camera: Camera, models: Iterable[str]) -> tuple[Column, ...]:
    """What is measured in each frame: its mean grey level; by every vision detector (`models` has
    their ids) its score; and of a tank, by a thermal camera, the level of the surface, and for
    each layer its share of the height, the height of its top (% from below) and its mean
    temperature, and how far all that may be relied on (0 to 100)."""
    found = [Column(BRIGHTNESS), *(Column(name) for name in models)]
    if camera.kind == "thermal":
        found += [Column(LEVEL, "%"), Column(LEVEL_MM, "mm"), Column(RELIABILITY)]
        for layer in camera.tank.layers:
            found += [
                Column(f"{layer.id}-share", "%"),
                Column(f"{layer.id}-top", "%"),
                Column(f"{layer.id}-temperature", "Cel"),
            ]
    return tuple(found)
