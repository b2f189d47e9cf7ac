"""Whether all that the MQTT broker confirmed came through one line, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from broker.reader import read
from contracts.errors import BrokerError, DecodeError
from contracts.frames import FrameHeaders
from contracts.headers import header_map
from contracts.identity import detection_id
from contracts.messages import Status, decode_json
from contracts.readings import Position, ReadingDecoder
from contracts.record import Record
from contracts.topics import FRAMES, STATUS, topic_name
from tests.chaos.feed import Message, in_time, windows_of
from tests.chaos.line import Line, outcome
from tests.chaos.world import DETECTORS, LATENESS_US, WIDTH_US, count_windows
from tests.soak.plant import PARTITIONS, SEEN

LOOKS = 6
UNREAD_US = 10_000_000
_LOOK_S = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame on the log, as `count_windows` wants it."""

    asset: str
    position: Position
    times_us: NDArray[np.int64]


@dataclass
class Books:
    """What one line says of itself while it runs, and what is on its topics at the end."""

    line: Line
    statuses: dict[str, Status] = field(default_factory=dict)
    frames: dict[tuple[int, int], Seen] = field(default_factory=dict)

    @classmethod
    def of(cls, bootstrap: str, prefix: str, plant: Path) -> Books:
        """For the line of a plant file."""
        return cls(Line(bootstrap, prefix, PARTITIONS, plant, []))

    async def follow(self) -> None:
        """Keeps up for ever, whatever becomes of Kafka. Frames are gone from it after minutes."""
        await asyncio.gather(
            self._follow(topic_name(STATUS, self.line.prefix), self._status),
            self._follow(topic_name(FRAMES, self.line.prefix), self._frame),
        )

    async def _follow(self, topic: str, tell: Callable[[Record], None]) -> None:
        while True:
            with suppress(BrokerError):
                async for record in read(self.line.bootstrap, topic):
                    tell(record)
            await asyncio.sleep(0.5)

    def _status(self, record: Record) -> None:
        status = decode_json(Status, record.value)
        self.statuses[status.process] = status

    def _frame(self, record: Record) -> None:
        with suppress(DecodeError):
            one = FrameHeaders.parse(header_map(record.headers))
            seen = Seen(one.asset, one.position, np.array([one.time_us]))
            self.frames[record.partition, record.offset] = seen

    async def close(self, sent: list[Message]) -> dict[str, Any]:
        """The figures, once nothing is missing any more, or after a while without; `sent` is what
        the MQTT broker has confirmed."""
        rows = in_time(sent)
        wanted, _ = self._expected(rows)
        for _ in range(LOOKS):
            await asyncio.sleep(_LOOK_S)
            decided = await outcome(self.line)
            if not wanted - decided.detections.keys():
                break
        lost, again = await self._rows(rows)
        missing = wanted - decided.detections.keys()
        # Cameras go on meanwhile.
        now, later = self._expected(rows)
        return {
            "rows": sum(len(message.times_us) for message in sent),
            "rows_lost": lost,
            "rows_written_again": again,
            "frames": len(self.frames),
            "windows_expected": len(wanted),
            "windows_missing": len(missing),
            "windows_too_many": len(decided.detections.keys() - now - later),
            "decided_again_alike": decided.repeats,
            "duplicates": decided.conflicts,
            "alerts": len(decided.alerts),
            "unaccounted": {p: m for p, s in self.statuses.items() if (m := _missing(s))},
        }

    async def _rows(self, wanted: dict[str, set[int]]) -> tuple[int, int]:
        """Of the rows that came in time, how many are not on the log; and how many are there
        more than once."""
        decoder, seen, total = ReadingDecoder(), dict[str, set[int]](), 0
        topic = f"{self.line.prefix}.readings"
        async for record in read(self.line.bootstrap, topic, until_end=True):
            with suppress(DecodeError):
                batch = decoder.decode(record.value, record.headers)
                some = batch.times_us[np.isfinite(batch.values).any(axis=1)].tolist()
                total += len(some)
                seen.setdefault(batch.asset, set()).update(some)
        lost = sum(len(times - seen.get(asset, set())) for asset, times in wanted.items())
        return lost, total - sum(map(len, seen.values()))

    def _expected(self, rows: dict[str, set[int]]) -> tuple[set[str], set[str]]:
        """The ids of all detections that there must be by now, and of those that there may be: a
        worker has perhaps not yet read the last frames of a camera, which goes on."""
        ids = [(a, d, s) for a, s in windows_of(rows) for d in DETECTORS]
        frames = list(self.frames.values())
        marks = {seen.asset: seen.position.wm_after_us for seen in frames}
        late: list[tuple[str, str, int]] = []
        for asset, start in count_windows(frames):
            closed = start + WIDTH_US + LATENESS_US < marks[asset] - UNREAD_US
            (ids if closed else late).extend((asset, d, start) for d in SEEN[asset])
        return _identified(ids), _identified(late)


def _identified(windows: Iterable[tuple[str, str, int]]) -> set[str]:
    return {detection_id(a, d, s, s + WIDTH_US) for a, d, s in windows}


def _missing(status: Status) -> dict[str, int]:
    return {stage: a.missing for stage, a in status.account.items() if a.missing}
