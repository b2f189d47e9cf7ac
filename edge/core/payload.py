"""MQTT payloads: JSON to readings, strictly."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple

import orjson

from contracts.errors import MessageError
from edge.core.pointer import PointerMiss, Tokens, resolve
from edge.core.routes import LATEST_US, Cell, Feed, Routes

MAX_BYTES = 1_000_000
MAX_ITEMS = 10_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_PER_UNIT = {"us": 1, "ms": 1_000, "s": 1_000_000}


class PayloadError(MessageError):
    """A payload, or a part of it, cannot be used; `reason` is one of the subclasses'."""


class NotJson(PayloadError):
    """Not JSON, or nested deeper than the parser goes (1024)."""

    reason = "not-json"


class TooLarge(PayloadError):
    """More bytes or items than are taken."""

    reason = "too-large"


class NoSuchPlace(PayloadError):
    """The pointer leads nowhere."""

    reason = "pointer"


class WrongType(PayloadError):
    """What is there is no finite number, or no array where one is expected."""

    reason = "type"


class BadTime(PayloadError):
    """The time is not in its format, or has no zone."""

    reason = "time"


class FutureTime(PayloadError):
    """The time lies too far ahead of the clock."""

    reason = "future"


class UnknownTopic(PayloadError):
    """No signal of the plant is fed by this topic."""

    reason = "unknown-topic"


class Sample(NamedTuple):
    """Readings of one asset at one time: `cells` are (column, value in the kept unit). `clock` is
    the first column whose signal shares the clock that says so; None for the edge's own."""

    asset: str
    time_us: int
    cells: list[tuple[int, float]]
    clock: int | None = None


Sensor = tuple[str, int]
"""A signal: its asset, and its column there."""


@dataclass(slots=True)
class Parsed:
    """What a payload held. One bad part does not take the others along: `samples` has what is
    usable, `error` says what was wrong first, and None when nothing was. `silenced` are signals
    that will say nothing until they are heard again."""

    samples: list[Sample] = field(default_factory=list)
    silenced: list[Sensor] = field(default_factory=list)
    error: PayloadError | None = None

    def fail(self, error: PayloadError) -> None:
        """Notes an error; the first one counts."""
        if self.error is None:
            # It is kept until its letter is written, and would keep the whole document with it.
            error.__cause__ = error.__context__ = None
            self.error = error.with_traceback(None)


def parse(routes: Routes, topic: str, payload: bytes, arrival_us: int) -> Parsed:
    """The readings in one payload that arrived at `arrival_us`. Raises nothing."""
    parsed = Parsed()
    try:
        feeds, document = _open(routes, topic, payload)
    except PayloadError as error:
        parsed.fail(error)
        return parsed
    for feed in feeds:
        if feed.items is None:
            _sample(feed, document, arrival_us, parsed)
        else:
            _items(feed, feed.items, document, arrival_us, parsed)
    return parsed


def _open(routes: Routes, topic: str, payload: bytes) -> tuple[tuple[Feed, ...], Any]:
    feeds = routes.get(topic)
    if feeds is None:
        raise UnknownTopic(f"no signal is fed by the topic {topic[:200]!r}")
    if len(payload) > MAX_BYTES:
        raise TooLarge(f"expected at most {MAX_BYTES} bytes, got {len(payload)}")
    try:
        return feeds, orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"expected JSON: {error}") from error


def _items(feed: Feed, items: Tokens, document: Any, arrival_us: int, parsed: Parsed) -> None:
    try:
        found = resolve(document, items)
    except PointerMiss:
        parsed.fail(NoSuchPlace(f"nothing at {_path(items)}"))
        return
    if type(found) is not list:
        parsed.fail(WrongType(f"expected an array at {_path(items)}, got {_short(found)}"))
        return
    if len(found) > MAX_ITEMS:
        parsed.fail(TooLarge(f"expected at most {MAX_ITEMS} items, got {len(found)}"))
        return
    for item in found:
        _sample(feed, item, arrival_us, parsed)


def _sample(feed: Feed, item: Any, arrival_us: int, parsed: Parsed) -> None:
    try:
        time_us = arrival_us if feed.time is None else _time(feed, feed.time, item, arrival_us)
    except PayloadError as error:
        parsed.fail(error)
        return
    cells = []
    for cell in feed.cells:
        try:
            cells.append((cell.column, _value(cell, item)))
        except PayloadError as error:
            parsed.fail(error)
    if cells:
        clock = None if feed.time is None else feed.cells[0].column
        parsed.samples.append(Sample(feed.asset, time_us, cells, clock))


def _value(cell: Cell, item: Any) -> float:
    try:
        found = resolve(item, cell.value)
    except PointerMiss:
        raise NoSuchPlace(f"{cell.signal}: nothing at {_path(cell.value)}") from None
    # JSON's true is 1 for Python, and a text that looks like a number is still a text.
    if type(found) is not float and type(found) is not int:
        raise WrongType(f"{cell.signal}: expected a number, got {_short(found)}")
    value = found * cell.factor + cell.offset
    if not isfinite(value):
        raise WrongType(f"{cell.signal}: expected a finite number, got {_short(found)}")
    return value


def _time(feed: Feed, tokens: Tokens, item: Any, now_us: int) -> int:
    try:
        found = resolve(item, tokens)
    except PointerMiss:
        raise NoSuchPlace(f"time: nothing at {_path(tokens)}") from None
    time_us = _iso8601(found) if feed.time_format == "iso8601" else _number(feed, found)
    if time_us > now_us + feed.ahead_us:
        raise FutureTime(f"{_short(found)} lies more than {feed.ahead_us} us ahead of the clock")
    return time_us


def _number(feed: Feed, found: Any) -> int:
    if type(found) is not float and type(found) is not int:
        raise BadTime(f"expected a number of {feed.time_format}, got {_short(found)}")
    exact = found * _PER_UNIT[feed.time_format]
    if not 0 <= exact < LATEST_US:
        raise BadTime(f"expected {feed.time_format} since 1970, got {_short(found)}")
    return round(exact)


def _iso8601(found: Any) -> int:
    if type(found) is not str:
        raise BadTime(f"expected ISO 8601 text, got {_short(found)}")
    try:
        moment = datetime.fromisoformat(found)
        # Without a zone nobody knows which hour is meant.
        if moment.tzinfo is None:
            raise BadTime(f"expected a time with its zone, got {_short(found)}")
        time_us = (moment - _EPOCH) // _US
    except (ValueError, OverflowError):
        raise BadTime(f"expected ISO 8601, got {_short(found)}") from None
    if time_us < 0:
        raise BadTime(f"expected a time since 1970, got {_short(found)}")
    return time_us


def _path(tokens: Tokens) -> str:
    return "".join(f"/{token}" for token in tokens)[:80] or "the payload itself"


def _short(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'an array'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
