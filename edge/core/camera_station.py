"""One camera at the edge: what becomes of its frames, its health and its silence."""

from __future__ import annotations

from collections import Counter

from contracts.frames import FrameHeaders
from contracts.headers import NO_TIME
from contracts.messages import Account, SourceHealth
from contracts.plant.cameras import Camera
from contracts.readings import Position
from contracts.texts import NOTES
from edge.core.backlog import Backlog
from edge.core.batches import Place
from edge.core.camera_health import CameraWatch, Loss, Sayings
from edge.core.frame_chain import NOT_RISING, FrameChain, FrameParcel
from edge.core.framing import Picture
from edge.core.stamps import CameraClock, Clock, Pace, Stamp

STAGE = "edge.frames"
RATE, OVERTAKEN, ABANDONED = "rate", "overtaken", "abandoned"


class CameraStation:
    """What the edge knows of one camera. `place` is where its asset's stream stands in Kafka.

    A frame that comes is `offer`ed; one that is wanted waits alone until it is `taken`, and is
    `developed` into a picture or `spoilt`. Not safe for several threads at once.
    """

    def __init__(self, asset: str, camera: Camera, place: Place | None, now_us: int) -> None:
        self.asset = asset
        self._camera = camera
        self._clock = CameraClock()
        self._pace = Pace(camera.rate)
        self._watch = CameraWatch(asset, camera.idle)
        self._sayings = Sayings()
        self._lines: list[str] = []
        self._chain = FrameChain(self._headers, place)
        self._dropped: Counter[str] = Counter()
        self._taken_in = 0
        self._next: Stamp | None = None
        self._in_hand: Stamp | None = None
        self._unseen: tuple[str, ...] = ()
        self._newest_us = place.newest_us if place else NO_TIME
        self._heard_us = self._beat_us = now_us
        # Event time passes with the clock, from the newest frame on.
        self._behind_us = 0

    def offer(self, source_us: int | None, arrival_us: int, clock: Clock = "rtcp") -> bool:
        """A frame came from the decoder; whether it is wanted. It takes the place of one that
        is not taken yet."""
        self._taken_in += 1
        stamp = self._clock.stamp(source_us, arrival_us, clock)
        self._watch.came(stamp)
        self._heard_us = arrival_us
        if stamp.time_us <= self._newest_us:
            self._dropped[NOT_RISING] += 1
            return False
        self._newest_us = stamp.time_us
        self._behind_us = max(0, arrival_us - stamp.time_us)
        if not self._pace.wants(stamp.time_us):
            self._dropped[RATE] += 1
            return False
        if self._next is not None:
            self._dropped[OVERTAKEN] += 1
        self._next = stamp
        return True

    def lost(self, loss: Loss, why: str, now_us: int) -> None:
        """The source ended or could not be opened."""
        known = self._watch.state == loss
        self._watch.lost(loss, why)
        # The change of state says the first one.
        line = self._sayings.fold(f"{self.asset}: {why}", now_us)
        if known and line:
            self._lines.append(line)

    def say(self, text: str, now_us: int) -> None:
        """Puts a line about this camera into the log, unless it is there already."""
        if line := self._sayings.fold(f"{self.asset}: {text}", now_us):
            self._lines.append(line)

    def taken(self) -> None:
        """The frame that waited is being looked at and encoded."""
        if self._in_hand is not None:
            # Whoever had it came to an end that nobody foresaw.
            self._dropped[ABANDONED] += 1
        self._in_hand, self._next = self._next, None

    def developed(self, picture: Picture, now_us: int) -> None:
        """The frame in hand became a picture."""
        stamp = self._put_down()
        self._watch.seen(picture.view)
        if picture.reduced:
            self.say("images are encoded with less quality, to fit a message", now_us)
        self._chain.put(stamp, picture)

    def sees(self, unseen: tuple[str, ...], now_us: int) -> None:
        """The camera was compared with its own view, and of `unseen` nothing could be told for
        long."""
        for what in set(unseen) - set(self._unseen):
            self.say(NOTES[f"{what}-unseen"]["en"], now_us)
        self._unseen = unseen

    def spoilt(self, reason: str, why: str, now_us: int) -> None:
        """Nothing became of the frame in hand."""
        self._put_down()
        self._dropped[reason] += 1
        self.say(why, now_us)

    def take(self) -> FrameParcel | None:
        """The message to write now, under way until `written` or `refused`."""
        return self._chain.take()

    def written(self, *, kept: bool = False) -> None:
        """Kafka has what was under way; or it is `kept` on disk, which has its own books."""
        self._chain.written(kept=kept)

    def refused(self, why: str, now_us: int) -> None:
        """Kafka will never take what was under way."""
        self._chain.refused("refused")
        self.say(why, now_us)

    def tick(self, now_us: int, *, attentive: bool) -> FrameParcel | None:
        """The heartbeat that is to be written now, if the camera is silent. `attentive` says
        whether the edge can write; while it cannot, no heartbeat is due."""
        idle = self._camera.idle
        if not attentive:
            self._beat_us = now_us
        silent_us = now_us - self._heard_us
        if silent_us <= idle or now_us - self._beat_us < idle or self._next or self._in_hand:
            return None
        beat = self._chain.heartbeat(now_us - self._behind_us - idle, now_us)
        if beat is not None:
            self._beat_us = now_us
            self._newest_us = max(self._newest_us, beat.headers.time_us)
        return beat

    def step(self, by_us: int) -> None:
        """The wall clock was set: what is remembered by it moves along."""
        self._heard_us += by_us
        self._beat_us += by_us
        self._watch.step(by_us)

    def look(self, now_us: int) -> list[str]:
        """What there is to say about the camera since the last look."""
        if (change := self._watch.look(now_us)) is not None:
            self._lines.append(change)
        lines, self._lines = self._lines, []
        return lines

    def notes(self) -> tuple[str, ...]:
        """What the status should say beside the camera's state."""
        codes = [f"{what}-unseen" for what in self._unseen]
        if off_us := self._clock.off_us:
            # In words that stay the same while the clock drifts: a note is news when it changes.
            codes.append("camera-ahead" if off_us > 0 else "camera-behind")
        return tuple(f"{self.asset}: {NOTES[code]['en']}" for code in codes)

    def health(self) -> SourceHealth:
        """The camera's part of the status."""
        return self._watch.health()

    def account(self) -> Account:
        """The books of this camera's frames."""
        return Account(
            unit="frame",
            taken_in=self._taken_in,
            gone_out=self._chain.gone_out,
            held=(self._next is not None) + (self._in_hand is not None) + self._chain.held,
            dropped=dict(self._dropped + self._chain.dropped),
        )

    @property
    def crowded(self) -> bool:
        """Whether so many frames wait that some will soon be dropped."""
        return self._chain.crowded

    @property
    def frames(self) -> int:
        """How many frames came from the decoder."""
        return self._taken_in

    @property
    def under_way(self) -> FrameParcel | None:
        """What waits for Kafka's acknowledgement."""
        return self._chain.under_way

    @property
    def idle(self) -> bool:
        """Whether nothing is to be written and nothing will be without another frame."""
        return self._chain.empty and self._next is None and self._in_hand is None

    def _put_down(self) -> Stamp:
        stamp, self._in_hand = self._in_hand, None
        if stamp is None:
            raise ValueError(f"{self.asset}: no frame is in hand")
        return stamp

    def _headers(self, stamp: Stamp, position: Position, picture: Picture | None) -> FrameHeaders:
        return FrameHeaders(
            asset=self.asset,
            camera=self.asset.rpartition("/")[2],
            time_us=stamp.time_us,
            kind=self._camera.kind,
            clock=stamp.clock,
            width=picture.width if picture else 0,
            height=picture.height if picture else 0,
            encoding=picture.encoding if picture else self._camera.encoding,
            quality=picture.view if picture else "missing",
            sequence=position.sequence,
            wm_before_us=position.wm_before_us,
            wm_after_us=position.wm_after_us,
            max_before_us=position.max_before_us,
            received_us=position.received_us,
        )


def books(stations: list[CameraStation], backlog: Backlog) -> dict[str, Account]:
    """The books of all cameras together, with what is on disk."""
    each = [station.account() for station in stations]
    dropped = Counter(backlog.dropped)
    for one in each:
        dropped.update(one.dropped)
    return {
        STAGE: Account(
            unit="frame",
            taken_in=sum(one.taken_in for one in each) + backlog.taken_in,
            gone_out=sum(one.gone_out for one in each) + backlog.gone_out,
            held=sum(one.held for one in each) + backlog.held,
            dropped=dict(dropped),
        )
    }
