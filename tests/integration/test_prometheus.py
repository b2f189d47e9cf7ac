"""A real Prometheus scrapes a running exporter that reads a real Kafka."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.kafka_local import LocalKafka
from broker.loopback import free_port
from broker.producer import Producer
from broker.topics import create_topics
from contracts.messages import Phase, Transition
from contracts.plant import read_plant
from contracts.record import Outgoing
from tests import samples
from tests.conftest import RunningKafka
from tests.processes.prometheus import Prometheus
from tests.samples import T0, S
from vigia.commands.topics import topic_specs

PLANT = Path(__file__).parent.parent / "unit" / "plants" / "good" / "pumping.yaml"
THEFT = '{asset="north/line1",rule="theft",severity="critical",class="process"}'


@pytest.fixture
def prefix(topic_prefix: str) -> str:
    return topic_prefix.rstrip(".")


@pytest.fixture
def plant_file(tmp_path: Path, prefix: str) -> Path:
    file = tmp_path / "plant.yaml"
    file.write_text(PLANT.read_text().replace("prefix: vigia", f"prefix: {prefix}"))
    return file


@pytest.fixture
def topics(kafka: RunningKafka, plant_file: Path) -> None:
    specs = topic_specs(read_plant(plant_file.read_text()))
    asyncio.run(create_topics(kafka.bootstrap, specs))


def write(kafka: RunningKafka, *records: Outgoing) -> None:
    async def send() -> None:
        producer = Producer(kafka.bootstrap)
        await producer.start()
        await producer.send_all(records)
        await producer.stop()

    asyncio.run(send())


@contextmanager
def exporter(
    kafka: RunningKafka, plant: Path, port: int, *more: str
) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "vigia", "exporters", "prometheus", "--plant", str(plant)]
    argv += ["--kafka", kafka.bootstrap, "--port", str(port), *more]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            finally:
                process.kill()


def get(port: int, path: str, token: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except urllib.error.URLError as error:
        return 0, str(error.reason)


def until(condition: Callable[[], Any]) -> Any:
    """The first result that is true; the test's own time-out ends the waiting."""
    while not (found := condition()):
        time.sleep(0.2)
    return found


def ready(port: int) -> None:
    until(lambda: get(port, "/healthz")[0] == 200)


@pytest.mark.usefixtures("topics")
def test_a_real_prometheus_sees_the_line(
    kafka: RunningKafka,
    plant_file: Path,
    prefix: str,
    prometheus: Callable[[int], Prometheus],
) -> None:
    port = free_port()
    write(kafka, samples.outgoing(samples.alarm(), prefix))  # raised before the exporter came
    with exporter(kafka, plant_file, port) as process:
        ready(port)
        server = prometheus(port)
        until(lambda: server.query("up") and server.query("up")[0]["value"][1] == "1")
        write(
            kafka,
            samples.outgoing(samples.status(at_us=time.time_ns() // 1000), prefix),
            samples.outgoing(samples.detections(), prefix),
            samples.outgoing(samples.alert(), prefix),
            samples.letter(prefix=prefix),
            samples.outgoing(samples.batch(), prefix),
        )

        def value(query: str) -> float | None:
            found = server.query(query)
            return float(found[0]["value"][1]) if found else None

        until(lambda: value('vigia_dead_letters_total{reason="json"}') == 1)
        score = 'vigia_detection_score{asset="north/line1",detector="theft"}'
        assert until(lambda: value(score)) == pytest.approx(0.042)
        assert value(f"vigia_alarm_active{THEFT}") == 1
        assert value('vigia_alarm_raised_total{asset="north/line1",rule="theft"}') == 2
        assert value('vigia_detection_threshold{asset="north/line1"}') == pytest.approx(0.02)
        until(lambda: value("sum(vigia_alerts_total)") == 1)
        until(lambda: value('vigia_stage_dropped_total{stage="edge.mqtt",reason="json"}') == 2)
        assert value('vigia_stage_unaccounted{stage="edge.mqtt"}') == 0
        assert value('vigia_source_up{signal="inlet",asset="north/line1"}') == 1
        assert value('vigia_source_state{signal="outlet",state="silent",asset="north/line1"}') == 1
        assert value('vigia_source_up{asset="north/line2",signal="inlet"}') == 0
        lag = f'vigia_consumer_lag_records{{group="{prefix}-stream",topic="{prefix}.readings"}}'
        until(lambda: value(f"sum({lag})") == 1)
        own = '{stage="exporters.messages",process="exporters/prometheus"}'
        until(lambda: (value(f"vigia_stage_in_total{own}") or 0) > 5)
        assert value(f"vigia_stage_unaccounted{own}") == 0
        # The edge says nothing more: that is seen, and its sources are not called well.
        until(lambda: value('vigia_process_up{process="edge/north"}') == 0)
        until(lambda: value('vigia_source_up{signal="inlet",asset="north/line1"}') == 0)
        write(
            kafka,
            samples.outgoing(samples.alarm(Phase.NORMAL, T0 + 60 * S), prefix),
            samples.outgoing(samples.alert(Transition.CLEARED, T0 + 60 * S), prefix),
        )
        until(lambda: value(f"vigia_alarm_active{THEFT}") == 0)
        until(lambda: value('sum(vigia_alerts_total{transition="cleared"})') == 1)
    assert process.returncode == 0


@pytest.mark.usefixtures("topics")
def test_promtool_finds_nothing_to_mend(
    kafka: RunningKafka, plant_file: Path, prefix: str, tmp_path: Path
) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: install Debian's package prometheus")
    port = free_port()
    with exporter(kafka, plant_file, port):
        ready(port)
        write(
            kafka,
            samples.outgoing(samples.alarm(), prefix),
            samples.outgoing(samples.status(), prefix),
            samples.outgoing(samples.detections(), prefix),
            samples.outgoing(samples.alert(), prefix),
            samples.letter(prefix=prefix),
        )
        until(lambda: 'vigia_dead_letters_total{reason="json"} 1.0' in get(port, "/metrics")[1])
        until(lambda: "vigia_consumer_lag_records{" in get(port, "/metrics")[1])
        page = get(port, "/metrics")[1]
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page, text=True, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.usefixtures("topics")
def test_started_again_it_shows_the_same_state(
    kafka: RunningKafka, plant_file: Path, prefix: str
) -> None:
    write(
        kafka,
        samples.outgoing(samples.alarm(), prefix),
        samples.outgoing(samples.detections(), prefix),
        samples.outgoing(samples.status(at_us=time.time_ns() // 1000), prefix),
        samples.outgoing(samples.alert(), prefix),
    )
    pages = []
    for _ in range(2):
        port = free_port()
        with exporter(kafka, plant_file, port):
            ready(port)
            pages.append(get(port, "/metrics")[1])
    # Not the rate: it is 0 as soon as the status is ten seconds old.
    kept = ("vigia_alarm_", "vigia_detection_score", "vigia_detection_t", "vigia_source_readings_t")
    states = [[line for line in page.splitlines() if line.startswith(kept)] for page in pages]
    assert states[0] == states[1]
    active = [line for line in states[0] if line.startswith("vigia_alarm_active")]
    assert sum(line.endswith(" 1.0") for line in active) == 1
    # What happened before it came is no news: increase() would show it again at each start.
    alerts = [line for line in pages[1].splitlines() if line.startswith("vigia_alerts_total")]
    assert alerts
    assert all(line.endswith(" 0.0") for line in alerts)


@pytest.mark.usefixtures("topics")
def test_with_a_token_only_its_bearer_reads(
    kafka: RunningKafka, plant_file: Path, tmp_path: Path
) -> None:
    token = "correct-horse-battery"
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    port = free_port()
    with exporter(kafka, plant_file, port, "--token-file", str(file)):
        until(lambda: get(port, "/healthz", token)[0] == 200)
        assert get(port, "/metrics")[0] == 401
        assert get(port, "/metrics", token[:-1])[0] == 401
        assert get(port, "/healthz")[0] == 401
        assert get(port, "/metrics", token)[0] == 200
        assert get(port, "/secrets", token)[0] == 404


def test_it_goes_on_where_it_was_when_kafka_comes_back(
    own_kafka: LocalKafka, plant_file: Path, prefix: str
) -> None:
    kafka = RunningKafka(own_kafka.bootstrap)
    port = free_port()
    raised = 'vigia_alerts_total{class="process",severity="critical",transition="raised"}'
    with exporter(kafka, plant_file, port) as process:
        until(lambda: get(port, "/healthz")[0] == 503)  # there are no topics yet
        assert get(port, "/metrics")[0] == 503
        specs = topic_specs(read_plant(plant_file.read_text()))
        asyncio.run(create_topics(kafka.bootstrap, specs))
        ready(port)
        write(kafka, samples.outgoing(samples.alert(), prefix))
        until(lambda: f"{raised} 1.0" in series(get(port, "/metrics")[1]))
        own_kafka.stop()
        assert process.poll() is None
        own_kafka.start()
        write(kafka, samples.outgoing(samples.alert(at_us=T0 + 90 * S), prefix))
        until(lambda: f"{raised} 2.0" in series(get(port, "/metrics")[1]))
        ready(port)
    assert process.returncode == 0


def series(page: str) -> set[str]:
    """The page's lines, each with its labels in alphabetical order."""
    return {_sorted(line) for line in page.splitlines() if not line.startswith("#")}


def _sorted(line: str) -> str:
    name, _, rest = line.partition("{")
    labels, _, value = rest.partition("}")
    return f"{name}{{{','.join(sorted(labels.split(',')))}}}{value}"


def refused(*more: str, plant: Path = PLANT) -> str:
    argv = [sys.executable, "-m", "vigia", "exporters", "prometheus", "--plant", str(plant)]
    done = subprocess.run([*argv, *more], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    return done.stderr


def test_it_refuses_what_would_open_it_to_everyone(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_text("1234\n")
    kafka = ("--kafka", "127.0.0.1:1")
    assert "--token-file" in refused("--host", "0.0.0.0", *kafka)
    assert "--token-file" in refused("--host", "plant.example", *kafka)
    assert "at least 16" in refused("--host", "0.0.0.0", "--token-file", str(short), *kafka)
    assert "cannot be read" in refused("--token-file", str(tmp_path / "none"), *kafka)
    assert "no Kafka is named" in refused()
    assert "cannot be read" in refused(*kafka, plant=tmp_path / "none.yaml")
