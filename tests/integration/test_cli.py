"""The operator's commands on a real Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.producer import Producer
from contracts.messages import Phase
from contracts.record import Outgoing
from contracts.topics import TOPICS
from tests import samples
from tests.conftest import RunningKafka
from tests.samples import ASSET, T0, S
from vigia.__main__ import cli

PLANT = Path(__file__).parent.parent / "unit" / "plants" / "good" / "pumping.yaml"


@pytest.fixture
def prefix(topic_prefix: str) -> str:
    return topic_prefix.rstrip(".")


@pytest.fixture
def plant(tmp_path: Path, prefix: str) -> Path:
    file = tmp_path / "plant.yaml"
    file.write_text(PLANT.read_text().replace("prefix: vigia", f"prefix: {prefix}"))
    return file


@pytest.fixture
def link(kafka: RunningKafka, plant: Path) -> tuple[str, ...]:
    """The options that name the broker and the plant; the topics are there."""
    options = ("--kafka", kafka.bootstrap, "--plant", str(plant))
    assert vigia("topics", "create", *options).exit_code == 0
    return options


def vigia(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="vigia")


def write(kafka: RunningKafka, *records: Outgoing) -> None:
    async def send() -> None:
        producer = Producer(kafka.bootstrap)
        await producer.start()
        await producer.send_all(records)
        await producer.stop()

    asyncio.run(send())


def tailed(topic: str, link: tuple[str, ...]) -> list[dict[str, Any]]:
    done = vigia("tail", topic, *link, "--json", "--from-start", "--until-idle", "1")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def shown(topic: str, link: tuple[str, ...], *more: str) -> list[str]:
    done = vigia("tail", topic, *link, "--from-start", "--until-idle", "1", *more)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_topics_are_created_once(kafka: RunningKafka, plant: Path, prefix: str) -> None:
    options = ("--kafka", kafka.bootstrap, "--plant", str(plant))
    first = vigia("topics", "create", *options)
    assert first.exit_code == 0
    assert f"created {prefix}.readings" in first.stdout
    assert len(first.stdout.splitlines()) == len(TOPICS)
    again = vigia("topics", "create", *options)
    assert again.exit_code == 0
    assert "created" not in again.stdout
    plant.write_text(plant.read_text().replace("partitions: 2", "partitions: 3"))
    other = vigia("topics", "create", *options)
    assert other.exit_code == 2
    assert "the number of partitions is fixed at creation" in other.stderr


def test_readings_are_shown_as_rows(
    kafka: RunningKafka, link: tuple[str, ...], prefix: str
) -> None:
    write(kafka, samples.outgoing(samples.batch(), prefix))
    (one,) = tailed("readings", link)
    assert (one["topic"], one["partition"], one["offset"]) == (f"{prefix}.readings", 0, 0)
    assert one["key"] == one["asset"] == ASSET
    assert one["position"]["sequence"] == 3
    assert one["signals"][1] == {"signal": "outlet", "unit": "m3/h", "clock": "arrival"}
    assert [row["values"] for row in one["rows"]] == [[10.5, 10.25], [11.0, None], [900.0, 10.0]]
    assert one["rows"][1]["quality"] == ["held", "missing"]
    assert shown(f"{prefix}.readings", link) == [
        f"2023-11-14 22:13:20.000Z  {ASSET}  inlet 10.5 m3/h  outlet 10.25 m3/h",
        f"2023-11-14 22:13:22.000Z  {ASSET}  inlet 11 m3/h (held)  outlet - (missing)",
        f"2023-11-14 22:13:21.000Z  {ASSET}  inlet 900 m3/h (out-of-range)  outlet 10 m3/h",
    ]


def test_every_topic_is_decoded(kafka: RunningKafka, link: tuple[str, ...], prefix: str) -> None:
    write(
        kafka,
        samples.outgoing(samples.detections(), prefix),
        samples.outgoing(samples.alert(), prefix),
        samples.outgoing(samples.command(), prefix),
        samples.outgoing(samples.status(), prefix),
        samples.letter(prefix=prefix),
        samples.picture(prefix),
        samples.evidence(prefix),
    )
    (batch,) = tailed("detections", link)
    (item,) = batch["value"]["items"]
    assert item == samples.detection().model_dump(mode="json")
    assert (batch["value"]["asset"], batch["value"]["detector"]) == ("north/line1", "theft")
    (line,) = shown("alerts", link)
    assert line.endswith("RAISED  Line 1: inlet exceeds outlet by 4.2 % (limit 2.0 %)")
    (line,) = shown("alerts", link, "--lang", "es")
    assert line.endswith("ACTIVADA  Line 1: la entrada supera la salida en 4,2 % (límite 2,0 %)")
    assert "ana: shelve north/line1/theft" in shown("commands", link)[0]
    assert tailed("status", link)[0]["value"]["account"]["edge.mqtt"]["in"] == 103
    assert "1/2 sources ok" in shown("status", link)[0]
    (letter,) = tailed("dead-letters", link)
    assert letter["headers"]["ce_reason"] == "json"
    assert "json: expected JSON (7 bytes)" in shown("dead-letters", link)[0]
    assert tailed("frames", link)[0]["value"]["width"] == 640
    assert tailed("evidence", link)[0]["value"]["detector"] == "spots"
    assert "spots  0.75 / 0.5" in shown("evidence", link)[0]


def test_pictures_are_listed_and_saved(
    kafka: RunningKafka, link: tuple[str, ...], prefix: str, tmp_path: Path
) -> None:
    assert vigia("evidence", *link).stdout == "no pictures\n"
    write(kafka, samples.evidence(prefix), samples.evidence(prefix))
    listed = vigia("evidence", *link, "--asset", "north/line1", "--save", str(tmp_path / "seen"))
    assert listed.exit_code == 0, listed.output
    (line,) = listed.stdout.splitlines()
    assert "north/line1  spots  0.75 / 0.5" in line
    (file,) = (tmp_path / "seen").iterdir()
    assert str(file) in line
    assert file.read_bytes() == samples.evidence(prefix).value
    assert vigia("evidence", *link, "--asset", "other/x").stdout == "no pictures\n"


def test_what_cannot_be_decoded_is_shown_with_its_size(
    kafka: RunningKafka, link: tuple[str, ...], prefix: str
) -> None:
    raw = b"\x1b[31mnot json\xff"
    topics = ("readings", "detections", "alarms", "alerts", "commands", "status", "frames")
    write(kafka, *(Outgoing(f"{prefix}.{topic}", b"k\xff", raw) for topic in topics))
    for topic in topics:
        (one,) = tailed(topic, link)
        assert one["size"] == len(raw)
        assert one["error"]
        (line,) = shown(topic, link)
        assert f"{len(raw)} bytes" in line
        assert "\x1b" not in line
    write(kafka, Outgoing(f"{prefix}.dead-letters", None, raw))
    assert tailed("dead-letters", link)[0]["headers"] == {}


def test_alarms_show_the_state_that_has_applied_most(
    kafka: RunningKafka, link: tuple[str, ...], prefix: str
) -> None:
    assert vigia("alarms", *link).stdout == "no alarms\n"
    write(
        kafka,
        samples.outgoing(samples.alarm(Phase.NORMAL, T0 + 90 * S, asset="north/line2"), prefix),
        samples.outgoing(samples.alarm(Phase.ACTIVE, T0 + 60 * S), prefix),
        # A worker that had lost its partitions wrote this one late.
        samples.outgoing(samples.alarm(Phase.NORMAL, T0 + 30 * S), prefix),
        Outgoing(f"{prefix}.alarms", b"x", b"{"),
    )
    done = vigia("alarms", *link)
    assert done.exit_code == 0
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["STATE", "SEVERITY", "CLASS", "ALARM", "SINCE", "AGE", "TIMES", "WHAT"]
    assert first.startswith("raised")
    assert first.endswith("Line 1: inlet exceeds outlet by 4.2 % (limit 2.0 %)")
    assert second.startswith("normal")
    assert "1 messages could not be decoded" in done.stderr
    spanish = vigia("alarms", *link, "--lang", "es").stdout
    assert "la entrada supera la salida" in spanish
    document = json.loads(vigia("alarms", *link, "--json").stdout)
    assert [one["alarm"] for one in document] == ["north/line1/theft", "north/line2/theft"]
    assert (document[0]["raised"], document[1]["raised"]) == (True, False)
    assert document[0]["applied_us"] == T0 + 60 * S
    assert document[0]["age_s"] > 0


def test_errors_are_one_text_and_exit_code_2(kafka: RunningKafka, plant: Path) -> None:
    for arguments, text in (
        (("tail", "nothing"), "expected one of the topics readings"),
        (("tail", "readings", "--kafka", kafka.bootstrap, "--prefix", "none"), "there is no topic"),
        (("tail", "readings", "--plant", "none.yaml"), "cannot be read"),
        (("topics", "create", "--kafka", kafka.bootstrap), "give --plant FILE"),
        (("alarms", "--kafka", "127.0.0.1:1"), "127.0.0.1:1"),
    ):
        done = vigia(*arguments)
        assert done.exit_code == 2, arguments
        assert done.stderr.startswith("vigia: ")
        assert text in done.stderr
        assert done.stdout == ""


def test_a_tail_ends_with_the_key_that_ends_everything(
    kafka: RunningKafka, link: tuple[str, ...], prefix: str
) -> None:
    write(kafka, samples.outgoing(samples.alert(), prefix))
    argv = [sys.executable, "-m", "vigia", "tail", "alerts", "--from-start", *link]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as p:
        assert p.stdout is not None
        assert b"RAISED" in p.stdout.readline()
        p.send_signal(signal.SIGINT)
        _, errors = p.communicate(timeout=30)
    assert (p.returncode, errors) == (0, b"")
