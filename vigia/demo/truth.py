"""What the planter and the cameras did, as they wrote it down: for the summary alone."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from contracts.messages import Account
from vigia.demo.planting import Event, EventKind


class Planted(BaseModel):
    """A planted event; times are event times of its first and last row."""

    model_config = ConfigDict(frozen=True)

    asset: str
    kind: EventKind
    start_us: int
    end_us: int
    ramp_s: float
    size: float
    split: float


def planted(event: Event, begin_us: int) -> Planted:
    """An event of a plan whose second 0 was at `begin_us`."""
    return Planted(
        asset=event.asset,
        kind=event.kind,
        start_us=begin_us + round(event.start_s * 1e6),
        end_us=begin_us + round(event.end_s * 1e6),
        ramp_s=event.ramp_s,
        size=event.size,
        split=event.split,
    )


class Pulse(BaseModel):
    """Rows in which the rig's outlet meter itself jumped."""

    model_config = ConfigDict(frozen=True)

    asset: str
    start_us: int
    end_us: int


class Written(BaseModel):
    """What is handed over in a file."""

    model_config = ConfigDict(frozen=True)

    def write(self, file: Path) -> None:
        """Whole or not at all."""
        half = file.with_suffix(".half")
        half.write_text(self.model_dump_json(), encoding="utf-8")
        os.replace(half, file)


class Filmed(Written):
    """What was before the cameras until `until_us`, when the last picture was shown. `shown`
    counts pictures since the demo began, of all cameras together."""

    until_us: int
    events: tuple[Planted, ...]
    shown: int


class Truth(Written):
    """All that a planter did until `until_us`, the event time of the last row it published."""

    seed: int
    first_us: int
    until_us: int
    events: tuple[Planted, ...]
    pulses: tuple[Pulse, ...]
    account: Account

    def beside(self, filmed: Filmed) -> Truth:
        """Both, as far as both went."""
        events = sorted((*self.events, *filmed.events), key=lambda one: one.start_us)
        until_us = min(self.until_us, filmed.until_us)
        return self.model_copy(update={"events": tuple(events), "until_us": until_us})
