"""The operators' page of faults names only what exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from contracts.texts import LANGUAGES, NOTES, REASONS
from vigia.__main__ import cli
from vigia.words import WORDS

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "faults.md", ROOT / "docs" / "faults.es.md")
ROOMS = ("contracts", "broker", "edge", "stream", "exporters", "vigia")
SOURCE = "".join(
    file.read_text(encoding="utf-8") for room in ROOMS for file in (ROOT / room).rglob("*.py")
)
# A sentence of the source may stand in several parts, on several lines.
JOINED = re.sub(r'"\s*f?"', "", SOURCE)
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "vigia.plant.v1.json").read_text())


def coded(page: Path) -> list[str]:
    return re.findall(r"`([^`]+)`", page.read_text(encoding="utf-8"))


def quoted(page: Path) -> list[str]:
    return re.findall(r'"([^"]+)"', page.read_text(encoding="utf-8"))


def spoken() -> str:
    texts = [words[lang] for words in (*NOTES.values(), *WORDS.values()) for lang in LANGUAGES]
    texts += [one for texts in REASONS.values() for lang in LANGUAGES for one in texts[lang]]
    return "\n".join(texts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_it_quotes_is_said(page: Path) -> None:
    told = spoken()
    assert quoted(page)
    assert [text for text in quoted(page) if text not in told and text not in JOINED] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_metrics_are_exported(page: Path) -> None:
    names = {text for text in coded(page) if text.startswith("vigia_")}
    shown = set(re.findall(r'"(vigia_[a-z_]+)"', SOURCE))
    shown |= {f"vigia_spool_{name}" for name in re.findall(r'\("([a-z_]+)", "[A-Z]', SOURCE)}
    shown |= {"vigia_spool_oldest_age_seconds"} if '"oldest_age_seconds"' in SOURCE else set()
    assert names and names <= shown, names - shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_commands_and_keys_exist(page: Path) -> None:
    for text in coded(page):
        if text.startswith("vigia "):
            _command(text.split()[1:])
        elif re.fullmatch(r"(spool|stream|mqtt|kafka)\.[a-z_]+", text):
            section, key = text.split(".")
            assert key in SCHEMA["$defs"][section.capitalize()]["properties"], text


def _command(words: list[str]) -> None:
    found: click.Command | None = cli
    options = [word for word in words if word.startswith("--")]
    for word in (one for one in words if not one.startswith("--")):
        if not isinstance(found, click.Group):
            break
        found = found.get_command(click.Context(found), word)
    assert found is not None, words
    known = {name for parameter in found.params for name in parameter.opts}
    assert set(options) <= known, words


def test_both_languages_say_the_same() -> None:
    english, spanish = ([set(coded(page)), page.read_text().count("\n|")] for page in PAGES)
    assert english == spanish
