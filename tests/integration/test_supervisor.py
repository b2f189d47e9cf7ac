"""The supervisor with real processes: modules of the standard library that end as told."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from contracts.errors import VigiaError
from vigia.mqtt_local import LocalMqtt, find_mosquitto
from vigia.parts import LOG_LIMIT_BYTES, RoomProcess, trim
from vigia.supervisor import PartFailed, Supervisor

SLEEPS = ["timeit", "-n1", "-r1", "import time; time.sleep(600)"]
STUBBORN = [
    *("timeit", "-n1", "-r1"),
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); "
    "time.sleep(600)",
]
REFUSES = ["json.tool", "--no-such-option"]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.05)


def part(tmp_path: Path, command: list[str], name: str = "one") -> RoomProcess:
    return RoomProcess(name, command, tmp_path / f"{name}.log")


async def test_what_ended_is_started_again_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    await supervisor.start(part(tmp_path, SLEEPS))
    first = supervisor.pids()["one"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pids().get("one", first) != first)
    assert supervisor.restarts() == {"one": 1}
    assert "ended by SIGKILL" in said[0]
    second = supervisor.pids()["one"]
    await supervisor.stop()
    assert not psutil.pid_exists(second)


async def test_the_deaf_are_killed(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda text: None)
    await supervisor.start(part(tmp_path, STUBBORN))
    await until(lambda: "deaf" in (tmp_path / "one.log").read_text())
    pid = supervisor.pids()["one"]
    await supervisor.stop()
    assert not psutil.pid_exists(pid)
    assert supervisor.pids() == {}


async def test_what_refuses_its_options_is_not_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda text: None)
    await supervisor.start(part(tmp_path, REFUSES))
    with pytest.raises(PartFailed, match="exit code 2"):
        async with asyncio.timeout(30):
            await supervisor.failure()
    assert supervisor.restarts() == {"one": 0}
    await supervisor.stop()


async def test_an_ill_part_is_ended_and_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    await supervisor.start(part(tmp_path, STUBBORN))
    first = supervisor.pids()["one"]
    supervisor.end("one", "it says nothing")
    await until(lambda: supervisor.pids().get("one", first) != first)
    assert said[0] == "one is stopped: it says nothing"
    await supervisor.stop()


async def test_what_is_not_kept_stays_ended(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda text: None)
    await supervisor.start(part(tmp_path, SLEEPS, "short"), keep=False)
    await supervisor.start(part(tmp_path, SLEEPS, "long"))
    supervisor.tell("short")
    await until(lambda: "short" not in supervisor.pids())
    assert supervisor.restarts()["short"] == 0
    await supervisor.stop()


def test_a_log_that_grew_too_long_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "room.log"
    log.write_bytes(b"x" * LOG_LIMIT_BYTES)
    trim(log)
    assert log.stat().st_size == LOG_LIMIT_BYTES
    log.write_bytes(b"x" * LOG_LIMIT_BYTES + b"the end")
    trim(log)
    assert log.stat().st_size == 0
    assert (tmp_path / "room.log.1").read_bytes().endswith(b"the end")


@pytest.mark.mqtt
@pytest.mark.parametrize("installed", [True, False], ids=["mosquitto", "amqtt"])
async def test_an_mqtt_broker_of_our_own(tmp_path: Path, installed: bool) -> None:
    program = find_mosquitto() if installed else None
    if installed and program is None:
        pytest.skip("no Mosquitto: install Debian's package mosquitto")
    supervisor = Supervisor(lambda text: None)
    mqtt = LocalMqtt(tmp_path, program)
    await supervisor.start(mqtt, broker=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", mqtt.port)
    # CONNECT with protocol 3.1.1, a clean session and no client id; CONNACK says 0: welcome.
    writer.write(bytes.fromhex("100c00044d5154540402003c0000"))
    assert (await reader.readexactly(4)).hex() == "20020000"
    writer.close()
    await writer.wait_closed()
    await supervisor.stop()
    assert mqtt.pid is None


async def test_an_mqtt_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    mqtt = LocalMqtt(tmp_path, "/bin/false")
    with pytest.raises(VigiaError, match="did not start"):
        await Supervisor(lambda text: None).start(mqtt, broker=True)
