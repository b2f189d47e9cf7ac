"""The detectors' part of the plant file: one section a kind."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from contracts.durations import Duration
from contracts.plant.panes import Kept

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class Window(BaseModel):
    """Windows [k·hop, k·hop + width) in event time; equal width and hop are tumbling windows.
    A window is final once the watermark is `lateness` past its end.

    With `pane` it is made from aggregates of so long (vigia.aggregates), not from rows: then a row
    is late when it comes more than `lateness` after the end of its pane."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Duration = Field(gt=0)
    hop: Duration = Field(gt=0)
    lateness: Duration = 0
    pane: Duration | None = Field(
        default=None, gt=0, description="for windows of hours: divides width and hop, such as 1min"
    )

    @model_validator(mode="after")
    def _panes_divide(self) -> Self:
        if self.pane is not None and (self.width % self.pane or self.hop % self.pane):
            raise ValueError("expected a pane that divides width and hop")
        return self

    @model_validator(mode="after")
    def _hop_within_width(self) -> Self:
        if self.hop > self.width:
            raise ValueError("expected a hop of at most the width: rows between would be unseen")
        return self


class DetectorBase(BaseModel):
    """What every detector has."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: Id
    assets: tuple[str, ...] = Field(
        default=("*",), description="asset keys (site/asset); * and ? match", min_length=1
    )
    window: Window
    min_rows: int = Field(
        default=1, ge=1, description="a window with fewer usable rows is not measured"
    )

    def uses(self) -> tuple[str, ...]:
        """The signals that it needs, as far as the plant file says."""
        return ()

    def needs_of_panes(self) -> tuple[Kept, ...]:
        """What must be kept of panes, so that they say of a window what its rows would say;
        nothing where panes cannot."""
        return ()


class Limit(DetectorBase):
    """The window's value of a signal against limits. The score is how far it is outside, in
    the signal's unit; 0 inside."""

    kind: Literal["limit"]
    signal: Id
    of: Literal["mean", "min", "max", "median", "last"] = "mean"
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("expected low, high or both")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"expected low < high, got {self.low} and {self.high}")
        return self

    def uses(self) -> tuple[str, ...]:
        return (self.signal,)

    def needs_of_panes(self) -> tuple[Kept, ...]:
        return () if self.of == "median" else ((self.signal, self.of),)


class Rate(DetectorBase):
    """How fast a signal changes, by least squares over the window, in its unit each `per`."""

    kind: Literal["rate"]
    signal: Id
    limit: float = Field(gt=0)
    per: Duration = Field(default=1_000_000, gt=0)
    side: Literal["rise", "fall", "both"] = "both"

    def uses(self) -> tuple[str, ...]:
        return (self.signal,)


class Imbalance(DetectorBase):
    """Flow that goes in and does not come out, as a fraction of the inlet, less what is normal
    for this asset by its own history. The score is the median over the window's rows.

    The history is a fitted number for each asset (`baseline`), or the median of the `history`
    just before each window. Rows in which more comes out than goes in, by `pulse` beyond the
    normal, are an instrument's fault; they and their neighbours within `guard` are not measured.
    """

    kind: Literal["imbalance"]
    inlet: Id
    outlet: Id
    limit: float = Field(gt=0, lt=1, description="fraction of the inlet flow")
    side: Literal["loss", "gain", "both"] = "loss"
    baseline: dict[str, float] = Field(
        default_factory=dict, description="the normal imbalance of each asset, as a fraction"
    )
    history: Duration | None = Field(default=None, gt=0)
    pulse: float | None = Field(default=None, gt=0)
    guard: tuple[Duration, Duration] = Field(
        default=(0, 0), description="[before, after] each row of a pulse"
    )

    @model_validator(mode="after")
    def _one_history(self) -> Self:
        if bool(self.baseline) == (self.history is not None):
            raise ValueError("expected one of baseline and history")
        return self

    def uses(self) -> tuple[str, ...]:
        return (self.inlet, self.outlet)


class Pulse(DetectorBase):
    """An instrument fault: `signal` stands above `ratio` times `reference`, which the process
    cannot do. The score is the largest ratio in the window."""

    kind: Literal["pulse"]
    signal: Id
    reference: Id
    ratio: float = Field(gt=1)

    def uses(self) -> tuple[str, ...]:
        return (self.signal, self.reference)


class Instrument(DetectorBase):
    """An instrument fault: the share of the window's rows in which a signal is missing, cannot be
    believed or cannot be seen, by the edge's own quality codes."""

    kind: Literal["instrument"]
    signals: tuple[Id, ...] = Field(default=(), description="default: all of the asset's")
    share: float = Field(default=0.5, gt=0, le=1)

    def uses(self) -> tuple[str, ...]:
        return self.signals


class Autoencoder(DetectorBase):
    """The reconstruction error of a model package, against the threshold it was fitted with."""

    kind: Literal["autoencoder"]
    package: str = Field(description="folder of the model package, from the plant file's own")
    factor: float = Field(default=1.0, gt=0, description="of the package's threshold")


class Vision(DetectorBase):
    """An image model on every frame of a camera. Its scores are readings of their own, in a signal
    named after the detector; the window's score is the `hits`-th largest of them, so that it is
    abnormal when that many of its frames are above the package's threshold."""

    kind: Literal["vision"]
    package: str = Field(description="folder of the model package, from the plant file's own")
    hits: int = Field(default=1, ge=1, description="frames of a window that must be above")
    factor: float = Field(default=1.0, gt=0, description="of the package's threshold")


Detector = Annotated[
    Limit | Rate | Imbalance | Pulse | Instrument | Autoencoder | Vision,
    Field(discriminator="kind"),
]
