"""`vigia alarms`: the present state of all alarms."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click

from broker.cluster import Where
from broker.reader import read
from contracts.errors import MessageError
from contracts.messages import AlarmState, Severity, decode_json
from contracts.record import Record
from contracts.texts import CLASSES, LANGUAGES, PHASES, SEVERITIES, Language, describe
from contracts.topics import ALARMS, topic_name
from vigia.commands.connection import connect, connection_options
from vigia.commands.names import display_names
from vigia.commands.table import table
from vigia.commands.times import age_text, clock_text

_HEAD: dict[Language, tuple[str, ...]] = {
    "en": ("STATE", "SEVERITY", "CLASS", "ALARM", "SINCE", "AGE", "TIMES", "WHAT"),
    "es": ("ESTADO", "GRAVEDAD", "CLASE", "ALARMA", "DESDE", "HACE", "VECES", "QUÉ"),
}
_NONE: dict[Language, str] = {"en": "no alarms", "es": "sin alarmas"}
_URGENCY = {severity: rank for rank, severity in enumerate(Severity)}


@click.command()
@connection_options
@click.option("--json", "as_document", is_flag=True, help="A JSON list with the whole states.")
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
def alarms(
    plant_file: Path | None,
    kafka: str | None,
    prefix: str | None,
    as_document: bool,
    lang: Language,
) -> None:
    """Show the present state of all alarms, raised ones first."""
    link = connect(plant_file, kafka, prefix)
    states, unusable = asyncio.run(_read(link.bootstrap, topic_name(ALARMS, link.prefix)))
    now_us = time.time_ns() // 1000
    names = display_names(link.plant)
    if as_document:
        document = [_json(state, now_us, lang, names) for state in states]
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif states:
        click.echo(table(_HEAD[lang], [_row(state, now_us, lang, names) for state in states]))
    else:
        click.echo(_NONE[lang])
    if unusable:
        click.echo(f"{unusable} messages could not be decoded: see vigia tail alarms", err=True)


async def _read(bootstrap: Where, topic: str) -> tuple[list[AlarmState], int]:
    async with aclosing(read(bootstrap, topic, until_end=True)) as records:
        return present([record async for record in records])


def present(records: Iterable[Record]) -> tuple[list[AlarmState], int]:
    """The state of each alarm, raised and urgent ones first, and how many messages were
    unusable. Of an alarm the state that has applied most counts: a worker that lost its
    partitions unawares may have written an older one later."""
    newest: dict[str, AlarmState] = {}
    unusable = 0
    for record in records:
        if record.value is None:
            newest.pop((record.key or b"").decode(errors="replace"), None)
            continue
        try:
            state = decode_json(AlarmState, record.value)
        except MessageError:
            unusable += 1
            continue
        known = newest.get(state.alarm)
        if known is None or state.applied_us >= known.applied_us:
            newest[state.alarm] = state
    return sorted(newest.values(), key=_order), unusable


def _order(state: AlarmState) -> tuple[bool, int, int, str]:
    return not state.raised, _URGENCY[state.severity], -state.since_us, state.alarm


def _since_us(state: AlarmState) -> int | None:
    """When it was raised; of one that is not, since when it is so, if anything ever was."""
    since = state.raised_us if state.raised else state.since_us
    return since if since is not None and since > 0 else None


def _age_us(state: AlarmState, now_us: int) -> int | None:
    since = _since_us(state)
    return None if since is None else now_us - since


def _row(state: AlarmState, now_us: int, lang: Language, names: dict[str, str]) -> tuple[str, ...]:
    age = _age_us(state, now_us)
    return (
        PHASES[state.phase][lang],
        SEVERITIES[state.severity][lang],
        CLASSES[state.alarm_class][lang],
        state.alarm,
        clock_text(_since_us(state)),
        "-" if age is None else age_text(age),
        str(state.activations),
        describe(state, lang, names),
    )


def _json(state: AlarmState, now_us: int, lang: Language, names: dict[str, str]) -> dict[str, Any]:
    age = _age_us(state, now_us)
    return {
        **state.model_dump(mode="json"),
        "raised": state.raised,
        "age_s": None if age is None else age / 1e6,
        "text": describe(state, lang, names),
    }
