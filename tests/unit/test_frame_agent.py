"""Frames to rows of readings: what is measured, what is not worth a look, what is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import DecodeError, ModelError
from contracts.frames import MAX_EVIDENCE_BYTES, EvidenceHeaders, FrameHeaders
from contracts.headers import header_map
from contracts.plant.cameras import Camera, camera_columns
from contracts.plant.model import Kafka
from contracts.readings import Quality, ReadingBatch, ReadingDecoder
from contracts.record import Outgoing, Record
from stream.adapters.frame_agent import FrameAgent, Watched
from stream.adapters.images import decode, draw
from stream.core.frames import Image, Sighting, brightness

T0, S = 1_700_000_000_000_000, 1_000_000


@dataclass
class Kept:
    """A publisher that keeps what it is given."""

    sent: list[Outgoing] = field(default_factory=list)

    async def send_all(self, records: Iterable[Outgoing]) -> None:
        self.sent += records


@dataclass
class Bright:
    """A model whose score is the brightness; it notes how many images it gets at once."""

    threshold: float = 100.0
    sha256: str = "ab" * 32
    batches: list[int] = field(default_factory=list)

    def look(self, images: list[Image]) -> list[Sighting]:
        self.batches.append(len(images))
        heat = np.eye(7, dtype=np.float32)
        return [Sighting(brightness(image), heat) for image in images]


def jpeg(level: int, size: tuple[int, int] = (64, 48)) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((size[1], size[0], 3), level, np.uint8))[1])


def frame(number: int, value: bytes, asset: str = "works/belt", quality: str = "good") -> Record:
    time_us = T0 + number * S
    before = T0 + (number - 1) * S
    headers = FrameHeaders.model_validate(
        {
            "asset": asset,
            "camera": "c",
            "kind": "visible",
            "time_us": time_us,
            "clock": "arrival",
            "width": 64,
            "height": 48,
            "encoding": "jpeg",
            "sequence": number,
            "quality": quality,
            "wm_before_us": before + 1,
            "wm_after_us": time_us + 1,
            "max_before_us": before,
            "received_us": time_us + 5,
        }
    )
    return Record("vigia.frames", 0, number, asset.encode(), value, headers.headers(source="e"), 0)


def agent(model: Bright, late: str = "all") -> tuple[FrameAgent, Kept]:
    kept = Kept()
    camera = Camera.model_validate({"video": "x.mp4", "late": late})
    watched = Watched(camera, camera_columns(camera, ["spots"]), None, {"spots": model})
    return FrameAgent({"works/belt": watched}, kept, Kafka(), "stream/t"), kept


async def run(agent: FrameAgent, *records: Record) -> dict[int, int]:
    settle = await agent.handle(records)
    return dict(await settle())


async def test_small_messages_that_become_large_images_are_looked_at_in_parts() -> None:
    large = bytes(cv2.imencode(".png", np.full((4_000, 5_000), 90, np.uint8))[1])
    assert len(large) < 60_000
    here, kept = agent(model := Bright())
    records = [frame(number, large) for number in range(3)]
    await run(here, frame(3, jpeg(40)), *records, frame(4, jpeg(80)))
    assert model.batches == [3, 2]
    assert [row.values[0, 0] for row in rows(kept)] == pytest.approx([40, 90, 90, 90, 80], abs=1)


def rows(kept: Kept) -> list[ReadingBatch]:
    decoder = ReadingDecoder()
    return [decoder.decode(one.value, one.headers) for one in kept.sent if "readings" in one.topic]


async def test_the_books_hold_while_a_model_looks() -> None:
    found: list[int] = []

    class Telling(Bright):
        def look(self, images: list[Image]) -> list[Sighting]:
            found.append(here.accounts()["stream.frames"].missing)
            return super().look(images)

    here, _ = agent(Telling())
    await run(here, *(frame(number, jpeg(90)) for number in range(3)))
    assert found == [0]


class Picky(Bright):
    """Fails at every batch that has a picture brighter than 150."""

    def look(self, images: list[Image]) -> list[Sighting]:
        if any(brightness(image) > 150 for image in images):
            raise ModelError("too bright for me")
        return super().look(images)


async def test_a_frame_at_which_a_model_fails_has_no_score_and_the_others_have() -> None:
    here, kept = agent(Picky())
    await run(here, *(frame(at, jpeg(level)) for at, level in enumerate((40, 200, 60))))
    found = rows(kept)
    assert [row.quality[0].tolist() for row in found] == [
        [Quality.GOOD, Quality.GOOD],
        [Quality.GOOD, Quality.MISSING],
        [Quality.GOOD, Quality.GOOD],
    ]
    assert [row.values[0, 0] for row in found] == pytest.approx([40, 200, 60], abs=1)
    assert here.accounts()["stream.frames"].gone_out == 3


async def test_a_frame_becomes_a_row_where_the_frame_is() -> None:
    here, kept = agent(model := Bright())
    heads = await run(here, frame(3, jpeg(40)), frame(4, jpeg(80)))
    assert heads == {0: 5}
    first, second = rows(kept)
    assert (first.asset, first.signals) == ("works/belt", ("brightness", "spots"))
    assert first.times_us.tolist() == [T0 + 3 * S]
    assert first.position.sequence == 3
    assert first.position.wm_before_us == T0 + 2 * S + 1
    assert second.position.wm_before_us == first.position.wm_after_us
    assert first.values[0] == pytest.approx([40, 40], abs=1)
    assert (first.quality == Quality.GOOD).all()
    assert model.batches == [2], "frames go through a model together"
    assert here.accounts()["stream.frames"].missing == 0


async def test_what_is_above_the_threshold_is_shown() -> None:
    here, kept = agent(Bright())
    await run(here, frame(1, jpeg(90)), frame(2, jpeg(200)))
    (shown,) = [one for one in kept.sent if "evidence" in one.topic]
    told = EvidenceHeaders.parse(header_map(shown.headers))
    assert (told.asset, told.detector, told.time_us) == ("works/belt", "spots", T0 + 2 * S)
    assert told.score == pytest.approx(200, abs=1)
    picture = cv2.imdecode(np.frombuffer(shown.value or b"", np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert len(shown.value or b"") <= MAX_EVIDENCE_BYTES


@pytest.mark.parametrize(
    ("quality", "code"),
    [
        ("missing", Quality.MISSING),
        ("frozen", Quality.FROZEN),
        ("dark", Quality.DARK),
        ("over-exposed", Quality.OVER_EXPOSED),
        ("blurred", Quality.BLURRED),
        ("moved", Quality.MOVED),
    ],
)
async def test_what_is_not_worth_a_look_says_so(quality: str, code: Quality) -> None:
    here, kept = agent(model := Bright())
    await run(here, frame(1, b"" if quality == "missing" else jpeg(90), quality=quality))
    (row,) = rows(kept)
    assert np.isnan(row.values).all()
    assert (row.quality == code).all()
    assert model.batches == []


async def test_a_broken_image_is_a_dead_letter_and_a_missing_row() -> None:
    here, kept = agent(Bright())
    await run(here, frame(1, b"\xff\xd8 no image"), frame(2, jpeg(9)))
    assert [one.topic for one in kept.sent if "dead" in one.topic] == ["vigia.dead-letters"]
    broken, good = rows(kept)
    assert (broken.quality == Quality.MISSING).all()
    assert (good.quality == Quality.GOOD).all()
    assert here.accounts()["stream.frames"].missing == 0


async def test_headers_that_are_none_are_a_dead_letter() -> None:
    here, kept = agent(Bright())
    strange = Record("vigia.frames", 0, 7, b"k", b"v", [], 0)
    assert await run(here, strange) == {0: 8}
    (letter,) = kept.sent
    assert letter.topic == "vigia.dead-letters"
    account = here.accounts()["stream.frames"]
    assert (account.missing, sum(account.dropped.values())) == (0, 1)


async def test_an_asset_without_a_camera_is_passed_over() -> None:
    here, kept = agent(Bright())
    await run(here, frame(1, jpeg(1), asset="works/other"))
    assert kept.sent == []
    assert here.accounts()["stream.frames"].dropped == {"unwatched": 1}


async def test_of_frames_that_wait_only_the_newest_is_looked_at_where_that_is_asked_for() -> None:
    here, kept = agent(model := Bright(), late="newest")
    await run(here, *(frame(number, jpeg(9)) for number in range(8)))
    (row,) = rows(kept)
    assert row.position.sequence == 7
    assert model.batches == [1]
    account = here.accounts()["stream.frames"]
    assert (account.missing, account.dropped) == (0, {"superseded": 7})


async def test_the_same_frames_make_the_same_rows() -> None:
    (one, kept), (other, again) = agent(Bright()), agent(Bright())
    log = [frame(number, jpeg(number * 30)) for number in range(6)]
    await run(one, *log)
    for record in log:
        await run(other, record)
    assert [(x.topic, x.value, x.headers) for x in kept.sent if "readings" in x.topic] == [
        (x.topic, x.value, x.headers) for x in again.sent if "readings" in x.topic
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_an_image_or_a_decode_error(value: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(value)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12))
@settings(deadline=None)
def test_a_damaged_jpeg_is_an_image_or_a_decode_error(changes: list[tuple[int, int]]) -> None:
    value = bytearray(jpeg(77))
    for at, byte in changes:
        value[at % len(value)] = byte
    try:
        assert decode(bytes(value)).dtype == np.uint8
    except DecodeError:
        return


def test_an_image_of_a_hundred_megapixels_is_refused_before_it_is_decoded() -> None:
    tiny = bytearray(jpeg(1))
    at = tiny.index(b"\xff\xc0")
    tiny[at + 5 : at + 9] = (10_000).to_bytes(2, "big") * 2
    with pytest.raises(DecodeError):
        decode(bytes(tiny))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_images_keep_their_depth(dtype: type) -> None:
    image: Image = np.asarray(np.arange(48 * 64).reshape(48, 64) % 251, dtype)
    found = decode(bytes(cv2.imencode(".png", image)[1]))
    assert found.dtype == dtype
    assert (found == image).all()
    assert draw(found, np.eye(4, dtype=np.float32))[:2] == b"\xff\xd8"
