"""Writes broker/kafka-jars.lock anew: resolves Kafka's jars and pins each by SHA-256."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from jgo.env import EnvironmentBuilder
from jgo.maven import MavenContext, PythonResolver

from broker.kafka_jars import LOCK

# Without naming kafka-clients, mediation picks an older one and the server dies.
ENDPOINT = "+".join(
    [
        "org.apache.kafka:kafka_2.13:4.4.0",
        "org.apache.kafka:kafka-clients:4.4.0",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
    ]
)
HEADER = "# Apache Kafka, written by `make lock`: SHA-256  group:artifact:version\n"


def coordinate(jar: Path, repository: Path) -> str:
    """`group:artifact:version` of a jar from its place in a Maven repository."""
    *group, artifact, version = jar.parent.relative_to(repository).parts
    return f"{'.'.join(group)}:{artifact}:{version}"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        repository = Path(scratch) / "repository"
        context = MavenContext(repo_cache=repository, resolver=PythonResolver(), timeout=60)
        builder = EnvironmentBuilder(context=context, cache_dir=Path(scratch) / "environment")
        builder.from_endpoint(ENDPOINT)
        lines = sorted(
            f"{coordinate(jar, repository)} {hashlib.sha256(jar.read_bytes()).hexdigest()}"
            for jar in repository.rglob("*.jar")
        )
    swapped = (line.split() for line in lines)
    LOCK.write_text(HEADER + "".join(f"{sha}  {name}\n" for name, sha in swapped))
    print(f"{LOCK.name}: {len(lines)} jars")


if __name__ == "__main__":
    main()
