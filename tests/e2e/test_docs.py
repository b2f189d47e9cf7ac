"""What the documents tell a reader to type works as it stands there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from broker.loopback import free_port
from tests.e2e.conftest import Start
from tests.e2e.gauge import Gauge
from tests.processes.mosquitto import Mosquitto

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = ROOT / "README.md"


def blocks(file: Path, language: str) -> list[str]:
    text = file.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.S | re.M)


def commands(file: Path) -> list[str]:
    return [line for block in blocks(file, "sh") for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    found = re.findall(r"\]\(([^)#]+)\)", file.read_text(encoding="utf-8"))
    here = [link for link in found if "://" not in link]
    assert [link for link in here if not (file.parent / link).exists()] == []


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    every = (line for file in DOCUMENTS for line in commands(file))
    told = [line.split()[1] for line in every if line.startswith("make ")]
    assert told
    assert set(told) <= targets


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_commands_of_the_readme(vigia: Start, mosquitto: Mosquitto, tmp_path: Path) -> None:
    (plant,) = blocks(README, "yaml")
    file = tmp_path / "plant.yaml"
    file.write_text(plant.replace("1883", str(mosquitto.port)), encoding="utf-8")
    told = [line for line in commands(README) if not line.startswith("make ")]
    assert "vigia run --plant plant.yaml" in told
    told.remove("vigia run --plant plant.yaml")

    data, port = str(tmp_path / "data"), str(free_port())
    run = vigia("run", "--plant", str(file), "--data", data, "--metrics-port", port)
    gauge = Gauge(mosquitto.port, with_time=False)
    try:
        run.wait_for("1 sensors", 90)
        gauge.send_until(950.0, run, "raised critical overpressure")
        kafka = run.text.split("Kafka: ")[1].split()[0]
        results = {line: typed(line, tmp_path, kafka) for line in told}
    finally:
        gauge.close()
    assert results["vigia config check plant.yaml"].startswith("ok: ")
    assert "overpressure" in results["vigia alarms"]
    assert "RAISED" in results["vigia tail alerts --from-start --until-idle 2"]
    run.signal(signal.SIGINT)
    assert run.wait(20) == 0, run.text


def typed(line: str, folder: Path, kafka: str) -> str:
    """What a reader would see who typed it there; it must not fail."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        line.split(),
        cwd=folder,
        env={**os.environ, "PATH": path, "KAFKA_BOOTSTRAP": kafka},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout
