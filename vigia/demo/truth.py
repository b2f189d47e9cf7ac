"""What the planter did, as it wrote it down: for the summary alone."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from contracts.messages import Account
from vigia.demo.planting import EventKind


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


class Pulse(BaseModel):
    """Rows in which the rig's outlet meter itself jumped."""

    model_config = ConfigDict(frozen=True)

    asset: str
    start_us: int
    end_us: int


class Truth(BaseModel):
    """All that a planter did until `until_us`, the event time of the last row it published."""

    model_config = ConfigDict(frozen=True)

    seed: int
    first_us: int
    until_us: int
    events: tuple[Planted, ...]
    pulses: tuple[Pulse, ...]
    account: Account

    def write(self, file: Path) -> None:
        """Whole or not at all."""
        half = file.with_suffix(".half")
        half.write_text(self.model_dump_json(), encoding="utf-8")
        os.replace(half, file)
