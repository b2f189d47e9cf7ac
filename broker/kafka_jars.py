"""Apache Kafka's jars, each by coordinate and SHA-256, fetched once into the environment.

`python -m broker.kafka_jars` fetches what is missing and checks everything; `make setup`
calls it, so that nothing needs the network later.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import BrokerError

LOCK = Path(__file__).with_name("kafka-jars.lock")


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock file: `SHA256  group:artifact:version`."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


Source = Callable[[Jar, Path], Path]
"""Fetches one jar into a scratch folder and says where it lies."""


def read_lock(path: Path = LOCK) -> list[Jar]:
    """The jars of a lock file; lines that start with # are comments."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [_jar(line) for line in lines if line and not line.startswith("#")]


def _jar(line: str) -> Jar:
    sha256, coordinate = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)


def default_folder() -> Path:
    """Where the jars of this Python environment lie."""
    return Path(sys.prefix) / "share" / "vigia" / "kafka"


def checked_jars(jars: Sequence[Jar], folder: Path) -> list[Path]:
    """The jars' paths. Raises BrokerError when one is missing or is not the locked file."""
    paths = [folder / jar.file_name for jar in jars]
    for jar, path in zip(jars, paths, strict=True):
        if not path.exists():
            raise BrokerError(f"{path} is missing: run `make setup`")
        _check(jar, path)
    return paths


def _check(jar: Jar, path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != jar.sha256:
        raise BrokerError(
            f"{path} is not the {jar.file_name} that was locked: "
            f"SHA-256 is {found}, expected {jar.sha256}"
        )


def from_maven(jar: Jar, scratch: Path) -> Path:
    """Fetches one jar from the public Maven repository."""
    # Only set-up fetches; a running service never loads the resolver.
    from jgo.maven import MavenContext, PythonResolver

    context = MavenContext(repo_cache=scratch, resolver=PythonResolver(), timeout=60)
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        return Path(component.artifact().resolve())
    except (OSError, RuntimeError) as error:
        raise BrokerError(f"{jar.file_name} could not be fetched: {error}", retriable=True) from (
            error
        )


def fetch(jars: Sequence[Jar], folder: Path, source: Source = from_maven) -> int:
    """Fetches the jars that `folder` lacks; returns how many those were.

    A jar comes into `folder` only after its SHA-256 was found right. Raises BrokerError
    when one cannot be fetched or is not the locked file; what was right stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch,
        ThreadPoolExecutor(max_workers=8) as pool,
    ):
        fetches = [pool.submit(_fetch_one, jar, folder, Path(scratch), source) for jar in missing]
        for one in fetches:
            one.result()
    return len(missing)


def _fetch_one(jar: Jar, folder: Path, scratch: Path, source: Source) -> None:
    fetched = source(jar, scratch / jar.file_name)
    _check(jar, fetched)
    os.replace(fetched, folder / jar.file_name)


def main() -> int:
    jars, folder = read_lock(), default_folder()
    try:
        count = fetch(jars, folder)
        checked_jars(jars, folder)
    except BrokerError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    print(f"setup: Apache Kafka: {len(jars)} jars checked, {count} of them fetched now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
