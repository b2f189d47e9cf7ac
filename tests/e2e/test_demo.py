"""`vigia demo` as a newcomer starts it: real Kafka, a real MQTT broker, all rooms."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.conftest import Start
from tests.processes.marked import MarkedProcess
from vigia.demo.rtsp import gstreamer_is_here

pytestmark = [pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]
KEYS = {
    "seed",
    "planted",
    "alarms",
    "missed",
    "spurious",
    "account",
    "readings_in",
    "frames_in",
    "detections",
    "latency_ms",
    "rss_mb",
}


def test_a_short_demo_finds_what_it_planted(vigia: Start, tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    demo = vigia("demo", DEMO_SECONDS="45", DEMO_EVENTS="1", DEMO_SEED="11", DEMO_JSON=str(file))
    demo.wait_for("metrics: ")
    url = demo.text.split("metrics: ")[1].split()[0]
    with urlopen(url, timeout=10) as page:
        assert b"vigia_" in page.read()
    # Kafka's two, the MQTT broker's, the metrics', and the cameras'.
    assert len(demo.listeners()) == 5
    assert {address for _, address in demo.listeners()} == {"127.0.0.1"}
    assert demo.wait(180) == 0, demo.text
    report = json.loads(file.read_text(encoding="utf-8"))
    assert set(report) == KEYS
    assert (report["missed"], report["spurious"]) == ([], [])
    # Of a tank's events there is room for one.
    kinds = [event["kind"] for event in report["planted"]]
    assert kinds.count("withdrawal") == kinds.count("defect") == 1
    assert {"level", "interface", "stuck-camera"} & set(kinds)
    assert all(event["found_by"] for event in report["planted"])
    # 45 s of 5 assets with 4 signals at 10 Hz.
    assert report["readings_in"] == 45 * 5 * 4 * 10
    # 45 s of two cameras with 5 frames a second, but for a frame that was not there in time.
    assert report["frames_in"] > 0.9 * 45 * 2 * 5
    account = report["account"]
    assert account["edge.frames"]["out"] == account["stream.frames"]["in"] > 0
    for stage, account in report["account"].items():
        gone = account["out"] + account["held"] + sum(account["dropped"].values())
        assert account["in"] == gone, stage
    assert demo.gone()
    assert not list((tmp_path / "tmp").iterdir())


def _wait_until_it_plays(demo: MarkedProcess) -> None:
    limit = time.monotonic() + 90
    while re.search(r" (19|20)\d readings/s, 2 cameras, ", demo.text) is None:
        assert time.monotonic() < limit, demo.text
        time.sleep(0.1)


def test_ctrl_c_leaves_no_process_and_no_file(vigia: Start, tmp_path: Path) -> None:
    demo = vigia("demo")
    _wait_until_it_plays(demo)
    # GStreamer's server is a process of its own.
    assert len(demo.family()) == (9 if gstreamer_is_here() else 8)
    demo.signal(signal.SIGINT)
    assert demo.wait(20) == 0, demo.text
    assert demo.family() == []
    assert "ended by hand" in demo.text
    assert not list((tmp_path / "tmp").iterdir())


def test_ctrl_c_while_it_starts_leaves_no_process(vigia: Start, tmp_path: Path) -> None:
    demo = vigia("demo")
    demo.wait_for("starting Kafka")
    demo.signal(signal.SIGINT)
    assert demo.wait(20) == 130, demo.text
    assert demo.family() == []
    assert not list((tmp_path / "tmp").iterdir())


def test_a_killed_demo_leaves_no_process(vigia: Start) -> None:
    demo = vigia("demo")
    demo.wait_for("ready after")
    demo.signal(signal.SIGKILL)
    assert demo.gone()


def test_more_events_than_fit_are_refused(vigia: Start) -> None:
    demo = vigia("demo", DEMO_SECONDS="45", DEMO_EVENTS="40")
    assert demo.wait() == 2
    assert "do not fit" in demo.text
    assert "Traceback" not in demo.text
