"""Every command of docs/install.md: executed here where that can be, and else held against what it
names. A line that nothing here knows fails."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.compose_rules import ROOT
from tests.deploy.install_page import PAGE, elsewhere
from tests.deploy.test_compose import parsed

LINES = elsewhere()


def starting(*words: str) -> list[str]:
    return [line for line in LINES if line.startswith(words)]


def test_every_line_is_known() -> None:
    # Of a copy of a volume nothing is tried.
    known = starting(
        "deploy/secrets/make", "vigia ", "docker compose ", "kubectl ", "rm ", "make bundle",
        "docker run ",
    )  # fmt: skip
    assert LINES
    assert [line for line in LINES if line not in known] == []


@pytest.mark.parametrize("line", starting("vigia "))
def test_a_command_of_vigia_is_one(line: str) -> None:
    context = parsed(shlex.split(line)[1:])
    named = [str(value) for value in context.params.values() if "/" in str(value)]
    assert all((ROOT / file).exists() for file in named)
    if line.startswith("vigia config check"):
        argv = [sys.executable, "-m", *shlex.split(line)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", starting("docker compose "))
def test_a_command_of_compose_names_what_is_there(line: str) -> None:
    compose: Any = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    verb, *rest = shlex.split(line)[2:]
    assert verb in {"build", "up", "ps", "logs", "run", "stop", "start", "create"}
    if verb == "run":
        options = {"--rm"}
        (service, *words) = [word for word in rest if word not in options]
        assert compose["services"][service]["profiles"] == ["tools"]
        assert compose["services"][service]["environment"]["VIGIA_PLANT"]
        parsed(words)
        return
    options = {"-d", "--no-deps", "--force-recreate", "--tail", "50"}
    assert {word for word in rest if word not in options} <= set(compose["services"])


def test_the_commands_of_kubernetes_fit_its_manifests(kubectl: Path, tmp_path: Path) -> None:
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
    secrets = [line for line in told if "secret" in line]
    _secrets_are_taken_as_they_were_made(kubectl, secrets, tmp_path)
    names = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in manifests}
    assert {line.split()[-1] for line in told if "rollout" in line} <= names


def _secrets_are_taken_as_they_were_made(kubectl: Path, lines: list[str], folder: Path) -> None:
    """What the commands would send, for which no cluster is needed."""
    make = [
        str(ROOT / "deploy" / "secrets" / "make"),
        str(folder),
        "--host",
        "vigia-exporters.vigia",
    ]
    subprocess.run(make, check=True, capture_output=True)
    rooms = folder / "rooms"
    for line in lines:
        words = [str(kubectl), *shlex.split(line)[1:], "--dry-run=client", "--output=json"]
        done = subprocess.run(words, cwd=rooms, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        sent = json.loads(done.stdout)
        for name, coded in sent["data"].items():
            made = {"tls.crt": "exporters.crt.pem", "tls.key": "exporters.key.pem"}.get(name, name)
            assert b64decode(coded) == (rooms / made).read_bytes()


def test_secrets_are_made_as_it_says(tmp_path: Path) -> None:
    for line in starting("deploy/secrets/make"):
        program, *words = shlex.split(line)
        script = ROOT / program
        subprocess.run([str(script), str(tmp_path / "s"), *words], check=True, capture_output=True)
    told = set(re.findall(r"`(?:\.secrets/)?((?:kafka|mosquitto|rooms|sensors|alertmanager|grafana)"
                          r"/[\w.-]+)`", PAGE))  # fmt: skip
    assert len(told) >= 6
    assert [one for one in told if not (tmp_path / "s" / one).exists()] == []


@pytest.mark.parametrize("line", starting("rm "))
def test_what_is_removed_to_be_made_anew_is_made(line: str, tmp_path: Path) -> None:
    (file,) = shlex.split(line)[1:]
    name = file.removeprefix(".secrets/")
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
