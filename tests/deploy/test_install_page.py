"""Every command of docs/install.md: executed here where that can be, and else held against what it
names. A line that nothing here knows fails."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.plant import read_plant
from tests.deploy.compose_rules import ROOT
from tests.deploy.test_compose import parsed

PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
BLOCKS = [block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.S | re.M)]
LINES = [line.removeprefix("sudo ") for block in BLOCKS for line in block]
UNITS = {one.name for one in (ROOT / "deploy" / "systemd").iterdir()}
ELSEWHERE = ("tar ", "vigia-*/install ", "make bundle", "/opt/vigia/bin/vigia demo", "docker run ")
"""In tests/e2e/test_bundle.py; and a copy of a volume, for which no Docker is here."""


def starting(*words: str) -> list[str]:
    return [line for line in LINES if line.startswith(words)]


def test_every_line_is_known() -> None:
    known = starting(
        "deploy/secrets/make", "/opt/vigia/deploy/secrets/make", "vigia ", "docker compose ",
        "kubectl ", "systemctl ", "systemd-sysusers ", "systemd-tmpfiles ", "install ",
        "/opt/vigia/bin/vigia alarms ", "sed ", "rm ", *ELSEWHERE,
    )  # fmt: skip
    assert LINES
    assert [line for line in LINES if line not in known] == []


@pytest.mark.parametrize("line", starting("vigia ", "/opt/vigia/bin/vigia "))
def test_a_command_of_vigia_is_one(line: str) -> None:
    context = parsed(shlex.split(line)[1:])
    named = [str(value) for value in context.params.values() if "/" in str(value)]
    # Those of a box are installed by another test.
    files = [Path(one) for one in named if not one.startswith("/etc/")]
    assert all((ROOT / file).exists() for file in files)
    if line.startswith("vigia config check"):
        argv = [sys.executable, "-m", *shlex.split(line)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", starting("docker compose "))
def test_a_command_of_compose_names_what_is_there(line: str) -> None:
    compose: Any = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    verb, *rest = shlex.split(line)[2:]
    assert verb in {"build", "up", "ps", "logs", "run", "stop", "start"}
    if verb == "run":
        options = {"--rm"}
        (service, *words) = [word for word in rest if word not in options]
        assert compose["services"][service]["profiles"] == ["tools"]
        assert compose["services"][service]["environment"]["VIGIA_PLANT"]
        parsed(words)
        return
    options = {"-d", "--no-deps", "--force-recreate", "--tail", "50"}
    assert {word for word in rest if word not in options} <= set(compose["services"])


@pytest.mark.parametrize("line", starting("systemctl "))
def test_a_command_of_systemd_names_a_unit(line: str) -> None:
    words = [word for word in shlex.split(line)[2:] if not word.startswith("-")]
    units = [re.sub(r"@\d+", "@", word) for word in words]
    named = {one if "." in one else f"{one}.service" for one in units}
    assert named <= UNITS


def test_the_commands_of_kubernetes_fit_its_manifests(kubectl: Path) -> None:
    told = starting("kubectl ")
    folders = {words[-1] for words in map(shlex.split, told) if "kustomize" in words[1]}
    applied = {words[-1] for words in map(shlex.split, told) if words[1] == "apply"}
    assert folders == applied == {"deploy/kubernetes"}
    made = subprocess.run(
        [str(kubectl), "kustomize", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    )
    manifests = list(yaml.safe_load_all(made.stdout))
    wanted = set(re.findall(r"secret:\n\s+name: (\S+)", made.stdout))
    given = {
        re.split(r" (?:generic|tls) ", line)[1].split()[0] for line in told if "secret" in line
    }
    assert wanted == given
    names = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in manifests}
    assert {line.split()[-1] for line in told if "rollout" in line} <= names


def test_what_is_typed_on_a_box_without_containers_installs_what_its_units_need(
    systemd_analyze: Path, tmp_path: Path
) -> None:
    """The block is executed, with other folders in the places of /opt and /etc."""
    (block,) = (block for block in BLOCKS if any("systemd-sysusers" in line for line in block))
    (tmp_path / "opt").mkdir()
    shutil.copytree(ROOT / "deploy", tmp_path / "opt" / "vigia" / "deploy")
    etc = tmp_path / "etc"
    etc.mkdir()
    for line in block:
        line = line.removeprefix("sudo ")
        if line.startswith(("systemctl ", "/opt/vigia/bin/")):
            continue
        line = re.sub("^(systemd-[a-z]+)", rf"\1 --root={tmp_path}", line)
        here = line.replace("/opt/", f"{tmp_path}/opt/").replace("/etc/", f"{etc}/")
        done = subprocess.run(["sh", "-euc", here], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert "vigia:x:10001:10001:" in (etc / "passwd").read_text(encoding="utf-8")
    for name in ("ca", "kafka-operator"):
        told = (tmp_path / "run" / "secrets" / name).readlink()
        assert (tmp_path / str(told).removeprefix("/")).exists()
    installed = {one.name for one in (etc / "systemd" / "system").iterdir()}
    assert installed == {one for one in UNITS if one.endswith((".service", ".target"))}
    plant = read_plant((etc / "vigia" / "plant.yaml").read_bytes(), "plant.yaml")
    assert (plant.kafka.bootstrap, plant.mqtt.host) == ("127.0.0.1:9092", "127.0.0.1")
    for unit in (etc / "systemd" / "system").glob("*.service"):
        text = unit.read_text(encoding="utf-8")
        needed = set(re.findall(r"(?<=[ =])/etc/vigia/[^:\s]+", text))
        assert needed
        assert "User=vigia\n" in text
        missing = [one for one in needed if not (tmp_path / one.removeprefix("/")).exists()]
        assert missing == [], unit.name


def test_secrets_are_made_as_it_says(tmp_path: Path) -> None:
    for line in starting("deploy/secrets/make", "/opt/vigia/deploy/secrets/make"):
        program, *words = shlex.split(line)
        words = [word for word in words if not word.startswith("/")]
        script = ROOT / program.removeprefix("/opt/vigia/")
        subprocess.run([str(script), str(tmp_path / "s"), *words], check=True, capture_output=True)
    told = set(re.findall(r"`(?:\.secrets/)?((?:kafka|mosquitto|rooms|sensors|alertmanager|grafana)"
                          r"/[\w.-]+)`", PAGE))  # fmt: skip
    assert len(told) >= 6
    assert [one for one in told if not (tmp_path / "s" / one).exists()] == []


@pytest.mark.parametrize("line", starting("rm "))
def test_what_is_removed_to_be_made_anew_is_made(line: str, tmp_path: Path) -> None:
    (file,) = shlex.split(line)[1:]
    name = re.sub("^(/etc/vigia/secrets|.secrets)/", "", file)
    make = [str(ROOT / "deploy" / "secrets" / "make"), str(tmp_path)]
    subprocess.run(make, check=True, capture_output=True)
    old = (tmp_path / name).read_text(encoding="utf-8")
    (tmp_path / name).unlink()
    subprocess.run(make, check=True, capture_output=True)
    assert (tmp_path / name).read_text(encoding="utf-8") != old


def test_every_variable_of_compose_is_told() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+):-", text)) == set(
        re.findall(r"^\| `(VIGIA_\w+)`", PAGE, re.M)
    )
