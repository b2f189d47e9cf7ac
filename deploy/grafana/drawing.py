"""From a Board to Grafana's JSON, by Grafana's own builders."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

from grafana_foundation_sdk.builders import (
    common as common_builders,
)
from grafana_foundation_sdk.builders import (
    dashboard as builders,
)
from grafana_foundation_sdk.builders import (
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from contracts.texts import Language
from deploy.grafana.boards import Board, Kind, Meaning, Note, Panel, Query, Variable, Words, say

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="vigia-prometheus")
"""As provisioning/datasources names it."""
_REFERENCES = "ABCDEFGH"
_MEANINGS: dict[Meaning, tuple[tuple[Words, str], tuple[Words, str]]] = {
    "alarm": ((say("normal", "normal"), "green"), (say("ALARM", "ALARMA"), "red")),
    "good": ((say("no", "no"), "red"), (say("yes", "sí"), "green")),
    "bad": ((say("no", "no"), "green"), (say("yes", "sí"), "red")),
}
_COLUMNS: dict[str, Words] = {
    "alertname": say("Alert", "Aviso"),
    "alertstate": say("State", "Estado"),
    "asset": say("Asset", "Activo"),
    "class": say("Class", "Clase"),
    "hash": say("Hash", "Hash"),
    "process": say("Process", "Proceso"),
    "rule": say("Rule", "Regla"),
    "severity": say("Severity", "Gravedad"),
    "signal": say("Signal", "Señal"),
    "site": say("Site", "Planta"),
    "state": say("State", "Estado"),
}
_LINKS = say("Vigía", "Vigía")

Drawn = Any
"""A builder of one of Grafana's panels: they share methods and no base."""


def draw(board: Board, lang: Language) -> str:
    """The dashboard's JSON, in one language."""
    made = _head(board, lang)
    for variable in board.variables:
        made.with_variable(_variable(variable, lang))
    for note in board.notes:
        made.annotation(_note(note, lang))
    numbers = itertools.count(1)
    for row in board.rows:
        made.with_row(builders.Row(row.title[lang]).id(next(numbers)))
        for panel in row.panels:
            made.with_panel(_panel(panel, lang).id(next(numbers)))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"


def _head(board: Board, lang: Language) -> builders.Dashboard:
    return (
        builders.Dashboard(board.title[lang])
        .uid(f"vigia-{board.id}-{lang}")
        .tags(["vigia", f"vigia-{lang}"])
        .time("now-6h", "now")
        .refresh("30s")
        .readonly()
        .link(
            builders.DashboardLink(_LINKS[lang])
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([f"vigia-{lang}"])
            .keep_time(True)
        )
    )


class _Choice(builders.QueryVariable):
    """The library gives every variable what belongs to intervals alone; the schema knows no such
    keys."""

    def build(self) -> dashboard.VariableModel:
        """Without them."""
        made = super().build()
        made.auto = made.auto_min = made.auto_count = None
        return made


def _variable(one: Variable, lang: Language) -> builders.QueryVariable:
    made = (
        _Choice(one.name)
        .label(one.title[lang])
        .datasource(SOURCE)
        .query(one.query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
    if one.many:
        every = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
        made.multi(True).include_all(True).all_value(".*").current(every)
    return made


class _Mark(dashboard.AnnotationQuery):
    """Grafana's Prometheus source takes a mark's text beside `expr`; the library knows no such
    key."""

    text: str

    def to_json(self) -> dict[str, object]:
        """With that key."""
        return {**super().to_json(), "titleFormat": self.text}


class _Marks(builders.AnnotationQuery):
    def __init__(self, text: str) -> None:
        self._internal = _Mark()
        self._internal.text = text


def _note(one: Note, lang: Language) -> builders.AnnotationQuery:
    return (
        _Marks(one.text)
        .name(one.name[lang])
        .datasource(SOURCE)
        .enable(True)
        .icon_color(one.color)
        .expr(one.expr)
    )


def _panel(one: Panel, lang: Language) -> Drawn:
    made = _KINDS[one.kind](one, lang)
    made.title(one.title[lang]).description(one.help[lang]).datasource(SOURCE)
    made.span(one.width).height(one.height).unit(one.unit)
    if one.repeat is not None:
        made.repeat(one.repeat).repeat_direction("h").max_per_row(2)
    for name, query in zip(_REFERENCES, one.queries, strict=False):
        made.with_target(_query(query, one.kind).ref_id(name))
    return made


def _query(query: Query, kind: Kind) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend)
    made = made.instant() if kind in ("number", "table") else made.range()
    return made.format(PromQueryFormat.TABLE if kind == "table" else PromQueryFormat.TIME_SERIES)


def _number(one: Panel, lang: Language) -> Drawn:
    made = stat.Panel().graph_mode(common.BigValueGraphMode.NONE)
    made.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    return made.thresholds(_steps(one.warn))


def _steps(warn: float | None) -> builders.ThresholdsConfig:
    steps = [dashboard.Threshold(value=None, color="green" if warn is not None else "text")]
    if warn is not None:
        steps.append(dashboard.Threshold(value=warn, color="red"))
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _lines(one: Panel, lang: Language) -> Drawn:
    made = timeseries.Panel().legend(_legend())
    return made.min(0) if one.unit == "ops" else made


def _legend() -> common_builders.VizLegendOptions:
    legend = common_builders.VizLegendOptions().show_legend(True)
    return legend.display_mode(common.LegendDisplayMode.LIST).placement(
        common.LegendPlacement.BOTTOM
    )


def _states(one: Panel, lang: Language) -> Drawn:
    made = statetimeline.Panel().row_height(0.9).legend(_legend())
    if one.means is None:
        return made.thresholds(_steps(1))
    none, some = _MEANINGS[one.means]
    options = {
        str(value): dashboard.ValueMappingResult(text=words[lang], color=color, index=value)
        for value, (words, color) in enumerate((none, some))
    }
    return made.mappings([dashboard.ValueMap(options=options)])


def _table(one: Panel, lang: Language) -> Drawn:
    renamed = {name: words[lang] for name, words in _COLUMNS.items()}
    hidden = {"Time": True, "__name__": True}
    if one.unit == "short":
        # The value says no more than that the row is there.
        hidden["Value"] = True
    else:
        renamed["Value"] = say("For", "Desde hace")[lang]
    options = {"excludeByName": hidden, "renameByName": renamed}
    return (
        table.Panel()
        .show_header(True)
        .with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=options))
    )


_KINDS: dict[Kind, Callable[[Panel, Language], Drawn]] = {
    "number": _number,
    "lines": _lines,
    "states": _states,
    "table": _table,
}
