"""What deploy/kubernetes must hold to: the schemas of Kubernetes; closed, bounded and whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import kubernetes_validate

VERSIONS = ("1.29", "1.37")
"""The oldest that is promised, and the newest that the validator knows."""
Manifest = Mapping[str, Any]


def faults(manifests: Sequence[Manifest]) -> list[str]:
    """All that is wrong with what Kustomize makes."""
    found = [fault for one in manifests for fault in _unlike_the_schema(json.dumps(one))]
    if found:
        return found
    for one in manifests:
        name = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] != "Namespace" and one["metadata"].get("namespace") != "vigia":
            found.append(f"{name}: in no namespace of its own")
        if one["kind"] == "Deployment":
            pod = one["spec"]["template"]["spec"]
            told = (*_closed(pod), *_mounted(pod, manifests), *_selected(one))
            found += [f"{name}: {fault}" for fault in told]
            for container in pod["containers"]:
                told = (*_hardened(container), *_bounded(container))
                found += [f"{name}: {fault}" for fault in told]
    return found


@cache
def _unlike_the_schema(manifest: str) -> tuple[str, ...]:
    """Of a manifest as JSON; a second is spent on each that was not seen before."""
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(json.loads(manifest), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"schema {version}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            found.append(f"schema {version}: {error}")
    return tuple(found)


def _closed(pod: Manifest) -> Iterator[str]:
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or not context.get("runAsUser"):
        yield "it may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "it may make any call of the kernel"
    if pod.get("automountServiceAccountToken") is not False:
        yield "it holds a token of the cluster"
    if pod.get("hostNetwork") or pod.get("hostPID"):
        yield "it is not apart from its node"
    if any("hostPath" in volume for volume in pod["volumes"]):
        yield "it sees the disk of its node"


def _hardened(container: Manifest) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "its programs may gain privileges"
    if not context.get("readOnlyRootFilesystem"):
        yield "its root file system can be written"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "it has capabilities"
    tag = container["image"].rpartition(":")[2]
    if not any(part.isdigit() for part in tag.split(".")):
        yield f"no version of {container['image']} is named"
    for one in container.get("env", ()):
        if "value" in one and any(w in one["name"] for w in ("PASSWORD", "SECRET", "TOKEN")):
            yield f"a secret stands in its environment: {one['name']}"


def _bounded(container: Manifest) -> Iterator[str]:
    for kind in ("requests", "limits"):
        for what in ("cpu", "memory"):
            if what not in container.get("resources", {}).get(kind, {}):
                yield f"no {what} in its {kind}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe not in container:
            yield f"it has no {probe}"


def _mounted(pod: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for container in pod["containers"]:
        for mount in container["volumeMounts"]:
            if mount["name"] not in volumes:
                yield f"volume {mount['name']} is not there"
    maps = {one["metadata"]["name"] for one in manifests if one["kind"] == "ConfigMap"}
    sources = [s for v in volumes.values() for s in v.get("projected", {}).get("sources", ())]
    for one in (*volumes.values(), *sources):
        if "configMap" in one and one["configMap"]["name"] not in maps:
            yield f"config map {one['configMap']['name']} is not there"


def _selected(deployment: Manifest) -> Iterator[str]:
    wanted = deployment["spec"]["selector"]["matchLabels"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    if not wanted.items() <= labels.items():
        yield "it does not find its own pods"
