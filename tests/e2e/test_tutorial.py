"""The tutorial, typed as it stands there: from nothing to an alarm, and to its end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.loopback import free_port
from tests.e2e.conftest import Start
from tests.processes.marked import MarkedProcess
from tests.processes.mosquitto import find_mosquitto
from vigia.words import word

pytestmark = [pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(300)]
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
SETUP = ["make setup", ". .venv/bin/activate"]
RUN = "vigia run --own-mqtt"
# Debian has it in a package of its own, which a machine for tests may lack.
STAND_IN = """#!{python}
import argparse, time
import paho.mqtt.publish as mqtt
options = argparse.ArgumentParser(add_help=False)
for name in ("-h", "-t", "-m"):
    options.add_argument(name, required=True)
for name in ("-p", "--repeat", "--repeat-delay"):
    options.add_argument(name, required=True, type=int)
given = options.parse_args()
for _ in range(given.repeat):
    mqtt.single(given.t, given.m, hostname=given.h, port=given.p)
    time.sleep(given.repeat_delay)
"""


class Reader:
    """Who types the tutorial's lines in `folder`, with ports of their own."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder = folder
        self.mqtt_port = str(free_port())
        self.told: dict[str, str] = {}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:{tools}"
        self.env = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}

    def save(self, name: str, text: str) -> None:
        """Saves a file that the tutorial shows."""
        (self.folder / name).write_text(self._here(text), encoding="utf-8")

    def type(self, line: str) -> None:
        """Types one line, which must succeed; what it says is `told` then, the last time's."""
        command = ["bash", "-c", self._here(line)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        self.told[line] = done.stdout

    def _here(self, text: str) -> str:
        return text.replace("1883", self.mqtt_port)


def steps() -> Iterator[tuple[str, str]]:
    """In the document's order: ("sh", line) and ("save as FILE", text)."""
    text = TUTORIAL.read_text(encoding="utf-8")
    names = iter(re.findall(r"save this as `(\S+)`", text))
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.S | re.M):
        if language == "python":
            yield next(names), block
        elif language == "sh":
            yield from (("sh", line) for line in block.splitlines() if line.strip())


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    if find_mosquitto() is None:
        pytest.skip("no Mosquitto: install Debian's package mosquitto")
    folder, tools = tmp_path / "reader", tmp_path / "tools"
    for one in (folder, tools):
        one.mkdir()
    if shutil.which("mosquitto_pub") is None:
        stand_in = tools / "mosquitto_pub"
        stand_in.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
        stand_in.chmod(0o755)
    # Where the command that stays in the foreground is started.
    monkeypatch.chdir(folder)
    return Reader(folder, tools)


def started(vigia: Start, reader: Reader) -> MarkedProcess:
    plant = reader.folder / "plant.yaml"
    reader.save("plant.yaml", plant.read_text(encoding="utf-8"))
    run = vigia(*RUN.split()[1:], "--metrics-port", str(free_port()))
    run.wait_for("1 sensors", 120)
    reader.env["KAFKA_BOOTSTRAP"] = run.text.split("Kafka: ")[1].split()[0]
    return run


def test_the_tutorial(vigia: Start, reader: Reader) -> None:
    typed = [step for step in steps() if step[1] not in SETUP]
    before, after = typed[: typed.index(("sh", RUN))], typed[typed.index(("sh", RUN)) + 1 :]
    for _, line in before:
        reader.type(line)
    run = started(vigia, reader)
    for number, (what, text) in enumerate(after):
        if what != "sh":
            reader.save(what, text)
            continue
        reader.type(text)
        if number == 0:
            run.wait_for("raised critical overpressure: The boiler: value 950", 10)
    check(reader, run)
    run.signal(signal.SIGINT)
    assert run.wait(20) == 0, run.text
    assert run.family() == []


def check(reader: Reader, run: MarkedProcess) -> None:
    told = reader.told
    assert told["vigia config check plant.yaml"].startswith("ok: ")
    assert "The boiler: value 950 is above the limit 900" in told["vigia alarms --plant plant.yaml"]
    alerts = told["vigia tail alerts --plant plant.yaml --from-start --until-idle 2"]
    assert "RAISED" in alerts
    assert "CLEARED" in alerts
    assert "alarms, in another terminal: vigia alarms --plant plant.yaml" in run.text
    assert any("mosquitto" in process.name() for process in run.family())
    # Kafka's two, the broker's and the metrics'.
    assert len(run.listeners()) == 4
    assert {address for _, address in run.listeners()} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("lang", "told"),
    [("en", "no MQTT broker answers at 127.0.0.1:"), ("es", "ningún broker MQTT responde en 127.")],
)
def test_without_a_broker_it_says_what_is_missing(
    vigia: Start, reader: Reader, lang: str, told: str
) -> None:
    reader.type(f"vigia init --lang {lang}")
    plant = reader.folder / "plant.yaml"
    reader.save("plant.yaml", plant.read_text(encoding="utf-8"))
    run = vigia("run", "--metrics-port", str(free_port()), LANG=f"{lang}_CO.UTF-8", LC_ALL="")
    run.wait_for(told)
    assert "vigia run --own-mqtt" in run.text
    run.signal(signal.SIGINT)
    assert run.wait(30) == 0, run.text
    assert run.text.count(told) == 1


def test_the_text_of_a_missing_broker_is_the_documents(reader: Reader) -> None:
    text = " ".join(TUTORIAL.read_text(encoding="utf-8").split())
    assert word("mqtt-absent", "en", mqtt="127.0.0.1:1883") in text
