"""What must hold between the sections of a plant file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from contracts.durations import format_duration
from contracts.identity import asset_key
from contracts.plant.detectors import Imbalance
from contracts.plant.lines import Path
from contracts.topics import READINGS
from contracts.units import UnitError, check_unit, conversion

Found = Iterator[tuple[Path, str]]


def cross_check(usable: dict[str, Any]) -> list[tuple[Path, str]]:
    """Problems between well-formed elements: `usable` maps each section to {key: element}."""
    found = [*_repeated(usable), *_sites(usable), *_signal_sets(usable)]
    found += [*_detectors(usable), *_alarms(usable), *_secrets(usable)]
    return found


def _repeated(usable: dict[str, Any]) -> Found:
    for section in ("sites", "detectors", "alarms"):
        yield from _twice((section,), usable[section].items())
    for key, site in usable["sites"].items():
        yield from _twice(("sites", key, "assets"), enumerate(site.assets))
    for key, signals in usable["signal_sets"].items():
        yield from _twice(("signal_sets", key, "signals"), enumerate(signals.signals))


def _twice(path: Path, elements: Iterable[tuple[Any, Any]]) -> Found:
    seen: set[str] = set()
    for key, element in elements:
        if element.id in seen:
            yield (*path, key, "id"), f"expected an id that is not used before, got {element.id!r}"
        seen.add(element.id)


def _sites(usable: dict[str, Any]) -> Found:
    if "signal_sets" in usable["bad"]:
        return
    for key, site in usable["sites"].items():
        for index, asset in enumerate(site.assets):
            if asset.signals not in usable["signal_sets"]:
                known = ", ".join(sorted(usable["signal_sets"])) or "none"
                path = ("sites", key, "assets", index, "signals")
                yield path, f"expected a signal set ({known}), got {asset.signals!r}"


def _signal_sets(usable: dict[str, Any]) -> Found:
    for key, group in usable["signal_sets"].items():
        for index, signal in enumerate(group.signals):
            path: Path = ("signal_sets", key, "signals", index)
            if signal.range and signal.range[0] >= signal.range[1]:
                yield (*path, "range"), f"expected [low, high] with low < high, got {signal.range}"
            yield from _units(path, signal)
            yield from _topic(path, signal.topic)
        if group.rows.by == "grid" and group.rows.tolerance_us > group.rows.period // 2:
            where = ("signal_sets", key, "rows", "tolerance")
            yield where, "expected at most half the period: a value belongs to one row"


def _units(path: Path, signal: Any) -> Found:
    for name in ("unit", "source_unit"):
        code = getattr(signal, name)
        try:
            if code is not None:
                check_unit(code)
        except UnitError as error:
            yield (*path, name), str(error)
            return
    try:
        conversion(signal.source_unit or signal.unit, signal.unit)
    except UnitError as error:
        yield (*path, "source_unit"), str(error)


def _topic(path: Path, topic: str) -> Found:
    bare = topic.replace("{site}", "").replace("{asset}", "")
    if "{" in bare or "}" in bare:
        yield (*path, "topic"), f"expected only {{site}} and {{asset}} in braces, got {topic!r}"


def _assets(usable: dict[str, Any]) -> dict[str, Any]:
    return {
        asset_key(site.id, asset.id): usable["signal_sets"].get(asset.signals)
        for site in usable["sites"].values()
        for asset in site.assets
    }


def _detectors(usable: dict[str, Any]) -> Found:
    assets = _assets(usable)
    kept = usable["kafka"].retention.get("readings", READINGS.retention_ms * 1000)
    for key, detector in usable["detectors"].items():
        path: Path = ("detectors", key)
        watched = [a for a in assets if any(fnmatchcase(a, p) for p in detector.assets)]
        if not {"sites", "signal_sets"} & usable["bad"]:
            yield from _watched(path, detector, watched, assets)
        history = (detector.history or 0) if isinstance(detector, Imbalance) else 0
        needs = detector.window.width + detector.window.lateness + history
        if needs > kept:
            yield (
                (*path, "window"),
                f"needs {format_duration(needs)} of readings, but they are kept "
                f"{format_duration(kept)} (kafka.retention.readings)",
            )


def _watched(path: Path, detector: Any, watched: list[str], assets: dict[str, Any]) -> Found:
    for index, pattern in enumerate(detector.assets):
        if not any(fnmatchcase(asset, pattern) for asset in assets):
            yield (*path, "assets", index), f"expected a pattern of known assets, got {pattern!r}"
    for asset in watched:
        group = assets[asset]
        known = {signal.id for signal in group.signals} if group else set()
        for signal in detector.uses():
            if group and signal not in known:
                yield path, f"signal {signal!r} is none of {asset}'s ({', '.join(sorted(known))})"
        if isinstance(detector, Imbalance) and detector.baseline and asset not in detector.baseline:
            yield (*path, "baseline"), f"expected the normal imbalance of {asset}"


def _alarms(usable: dict[str, Any]) -> Found:
    if "detectors" in usable["bad"]:
        return
    known = {detector.id for detector in usable["detectors"].values()}
    for key, rule in usable["alarms"].items():
        if rule.detector not in known:
            names = ", ".join(sorted(known)) or "none"
            path = ("alarms", key, "detector")
            yield path, f"expected a detector ({names}), got {rule.detector!r}"


def _secrets(usable: dict[str, Any]) -> Found:
    mqtt = usable["mqtt"]
    secret = mqtt.password
    if secret is not None and (secret.file is None) == (secret.env is None):
        yield ("mqtt", "password"), "expected one of file and env"
    if secret is not None and mqtt.username is None:
        yield ("mqtt", "password"), "expected a username beside it"
