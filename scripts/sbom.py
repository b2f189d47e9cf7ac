"""Prints a bill of materials (CycloneDX, JSON) of what runs: the Python packages of
requirements/run.lock as they are installed here, with their licences, and Kafka's jars."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from broker.kafka_jars import Jar, read_lock

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "run.lock"


def main() -> int:
    text = bill()
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"sbom: {error}")
    print(text)
    return 0


def bill() -> str:
    """The document, the same for the same packages."""
    python = Path(sys.executable)
    program = python.with_name("cyclonedx-py")
    argv = [str(program), "environment", str(python), "--pyproject", str(ROOT / "pyproject.toml")]
    argv += ["--of", "JSON", "--output-reproducible"]
    done = subprocess.run(argv, capture_output=True, check=True)
    bom: Bom = Bom.from_json(json.loads(done.stdout))  # type: ignore[attr-defined]
    wanted = locked()
    kept = [one for one in bom.components if one.name.lower().replace("_", "-") in wanted]
    # What else is installed here is for tests.
    bom.components = [*kept, *map(of_jar, read_lock())]
    bom.dependencies = ()
    return JsonV1Dot6(bom).output_as_string(indent=2)


def locked() -> set[str]:
    """The names in the lock file."""
    return set(re.findall(r"^([a-z0-9][a-z0-9.-]*)==", LOCK.read_text(), re.MULTILINE))


def of_jar(jar: Jar) -> Component:
    """One of Kafka's."""
    return Component(
        type=ComponentType.LIBRARY,
        group=jar.group,
        name=jar.artifact,
        version=jar.version,
        purl=PackageURL("maven", jar.group, jar.artifact, jar.version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=jar.sha256)],
    )


if __name__ == "__main__":
    sys.exit(main())
