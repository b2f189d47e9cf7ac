"""The edge on a real RTSP server and a real Kafka: frames, faults and what is said of them."""

from __future__ import annotations

import http.server
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from broker.kafka_local import LocalKafka
from broker.loopback import free_port
from contracts.topics import FRAMES, STATUS
from tests.clips import damaged, encode_h264, h264_clip, jpeg_clip, moving
from tests.conftest import RunningKafka
from tests.integration.camera_world import (
    LOGIN,
    PASSWORD,
    CameraLog,
    Stopwatch,
    camera_plant,
    check_frame_chain,
    make_camera_topics,
    watching,
)
from tests.integration.edge_world import Log, edge_process, plant_text, publisher, rows_of
from tests.processes.clocks import clock_off
from tests.processes.mosquitto import Mosquitto
from tests.processes.rtsp import RtspServer

MakeRtsp = Callable[..., RtspServer]


@pytest.fixture
def prefix(topic_prefix: str) -> str:
    return topic_prefix.strip(".")


@pytest.fixture
async def log(kafka: RunningKafka, prefix: str) -> CameraLog:
    await make_camera_topics(kafka.bootstrap, prefix)
    return CameraLog(kafka.bootstrap, prefix)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return h264_clip(tmp_path_factory.mktemp("clips") / "moving", moving(30))


@pytest.fixture
def server(rtsp: MakeRtsp, clip: Path) -> RtspServer:
    made = rtsp()
    made.clips["cam"] = clip, 15.0
    made.start()
    return made


async def test_frames_reach_kafka_with_the_cameras_time_and_all_are_accounted_for(
    kafka: RunningKafka, prefix: str, log: CameraLog, server: RtspServer, tmp_path: Path
) -> None:
    plant = camera_plant(prefix, c={"rtsp": server.url("cam"), "rate": 5})
    with watching(tmp_path, plant, kafka.bootstrap) as edge:
        await log.until_images("c", 25)
        health = await log.until_state("c", "ok")
        assert edge.terminate() == 0
    assert (health.signal, health.clock) == ("camera", "source")
    frames = await log.frames()
    check_frame_chain(frames)
    # The camera tells its time with the first sender report, seconds after the start.
    assert (frames[0].clock, frames[-1].clock) == ("arrival", "rtcp")
    assert (frames[-1].width, frames[-1].height, frames[-1].quality) == (320, 240, "good")
    values = [record.value or b"" for record in await log.records(FRAMES)]
    image = cv2.imdecode(np.frombuffer(values[-1], np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None and image.shape == (240, 320, 3)
    account = await log.books()
    assert (account.gone_out, account.held, account.missing) == (len(frames), 0, 0)
    assert account.taken_in > 2 * account.gone_out


@pytest.mark.parametrize(("off_s", "side"), [(3600, "ahead"), (-3600, "behind")])
async def test_a_camera_whose_clock_is_an_hour_off_is_said_and_not_believed(
    kafka: RunningKafka,
    prefix: str,
    log: CameraLog,
    rtsp: MakeRtsp,
    clip: Path,
    tmp_path: Path,
    faketime: Path,
    off_s: int,
    side: str,
) -> None:
    server = rtsp(environ=clock_off(faketime, off_s))
    server.clips["cam"] = clip, 15.0
    server.start()

    async def noted(log: Log) -> bool | None:
        status = await log.status()
        return any(f"clock is far {side}" in note for note in status.notes) if status else None

    plant = camera_plant(prefix, c={"rtsp": server.url("cam"), "rate": 5})
    with watching(tmp_path, plant, kafka.bootstrap) as edge:
        await log.until(noted)
        seen = len(await log.images("c"))
        await log.until_images("c", seen + 10)
        assert edge.terminate() == 0
    frames = await log.frames()
    check_frame_chain(frames)
    assert {frame.clock for frame in frames} == {"arrival"}
    assert {frame.time_us - frame.received_us for frame in frames} == {0}


async def test_after_a_kill_the_chain_goes_on(
    kafka: RunningKafka, prefix: str, log: CameraLog, server: RtspServer, tmp_path: Path
) -> None:
    plant = camera_plant(prefix, c={"rtsp": server.url("cam"), "rate": 10})
    for count in (5, 15):
        with watching(tmp_path, plant, kafka.bootstrap) as edge:
            await log.until_images("c", count)
            edge.kill()
    check_frame_chain(await log.frames())


async def test_the_password_opens_and_is_never_said(
    kafka: RunningKafka,
    prefix: str,
    log: CameraLog,
    rtsp: MakeRtsp,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", PASSWORD)
    monkeypatch.setenv("WRONG", "wr0ng/p@ss")
    server = rtsp(user="cam", password=PASSWORD)
    server.clips["cam"] = clip, 15.0
    server.start()
    plant = camera_plant(
        prefix,
        right={"rtsp": server.url("cam"), **LOGIN},
        wrong={"rtsp": server.url("cam"), **LOGIN, "password": {"env": "WRONG"}},
        nobody={"rtsp": server.url("cam")},
        elsewhere={"rtsp": server.url("other"), **LOGIN},
        unset={"rtsp": server.url("cam"), **LOGIN, "password": {"env": "NOT_SET"}},
    )
    with watching(tmp_path, plant, kafka.bootstrap) as edge:
        await log.until_images("right", 3)
        for camera in ("wrong", "nobody"):
            await log.until_state(camera, "unauthorised")
        for camera in ("elsewhere", "unset"):
            await log.until_state(camera, "lost")
        server.kill()
        await log.until_state("right", "lost")
        edge.wait_until(lambda: edge.said("Connection refused") > 0)
        assert edge.terminate() == 0
        said = edge.log.read_text()
    for text in ("wrong: 401", "elsewhere: 404", "right: cannot be opened: Connection refused"):
        camera, _, why = text.partition(": ")
        assert any(f"rig/{camera}" in line and why in line for line in said.splitlines()), said
    assert "the environment has no NOT_SET" in said
    assert all(said.count(one) <= 3 for one in ("401", "404"))
    everything = said + str([r for t in (FRAMES, STATUS) for r in await log.records(t)])
    for secret in (PASSWORD, "p%40ss", "wr0ng", "cam:"):
        assert secret not in everything
    check_frame_chain(await log.frames())


async def test_a_camera_that_is_killed_comes_back_also_with_another_size_and_codec(
    kafka: RunningKafka, prefix: str, log: CameraLog, server: RtspServer, tmp_path: Path
) -> None:
    plant = camera_plant(prefix, c={"rtsp": server.url("cam"), "rate": 5})
    with watching(tmp_path, plant, kafka.bootstrap) as edge:
        await log.until_images("c", 5)
        server.kill()
        noticed = Stopwatch("a killed camera is noticed")
        edge.wait_until(lambda: edge.said("rig/c camera: lost") == 1)
        noticed.stop()
        server.start()
        resumed = Stopwatch("a killed camera is back")
        edge.wait_until(lambda: edge.said("rig/c camera: ok") == 2)
        resumed.stop()
        server.kill()
        server.clips["cam"] = jpeg_clip(tmp_path / "jpegs", moving(20, (176, 144))), 10.0
        server.start()
        resumed = Stopwatch("a camera is back with another codec")

        async def smaller(_: Any) -> bool:
            return any(one.width == 176 for one in await log.images("c"))

        await log.until(smaller)
        resumed.stop()
        assert edge.terminate() == 0
    check_frame_chain(await log.frames())
    account = await log.books()
    assert (account.held, account.missing) == (0, 0)


async def test_a_frozen_camera_is_said_misses_frames_and_thaws(
    kafka: RunningKafka, prefix: str, log: CameraLog, server: RtspServer, tmp_path: Path
) -> None:
    plant = camera_plant(prefix, c={"rtsp": server.url("cam"), "rate": 5})
    with watching(tmp_path, plant, kafka.bootstrap) as edge:
        await log.until_images("c", 5)
        server.signal(signal.SIGSTOP)
        noticed = Stopwatch("a camera that hangs is noticed")
        edge.wait_until(lambda: edge.said("(was ok)") > 0)
        noticed.stop()

        async def missed(_: Any) -> bool:
            return any(one.quality == "missing" for one in await log.frames("c"))

        await log.until(missed)
        server.signal(signal.SIGCONT)
        resumed = Stopwatch("a camera that hung is back")
        edge.wait_until(lambda: edge.said("rig/c camera: ok") == 2)
        resumed.stop()
        assert edge.terminate() == 0
    frames = await log.frames()
    check_frame_chain(frames)
    beat = next(one for one in frames if one.quality == "missing")
    assert (beat.width, beat.height) == (0, 0)


async def test_frozen_and_black_images_are_known_by_their_blocks(
    kafka: RunningKafka, prefix: str, log: CameraLog, rtsp: MakeRtsp, clip: Path, tmp_path: Path
) -> None:
    (still,) = moving(1)
    black = np.zeros_like(still)
    images = {name: list(clocked(one)) for name, one in (("frozen", still), ("dark", black))}
    server = rtsp()
    for name, film in images.items():
        server.clips[name] = h264_clip(tmp_path / name, film), 15.0
    server.clips["live"] = clip, 15.0
    server.start()
    cameras = {name: {"rtsp": server.url(name)} for name in ("frozen", "dark", "live")}
    with watching(tmp_path, camera_plant(prefix, **cameras), kafka.bootstrap) as edge:
        for name in ("frozen", "dark"):
            found = Stopwatch(f"a {name} image is said")
            await log.until_state(name, name)
            found.stop()
        await log.until_state("live", "ok")

        # The status is said at once, and a frame only once a second.
        async def kept(_: Log) -> bool:
            return (await log.images("frozen"))[-1].quality == "frozen"

        await log.until(kept)
        assert edge.terminate() == 0
    assert {one.quality for one in await log.images("dark")} == {"dark"}
    assert {one.quality for one in await log.images("live")} == {"good"}


def clocked(image: Any) -> Iterator[Any]:
    """One image again and again, with a running clock in a corner."""
    for number in range(60):
        text = f"12:00:{number // 15:02d}.{number % 15:02d}"
        yield cv2.putText(image.copy(), text, (6, 18), 0, 0.45, (255, 255, 255), 1)


async def test_broken_packets_slow_and_fast_cameras(
    kafka: RunningKafka,
    prefix: str,
    log: CameraLog,
    rtsp: MakeRtsp,
    clip: Path,
    tmp_path: Path,
) -> None:
    server = rtsp()
    server.clips["broken"] = damaged(clip, tmp_path / "damaged"), 15.0
    server.clips["slow"] = clip, 2.0
    server.clips["fast"] = clip, 30.0
    server.start()
    rates = {"broken": 10, "slow": 10, "fast": 2}
    cameras = {name: {"rtsp": server.url(name), "rate": rate} for name, rate in rates.items()}
    with watching(tmp_path, camera_plant(prefix, **cameras), kafka.bootstrap) as edge:
        for name in cameras:
            await log.until_images(name, 12)
            await log.until_state(name, "ok")
        assert edge.terminate() == 0
    check_frame_chain(await log.frames())
    assert edge.said("slow camera: lost") == edge.said("slow camera: silent") == 0
    fast = await log.images("fast")
    gaps = np.diff([one.time_us for one in fast[-6:]])
    assert np.all(gaps >= 300_000), "more frames are kept than the rate asks for"
    account = await log.books()
    assert (account.held, account.missing) == (0, 0)
    assert account.dropped["rate"] > 0


async def test_of_twelve_cameras_three_dead_ones_hold_up_nobody(
    kafka: RunningKafka, prefix: str, log: CameraLog, server: RtspServer, tmp_path: Path
) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        addresses = {
            "refused": f"rtsp://127.0.0.1:{free_port()}/x",
            "nowhere": server.url("nowhere"),
            "mute": f"rtsp://127.0.0.1:{mute.getsockname()[1]}/x",
            **{f"c{number}": server.url("cam") for number in range(9)},
        }
        cameras = {name: {"rtsp": address, "rate": 2} for name, address in addresses.items()}
        with watching(tmp_path, camera_plant(prefix, **cameras), kafka.bootstrap) as edge:
            for number in range(9):
                await log.until_images(f"c{number}", 6)
            for name in ("refused", "nowhere", "mute"):
                await log.until_state(name, "lost")

            async def missed(_: Any) -> bool:
                beats = {one.camera for one in await log.frames() if one.quality == "missing"}
                return beats == {"refused", "nowhere", "mute"}

            await log.until(missed)
            ended = Stopwatch("the end with hanging cameras")
            assert edge.terminate() == 0
            ended.stop()
    check_frame_chain(await log.frames())
    account = await log.books()
    assert (account.held, account.missing) == (0, 0)


async def test_sensors_and_cameras_of_one_site(
    kafka: RunningKafka,
    prefix: str,
    log: CameraLog,
    server: RtspServer,
    mosquitto: Mosquitto,
    tmp_path: Path,
) -> None:
    plant = yaml.safe_load(plant_text(prefix))
    for name, address in (("c", server.url("cam")), ("dead", f"rtsp://127.0.0.1:{free_port()}/")):
        asset = {"id": name, "camera": {"rtsp": address, "rate": 5}}
        plant["sites"][0]["assets"].append(asset)
    text, begin = yaml.safe_dump(plant), time.time_ns() // 1000
    with (
        edge_process(tmp_path, text, kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        for number in range(20):
            device.row("a0", begin + number * 1000, number)
        device.settle()
        await log.until_images("c", 5)

        async def all_there(log: Log) -> bool:
            return len(rows_of(await log.batches()).get("rig/a0", {})) == 20

        await log.until(all_there)
        await log.until_state("dead", "lost")
        assert edge.terminate() == 0
    status = await log.status()
    assert status is not None
    assert set(status.account) == {"edge.mqtt", "edge.rows", "edge.frames"}
    assert all(one.missing == 0 and one.held == 0 for one in status.account.values())
    assert {one.signal for one in status.sources} == {"flow", "pressure", "camera"}


async def test_what_is_no_camera_is_said_and_tried_again(
    kafka: RunningKafka, prefix: str, log: CameraLog, tmp_path: Path
) -> None:
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 100)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    plant = camera_plant(
        prefix,
        web={"rtsp": f"rtsp://127.0.0.1:{web.server_port}/index.html"},
        noise={"video": "noise.mp4"},
        gone={"folder": "not/there"},
    )
    try:
        with watching(tmp_path, plant, kafka.bootstrap) as edge:
            for camera in ("web", "noise", "gone"):
                await log.until_state(camera, "lost")
            jpeg_clip(tmp_path / "not" / "there", moving(3))
            await log.until_images("gone", 3)
            assert edge.terminate() == 0
    finally:
        web.shutdown()
        web.server_close()
    assert edge.said("rig/web camera: lost (was waiting): what answers is no video stream") == 1


async def test_files_in_place_of_cameras(
    kafka: RunningKafka, prefix: str, log: CameraLog, tmp_path: Path
) -> None:
    video = encode_h264(list(moving(45)), fps=15, gop=15, bit_rate=500_000)
    (tmp_path / "clip.mkv").write_bytes(video)
    folder = jpeg_clip(tmp_path / "images", moving(5))
    (folder / "0001b.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    deep = np.random.default_rng(1).integers(0, 60_000, (64, 80)).astype(np.uint16)
    cv2.imwrite(str(folder / "0002b.tiff"), deep)
    plant = camera_plant(
        prefix,
        video={"video": "clip.mkv", "rate": 15},
        folder={"folder": "images", "rate": 10, "encoding": "png"},
    )
    with watching(tmp_path, plant, kafka.bootstrap) as edge:
        await log.until_images("video", 30)
        images = await log.until_images("folder", 6)
        await log.until_state("folder", "silent")
        assert edge.terminate() == 0
    check_frame_chain(await log.frames())
    assert [(one.width, one.encoding) for one in images][3] == (80, "png")
    assert edge.said("0001b.jpg: ") == 1
    assert edge.said("rig/video: played to its end") == 1
    account = await log.books()
    assert account.dropped["undecodable"] == 1
    assert account.missing == 0


async def test_while_kafka_is_away_frames_wait_on_disk(
    own_kafka: LocalKafka, prefix: str, server: RtspServer, tmp_path: Path
) -> None:
    await make_camera_topics(own_kafka.bootstrap, prefix)
    log = CameraLog(own_kafka.bootstrap, prefix)
    plant = camera_plant(prefix, c={"rtsp": server.url("cam"), "rate": 15})
    with watching(tmp_path, plant, own_kafka.bootstrap) as edge:
        await log.until_images("c", 5)
        own_kafka.stop()
        away = time.time_ns() // 1000
        time.sleep(4.0)
        own_kafka.start()

        async def later(_: Any) -> bool:
            newest = (await log.images("c"))[-1]
            return newest.time_us > away + 6_000_000

        await log.until(later)
        assert edge.terminate() == 0
    check_frame_chain(await log.frames())
    account = await log.books()
    assert "buffer-full" not in account.dropped
    assert (account.held, account.missing) == (0, 0)
