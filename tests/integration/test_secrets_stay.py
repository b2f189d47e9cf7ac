"""Marked secrets of every kind, in use on a running line, good and wrong ones: nothing that it
printed, told or wrote down shows one."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clips import h264_clip, moving
from tests.integration.secure_site import ACLS, Site, until
from tests.processes.rtsp import RtspServer

MakeRtsp = Callable[..., RtspServer]
SECRETS = {
    "camera": "marked/secret@of:the-camera",
    "wrong": "marked-secret-that-is-wrong",
    "metrics": "marked-secret-of-the-metrics",
    "token": "marked-secret-token-of-metrics",
    "url": "marked-secret-in-an-address",
}
TOPICS = ("readings", "frames", "aggregates", "detections", "alarms", "alerts", "status")


def forms(secret: str) -> Iterator[bytes]:
    """As it stands, as in an address, and as headers of basic authentication have it."""
    yield secret.encode()
    yield quote(secret, safe="").encode()
    # At each of the three places that it may begin at in base64, less what its neighbours change.
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + secret.encode())
        yield coded[4 if shift else 0 : -4]


def shown(secret: str, text: bytes) -> bool:
    return any(form in text for form in forms(secret))


@pytest.mark.parametrize("wrap", [str, lambda s: quote(s, safe=""), lambda s: f"user:{s}"])
def test_the_search_itself_finds_one(wrap: Callable[[str], str]) -> None:
    secret = SECRETS["camera"]
    text = wrap(secret).encode()
    assert shown(secret, b"before " + text + b" after")
    assert shown(secret, b"Basic " + base64.b64encode(b"u:" + secret.encode()))
    assert not shown(secret, b"nothing of that kind")


@pytest.mark.parametrize(
    "camera",
    [
        "rtsp: 'rtsp://cam:{}@127.0.0.1/x'",
        "rtsp: 'rtsp://127.0.0.1/x', username: cam, password: {}",
        "rtsp: 'rtsp://127.0.0.1/x', username: cam, password: {{text: {}}}",
        "rtsp: 'rtsp://127.0.0.1/x', username: cam, password: {{file: [{}]}}",
        "rtsp: 'rtsp://127.0.0.1/x', username: cam, passwort: {}",
    ],
)
def test_a_secret_that_stands_in_the_plant_file_is_refused_and_not_shown(
    camera: str, tmp_path: Path
) -> None:
    file = tmp_path / "plant.yaml"
    asset = f"{{id: cam, camera: {{{camera.format(SECRETS['url'])}}}}}"
    file.write_text(f"vigia: 1\nsites:\n  - id: works\n    assets: [{asset}]\n")
    for words, code in ((["check"], 1), (["probe"], 2), (["probe", "--json"], 2)):
        done = _config(file, *words)
        assert done.returncode == code
        assert b"sites[0].assets[0].camera" in done.stdout + done.stderr
        assert not shown(SECRETS["url"], done.stdout + done.stderr)


def _config(plant: Path, command: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "vigia", "config", command, str(plant), *words]
    return subprocess.run(argv, capture_output=True, check=False, timeout=100)


@pytest.fixture
def watched(site: Site, rtsp: MakeRtsp, tmp_path: Path) -> Site:
    """The site with two cameras, of which one is given a wrong password."""
    for name, secret in SECRETS.items():
        site.secret(name, secret)
    server = rtsp(user="cam", password=SECRETS["camera"])
    server.clips["cam"] = h264_clip(tmp_path / "clip", moving(30)), 15.0
    server.start()
    cameras = "".join(
        f"      - {{id: cam-{name}, camera: {{rtsp: '{server.url('cam')}', username: cam, "
        f"password: {{file: {site.secrets}/{name}}}}}}}\n"
        for name in ("camera", "wrong")
    )
    text = site.plant.read_text()
    boiler = "    assets: [{id: boiler, name: The boiler, signals: boiler}]\n"
    assert boiler in text
    lines = f"    assets:\n      - {{id: boiler, signals: boiler}}\n{cameras}"
    text = text.replace(boiler, lines).replace(
        "kind: limit,", "kind: limit, assets: [works/boiler],"
    )
    site.plant.write_text(text)
    return site


@pytest.mark.slow
def test_no_secret_leaves_a_running_line(watched: Site, tmp_path: Path) -> None:
    site = watched
    site.vigia("topics", "create")
    site.vigia("topics", "allow", str(ACLS))
    (site.secrets / "users").write_text(f"prometheus:{SECRETS['metrics']}\n")
    site.secret("stream", SECRETS["wrong"])
    kept = ("--state", str(tmp_path / "state"), "--health", str(tmp_path / "health"))
    gate = ("--users-file", str(site.secrets / "users"), "--token-file", f"{site.secrets}/token")
    with ExitStack() as stack:
        edge = stack.enter_context(site.room("edge", "run", "--spool", f"{tmp_path}/spool", *kept))
        stream = stack.enter_context(site.room("stream", "worker"))
        exporter = stack.enter_context(site.room("exporters", "prometheus", "--port", "0", *gate))
        said = "the broker knows no user vigia-stream with this password"
        until(lambda: said in stream.read_text(), stream.read_text)
        site.secret("stream", site.passwords["stream"])
        until(lambda: "metrics on" in exporter.read_text(), exporter.read_text)
        until(lambda: "cam-wrong camera: unauthorised" in edge.read_text(), edge.read_text)
        with site.sensor() as publish:
            _until_the_camera_and_the_alarm_are_there(site, publish, edge)
        told = [*_all_that_it_tells(site), _metrics(exporter.read_text())]
        arguments = [_arguments(process.pid) for process in site.processes().values()]
    logs = [file.read_bytes() for file in site.folder.rglob("*.log")]
    state = [file.read_bytes() for file in tmp_path.rglob("*") if _is_ours(file, tmp_path)]
    assert len(logs) >= 4
    assert state
    everything = b"\n".join([*told, *arguments, *logs, *state, "\n".join(site.printed).encode()])
    assert b"works/cam-wrong" in everything
    for secret in (*SECRETS.values(), *site.passwords.values(), site.sensors):
        assert not shown(secret, everything), secret


def _until_the_camera_and_the_alarm_are_there(
    site: Site, publish: Callable[[float], None], edge: Path
) -> None:
    def there() -> bool:
        publish(1000.0)
        time.sleep(0.5)
        frames = site.vigia(
            "tail", "frames", "--json", "--from-start", "--until-idle", "0.2"
        ).stdout
        alarms = json.loads(site.vigia("alarms", "--json").stdout)
        return "cam-camera" in frames and any(one["raised"] for one in alarms)

    until(there, edge.read_text)


def _all_that_it_tells(site: Site) -> Iterator[bytes]:
    """By each command that shows something of it."""
    for topic in TOPICS:
        told = site.vigia("tail", topic, "--json", "--from-start", "--until-idle", "0.2")
        yield told.stdout.encode()
    for words, code in (
        (["check"], 0),
        (["probe", "--wait", "1"], 1),
        (["probe", "--wait", "1", "--json"], 1),
    ):
        done = _config(site.plant, *words)
        assert done.returncode == code
        assert (b"cam-wrong" in done.stdout) == (code == 1)
        yield done.stdout + done.stderr


def _metrics(log: str) -> bytes:
    """With its password, with its token, and with neither."""
    found = re.search(r"metrics on (\S+)", log)
    assert found is not None
    basic = base64.b64encode(f"prometheus:{SECRETS['metrics']}".encode()).decode()
    told = []
    for header in (f"Basic {basic}", f"Bearer {SECRETS['token']}"):
        asked = urllib.request.Request(found[1], headers={"Authorization": header})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            told.append(answer.read())
            told.append(str(answer.headers).encode())
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(found[1], timeout=10)
    assert refused.value.code == 401
    return b"\n".join([*told, refused.value.read(), str(refused.value.headers).encode()])


def _arguments(pid: int) -> bytes:
    """As everybody on the machine may read them."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _is_ours(file: Path, folder: Path) -> bool:
    """What the rooms wrote, and not the secrets themselves."""
    inside = file.relative_to(folder).parts[0]
    return file.is_file() and inside in {"state", "spool", "health"}
