"""What a process says of its health on its box, and what is made of it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from broker.health_file import HealthFile
from broker.kafka_answer import why_silent
from broker.loopback import HOST, free_port
from contracts.errors import DecodeError
from contracts.health import STALE_US, Health, no_source
from contracts.messages import SourceHealth, SourceState

NOW_US = 1_700_000_000_000_000


def source(state: SourceState) -> SourceHealth:
    return SourceHealth(
        asset="a/b", signal="s", state=state, clock="arrival", rate_hz=1.0, readings=1, last_us=None
    )


def test_an_edge_is_of_use_while_one_source_is() -> None:
    assert no_source([]) is None
    assert no_source([source("silent"), source("ok")]) is None
    why = no_source([source("silent"), source("silent"), source("lost")])
    assert why == "no source sends usable readings (2 silent, 1 lost)"


def test_who_says_nothing_any_more_is_ill() -> None:
    well = Health("edge/box", NOW_US)
    assert well.why_not(NOW_US + STALE_US) is None
    assert well.why_not(NOW_US + STALE_US + 1_000_000) == "edge/box has said nothing for 21 s"
    assert well.why_not(NOW_US + STALE_US + 1_000_000, alive_only=True) is not None


def test_who_is_of_no_use_lives() -> None:
    idle = Health("edge/box", NOW_US, "no source")
    assert idle.why_not(NOW_US) == "edge/box: no source"
    assert idle.why_not(NOW_US, alive_only=True) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"process": "x", "at_us": "soon", "ill": null}'])
def test_what_is_no_health_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        Health.read(text)


def asked(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vigia", "health", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


async def test_a_process_says_it_in_its_file_while_it_runs(tmp_path: Path) -> None:
    why: list[str | None] = [None]
    file = tmp_path / "health"
    saying = asyncio.create_task(HealthFile(file, "edge/box", lambda: why[0]).run())
    while not file.exists():
        await asyncio.sleep(0.01)
    well = await asyncio.to_thread(asked, "process", str(file))
    assert (well.returncode, well.stdout) == (0, "ok\n")
    why[0] = "no source"
    while Health.read(file.read_text()).ill is None:
        await asyncio.sleep(0.05)
    ill = await asyncio.to_thread(asked, "process", str(file))
    assert (ill.returncode, ill.stderr) == (1, "vigia: edge/box: no source\n")
    assert (await asyncio.to_thread(asked, "process", str(file), "--alive")).returncode == 0
    saying.cancel()
    await asyncio.gather(saying, return_exceptions=True)
    gone = await asyncio.to_thread(asked, "process", str(file))
    assert gone.returncode == 1
    assert "has not begun, or has ended" in gone.stderr


async def test_a_folder_that_cannot_be_written_ends_no_process(tmp_path: Path) -> None:
    saying = asyncio.create_task(
        HealthFile(tmp_path / "none" / "x", "edge/box", lambda: None).run()
    )
    await asyncio.sleep(0.05)
    assert not saying.done()
    saying.cancel()
    with suppress(asyncio.CancelledError):
        await saying


async def test_systemd_hears_it_too(tmp_path: Path) -> None:
    """In a process of its own: it is the environment that says where systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        code = (
            "import asyncio; from broker.health_file import HealthFile\n"
            "asyncio.run(HealthFile(None, 'edge/box', lambda: 'no source').run())"
        )
        env = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        process = subprocess.Popen([sys.executable, "-c", code], env=env)
        try:
            told = await asyncio.to_thread(systemd.recv, 1000)
        finally:
            process.kill()
            process.wait()
    assert told == b"READY=1\nWATCHDOG=1\nSTATUS=no source"


@contextmanager
def server(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """Answers one request."""
    with socket.create_server((HOST, 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                one, _ = listening.accept()
                with one:
                    one.sendall(answer(one.recv(1000)))

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


def same(request: bytes) -> bytes:
    """As Kafka answers ApiVersions: the request's number and no error."""
    (number,) = struct.unpack(">i", request[8:12])
    return struct.pack(">iihi", 10, number, 0, 0)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (same, None),
        (lambda _: struct.pack(">iihi", 10, 0, 0, 0), "is no Kafka"),
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n", "is no Kafka"),
        (lambda _: b"\0\0", "it closed the connection"),
    ],
)
def test_only_a_kafka_answers_as_one(answer: Callable[[bytes], bytes], told: str | None) -> None:
    with server(answer) as port:
        why = why_silent(HOST, port, None, 5.0)
    assert why is None if told is None else told in (why or "")


def test_where_nothing_listens_is_said() -> None:
    port = free_port()
    done = asked("kafka", f"{HOST}:{port}", "--timeout", "1")
    assert done.returncode == 1
    assert f"{HOST}:{port} does not answer" in done.stderr
    assert asked("kafka", "nowhere").returncode == 2
