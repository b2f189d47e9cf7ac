"""Frames to readings on the log, and pictures of what was seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.errors import DecodeError
from contracts.frames import MAX_PIXELS, EvidenceHeaders, FrameHeaders
from contracts.headers import header_map
from contracts.messages import Account
from contracts.partitions import partition_of
from contracts.plant.cameras import Camera
from contracts.plant.model import Kafka
from contracts.readings import Column, encode
from contracts.record import Outgoing, Record
from contracts.topics import EVIDENCE, READINGS
from stream.adapters.images import decode, draw
from stream.adapters.letters import Letters
from stream.core.culprits import culprits
from stream.core.frames import Gauge, Image, ImageModel, Sighting, blind, reading, row
from stream.ports import Publisher, Settled

UNWATCHED, SUPERSEDED = "unwatched", "superseded"


@dataclass(frozen=True, slots=True)
class Watched:
    """An asset that a camera watches: what is measured of it, and by what."""

    camera: Camera
    columns: tuple[Column, ...]
    gauge: Gauge | None
    models: Mapping[str, ImageModel]


@dataclass(frozen=True, slots=True)
class _Frame:
    record: Record
    headers: FrameHeaders
    watched: Watched
    image: Image | None

    @property
    def pixels(self) -> int:
        """How many were decoded."""
        return 0 if self.image is None else self.image.shape[0] * self.image.shape[1]


@dataclass(slots=True)
class FrameAgent:
    """Every frame becomes a row of readings that says all the frame's models and gauge found. It
    keeps nothing between frames, so an offset may be committed as soon as its row is
    acknowledged; a frame that comes again makes the same row again, and whoever reads drops it.
    """

    watched: Mapping[str, Watched]
    publisher: Publisher
    kafka: Kafka
    source: str
    taken_in: int = 0
    gone_out: int = 0
    held: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    _letters: Letters = field(init=False)
    _heads: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._letters = Letters(self.kafka.prefix, self.source)

    async def assigned(self, partitions: frozenset[int]) -> None:
        self._heads.clear()

    async def handle(self, records: Sequence[Record]) -> Settled:
        letters: list[Outgoing] = []
        frames = self._frames(records, letters)
        self.held += len(frames)
        made = await asyncio.to_thread(self._look, frames, letters)
        self._heads |= {record.partition: record.offset + 1 for record in records}
        heads = dict(self._heads)

        async def settle() -> Mapping[int, int]:
            await self.publisher.send_all([*made, *letters])
            self.held -= len(frames)
            self.gone_out += len(frames)
            return heads

        return settle

    def accounts(self) -> Mapping[str, Account]:
        dropped = self.dropped + self._letters.dropped
        return {
            "stream.frames": Account(
                unit="frame",
                taken_in=self.taken_in,
                gone_out=self.gone_out,
                held=self.held,
                dropped=dict(dropped),
            )
        }

    def _frames(self, records: Sequence[Record], letters: list[Outgoing]) -> list[_Frame]:
        """The frames that shall be looked at, in order. All are counted."""
        frames: list[_Frame] = []
        newest: dict[str, _Frame] = {}
        for record in records:
            self.taken_in += 1
            try:
                headers = FrameHeaders.parse(header_map(record.headers))
            except DecodeError as error:
                letters.append(self._letters.letter(record, error))
                continue
            watched = self.watched.get(headers.asset)
            if watched is None:
                self.dropped[UNWATCHED] += 1
                continue
            frames.append(_Frame(record, headers, watched, None))
            newest[headers.asset] = frames[-1]
        kept = [f for f in frames if f.watched.camera.late == "all" or newest[f.headers.asset] is f]
        self.dropped[SUPERSEDED] += len(frames) - len(kept)
        return kept

    def _look(self, frames: Sequence[_Frame], letters: list[Outgoing]) -> list[Outgoing]:
        made: list[Outgoing] = []
        for part in self._parts(frames, letters):
            made += self._made(part)
            # Not held while the next ones are decoded.
            part.clear()
        return made

    def _made(self, part: Sequence[_Frame]) -> list[Outgoing]:
        made: list[Outgoing] = []
        for frame, seen in zip(part, _sightings(part), strict=True):
            made += self._evidence(frame, seen)
            made.append(self._reading(frame, seen))
        return made

    def _parts(self, frames: Sequence[_Frame], letters: list[Outgoing]) -> Iterator[list[_Frame]]:
        """The frames decoded, those together that have about MAX_PIXELS: small messages may
        become images of any size."""
        part: list[_Frame] = []
        pixels = 0
        for frame in frames:
            part.append(self._decoded(frame, letters))
            pixels += part[-1].pixels
            if pixels >= MAX_PIXELS:
                yield part
                part, pixels = [], 0
        yield part

    def _decoded(self, frame: _Frame, letters: list[Outgoing]) -> _Frame:
        if frame.headers.quality != "good":
            return frame
        try:
            image = decode(frame.record.value)
        except DecodeError as error:
            # The row still says that there is nothing, so that a broken camera is seen.
            letters.append(self._letters.letter(frame.record, error, counted=False))
            return frame
        return _Frame(frame.record, frame.headers, frame.watched, image)

    def _reading(self, frame: _Frame, seen: dict[str, Sighting]) -> Outgoing:
        watched, image = frame.watched, frame.image
        if image is None:
            made = blind(watched.columns, frame.headers.quality)
        else:
            gauge = watched.gauge
            measured = gauge.measure(image, watched.camera) if gauge else {}
            made = row(watched.columns, image, measured, seen)
        value, headers = encode(reading(frame.headers, watched.columns, made), source=self.source)
        return self._outgoing(READINGS.name, frame.headers.asset, value, headers)

    def _evidence(self, frame: _Frame, seen: Mapping[str, Sighting]) -> list[Outgoing]:
        found = []
        for name, one in seen.items():
            model = frame.watched.models[name]
            if frame.image is None or not one.score > model.threshold:
                continue
            told = EvidenceHeaders(
                asset=frame.headers.asset,
                time_us=frame.headers.time_us,
                detector=name,
                score=one.score,
                threshold=model.threshold,
                model=model.sha256,
            )
            picture, headers = draw(frame.image, one.heat), told.headers(source=self.source)
            found.append(self._outgoing(EVIDENCE.name, told.asset, picture, headers))
        return found

    def _outgoing(
        self, topic: str, asset: str, value: bytes, headers: list[tuple[str, bytes]]
    ) -> Outgoing:
        partition = partition_of(asset, self.kafka.partitions)
        return Outgoing(f"{self.kafka.prefix}.{topic}", asset.encode(), value, headers, partition)


def _sightings(frames: Sequence[_Frame]) -> list[dict[str, Sighting]]:
    """For every frame what each model saw, by the model's name: the frames of all assets of a
    model go through it together. Of a frame at which a model fails it says nothing."""
    wanted: dict[int, tuple[ImageModel, list[tuple[int, str]]]] = {}
    for at, frame in enumerate(frames):
        if frame.image is not None:
            for name, model in frame.watched.models.items():
                wanted.setdefault(id(model), (model, []))[1].append((at, name))
    found: list[dict[str, Sighting]] = [{} for _ in frames]
    for model, places in wanted.values():
        images = [image for at, _ in places if (image := frames[at].image) is not None]
        for (at, name), sighting in zip(places, _looked(model, images), strict=True):
            if sighting is not None:
                found[at][name] = sighting
    return found


def _looked(model: ImageModel, images: list[Image]) -> list[Sighting | None]:
    seen: list[Sighting | None] = [None] * len(images)

    def run(part: slice) -> None:
        seen[part] = model.look(images[part])

    culprits(run, 0, len(images))
    return seen
