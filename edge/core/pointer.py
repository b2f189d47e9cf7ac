"""JSON pointers (RFC 6901)."""

from __future__ import annotations

from typing import Any

Tokens = tuple[str, ...]
_DIGITS = frozenset("0123456789")


class PointerMiss(LookupError):
    """The document has nothing there."""


def tokens_of(pointer: str) -> Tokens:
    """The reference tokens of a pointer that is `""` or begins with `/`."""
    if not pointer:
        return ()
    parts = pointer[1:].split("/")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def resolve(document: Any, tokens: Tokens) -> Any:
    """What stands at the pointer. Raises PointerMiss."""
    here = document
    for token in tokens:
        if type(here) is dict and token in here:
            here = here[token]
        elif type(here) is list:
            here = here[_index(token, len(here))]
        else:
            raise PointerMiss(token)
    return here


def _index(token: str, length: int) -> int:
    # RFC 6901, section 4: digits without a leading zero; "-" is the element after the last.
    if token and _DIGITS.issuperset(token) and (token == "0" or token[0] != "0"):
        # More digits than any list has elements: int() of a long text is slow on purpose.
        index = int(token) if len(token) < 10 else length
        if index < length:
            return index
    raise PointerMiss(token)
