"""What a camera is looked at for now and then: whether it still looks where it did, and is sharp.

At most one look in LOOK_US. One look proves nothing: somebody passes, the focus hunts. What is
told must last, and so must the contrary; a look that cannot tell changes nothing.

What is normal is learned in the first minute of looks and outlives a restart in a Memory. To take
another view for the normal one, it must be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.headers import NO_TIME
from contracts.plant.cameras import Camera
from edge.core.framing import cut
from edge.core.scenes import View as Seen
from edge.core.scenes import unlit
from edge.core.sharpness import GRID, Normal, Sharpness
from edge.core.viewpoint import WIDTH, View, Viewpoint, view_of

LOOK_US = 1_000_000
LASTS_US = 10_000_000
"""For so long it must be seen that the view is shifted or blurred."""
ELSEWHERE_US = 30_000_000
"""For so long the view must be another one, of which nothing is known: something large may stand
before the camera for a while."""
UNSEEN_US = 600_000_000
"""Where no look could tell anything for so long, that is said."""
SMALLEST = 64
"""Rows and columns of an image that is looked at."""
_LEAST_LOOKS = 3
_SHARP_WIDTH = 640
_SPAN_16 = 200.0

Grey = NDArray[np.float32]
Memory = dict[str, NDArray[Any]]
"""What was learned, by name, to be kept in a file."""
_KEEP_US = 3_600_000_000


@dataclass(slots=True)
class Lasting:
    """Whether something is so: once it was told for `after_us` and _LEAST_LOOKS times, with
    nothing told to the contrary; and no longer so once the contrary was, as often."""

    after_us: int
    is_so: bool = False
    _since_us: int = NO_TIME
    _times: int = 0

    def tell(self, so: bool | None, time_us: int) -> None:
        """One look told `so`, or nothing."""
        if so is None:
            return
        if so == self.is_so:
            self._times = 0
            return
        self._since_us = self._since_us if self._times else time_us
        self._times += 1
        lasted_us = time_us - self._since_us
        if self._times >= _LEAST_LOOKS and (self.is_so or lasted_us >= self.after_us):
            self.is_so, self._times = so, 0


@dataclass(slots=True)
class Sight:
    """One camera's looks. Used by one thread."""

    camera: Camera
    viewpoint: Viewpoint = field(default_factory=Viewpoint)
    sharpness: Sharpness = field(default_factory=Sharpness)
    _at_us: int = NO_TIME
    _kept_us: int = NO_TIME
    _told_us: dict[str, int] = field(default_factory=dict)
    _kept: tuple[bool, bool] = (False, False)
    _shape: tuple[int, ...] = ()
    _shifted: Lasting = field(default_factory=lambda: Lasting(LASTS_US))
    _elsewhere: Lasting = field(default_factory=lambda: Lasting(ELSEWHERE_US))
    _blurred: Lasting = field(default_factory=lambda: Lasting(LASTS_US))

    @property
    def view(self) -> Seen:
        """`moved`, `blurred` or `good`, as of the last look."""
        if self._shifted.is_so or self._elsewhere.is_so:
            return "moved"
        return "blurred" if self._blurred.is_so else "good"

    @classmethod
    def recalled(cls, camera: Camera, memory: Memory) -> Sight:
        """The looks of `camera` with what was learned, where that can be used: it was learned
        from the same source and region."""
        sight = cls(camera)
        if str(memory.get("of")) != _of(camera):
            return sight
        sight.viewpoint.first = _view_in(memory, "first")
        first, newest = sight.viewpoint.first, _view_in(memory, "newest")
        crept = _sized(memory, "crept", (2,))
        if first and newest and newest.picture.shape == first.picture.shape and crept is not None:
            sight.viewpoint.newest, sight.viewpoint.crept = newest, crept
        blocks, light = _sized(memory, "blocks", (3, GRID * GRID)), _sized(memory, "light", (2,))
        if blocks is not None and light is not None:
            squared, spread, strength = blocks
            sight.sharpness.normal = Normal(squared, spread, strength, light)
        sight._kept = sight._learned
        return sight

    def memory(self, time_us: int) -> Memory | None:
        """What is to be kept now; None where nothing new was learned in the last hour."""
        learned = self._learned
        if not any(learned) or (learned == self._kept and time_us - self._kept_us < _KEEP_US):
            return None
        self._kept, self._kept_us = learned, time_us
        found: Memory = {"of": np.array(_of(self.camera))}
        viewpoint = self.viewpoint
        for name, view in (("first", viewpoint.first), ("newest", viewpoint.newest)):
            if view is not None:
                found |= {name: view.picture, f"{name}-marks": view.marks}
        found["crept"] = viewpoint.crept
        if (normal := self.sharpness.normal) is not None:
            found["blocks"] = np.stack([normal.squared, normal.spread, normal.strength])
            found["light"] = normal.light
        return found

    @property
    def _learned(self) -> tuple[bool, bool]:
        return self.viewpoint.first is not None, self.sharpness.normal is not None

    def wants(self, time_us: int) -> bool:
        """Whether it is time for another look."""
        return not 0 <= time_us - self._at_us < LOOK_US

    def unseen(self, time_us: int) -> tuple[str, ...]:
        """What of `camera.watch` cannot be told: no look of the last UNSEEN_US could."""
        told = self._told_us
        return tuple(
            one for one in self.camera.watch if time_us - told.get(one, time_us) >= UNSEEN_US
        )

    def show(self, luminance: NDArray[Any], time_us: int) -> None:
        """Looks at a frame, [rows, columns] or [rows, columns, channels], uint8 or uint16. One
        that is dark, over-exposed or tiny tells nothing."""
        self._at_us = time_us
        for what in self.camera.watch:
            self._told_us.setdefault(what, time_us)
        rows, columns = cut(luminance.shape[1], luminance.shape[0], self.camera.region)
        kept = luminance[rows, columns]
        if min(kept.shape[:2]) < SMALLEST or unlit(kept):
            return
        picture = reduced(kept[..., 1] if kept.ndim == 3 else kept, _SHARP_WIDTH)
        if picture.shape != self._shape:
            # Of another size all looks different. The view finds that out by itself.
            self._shape, known = picture.shape, bool(self._shape)
            self.sharpness = Sharpness() if known else self.sharpness
        if "moved" in self.camera.watch:
            place = self.viewpoint.look(reduced(picture, WIDTH))
            self._note("moved", place, time_us)
            self._shifted.tell(_is(place, "shifted"), time_us)
            self._elsewhere.tell(_is(place, "shifted", "elsewhere"), time_us)
        if "blurred" in self.camera.watch and self.view != "moved":
            blurred = self.sharpness.look(picture)
            self._note("blurred", blurred, time_us)
            self._blurred.tell(blurred, time_us)

    def _note(self, what: str, told: object, time_us: int) -> None:
        if told is not None:
            self._told_us[what] = time_us


def _view_in(memory: Memory, name: str) -> View | None:
    picture, marks = memory.get(name), memory.get(f"{name}-marks")
    return None if picture is None or marks is None else view_of(picture, marks)


def _sized(memory: Memory, name: str, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    found = memory.get(name)
    return found.astype(np.float64) if found is not None and found.shape == shape else None


def _of(camera: Camera) -> str:
    return f"{camera.rtsp or camera.device or camera.video or camera.folder} {camera.region}"


def _is(place: str | None, *wanted: str) -> bool | None:
    return None if place is None else place in wanted


def reduced(grey: NDArray[Any], width: int) -> Grey:
    """`grey` [rows, columns], each pixel the mean of as many as leave it `width` wide at least.
    16 bits, of which most cameras use a small part, are brought to about the span of 8."""
    times = max(1, grey.shape[1] // width)
    rows, columns = (size // times * times for size in grey.shape)
    total = np.zeros((rows // times, columns // times), np.float32)
    for down in range(times):
        for right in range(times):
            total += grey[down:rows:times, right:columns:times]
    total /= times * times
    if grey.dtype == np.uint16 and total.size:
        low, high = np.quantile(total, (0.01, 0.99))
        total = (total - np.float32(low)) * np.float32(_SPAN_16 / max(high - low, 1.0))
    return total
