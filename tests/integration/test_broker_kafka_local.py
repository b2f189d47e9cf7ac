"""Apache Kafka as a child process: data that stays, jars that are checked, no orphans."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from broker.kafka_jars import Jar, checked_jars, default_folder, fetch, read_lock
from broker.kafka_local import LocalKafka
from broker.loopback import answers, free_port
from broker.producer import Producer
from broker.reader import read
from broker.topics import TopicSpec, create_topics
from contracts.errors import BrokerError, KafkaStartError
from contracts.record import Outgoing

TOPIC = "kept"


async def _write(bootstrap: str, numbers: range) -> None:
    producer = Producer(bootstrap)
    await producer.start()
    await producer.send_all(Outgoing(TOPIC, b"k", str(n).encode()) for n in numbers)
    await producer.stop()


async def _values(bootstrap: str) -> list[int]:
    return [int(r.value or b"") async for r in read(bootstrap, TOPIC, until_end=True)]


@pytest.mark.kafka
async def test_data_stays_after_kill_and_after_a_stop_and_on_another_port(tmp_path: Path) -> None:
    with LocalKafka(tmp_path) as kafka:
        await create_topics(kafka.bootstrap, [TopicSpec(TOPIC, 1)])
        await _write(kafka.bootstrap, range(100))
        bootstrap = kafka.bootstrap
        kafka.kill()
        kafka.start()
        assert kafka.bootstrap == bootstrap
        assert await _values(bootstrap) == list(range(100))
        await _write(bootstrap, range(100, 200))
    with LocalKafka(tmp_path) as kafka:
        assert await _values(kafka.bootstrap) == list(range(200))


def test_listens_on_loopback_only(own_kafka: LocalKafka) -> None:
    connections = psutil.Process(own_kafka.pid).net_connections(kind="tcp")
    listening = {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert listening


def test_a_port_in_use_is_said(own_kafka: LocalKafka, tmp_path: Path) -> None:
    port = int(own_kafka.bootstrap.rpartition(":")[2])
    with pytest.raises(KafkaStartError, match=f"port {port} is in use"):
        LocalKafka(tmp_path / "second", port=port).start()


def test_a_port_that_another_takes_while_it_starts_is_said(tmp_path: Path) -> None:
    kafka = LocalKafka(tmp_path)
    port = int(kafka.bootstrap.rpartition(":")[2])
    with socket.socket() as other:

        def take() -> None:
            while not (tmp_path / "server.properties").exists():
                time.sleep(0.01)
            other.bind(("127.0.0.1", port))
            other.listen()

        taking = threading.Thread(target=take)
        taking.start()
        with pytest.raises(KafkaStartError, match="Kafka ended"):
            kafka.start()
        taking.join()


async def test_a_folder_in_use_is_said_and_its_kafka_goes_on(
    own_kafka: LocalKafka, tmp_path: Path
) -> None:
    with pytest.raises(KafkaStartError, match="another Kafka runs on"):
        LocalKafka(tmp_path / "kafka").start()
    await create_topics(own_kafka.bootstrap, [TopicSpec(TOPIC, 1)])
    await _write(own_kafka.bootstrap, range(3))
    assert await _values(own_kafka.bootstrap) == [0, 1, 2]


def test_a_start_that_fails_shows_the_log(own_kafka: LocalKafka, tmp_path: Path) -> None:
    own_kafka.stop()
    meta = tmp_path / "kafka" / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=7"))
    with pytest.raises(KafkaStartError, match=r"(?s)the end of .*kafka\.log.*node"):
        own_kafka.start()


@pytest.mark.kafka
def test_kafka_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import sys, time; from pathlib import Path; from broker.kafka_local import LocalKafka\n"
        f"kafka = LocalKafka(Path({str(tmp_path)!r}), port={port}); kafka.start()\n"
        "print(kafka.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
        assert answers(port)
        parent.kill()
        parent.wait()
    assert psutil.wait_procs([child], timeout=30)[1] == []


def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    good = Jar("g", "good", "1", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9")
    evil = Jar("g", "evil", "1", good.sha256)

    def source(jar: Jar, scratch: Path) -> Path:
        scratch.mkdir(parents=True)
        (scratch / "x").write_bytes(b"hello world" if jar is good else b"hello evil")
        return scratch / "x"

    with pytest.raises(BrokerError, match=r"not the evil-1\.jar that was locked"):
        fetch([good, evil], tmp_path, source)
    assert [path.name for path in tmp_path.iterdir()] == ["good-1.jar"]
    assert fetch([good], tmp_path, source) == 0


@pytest.mark.kafka
def test_a_jar_that_was_changed_later_is_refused(tmp_path: Path) -> None:
    jars = read_lock()
    for jar in jars:
        shutil.copy(default_folder() / jar.file_name, tmp_path)
    assert len(checked_jars(jars, tmp_path)) == len(jars)
    with (tmp_path / jars[7].file_name).open("ab") as file:
        file.write(b"!")
    with pytest.raises(BrokerError, match="SHA-256"):
        checked_jars(jars, tmp_path)
