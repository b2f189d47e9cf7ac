"""What a probe says: in two languages, and without secrets."""

from __future__ import annotations

import asyncio
import string
import threading
from pathlib import Path

import pytest

from broker.aside import aside
from contracts.findings import ILL, WELL, WHYS, Field, Finding
from contracts.plant.cameras import Camera
from contracts.texts import LANGUAGES
from edge.adapters.camera_probe import address, masked, probe_camera
from tests.conformance.memory_camera import MemoryCamera, MemorySource

ROOT = Path(__file__).parents[2]


def names(wording: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(wording) if name}


def test_each_code_has_the_same_fields_in_every_language() -> None:
    assert not WELL.keys() & ILL.keys()
    for code, wordings in (WELL | ILL).items():
        assert wordings.keys() == set(LANGUAGES), code
        assert len({frozenset(names(one)) for one in wordings.values()}) == 1, code


def test_what_was_found_is_told_in_spanish_with_its_numbers() -> None:
    fields: dict[str, Field] = {
        "codec": "h264",
        "width": 320,
        "height": 240,
        "rate": 14.9,
        "first": 0.41,
    }
    seen = Finding("camera", "works/yard", "frames", fields)
    assert seen.ok
    assert seen.text("en") == "h264 320x240, 14.9 frames/s, the first after 0.41 s"
    assert seen.text("es") == "h264 320x240, 14,9 imágenes/s, la primera a los 0,41 s"
    door = Finding("kafka", "k:9092", "lets-in", {"tls": True, "user": "vigia-operator"})
    assert door.text("es") == "nos deja entrar con TLS y usuario"
    assert (
        Finding("mqtt", "m:1883", "lets-in", {"tls": False}).text("en").endswith("without a user")
    )


def test_why_something_fails_is_told_in_spanish_as_it_is_said_in_english() -> None:
    code = "".join(
        file.read_text() for room in ("broker", "edge") for file in (ROOT / room).rglob("*.py")
    )
    of_the_system = {"Connection refused", "No such file or directory", "Not authorized"}
    assert {why for why in WHYS if why not in code} == of_the_system
    gone = Finding("camera", "c", "refused", {"why": "cannot be opened: Connection refused"})
    assert gone.text("es") == "no se puede abrir: conexión rechazada"
    assert gone.text("en") == "cannot be opened: Connection refused"
    rare = Finding("kafka", "k", "refused", {"why": "it says: what nobody says"})
    assert rare.text("es") == "it says: what nobody says"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("rtsp://h/a?user=x&password=geheim&c=1", "rtsp://h/a?user=x&password=***&c=1"),
        ("rtsp://h/user=x_PWD=geheim/1", "rtsp://h/user=x_PWD=***/1"),
        ("rtsp://h/stream1", "rtsp://h/stream1"),
    ],
)
def test_a_password_in_an_address_is_masked(told: str, shown: str) -> None:
    assert masked(address(Camera(rtsp=told))) == shown


async def test_a_camera_that_gives_frames() -> None:
    camera = Camera(rtsp="rtsp://h/a")
    (seen,) = await probe_camera("works/yard", camera, MemorySource(MemoryCamera()), 0)
    assert (seen.code, seen.fields["codec"], seen.fields["width"]) == ("frames", "raw", 32)


async def test_what_takes_too_long_is_not_waited_for() -> None:
    release = threading.Event()
    assert await aside(lambda: release.wait(60), 0.05) is None
    assert await aside(lambda: 7, 60) == 7
    release.set()
    await asyncio.sleep(0)
