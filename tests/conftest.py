"""Real brokers and servers for the tests, each on a free port of the loopback interface.

With VIGIA_REQUIRE_REAL=1 a test that needs one of them and is skipped counts as failed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from broker.kafka_jars import checked_jars, default_folder, read_lock
from broker.kafka_local import LocalKafka
from broker.loopback import free_port
from contracts.errors import BrokerError
from tests.processes.alertmanager import find_alertmanager
from tests.processes.clocks import find_faketime
from tests.processes.mosquitto import Mosquitto, find_mosquitto
from tests.processes.prometheus import Prometheus, find_prometheus, scraping
from tests.processes.rtsp import RtspServer, rtsp_is_here

# A shell starts what runs in its background with SIGINT ignored, and that is inherited: the
# programs under test must get it whatever started the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

REAL = {
    "kafka": "kafka",
    "own_kafka": "kafka",
    "mosquitto": "mqtt",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "rtsp": "rtsp",
    "faketime": "faketime",
    "systemd_analyze": "systemd",
    "kubectl": "kustomize",
    "network_off": "offline",
    "machine": "machine",
}
"""The marker of every test that uses a fixture of this name."""

# Tests assert outcomes, never durations.
hypothesis.settings.register_profile("vigia", deadline=None)
hypothesis.settings.load_profile("vigia")


@dataclass(frozen=True, slots=True)
class RunningKafka:
    """A Kafka that tests may use and not stop."""

    bootstrap: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in REAL:
                item.add_marker(REAL[fixture])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    required = os.environ.get("VIGIA_REQUIRE_REAL") == "1"
    real = any(item.get_closest_marker(marker) for marker in REAL.values())
    if required and real and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and VIGIA_REQUIRE_REAL=1 forbids that: {report.longrepr}"
    return report


def _require_kafka() -> None:
    try:
        checked_jars(read_lock(), default_folder())
    except BrokerError as error:
        pytest.skip(f"no Apache Kafka: {error}")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKafka]:
    """One Apache Kafka for all tests, or that of KAFKA_BOOTSTRAP. Use `topic_prefix` on it."""
    if bootstrap := os.environ.get("KAFKA_BOOTSTRAP"):
        yield RunningKafka(bootstrap)
        return
    _require_kafka()
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as local:
        yield RunningKafka(local.bootstrap)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """An Apache Kafka of this test alone, running; it may be stopped, killed and started."""
    _require_kafka()
    with LocalKafka(tmp_path / "kafka") as local:
        yield local


@pytest.fixture
def topic_prefix() -> str:
    """A prefix of topics and groups that no other test has."""
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto of this test alone, running; it may be stopped, killed and started."""
    program = find_mosquitto()
    if program is None:
        pytest.skip("no Mosquitto: install Debian's package mosquitto")
    with Mosquitto(program, tmp_path / "mosquitto") as process:
        yield process


@pytest.fixture
def rtsp(tmp_path: Path) -> Iterator[Callable[..., RtspServer]]:
    """`rtsp(user=, password=, environ=)` makes an RTSP server, not started; it ends with the
    test."""
    if not rtsp_is_here():
        pytest.skip("no RTSP server: install Debian's packages RTSP_SERVER of the Makefile")
    made: list[RtspServer] = []

    def make(**login: Any) -> RtspServer:
        folder = tmp_path / f"rtsp-{len(made)}"
        folder.mkdir()
        made.append(RtspServer(folder, free_port(), **login))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def faketime() -> Path:
    """The library that gives a process a wrong clock."""
    library = find_faketime()
    if library is None:
        pytest.skip("no libfaketime: install Debian's package libfaketime")
    return library


@pytest.fixture
def systemd_analyze() -> Path:
    """systemd's own judge of units."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze: install Debian's package systemd")
    return Path(program)


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """Kubernetes' command, of which Kustomize is a part."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("no kubectl: install Debian's package kubernetes-client")
    return Path(program)


@pytest.fixture
def network_off() -> tuple[str, ...]:
    """What stands before a command that is to run without any network but the loopback."""
    words = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    if shutil.which("ip") is None or subprocess.run([*words, "true"], check=False).returncode:
        pytest.skip("no network namespace can be made here: it takes root and iproute2")
    return words


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[int], Prometheus]]:
    """`prometheus(port)` starts a Prometheus that scrapes that port; it ends with the test."""
    program = find_prometheus()
    if program is None:
        pytest.skip("no Prometheus: install Debian's package prometheus")
    started: list[Prometheus] = []

    def start(scrape_port: int) -> Prometheus:
        folder = tmp_path / f"prometheus-{len(started)}"
        started.append(scraping(program, folder, scrape_port))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="session")
def alertmanager() -> str:
    """The path of Alertmanager's program."""
    program = find_alertmanager()
    if program is None:
        pytest.skip("no Alertmanager: install Debian's package prometheus-alertmanager")
    return program
