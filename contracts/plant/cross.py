"""What must hold between the sections of a plant file.

Every check looks at the least that it needs, so that one mistake hides no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.plant.cameras import Camera, camera_columns
from contracts.plant.detectors import Detector, DetectorBase, Imbalance, Vision
from contracts.plant.lines import Path
from contracts.plant.model import Kafka, Mqtt, Rows, Signal
from contracts.plant.raw import Element, Names, elements, names_in, text
from contracts.plant.sections import Door
from contracts.plant.spans import panes_together, spans
from contracts.units import UnitError, conversion

Found = Iterator[tuple[Path, str]]
_DETECTOR: TypeAdapter[Any] = TypeAdapter(Detector)


def cross_check(document: dict[str, Any], broken: set[str]) -> list[tuple[Path, str]]:
    """Problems between elements of `document`. `broken` names the sections with problems of
    their own: what is missing there may only be misspelt."""
    names = names_in(document)
    found = [*_repeated(document), *_sites(document, names), *_signal_sets(document)]
    found += [*_detectors(document, names, broken), *_alarms(document, names), *_secrets(document)]
    return found


def _parsed(model: type[BaseModel] | TypeAdapter[Any], raw: Any) -> Any:
    adapter = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    try:
        return adapter.validate_python(raw)
    except ValidationError:
        return None


def _repeated(document: dict[str, Any]) -> Found:
    for section in ("sites", "detectors", "alarms"):
        yield from _twice(elements(document, section))
    for path, site in elements(document, "sites"):
        yield from _twice(elements(site, "assets", path))
    for path, group in elements(document, "signal_sets"):
        yield from _twice(elements(group, "signals", path))


def _twice(found: Iterable[Element]) -> Found:
    seen: set[str] = set()
    for path, element in found:
        name = text(element, "id")
        if name in seen:
            yield (*path, "id"), f"expected an id that is not used before, got {name!r}"
        if name is not None:
            seen.add(name)


def _sites(document: dict[str, Any], names: Names) -> Found:
    if not isinstance(document.get("signal_sets"), dict):
        return
    known = _list(names.signals)
    for path, site in elements(document, "sites"):
        for where, asset in elements(site, "assets", path):
            name = text(asset, "signals")
            if name is not None and name not in names.signals:
                yield (*where, "signals"), f"expected a signal set ({known}), got {name!r}"


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(name for name in names if name)) or "none"


def _signal_sets(document: dict[str, Any]) -> Found:
    for path, group in elements(document, "signal_sets"):
        for where, raw in elements(group, "signals", path):
            signal = _parsed(Signal, raw)
            if signal is not None:
                yield from _units(where, signal)
        rows = _parsed(Rows, group.get("rows", {}))
        if rows is not None and rows.by == "grid" and rows.tolerance_us > rows.period // 2:
            where = (*path, "rows", "tolerance")
            yield where, "expected at most half the period: a value belongs to one row"


def _units(path: Path, signal: Signal) -> Found:
    try:
        conversion(signal.source_unit or signal.unit, signal.unit)
    except UnitError as error:
        yield (*path, "source_unit"), str(error)


def _detectors(document: dict[str, Any], names: Names, broken: set[str]) -> Found:
    kafka = _parsed(Kafka, document.get("kafka", {})) or Kafka()
    periods, panes = _periods(document, names), dict[str, DetectorBase]()
    for path, raw in elements(document, "detectors"):
        detector = _parsed(_DETECTOR, raw)
        if detector is not None:
            yield from _watched(path, detector, names, "sites" in broken)
            seen = [asset for asset in names.assets if _sees(detector, asset)]
            rows = {asset: periods[asset] for asset in seen if asset in periods}
            yield from spans(path, detector, kafka, rows)
            if detector.window.pane is not None:
                yield from panes_together(path, detector, seen, panes)


def _sees(detector: Any, asset: str) -> bool:
    return any(fnmatchcase(asset, pattern) for pattern in detector.assets)


def _periods(document: dict[str, Any], names: Names) -> dict[str, int]:
    """How far the rows of each asset are apart, in µs, where that is known."""
    groups = {
        str(path[-1]): _parsed(Rows, group.get("rows", {}))
        for path, group in elements(document, "signal_sets")
    }
    found = {}
    for asset, group in names.assets.items():
        rows, camera = groups.get(group or ""), _parsed(Camera, names.cameras.get(asset))
        if camera is not None:
            found[asset] = round(1_000_000 / camera.rate)
        elif rows is not None and rows.by == "grid":
            found[asset] = rows.period
    return found


def _watched(path: Path, detector: Any, names: Names, unsure: bool) -> Found:
    for index, pattern in enumerate(detector.assets):
        if not unsure and not any(fnmatchcase(asset, pattern) for asset in names.assets):
            yield (*path, "assets", index), f"expected a pattern of known assets, got {pattern!r}"
    for asset, group in names.assets.items():
        if _sees(detector, asset):
            camera = _parsed(Camera, names.cameras.get(asset))
            known = names.signals.get(group or "")
            if camera is not None:
                known = {column.signal for column in camera_columns(camera, names.visions)}
            yield from _fits(path, detector, asset, known)
            if isinstance(detector, Vision) and asset not in names.cameras:
                yield path, f"expected assets with a camera, {asset} has none"


def _fits(path: Path, detector: Any, asset: str, known: set[str] | None) -> Found:
    for signal in detector.uses():
        if known and signal not in known:
            yield path, f"signal {signal!r} is none of {asset}'s ({_list(known)})"
    if isinstance(detector, Imbalance) and detector.baseline and asset not in detector.baseline:
        yield (*path, "baseline"), f"expected a number for {asset}"


def _alarms(document: dict[str, Any], names: Names) -> Found:
    known = _list(names.detectors)
    for path, rule in elements(document, "alarms"):
        name = text(rule, "detector")
        if name is not None and name not in names.detectors:
            yield (*path, "detector"), f"expected a detector ({known}), got {name!r}"


def _secrets(document: dict[str, Any]) -> Found:
    mqtt = _parsed(Mqtt, document.get("mqtt", {}))
    kafka = _parsed(Kafka, document.get("kafka", {}))
    yield from _secret(("mqtt",), mqtt)
    yield from _secret(("kafka",), kafka)
    yield from _door(("mqtt",), mqtt)
    yield from _door(("kafka",), kafka)
    if kafka is not None:
        yield from _kafka(kafka)
    for path, site in elements(document, "sites"):
        for where, asset in elements(site, "assets", path):
            yield from _secret((*where, "camera"), _parsed(Camera, asset.get("camera")))


def _secret(path: Path, section: Door | Camera | None) -> Found:
    if section is None or section.password is None:
        return
    if (section.password.file is None) == (section.password.env is None):
        yield (*path, "password"), "expected one of file and env"
    if section.username is None:
        yield (*path, "password"), "expected a username beside it"


def _door(path: Path, section: Door | None) -> Found:
    if section is None:
        return
    if section.certificate_file is not None and section.key_file is None:
        yield (*path, "certificate_file"), "expected a key_file beside it"
    if section.key_file is not None and section.certificate_file is None:
        yield (*path, "key_file"), "expected a certificate_file beside it"


def _kafka(kafka: Kafka) -> Found:
    if kafka.username is not None and kafka.password is None:
        yield ("kafka", "username"), "expected a password beside it"
    if kafka.username is not None and kafka.mechanism == "PLAIN" and not kafka.secured:
        yield ("kafka", "mechanism"), "expected tls: true, since PLAIN sends the password itself"
    if kafka.bootstrap is None and (kafka.username is not None or kafka.secured):
        yield ("kafka", "bootstrap"), "expected HOST:PORT: our own Kafka has no TLS and no users"
