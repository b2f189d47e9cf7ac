"""What a dashboard is made of, as values that read like a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from contracts.texts import Language

Words = dict[Language, str]
Kind = Literal["number", "lines", "states", "table"]
Meaning = Literal["alarm", "good", "bad"]
"""What 1 means: an alarm stands, all is well, something is wrong."""


def say(en: str, es: str) -> Words:
    """The same in both languages."""
    return {"en": en, "es": es}


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression; `legend` names each of its series by its labels."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `unit` is one of Grafana's. With `repeat` there is one for each value of that
    variable; `warn` is the value from which it is red."""

    kind: Kind
    title: Words
    help: Words
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12
    height: int = 8
    means: Meaning | None = None
    warn: float | None = None
    repeat: str | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """What a reader chooses: the values of `label` in the series of `metric`."""

    name: str
    title: Words
    metric: str
    label: str
    many: bool = False

    @property
    def query(self) -> str:
        """As Grafana's data source has it."""
        return f"label_values({self.metric}, {self.label})"


@dataclass(frozen=True, slots=True)
class Note:
    """Marks on all pictures while `expr` has a value; `text` names them by its labels."""

    name: Words
    expr: str
    text: str
    color: str


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: Words
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard."""

    id: str
    title: Words
    variables: tuple[Variable, ...]
    notes: tuple[Note, ...]
    rows: tuple[Row, ...]
