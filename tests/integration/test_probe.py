"""`vigia config probe` on real brokers, cameras and models, with one good and one wrong of each."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.loopback import free_port
from broker.topics import TopicSpec, create_topics
from contracts.plant import read_plant
from tests.clips import h264_clip, moving
from tests.conftest import RunningKafka
from tests.integration.camera_world import LOGIN, PASSWORD
from tests.integration.edge_world import publisher
from tests.integration.secure_site import Site
from tests.integration.sparkplug_node import EdgeNode
from tests.processes.amqtt import TABOO, amqtt
from tests.processes.mosquitto import Mosquitto, find_mosquitto
from tests.processes.rtsp import RtspServer
from vigia.commands.topics import topic_specs

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
MakeRtsp = Callable[..., RtspServer]


@pytest.fixture
def prefix(topic_prefix: str) -> str:
    return topic_prefix.strip(".")


def probe(
    plant: dict[str, Any] | Path, folder: Path, *words: str, **environ: str
) -> tuple[int, str]:
    """The exit code and what was printed; what it says on the side is nothing."""
    file = plant if isinstance(plant, Path) else folder / "plant.json"
    if isinstance(plant, dict):
        file.write_text(json.dumps(plant))
    done = subprocess.run(
        [sys.executable, "-m", "vigia", "config", "probe", str(file), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, **environ},
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def found(text: str) -> dict[str, tuple[bool, str]]:
    """By where it is: whether it is as it should be, and what was found."""
    return {one["where"]: (one["ok"], one["text"]) for one in json.loads(text)}


@contextmanager
def sending(port: int, payloads: Mapping[str, object]) -> Iterator[None]:
    """Sensors that send the same again and again."""
    over = threading.Event()

    def send() -> None:
        with publisher(port) as device:
            while not over.wait(0.1):
                for topic, payload in payloads.items():
                    device.send(topic, payload)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def signals(**topics: str) -> list[dict[str, Any]]:
    return [
        {"id": name, "topic": topic, "unit": "kPa", "time": "/t", "time_format": "iso8601"}
        for name, topic in topics.items()
    ]


def plant_of(prefix: str, mqtt: int, kafka: str, **topics: str) -> dict[str, Any]:
    return {
        "vigia": 1,
        "mqtt": {"port": mqtt},
        "kafka": {"bootstrap": kafka, "prefix": prefix, "partitions": 2},
        "sites": [{"id": "works", "assets": [{"id": "boiler", "signals": "boiler"}]}],
        "signal_sets": {"boiler": {"signals": signals(**topics)}},
    }


def vision(name: str, package: Path) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "vision",
        "assets": ["works/cam*"],
        "package": str(package),
        "window": {"width": "10s", "hop": "5s"},
    }


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return h264_clip(tmp_path_factory.mktemp("probe") / "moving", moving(30))


@pytest.fixture
def camera(rtsp: MakeRtsp, clip: Path) -> RtspServer:
    made = rtsp(user="cam", password=PASSWORD)
    made.clips["cam"] = clip, 15.0
    made.start()
    return made


GOOD = {"value": 812.5, "t": "2026-01-02T03:04:05Z"}


def test_what_the_page_on_sources_says_to_type_where_all_is_there(
    kafka: RunningKafka, mosquitto: Mosquitto, camera: RtspServer, prefix: str, tmp_path: Path
) -> None:
    plant = plant_of(prefix, mosquitto.port, kafka.bootstrap, pressure="a", draught="b")
    watched = {"id": "cam", "camera": {"rtsp": camera.url("cam"), **LOGIN}}
    plant["sites"][0]["assets"].append(watched)
    plant["detectors"] = [vision("surface", MODELS / "piped-lite0")]
    specs = topic_specs(read_plant(json.dumps(plant)))
    asyncio.run(create_topics(kafka.bootstrap, specs))
    (block,) = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.S | re.M)
    lines = [line.removeprefix("vigia config probe plant.yaml") for line in block.splitlines()]
    assert len(lines) == 2
    with sending(mosquitto.port, {"a": GOOD, "b": GOOD}):
        code, text = probe(plant, tmp_path, *lines[0].split(), CAMERA_PASSWORD=PASSWORD)
        told, document = probe(plant, tmp_path, *lines[1].split(), CAMERA_PASSWORD=PASSWORD)
    assert (code, told) == (0, 0), text + document
    head, *rows = text.splitlines()
    assert head.split() == ["WHAT", "WHERE", "OK", "FOUND"]
    assert len(rows) == 1 + len(specs) + 1 + 2 + 1 + 1
    assert all(" yes " in row for row in rows)
    assert "pressure 812.5 kPa" in text and "h264 320x240" in text
    spanish = found(document)
    assert spanish[f"{prefix}.readings"] == (True, "2 particiones")
    assert "imágenes/s" in spanish[f"works/cam {camera.url('cam')}"][1]
    assert spanish[f"surface {MODELS / 'piped-lite0'}"][1].startswith("piped-lite0 se carga")
    assert PASSWORD not in text + document


def test_one_wrong_of_each_beside_the_good_ones(
    kafka: RunningKafka, mosquitto: Mosquitto, camera: RtspServer, prefix: str, tmp_path: Path
) -> None:
    away = free_port()
    bootstrap = f"{kafka.bootstrap},127.0.0.1:{away}"
    plant = plant_of(
        prefix, mosquitto.port, bootstrap, pressure="a", draught="b", level="c", flow="d"
    )
    cameras: dict[str, dict[str, Any]] = {
        "good": {"rtsp": camera.url("cam"), **LOGIN},
        "login": {"rtsp": camera.url("cam") + "?password=" + PASSWORD.replace("/", "")},
        "path": {"rtsp": camera.url("other"), **LOGIN},
        "away": {"rtsp": f"rtsp://127.0.0.1:{away}/x"},
        "webcam": {"device": "/dev/video987"},
        "video": {"video": "none.mkv"},
    }
    assets = [{"id": f"cam-{name}", "camera": one} for name, one in cameras.items()]
    plant["sites"][0]["assets"] += [*assets, {"id": "pump", "signals": "pump"}]
    place = {"group": "rig", "device": "a0", "metric": "flow"}
    plant["signal_sets"]["pump"] = {
        "signals": [
            {"id": "flow", "sparkplug": {**place, "node": "n1"}},
            {"id": "other", "sparkplug": {**place, "node": "n2"}},
        ]
    }
    EdgeNode(mosquitto.port, 7.0)
    broken = tmp_path / "broken"
    broken.mkdir()
    plant["detectors"] = [
        vision("surface", MODELS / "piped-lite0"),
        vision("broken", broken),
    ]
    names = [f"{prefix}.readings", f"{prefix}.alerts"]
    specs = [TopicSpec(names[0], 2, {}), TopicSpec(names[1], 3, {})]
    asyncio.run(create_topics(kafka.bootstrap, specs))
    payloads = {"a": GOOD, "b": {**GOOD, "value": "high"}, "c": {**GOOD, "t": "noon"}}
    with sending(mosquitto.port, payloads):
        words = ("--json", "--wait", "3")
        code, text = probe(plant, tmp_path, *words, CAMERA_PASSWORD=PASSWORD)
    assert code == 1
    assert PASSWORD not in text and PASSWORD.replace("/", "") not in text
    told = found(text)
    assert told[kafka.bootstrap] == (True, "lets us in without TLS and without a user")
    assert told[f"127.0.0.1:{away}"] == (False, "Connection refused")
    assert told[names[0]] == (True, "2 partitions")
    assert told[names[1]] == (False, "3 partitions, expected 2")
    assert told[f"{prefix}.frames"] == (False, "is not there: vigia topics create")
    assert told[f"127.0.0.1:{mosquitto.port}"][0] is True
    assert told["a"] == (True, "pressure 812.5 kPa")
    assert told["b"] == (False, "cannot be read: draught: expected a number, got 'high'")
    assert told["c"] == (False, "cannot be read: expected ISO 8601, got 'noon'")
    assert told["d"] == (False, "nothing came in 3 s")
    # A node that was born before is asked for its birth.
    assert told["spBv1.0/rig/DDATA/n1/a0"] == (True, "flow 7")
    assert told["spBv1.0/rig/DDATA/n2/a0"] == (False, "nothing came in 3 s")
    seen = {name.split()[0]: one for name, one in told.items() if name.startswith("works/cam-")}
    assert seen["works/cam-good"][0] is True
    assert "401" in seen["works/cam-login"][1]
    assert "404" in seen["works/cam-path"][1]
    assert seen["works/cam-away"] == (False, "cannot be opened: Connection refused")
    webcam = "/dev/video987: cannot be opened: No such file or directory"
    assert seen["works/cam-webcam"] == (False, webcam)
    assert "there is no video" in seen["works/cam-video"][1]
    assert told[f"surface {MODELS / 'piped-lite0'}"][0] is True
    assert told[f"broken {broken}"][0] is False


def test_an_mqtt_broker_that_is_away(
    kafka: RunningKafka, mosquitto: Mosquitto, prefix: str, tmp_path: Path
) -> None:
    away = free_port()
    plant = plant_of(prefix, away, kafka.bootstrap, pressure="a")
    code, text = probe(plant, tmp_path, "--json")
    told = found(text)
    assert code == 1
    assert told[f"127.0.0.1:{away}"] == (False, "Connection refused")
    assert told["a"] == (False, f"not asked, for 127.0.0.1:{away} cannot be used")
    plant["mqtt"]["port"] = mosquitto.port
    _, text = probe(plant, tmp_path, "--json", "--wait", "0")
    assert found(text)["a"] == (True, "subscribed; not waited for")


def test_a_subscription_that_a_broker_of_3_1_1_refuses(
    kafka: RunningKafka, prefix: str, tmp_path: Path
) -> None:
    with amqtt(tmp_path) as port:
        plant = plant_of(prefix, port, kafka.bootstrap, pressure="a", draught=TABOO)
        code, text = probe(plant, tmp_path, "--json", "--wait", "0")
    told = found(text)
    assert code == 1
    assert told["a"] == (True, "subscribed; not waited for")
    assert told[TABOO] == (False, "the broker refuses the subscription")


def test_a_plant_file_that_is_wrong_is_said_as_by_check(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text("vigia: 1\nsites: []\n")
    done = subprocess.run(
        [sys.executable, "-m", "vigia", "config", "probe", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "sites: expected at least 1 items" in done.stderr


def test_a_secured_site(
    tmp_path: Path, kafka: RunningKafka, mosquitto: Mosquitto, prefix: str
) -> None:
    program = find_mosquitto()
    assert program is not None
    site = Site(tmp_path / "site", program)
    with site.kafka, site.mosquitto:
        site.vigia("topics", "create")
        told = found(probe(site.plant, tmp_path, "--json", "--wait", "0", "--as", "admin")[1])
        assert told[site.kafka.bootstrap] == (True, "lets us in with TLS and a user")
        assert told[f"127.0.0.1:{site.mosquitto.port}"] == (True, "lets us in with TLS and a user")
        assert told["vigia.readings"] == (True, "2 partitions")
        site.secret("admin", "quite another")
        site.secret("edge", "quite another")
        code, text = probe(site.plant, tmp_path, "--json", "--as", "admin")
        told = found(text)
        assert code == 1
        why = "the broker knows no user vigia-admin with this password"
        assert told[site.kafka.bootstrap] == (False, why)
        assert told[f"127.0.0.1:{site.mosquitto.port}"][0] is False
        assert "Not authorized" in told[f"127.0.0.1:{site.mosquitto.port}"][1]
        assert "quite another" not in text
