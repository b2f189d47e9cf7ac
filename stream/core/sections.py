"""A detector and its section of the plant file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from contracts.messages import Model
from contracts.plant.detectors import (
    Autoencoder,
    DetectorBase,
    Imbalance,
    Instrument,
    Limit,
    Pulse,
    Rate,
    Vision,
)
from stream.core.windows import WindowSpec

S = TypeVar("S", Limit, Rate, Imbalance, Pulse, Instrument, Autoencoder, Vision)


def spec_of(section: DetectorBase) -> WindowSpec:
    """The windows that a section of the plant file asks for. Panes come when they are final, so
    windows made from them wait for nothing more."""
    window, history = section.window, 0
    if window.pane is not None:
        return WindowSpec(window.width, window.hop)
    if isinstance(section, Imbalance) and section.history is not None:
        history = section.history
    return WindowSpec(window.width + history, window.hop, window.lateness)


@dataclass(frozen=True)
class OfSection(Generic[S]):
    """What all detectors of a plant have: their section of its file."""

    section: S

    @property
    def id(self) -> str:
        """Its name in the plant file."""
        return self.section.id

    @property
    def kind(self) -> str:
        """Its kind in the plant file."""
        return self.section.kind

    @property
    def spec(self) -> WindowSpec:
        """The windows that it wants."""
        return spec_of(self.section)

    @property
    def model(self) -> Model | None:
        """A rule has none."""
        return None
