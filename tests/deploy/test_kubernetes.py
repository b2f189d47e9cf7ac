"""deploy/kubernetes, as Kustomize makes it: valid, closed, bounded; a broken copy is refused."""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.access import read_access
from contracts.plant import read_plant
from tests.deploy.compose_rules import ROOT
from tests.deploy.kubernetes_rules import faults
from tests.deploy.test_compose import parsed

FOLDER = ROOT / "deploy" / "kubernetes"


def built(kubectl: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(kubectl), "kustomize", str(folder)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def manifests(kubectl: Path) -> list[Any]:
    done = built(kubectl, FOLDER)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def of(manifests: list[Any], kind: str, name: str) -> Any:
    (found,) = (m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)
    return found


def test_nothing_is_wrong_with_it(manifests: list[Any]) -> None:
    assert faults(manifests) == []
    kinds = sorted(one["kind"] for one in manifests)
    assert kinds == [
        "ConfigMap", "ConfigMap", "Deployment", "Deployment", "Namespace", "NetworkPolicy",
        "NetworkPolicy", "PodDisruptionBudget", "Service",
    ]  # fmt: skip


def pod(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Of a deployment its pod."""
    return lambda deployment: change(deployment["spec"]["template"]["spec"])


def box(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Of a deployment its container."""
    return pod(lambda one: change(one["containers"][0]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one["spec"].update(replica=2), "schema "),
        (lambda one: one["spec"].update(replicas="two"), "schema "),
        (lambda one: one.update(apiVersion="apps/v1beta1"), "schema "),
        (box(lambda one: one["livenessProbe"].update(every=3)), "schema "),
        (pod(lambda one: one["securityContext"].pop("runAsNonRoot")), "run as root"),
        (pod(lambda one: one["securityContext"].pop("seccompProfile")), "call of the kernel"),
        (pod(lambda one: one.pop("automountServiceAccountToken")), "token of the cluster"),
        (pod(lambda one: one.update(hostNetwork=True)), "apart from its node"),
        (box(lambda one: one["securityContext"].pop("readOnlyRootFilesystem")), "be written"),
        (box(lambda one: one["securityContext"]["capabilities"].pop("drop")), "capabilities"),
        (box(lambda one: one["securityContext"].pop("allowPrivilegeEscalation")), "privileges"),
        (box(lambda one: one.update(image="vigia:latest")), "no version"),
        (box(lambda one: one["resources"].pop("limits")), "no memory in its limits"),
        (box(lambda one: one.pop("livenessProbe")), "no livenessProbe"),
        (box(lambda one: one["env"].append({"name": "TOKEN", "value": "x"})), "a secret"),
        (pod(lambda one: one["volumes"].pop(0)), "volume plant is not there"),
        (
            pod(lambda one: one["volumes"][0]["configMap"].update(name="other")),
            "config map other",
        ),
        (
            lambda one: one["spec"]["selector"]["matchLabels"].update({"a": "b"}),
            "its own pods",
        ),
        (lambda one: one["metadata"].update(namespace="default"), "namespace of its own"),
    ],
)
def test_a_broken_copy_is_refused(
    manifests: list[Any], change: Callable[[Any], Any], told: str
) -> None:
    broken = copy.deepcopy(manifests)
    change(of(broken, "Deployment", "vigia-stream"))
    assert any(told in fault for fault in faults(broken)), faults(broken)


def test_a_broken_folder_is_refused(kubectl: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kubernetes"
    shutil.copytree(FOLDER, folder)
    (folder / "stream.yaml").unlink()
    assert built(kubectl, folder).returncode != 0


def test_the_commands_exist(manifests: list[Any]) -> None:
    for name in ("stream", "exporters"):
        deployment = of(manifests, "Deployment", f"vigia-{name}")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        parsed(container["args"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            parsed(container[probe]["exec"]["command"][1:])


def test_the_plant_file_in_it_fits(manifests: list[Any]) -> None:
    text = of(manifests, "ConfigMap", "vigia-plant")["data"]["plant.yaml"]
    plant = read_plant(text.encode(), "plant.yaml")
    workers = of(manifests, "Deployment", "vigia-stream")["spec"]["replicas"]
    assert workers <= plant.kafka.partitions
    users = set(read_access((ROOT / "deploy/kafka/acls.yaml").read_bytes(), "acls.yaml").users)
    assert {f"vigia-{name}" for name in ("stream", "exporters")} <= users


def test_nobody_reaches_a_worker(manifests: list[Any]) -> None:
    spec = of(manifests, "NetworkPolicy", "vigia")["spec"]
    assert spec["podSelector"] == {}
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in spec
