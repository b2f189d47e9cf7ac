"""Whether a process works, as it says itself to whom supervises it on its box."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

from contracts.errors import DecodeError
from contracts.messages import SourceHealth

STALE_US = 20_000_000
"""What is older was said by a process that hangs, or is no more."""


@dataclass(frozen=True, slots=True)
class Health:
    """At `at_us`, microseconds since 1970. `ill` says why it does not do what it should; None when
    it does."""

    process: str
    at_us: int
    ill: str | None = None

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def read(cls, text: str) -> Self:
        """From JSON. Raises DecodeError."""
        try:
            found = json.loads(text)
            return cls(str(found["process"]), int(found["at_us"]), found["ill"])
        except (ValueError, KeyError, TypeError):
            raise DecodeError("expected the health of a process") from None

    def why_not(self, now_us: int, *, alive_only: bool = False) -> str | None:
        """Why it is not well at `now_us`; None when it is. With `alive_only` who says something is
        well: what starting again would not mend counts for nothing."""
        if now_us - self.at_us > STALE_US:
            return f"{self.process} has said nothing for {(now_us - self.at_us) // 1_000_000} s"
        return f"{self.process}: {self.ill}" if self.ill and not alive_only else None


def no_source(sources: Iterable[SourceHealth]) -> str | None:
    """Why an edge with these sources is of no use, if so: none of them sends what can be used."""
    states = Counter(one.state for one in sources)
    if not states or states["ok"]:
        return None
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return f"no source sends usable readings ({told})"
