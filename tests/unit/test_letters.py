"""Every message that an agent is given is used, or dropped with its reason."""

from __future__ import annotations

from contracts.errors import DecodeError, FieldError
from contracts.headers import header_map
from contracts.record import Record
from stream.adapters.letters import Letters


def test_each_message_is_accounted_for() -> None:
    letters = Letters("vigia", "stream/x")
    record = Record("vigia.readings", 2, 17, b"s/a", b"broken", [], 5)
    letters.taken_in, letters.used = 4, 1
    first = letters.letter(record, DecodeError("not Arrow"))
    letters.letter(record, FieldError("no time"))
    letters.letter(record, DecodeError("not Arrow"))
    account = letters.account()
    assert account.dropped == {"undecodable": 2, "field": 1}
    assert account.missing == 0
    assert (first.topic, first.key, first.value) == (
        "vigia.dead-letters",
        b"vigia.readings",
        b"broken",
    )
    headers = header_map(first.headers)
    assert (headers["ce_subject"], headers["ce_text"]) == (b"vigia.readings/2/17", b"not Arrow")
