"""Reading a plant file: every error at once, each with its line, path and what was expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.errors import ConfigError
from contracts.plant.cross import cross_check
from contracts.plant.detectors import Detector
from contracts.plant.lines import Path, YamlError, load_with_lines
from contracts.plant.model import AlarmRule, Kafka, Mqtt, Plant, SignalSet, Site


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong."""

    line: int
    path: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.path}: {self.text}"


class PlantErrors(ConfigError):
    """A plant file cannot be used; `problems` has everything that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...], name: str) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{name}: {problem}" for problem in problems))


_ELEMENTS: dict[str, Any] = {
    "sites": TypeAdapter(Site),
    "detectors": TypeAdapter(Detector),
    "alarms": TypeAdapter(AlarmRule),
    "signal_sets": TypeAdapter(SignalSet),
}
_SECTIONS: dict[str, type[BaseModel]] = {"mqtt": Mqtt, "kafka": Kafka}


def read_plant(text: str | bytes, name: str = "plant file") -> Plant:
    """The plant in `text`. Raises PlantErrors with every problem; `name` is the file's."""
    plant, problems = check_plant(text)
    if plant is None or problems:
        raise PlantErrors(problems, name)
    return plant


def check_plant(text: str | bytes) -> tuple[Plant | None, tuple[Problem, ...]]:
    """The plant, if its shape is right, and all that is wrong with it, in the file's order.

    Whatever `text` is, nothing is raised; bytes are taken as UTF-8.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        document, lines, repeated = load_with_lines(text)
    except YamlError as error:
        return None, (Problem(error.line, "(file)", str(error)),)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return None, (Problem(line, "(file)", "expected UTF-8 text"),)
    if not isinstance(document, dict):
        return None, (Problem(1, "(file)", "expected a mapping with sites and signal_sets"),)
    plant, wrong = _shape(document)
    found = list(wrong)
    # Checks across sections run on what is well-formed, so that one mistake hides no other.
    found += cross_check(_usable(document, wrong))
    problems = {_locate(path, text, lines) for path, text in found}
    problems |= {Problem(line, _dotted(path), "expected this key once") for path, line in repeated}
    return plant, tuple(sorted(problems))


def _shape(document: dict[str, Any]) -> tuple[Plant | None, list[tuple[Path, str]]]:
    try:
        return Plant.model_validate(document), []
    except ValidationError as error:
        return None, [_explain(one) for one in error.errors(include_url=False)]


def _explain(error: Any) -> tuple[Path, str]:
    path = tuple(error["loc"])
    if path[:1] == ("detectors",) and path[2:3] and path[2] in _KINDS:
        # pydantic puts the tag of a discriminated union into the path; the file has no such level.
        path = path[:2] + path[3:]
    text = str(error["msg"]).removeprefix("Value error, ")
    match error["type"]:
        case "extra_forbidden":
            text = "this key is not known here"
        case "missing":
            text = f"expected the key {path[-1]}"
            path = path[:-1]
        case "union_tag_invalid" | "union_tag_not_found":
            path = (*path, "kind")
            text = f"expected one of {', '.join(_KINDS)}"
        case "string_pattern_mismatch":
            text = f"expected text that matches {error['ctx']['pattern']}, got {_short(error['input'])}"
        case kind if not kind.startswith("value_error"):
            text = f"{text}, got {_short(error['input'])}"
    return path, text


_KINDS = ("limit", "rate", "imbalance", "pulse", "instrument", "autoencoder")


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # A number of more than 4,300 digits, or what is nested a hundred deep.
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _usable(document: dict[str, Any], wrong: list[tuple[Path, str]]) -> dict[str, Any]:
    """The sections and elements that are right in themselves, parsed, under their paths."""
    bad = {path[:2] for path, _ in wrong if len(path) >= 2}
    whole = {path for path, _ in wrong if len(path) == 1}
    usable: dict[str, Any] = {"bad": {path[0] for path, _ in wrong if path}}
    for section, model in _SECTIONS.items():
        raw = document.get(section, {})
        broken = any(path[:1] == (section,) for path, _ in wrong)
        usable[section] = model() if broken else model.model_validate(raw)
    for section, adapter in _ELEMENTS.items():
        usable[section] = {
            key: adapter.validate_python(raw)
            for key, raw in _items(document.get(section))
            if (section, key) not in bad and (section,) not in whole
        }
    return usable


def _items(section: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(section, list):
        yield from enumerate(section)
    elif isinstance(section, dict):
        yield from section.items()


def _locate(path: Path, text: str, lines: dict[Path, int]) -> Problem:
    known = path
    while known not in lines and known:
        known = known[:-1]
    return Problem(lines.get(known, 1), _dotted(path) or "(file)", text)


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
