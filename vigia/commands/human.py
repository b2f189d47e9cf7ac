"""Records as lines for a person."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from contracts.deadletters import KIND as LETTER_KIND
from contracts.errors import MessageError
from contracts.frames import EvidenceHeaders, FrameHeaders
from contracts.message import Message
from contracts.messages import (
    AlarmState,
    Alert,
    Command,
    Detection,
    DetectionBatch,
    Status,
)
from contracts.readings import Column, ReadingBatch
from contracts.record import Record
from contracts.texts import PHASES, TRANSITIONS, Language, describe, number_text, reason_text
from contracts.topics import Topic
from vigia.commands.decode import Found, decode, quality_name
from vigia.commands.times import clock_text

Names = Mapping[str, str]


def lines(record: Record, topic: Topic, lang: Language, names: Names) -> Iterator[str]:
    """What `record` says. One that cannot be decoded says why, and how big it is."""
    try:
        found = decode(record, topic)
    except MessageError as error:
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        size = len(record.value or b"")
        yield f"{where}: cannot be decoded ({error.reason}): {error}; {size} bytes"
        return
    if isinstance(found, ReadingBatch):
        yield from _rows(found)
    elif isinstance(found, Message):
        yield from _message(found, lang, names)
    else:
        yield _plain(record, found)


def _plain(record: Record, found: Found) -> str:
    when = clock_text(record.timestamp_ms * 1000)
    key = (record.key or b"").decode(errors="replace")
    if not isinstance(found, dict):
        return f"{when}  {key}: removed"
    if found.get("ce_type") != LETTER_KIND:
        return f"{when}  {key}: {found}"
    return (
        f"{when}  {found.get('ce_source')} from {found.get('ce_subject')}: "
        f"{found.get('ce_reason')}: {found.get('ce_text')} ({found.get('ce_size')} bytes)"
    )


def _rows(batch: ReadingBatch) -> Iterator[str]:
    if not len(batch.times_us):
        yield f"{clock_text(batch.position.wm_after_us)}  {batch.asset}  (no rows: watermark)"
    for at in range(len(batch.times_us)):
        cells = [
            _cell(column, float(batch.values[at, index]), int(batch.quality[at, index]))
            for index, column in enumerate(batch.columns)
        ]
        yield f"{clock_text(int(batch.times_us[at]))}  {batch.asset}  {'  '.join(cells)}"


def _cell(column: Column, value: float, quality: int) -> str:
    number = f"{value:.6g} {column.unit}" if math.isfinite(value) else "-"
    name = quality_name(quality)
    return f"{column.signal} {number}" + ("" if name == "good" else f" ({name})")


def _message(found: Message, lang: Language, names: Names) -> Iterator[str]:
    match found:
        case DetectionBatch():
            for one in found.items:
                yield _detection(found, one, lang, names)
        case Alert():
            happened = TRANSITIONS[found.transition][lang].upper()
            yield f"{clock_text(found.at_us)}  {happened}  {describe(found, lang, names)}"
        case AlarmState():
            phase = PHASES[found.phase][lang]
            yield f"{clock_text(found.applied_us)}  {found.alarm}  {phase}"
        case Command():
            yield f"{clock_text(found.at_us)}  {found.actor}: {found.action} {found.alarm}"
        case Status():
            yield _status(found)
        case EvidenceHeaders():
            score = f"{number_text(found.score)} / {number_text(found.threshold)}"
            yield f"{clock_text(found.time_us)}  {found.asset}  {found.detector}  {score}"
        case FrameHeaders():
            yield (
                f"{clock_text(found.time_us)}  {found.asset}/{found.camera}  "
                f"{found.kind} {found.width}x{found.height} {found.encoding}"
            )


def _detection(batch: DetectionBatch, one: Detection, lang: Language, names: Names) -> str:
    score = "-" if one.score is None else number_text(one.score)
    figures = {"score": one.score, "threshold": one.threshold}
    told = ""
    if one.verdict != "normal":
        told = "  " + reason_text(one.reason, lang, figures, one.evidence)
    return (
        f"{clock_text(one.end_us)}  {names.get(batch.asset, batch.asset)}  {batch.detector}  "
        f"{one.verdict.value}  {score} / {number_text(one.threshold)}{told}"
    )


def _status(found: Status) -> str:
    states = [source.state for source in found.sources]
    sources = f"  {states.count('ok')}/{len(states)} sources ok" if states else ""
    books = "  ".join(
        f"{name} in {one.taken_in} out {one.gone_out} held {one.held}"
        + "".join(f" {reason} {count}" for reason, count in one.dropped.items())
        for name, one in found.account.items()
    )
    return f"{clock_text(found.at_us)}  {found.process}{sources}  {books}".rstrip()
