"""What all JSON messages are made of, and bounded by."""

from __future__ import annotations

from typing import Annotated, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from contracts.headers import MOST

Whole = Annotated[int, Field(ge=-MOST, le=MOST)]
"""A number that arithmetic on times and counts can take: JSON itself bounds none."""

T = TypeVar("T")
# Each mistake takes 400 bytes to note, and one is enough.
Many = Annotated[tuple[T, ...], FailFast()]
Named = Annotated[dict[str, T], FailFast()]


class Message(BaseModel):
    """A JSON value on a topic."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """The message in `value`, also one of an older version. Raises ValidationError, and
        ValueError for what is no JSON."""
        return cls.model_validate(orjson.loads(value))


def first_mistake(error: ValueError) -> str:
    """The first field that is wrong, and what is wrong with it."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "message"
    return f"{where}: {first['msg']}"
