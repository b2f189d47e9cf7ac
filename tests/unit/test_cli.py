"""The front door: it starts fast, and says what is wrong in one text."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from contracts.errors import ConfigError
from contracts.messages import Phase
from contracts.record import Record
from contracts.schemas import published
from tests import samples
from tests.samples import T0, S
from vigia.__main__ import cli
from vigia.commands.alarms import present
from vigia.commands.table import table
from vigia.commands.times import age_text, clock_text
from vigia.lazy import Lazy, LazyGroup

PLANTS = Path(__file__).parent / "plants"


def vigia(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="vigia")


HEAVY = ["aiokafka", "faust", "numpy", "paho", "prometheus_client", "pyarrow", "pydantic", "yaml"]


def test_help_loads_nothing_heavy() -> None:
    code = f"""
import sys
from vigia.__main__ import cli
try:
    cli(["--help"], prog_name="vigia")
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "[]\n"
    for name in (
        "demo",
        "run",
        "config",
        "topics",
        "tail",
        "alarms",
        "edge",
        "stream",
        "exporters",
    ):
        assert f"\n  {name} " in done.stdout


def test_version() -> None:
    done = vigia("--version")
    assert (done.exit_code, done.stdout.split()[0]) == (0, "vigia")


@pytest.mark.parametrize(
    "name", ["config", "topics", "tail", "alarms", "exporters", "stream", "edge"]
)
def test_every_command_has_its_help(name: str) -> None:
    done = vigia(name, "--help")
    assert done.exit_code == 0
    assert "Usage: vigia" in done.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    done = vigia("paint")
    assert done.exit_code == 2
    assert "No such command 'paint'" in done.stderr


@click.command()
def failing() -> None:
    raise ConfigError("the valve is stuck")


def test_our_errors_are_their_text_and_exit_code_2() -> None:
    group = LazyGroup("g", lazy={"fail": Lazy(f"{__name__}:failing", "Fails.")})
    done = CliRunner().invoke(group, ["fail"])
    assert (done.exit_code, done.stderr, done.stdout) == (2, "vigia: the valve is stuck\n", "")


def test_config_check_of_a_good_file() -> None:
    done = vigia("config", "check", str(PLANTS / "good" / "pumping.yaml"))
    assert done.exit_code == 0
    assert done.stdout.startswith("ok: 1 site, 2 assets, 6 detectors, 2 alarm rules, hash ")


def test_config_check_reports_every_error_on_a_line_of_its_own() -> None:
    file = PLANTS / "bad" / "ten-mistakes.yaml"
    done = vigia("config", "check", str(file))
    expected = [line[3:] for line in file.read_text().splitlines() if line.startswith("#! ")]
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [f"{file}:{line}" for line in expected]
    assert len(expected) == 10


@pytest.mark.parametrize("kind", ["none", "folder", "huge"])
def test_config_check_of_what_cannot_be_read(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    if kind == "folder":
        file.mkdir()
    elif kind == "huge":
        file.write_bytes(b"#" * 21_000_000)
    done = vigia("config", "check", str(file))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"vigia: {file}: ")
    assert done.stdout == ""


def test_config_check_of_what_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    file.write_bytes(b"vigia: 1\n\x89PNG\xff\n")
    done = vigia("config", "check", str(file))
    assert (done.exit_code, done.stdout) == (1, f"{file}:2: (file): expected UTF-8 text\n")


def test_config_schema_prints_and_writes(tmp_path: Path) -> None:
    assert json.loads(vigia("config", "schema").stdout) == published()["vigia.plant.v1.json"]
    assert vigia("config", "schema", "--all", str(tmp_path / "s")).exit_code == 0
    written = {file.name: json.loads(file.read_text()) for file in (tmp_path / "s").iterdir()}
    assert written == published()


def test_topics_list_knows_the_plants_retention() -> None:
    plain = vigia("topics", "list").stdout
    assert "vigia.alarms" in plain
    assert "for ever" in plain
    done = vigia("topics", "list", "--plant", str(PLANTS / "bad" / "empty.yaml"))
    assert done.exit_code == 2
    assert "the file is empty" in done.stderr


def states(*phases: tuple[Phase, int, str]) -> list[Record]:
    outs = [samples.outgoing(samples.alarm(p, at, asset=asset)) for p, at, asset in phases]
    return [samples.record(out, offset) for offset, out in enumerate(outs)]


def test_the_present_alarm_is_the_one_that_applied_most() -> None:
    found, unusable = present(
        states(
            (Phase.ACTIVE, T0 + 9 * S, "north/line1"),
            (Phase.NORMAL, T0 + 3 * S, "north/line1"),
            (Phase.NORMAL, T0 + 5 * S, "north/line2"),
        )
    )
    assert unusable == 0
    assert [(state.asset, state.phase) for state in found] == [
        ("north/line1", Phase.ACTIVE),
        ("north/line2", Phase.NORMAL),
    ]


def test_a_tombstone_takes_an_alarm_away() -> None:
    (record,) = states((Phase.ACTIVE, T0, "north/line1"))
    gone = Record(record.topic, 0, 1, record.key, None, [], record.timestamp_ms)
    assert present([record, gone]) == ([], 0)
    assert present([Record("t", 0, 0, b"k", b"{", [], 0)]) == ([], 1)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (-5, "0s"),
        (7 * S, "7s"),
        (61 * S, "1min"),
        (3600 * S, "1h"),
        (7500 * S, "2h 5min"),
        (4 * 86_400 * S + 3700 * S, "4d 1h"),
    ],
)
def test_ages(us: int, text: str) -> None:
    assert age_text(us) == text


def test_clocks() -> None:
    assert clock_text(T0 + 250_000) == "2023-11-14 22:13:20.250Z"
    assert clock_text(None) == "-"
    assert clock_text(-(2**62)) == "-"


def test_tables() -> None:
    assert table(("A", "LONG"), [("1", "2"), ("333", "")]) == "A    LONG\n1    2\n333"
