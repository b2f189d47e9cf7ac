"""Names in a plant file that may be wrong elsewhere: what can be read of it, is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contracts.identity import asset_key
from contracts.plant.lines import Path

Element = tuple[Path, dict[str, Any]]


def elements(parent: Any, key: str, path: Path = ()) -> Iterator[Element]:
    """The mappings in the list or mapping `parent[key]`, each with its path."""
    section = parent.get(key) if isinstance(parent, dict) else None
    if isinstance(section, list):
        pairs: Any = enumerate(section)
    else:
        pairs = section.items() if isinstance(section, dict) else ()
    for index, element in pairs:
        if isinstance(element, dict):
            yield (*path, key, index), element


def text(element: dict[str, Any], key: str) -> str | None:
    """`element[key]` if it is text."""
    value = element.get(key)
    return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Names:
    """What the sections call their elements: assets by key with the name of their signal set,
    signal sets with the ids of their signals, detectors and those of them that look at images, and
    the assets that have a camera."""

    assets: dict[str, str | None]
    signals: dict[str, set[str]]
    detectors: set[str]
    visions: set[str]
    cameras: dict[str, Any]


def names_in(document: dict[str, Any]) -> Names:
    """The names that `document` gives, right or wrong."""
    raw = {
        asset_key(str(site.get("id")), str(asset.get("id"))): asset
        for path, site in elements(document, "sites")
        for _, asset in elements(site, "assets", path)
    }
    assets = {key: text(asset, "signals") for key, asset in raw.items()}
    cameras = {key: asset["camera"] for key, asset in raw.items() if "camera" in asset}
    signals = {
        str(path[-1]): {text(one, "id") or "" for _, one in elements(group, "signals", path)}
        for path, group in elements(document, "signal_sets")
    }
    detectors = {text(one, "id") or "" for _, one in elements(document, "detectors")}
    visions = {
        text(one, "id") or ""
        for _, one in elements(document, "detectors")
        if one.get("kind") == "vision"
    }
    return Names(assets, signals, detectors, visions, cameras)
