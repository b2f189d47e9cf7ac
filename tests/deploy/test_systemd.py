"""The units under deploy/systemd: what systemd itself says of them; a broken copy is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.deploy.test_compose import parsed

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = sorted(one.name for one in UNITS.glob("*.service"))
MOST_EXPOSED = 14
"""Tenths of systemd's exposure level, of 10 at most."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A copy whose programs are those of this environment."""
    for file in UNITS.iterdir():
        text = file.read_text(encoding="utf-8")
        there = str(Path(sys.executable).parent)
        (tmp_path / file.name).write_text(text.replace("/opt/vigia/bin", there), encoding="utf-8")
    return tmp_path


def said(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *words], capture_output=True, text=True, check=False, timeout=60
    )


def verified(program: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    return said(program, "verify", "--man=no", *(str(file) for file in files))


def exposed(program: Path, file: Path) -> subprocess.CompletedProcess[str]:
    limits = ("--offline=true", f"--threshold={MOST_EXPOSED}")
    return said(program, "security", "--no-pager", *limits, str(file))


def changed(file: Path, here: str, there: str) -> Path:
    text = file.read_text(encoding="utf-8")
    assert here in text, here
    file.write_text(text.replace(here, there), encoding="utf-8")
    return file


def test_systemd_finds_nothing_wrong(systemd_analyze: Path, units: Path) -> None:
    done = verified(systemd_analyze, *units.glob("*.service"), units / "vigia.target")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_is_in_a_sandbox(systemd_analyze: Path, units: Path, name: str) -> None:
    done = exposed(systemd_analyze, units / name)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("here", "there", "told"),
    [
        ("PrivateTmp=yes", "PrivateTemp=yes", "Unknown key"),
        ("Type=notify", "Type=notified", "Failed to parse service type"),
        ("WatchdogSec=30", "WatchdogSec=often", "Failed to parse"),
        ("bin/vigia edge", "bin/vigil edge", "is not executable"),
        ("[Service]", "[Servce]", "Unknown section"),
    ],
)
def test_a_broken_unit_is_refused(
    systemd_analyze: Path, units: Path, here: str, there: str, told: str
) -> None:
    done = verified(systemd_analyze, changed(units / "vigia-edge.service", here, there))
    assert told in done.stdout + done.stderr


@pytest.mark.parametrize(
    "line", ["User=vigia\n", "ProtectSystem=strict\n", "SystemCallFilter=@system-service\n"]
)
def test_a_unit_that_is_open_is_refused(systemd_analyze: Path, units: Path, line: str) -> None:
    done = exposed(systemd_analyze, changed(units / "vigia-edge.service", line, ""))
    assert done.returncode != 0


def commands(name: str) -> list[list[str]]:
    text = (UNITS / name).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split() for line in re.findall(r"^ExecStart=(.+)$", text, flags=re.M)]


@pytest.mark.parametrize("name", SERVICES)
def test_the_commands_exist(name: str) -> None:
    told = commands(name)
    assert told
    for program, *words in told:
        assert program == "/opt/vigia/bin/vigia"
        parsed(words)
        with pytest.raises(click.UsageError):
            parsed([*words, "--no-such-option"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_sees_no_secret_but_its_own(name: str) -> None:
    text = (UNITS / name).read_text(encoding="utf-8")
    assert "InaccessiblePaths=/etc/vigia/secrets\n" in text
    shown = set(re.findall(r"^BindReadOnlyPaths=/etc/vigia/secrets/(\S+):", text, flags=re.M))
    room = re.sub(r"vigia-(\w+)@?\.service", r"\1", name)
    mine = {"rooms/ca.pem", f"rooms/kafka-{room}"}
    more = {
        "edge": {"rooms/mqtt-edge"},
        "exporters": {"rooms/metrics-users", "rooms/exporters.crt.pem", "rooms/exporters.key.pem"},
    }
    others = {"kafka": {"kafka"}, "topics": {"rooms/ca.pem", "rooms/kafka-admin"}}
    assert shown == others.get(room, mine | more.get(room, set()))
