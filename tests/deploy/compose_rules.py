"""What docker-compose.yml must hold to: its schema; closed by default, bounded, and whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).parents[2]
OURS = ("vigia", "vigia-kafka")
OPEN_PORTS = {"mosquitto": "8883"}
"""What others than this box may reach: each asks for TLS and a password."""
Document = Mapping[str, Any]


@cache
def _validator() -> Any:
    """By the Compose specification's own schema, as check-jsonschema ships it (Apache-2.0)."""
    file = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    found = distribution("check-jsonschema").locate_file(file)
    schema = json.loads(Path(str(found)).read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def faults(document: Document) -> list[str]:
    """All that is wrong with it."""
    broken = _validator().iter_errors(document)
    found = [f"schema: {one.json_path}: {one.message}" for one in broken]
    if found:
        return found
    for name, service in document["services"].items():
        for fault in (*_hardened(service), *_bounded(service), *_pinned(service)):
            found.append(f"{name}: {fault}")
        for fault in (*_ports(name, service), *_watched(service), *_whole(service, document)):
            found.append(f"{name}: {fault}")
        found += [f"{name}: {fault}" for fault in _order(service, document["services"])]
    return [*found, *_built(document["services"])]


def _built(services: Document) -> Iterator[str]:
    """Where two services build one image, a builder that works on both at once fails; and no
    registry has ours."""
    ours = {n: one for n, one in services.items() if one["image"].partition(":")[0] in OURS}
    for name, one in ours.items():
        if one.get("pull_policy") != "never":
            yield f"{name}: its image is looked for in a registry"
    for image in sorted({one["image"] for one in ours.values()}):
        by = [name for name, one in ours.items() if one["image"] == image and "build" in one]
        if len(by) != 1:
            yield f"{image} is built by {by}"


def _hardened(service: Document) -> Iterator[str]:
    if not service.get("read_only"):
        yield "its root file system can be written"
    if service.get("cap_drop") != ["ALL"] or "cap_add" in service:
        yield "it has capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", ()):
        yield "its programs may gain privileges"
    if service.get("privileged") or any(
        "docker.sock" in str(v) for v in service.get("volumes", ())
    ):
        yield "it owns the box"
    ours = service["image"].partition(":")[0] in OURS
    if not ours and str(service.get("user", "0")).partition(":")[0] in ("0", "root"):
        yield "it runs as root"
    for name, value in _environment(service).items():
        told = re.search("PASSWORD|SECRET|TOKEN|KEY", name.upper())
        if told and not str(value).startswith("/run/secrets/"):
            yield f"a secret stands in its environment: {name}"


def _environment(service: Document) -> Mapping[str, Any]:
    found = service.get("environment", {})
    return found if isinstance(found, dict) else dict(one.split("=", 1) for one in found)


def _bounded(service: Document) -> Iterator[str]:
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    for what in ("cpus", "memory", "pids"):
        if what not in limits:
            yield f"no limit of {what}"
    if "max-size" not in service.get("logging", {}).get("options", {}):
        yield "its log grows for ever"


def _pinned(service: Document) -> Iterator[str]:
    tag = service["image"].rpartition("/")[2].partition(":")[2]
    if not re.search(r"\d+\.\d+\.\d+", tag):
        yield f"no version of {service['image']} is named"


def _whole(service: Document, document: Document) -> Iterator[str]:
    for one in service.get("secrets", ()):
        name = one if isinstance(one, str) else one["source"]
        if "file" not in document["secrets"].get(name, {}):
            yield f"secret {name} is no file"
    for one in service.get("networks", ()):
        if one not in document["networks"]:
            yield f"network {one} is not there"
    for one in service.get("volumes", ()):
        if one["type"] == "bind" and not one.get("read_only"):
            yield f"it may write {one['source']} of the box"
        if one["type"] == "volume" and one["source"] not in document["volumes"]:
            yield f"volume {one['source']} is not there"


def _order(service: Document, services: Document) -> Iterator[str]:
    for name, how in service.get("depends_on", {}).items():
        if name not in services:
            yield f"it waits for {name}, which is not there"
        elif how["condition"] == "service_healthy" and "healthcheck" not in services[name]:
            yield f"it waits for the health of {name}, which nobody looks at"


def _ports(name: str, service: Document) -> Iterator[str]:
    for one in service.get("ports", ()):
        port = str(one).rpartition(":")[2]
        if not str(one).startswith("127.0.0.1:") and OPEN_PORTS.get(name) != port:
            yield f"port {port} is open to all"


def _watched(service: Document) -> Iterator[str]:
    if service.get("restart") != "no" and not service.get("healthcheck", {}).get("test"):
        yield "nobody looks whether it works"
