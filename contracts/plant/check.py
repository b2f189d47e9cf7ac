"""Reading a plant file: every error at once, each with its line, path and what was expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from contracts.errors import ConfigError
from contracts.plant.cross import cross_check
from contracts.plant.lines import MAX_BYTES, Path, YamlError, load_with_lines
from contracts.plant.model import Plant


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
        if isinstance(text, bytes) and len(text) <= MAX_BYTES:
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
    broken = {str(path[0]) for path, _ in wrong if path} | ({"sites"} - document.keys())
    found += cross_check(document, broken)
    problems = {_locate(path, text, lines) for path, text in found}
    problems |= {Problem(line, _dotted(path), "expected this key once") for path, line in repeated}
    return plant, tuple(sorted(problems))


def _shape(document: dict[str, Any]) -> tuple[Plant | None, list[tuple[Path, str]]]:
    try:
        return Plant.model_validate(document), []
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        return None, [_explain(one) for one in wrong if not _consequence(one)]


def _consequence(error: Any) -> bool:
    # pydantic counts only the well-formed items of a list, and calls it too short.
    return error["type"] == "too_short" and _size(error) >= int(error["ctx"]["min_length"])


def _size(error: Any) -> int:
    return len(error["input"])


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
            wanted = error["ctx"]["pattern"]
            text = f"expected text that matches {wanted}, got {_short(error['input'])}"
        case "too_short":
            text = f"expected at least {error['ctx']['min_length']} items, got {_size(error)}"
        case "too_long":
            text = f"expected at most {error['ctx']['max_length']} items, got {_size(error)}"
        case kind if not kind.startswith("value_error"):
            # Who writes a password here is told where it belongs, and it is not told to others.
            got = "something else" if _SECRET in path else _short(error["input"])
            text = f"{_in_yaml(text)}, got {got}"
    return path, text


_SECRET = "password"
"""The key under which a secret is named."""


_WORDS = {
    "Input should be": "expected",
    "a valid tuple": "a list",
    "a valid dictionary or instance of Secret": "a mapping with file or env",
    "a valid dictionary or instance of Sparkplug": "a mapping",
    "a valid dictionary": "a mapping",
}


def _in_yaml(text: str) -> str:
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text


_KINDS = ("limit", "rate", "imbalance", "pulse", "instrument", "autoencoder")


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # A number of more than 4,300 digits, or what is nested a hundred deep.
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


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
