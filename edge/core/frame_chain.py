"""The frames of one asset on their way to Kafka, each with its position in the asset's stream."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.frames import FrameHeaders
from contracts.headers import NO_TIME
from contracts.readings import Position
from edge.core.batches import Place, follow
from edge.core.framing import Picture
from edge.core.stamps import Stamp

MAX_WAITING = 16
MAX_WAITING_BYTES = 6_000_000
NOT_RISING, BUFFER_FULL = "not-rising", "buffer-full"


@dataclass(frozen=True, slots=True)
class Print:
    """A frame that waits to be written."""

    stamp: Stamp
    picture: Picture


@dataclass(frozen=True, slots=True)
class FrameParcel:
    """A message under way to Kafka; `frames` counts those of the camera in it: a heartbeat has
    none."""

    headers: FrameHeaders
    value: bytes
    frames: int


Headed = Callable[[Stamp, Position, Picture | None], FrameHeaders]


@dataclass(slots=True)
class FrameChain:
    """One message is under way at a time, so that their order in Kafka is that of their sequence
    numbers; meanwhile the newest frames wait, MAX_WAITING of them and MAX_WAITING_BYTES at most.

    Times of written frames rise strictly, heartbeats among them: each message says that all
    before its own time is complete. `headed` makes the headers of a stamp at a position.
    """

    headed: Headed
    place: Place | None = None
    dropped: Counter[str] = field(default_factory=Counter)
    gone_out: int = 0
    under_way: FrameParcel | None = None
    _waiting: deque[Print] = field(default_factory=deque)
    _bytes: int = 0

    @property
    def newest_us(self) -> int:
        """The time of the newest frame that waits, is under way or is in Kafka; or NO_TIME."""
        if self._waiting:
            return self._waiting[-1].stamp.time_us
        if self.under_way:
            return self.under_way.headers.time_us
        return self.place.newest_us if self.place else NO_TIME

    @property
    def held(self) -> int:
        """Frames of the camera that Kafka has not acknowledged."""
        return len(self._waiting) + (self.under_way.frames if self.under_way else 0)

    @property
    def empty(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._waiting and self.under_way is None

    @property
    def crowded(self) -> bool:
        """Whether so many wait that some will soon be dropped."""
        return len(self._waiting) >= MAX_WAITING // 2 or self._bytes >= MAX_WAITING_BYTES // 2

    def put(self, stamp: Stamp, picture: Picture) -> None:
        """Adds a frame; drops it when its time does not rise, and the oldest when too many
        wait."""
        if stamp.time_us <= self.newest_us:
            self.dropped[NOT_RISING] += 1
            return
        self._waiting.append(Print(stamp, picture))
        self._bytes += len(picture.value)
        while len(self._waiting) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            self._bytes -= len(self._waiting.popleft().picture.value)
            self.dropped[BUFFER_FULL] += 1

    def take(self) -> FrameParcel | None:
        """The next frame, now under way; None when there is none, or one is under way."""
        if self.under_way or not self._waiting:
            return None
        one = self._waiting.popleft()
        self._bytes -= len(one.picture.value)
        return self._send(one.stamp, one.picture)

    def heartbeat(self, time_us: int, now_us: int) -> FrameParcel | None:
        """A message without image that says that nothing came until `time_us`, now under way;
        None when something else is to be written, or the stream is there already."""
        if not self.empty or time_us <= self.newest_us:
            return None
        return self._send(Stamp(time_us, "arrival", now_us), None)

    def written(self, *, kept: bool = False) -> FrameParcel:
        """Kafka acknowledged what was under way; or it is `kept` on disk, which has its own
        books."""
        parcel = self._landed()
        if not kept:
            self.gone_out += parcel.frames
        position = parcel.headers.position
        self.place = Place(position, parcel.headers.time_us)
        return parcel

    def refused(self, reason: str) -> None:
        """Kafka will never take what was under way: it is dropped, and its place is free."""
        self.dropped[reason] += self._landed().frames

    def _landed(self) -> FrameParcel:
        if self.under_way is None:
            raise ValueError("nothing is under way")
        parcel, self.under_way = self.under_way, None
        return parcel

    def _send(self, stamp: Stamp, picture: Picture | None) -> FrameParcel:
        position = follow(self.place, stamp.time_us + 1, stamp.received_us)
        headers = self.headed(stamp, position, picture)
        value = picture.value if picture else b""
        self.under_way = FrameParcel(headers, value, 1 if picture else 0)
        return self.under_way
