"""The bill of materials names all that runs, and nothing that only tests need."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from broker.kafka_jars import read_lock

ROOT = Path(__file__).parents[2]


def test_it_names_what_runs_with_versions_licences_and_hashes() -> None:
    argv = [sys.executable, "-W", "ignore", "-m", "scripts.sbom"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    found = {one["name"]: one for one in document["components"]}
    installed = {one.name.lower().replace("_", "-"): one.version for one in distributions()}
    for name in ("aiokafka", "faust-streaming", "numpy", "onnxruntime", "paho-mqtt", "pydantic"):
        assert found[name]["version"] == installed[name]
        assert found[name]["licenses"]
    for jar in read_lock():
        assert found[jar.artifact]["version"] == jar.version
        assert found[jar.artifact]["hashes"][0]["content"] == jar.sha256
    assert not {"pytest", "ruff", "tensorflow", "cyclonedx-bom"} & found.keys()
