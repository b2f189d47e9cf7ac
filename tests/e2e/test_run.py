"""`vigia run` for a user's own plant: an alarm, a stop, and on where it was."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.loopback import free_port
from broker.reader import read
from contracts.messages import Alert, decode_json
from tests.conftest import RunningKafka
from tests.e2e.conftest import Start
from tests.e2e.gauge import Gauge
from tests.processes.marked import MarkedProcess
from tests.processes.mosquitto import Mosquitto

pytestmark = [pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(300)]
PLANT = """
vigia: 1
mqtt: {{port: {port}, client_id: vigia-run-test}}
kafka: {{partitions: 2, prefix: {prefix}}}
sites:
  - id: works
    assets: [{{id: boiler, name: The boiler, signals: boiler}}]
signal_sets:
  boiler:
    rows: {{by: exact, period: 200ms}}
    lateness: 100ms
    signals:
      - {{id: pressure, topic: "plant/{{site}}/{{asset}}/pressure", time: /t, unit: kPa}}
detectors:
  - {{id: high, kind: limit, signal: pressure, high: 900, window: {{width: 1s, hop: 1s}}}}
alarms:
  - {{id: overpressure, detector: high, severity: critical, on_delay: 1s, off_delay: 1s}}
"""


@pytest.fixture
def gauge(mosquitto: Mosquitto) -> Iterator[Gauge]:
    one = Gauge(mosquitto.port)
    yield one
    one.close()


@pytest.fixture
def plant(mosquitto: Mosquitto, tmp_path: Path) -> Path:
    file = tmp_path / "plant.yaml"
    file.write_text(PLANT.format(port=mosquitto.port, prefix="vigia"), encoding="utf-8")
    return file


def running(vigia: Start, plant: Path, *more: str) -> MarkedProcess:
    data = str(plant.parent / "data")
    port = str(free_port())
    run = vigia("run", "--plant", str(plant), "--data", data, "--metrics-port", port, *more)
    run.wait_for("1 sensors", 90)
    return run


def stopped(run: MarkedProcess) -> None:
    run.signal(signal.SIGINT)
    assert run.wait(20) == 0, run.text
    assert run.family() == []


def bootstrap_of(run: MarkedProcess) -> str:
    return run.text.split("Kafka: ")[1].split()[0]


async def transitions(bootstrap: str) -> list[tuple[str, str]]:
    records = read(bootstrap, "vigia.alerts", until_end=True)
    alerts = [decode_json(Alert, record.value) async for record in records]
    assert len({alert.id for alert in alerts}) == len(alerts)
    return [(alert.rule, str(alert.transition)) for alert in alerts]


async def test_stopped_and_started_again_it_goes_on(
    vigia: Start, plant: Path, gauge: Gauge
) -> None:
    run = running(vigia, plant)
    gauge.send_until(1000.0, run, "raised critical overpressure: The boiler: value 1000")
    stopped(run)
    # Nobody listens now; the MQTT broker keeps it for us.
    gauge.send(1000.0, 3)
    run = running(vigia, plant)
    gauge.send_until(1000.0, run, "1 alarms raised")
    assert await transitions(bootstrap_of(run)) == [("overpressure", "raised")]
    gauge.send_until(100.0, run, "cleared critical overpressure")
    assert await transitions(bootstrap_of(run)) == [
        ("overpressure", "raised"),
        ("overpressure", "cleared"),
    ]
    stopped(run)


def test_a_killed_worker_is_started_again(vigia: Start, plant: Path, gauge: Gauge) -> None:
    run = running(vigia, plant)
    gauge.send(100.0, 2)
    run.find("stream", "worker").kill()
    run.wait_for("stream/box-1 is started again")
    gauge.send_until(1000.0, run, "raised critical overpressure")
    stopped(run)


def test_on_a_kafka_that_runs_already_with_two_workers(
    vigia: Start,
    mosquitto: Mosquitto,
    gauge: Gauge,
    kafka: RunningKafka,
    topic_prefix: str,
    tmp_path: Path,
) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text(PLANT.format(port=mosquitto.port, prefix=topic_prefix), encoding="utf-8")
    run = running(vigia, file, "--kafka", kafka.bootstrap, "--workers", "2")
    assert bootstrap_of(run) == kafka.bootstrap
    # The command itself, edge, two workers, exporter: no broker of our own.
    assert len(run.family()) == 5
    gauge.send_until(1000.0, run, "raised critical overpressure")
    stopped(run)


def test_a_second_run_on_the_same_data_is_refused(vigia: Start, plant: Path) -> None:
    run = running(vigia, plant)
    data, port = str(plant.parent / "data"), str(free_port())
    other = vigia("run", "--plant", str(plant), "--data", data, "--metrics-port", port)
    assert other.wait() == 2
    assert "another `vigia run` works there" in other.text
    stopped(run)


def test_an_mqtt_broker_that_is_away_is_said(
    vigia: Start, plant: Path, mosquitto: Mosquitto
) -> None:
    mosquitto.stop()
    run = running(vigia, plant)
    run.wait_for("edge/box: no connection to the MQTT broker")
    mosquitto.start()
    run.wait_for("edge/box: well again")
    stopped(run)


def test_a_wrong_plant_file_is_refused_with_all_its_mistakes(vigia: Start, tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text("vigia: 1\nsites: []\nsignal_sets: []\nnonsense: 1\n", encoding="utf-8")
    run = vigia("run", "--plant", str(file), "--data", str(tmp_path / "data"))
    assert run.wait() == 2
    assert not (tmp_path / "data").exists()
    for part in ("sites", "signal_sets", "nonsense"):
        assert part in run.text
    assert "Traceback" not in run.text
