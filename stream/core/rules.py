"""Detectors that are rules: the plant file's sections limit, rate, imbalance, pulse, instrument."""

from __future__ import annotations

import numpy as np

from contracts.plant.detectors import (
    DetectorBase,
    Imbalance,
    Instrument,
    Limit,
    Pulse,
    Rate,
)
from contracts.readings import Quality
from stream.core.aggregates import OF_ROWS, greatest, of_panes
from stream.core.detectors import Bools, Detector, Floats, Results, mean, total, usable
from stream.core.features import level
from stream.core.sections import OfSection
from stream.core.windows import I64, WindowBlock

_FAR = 2**62


def rule(section: DetectorBase) -> Detector | None:
    """The rule for a section, or None where it is no rule."""
    match section:
        case Limit():
            return LimitRule(section)
        case Rate():
            return RateRule(section)
        case Imbalance():
            return ImbalanceRule(section)
        case Pulse():
            return PulseRule(section)
        case Instrument():
            return InstrumentRule(section)
    return None


def _measured(score: Floats, enough: Bools) -> Floats:
    return np.where(enough, score, np.nan)


def _above(score: Floats, threshold: float) -> tuple[Floats, Bools]:
    with np.errstate(invalid="ignore"):
        return np.full(len(score), float(threshold)), np.asarray(score > threshold)


def _named(codes: Bools, true: str, false: str, enough: Bools) -> tuple[str, ...]:
    """`true` or `false` for each window, and why a window was not measured."""
    return tuple(
        (true if code else false) if ok else "too-few-rows"
        for code, ok in zip(codes.tolist(), enough.tolist(), strict=True)
    )


class LimitRule(OfSection[Limit]):
    """A signal's value over the window against limits; the score is how far outside it is."""

    def detect(self, block: WindowBlock) -> Results:
        value, rows = self._value(block)
        enough = rows >= self.section.min_rows
        low = -np.inf if self.section.low is None else self.section.low
        high = np.inf if self.section.high is None else self.section.high
        with np.errstate(invalid="ignore"):
            score = _measured(np.maximum(np.maximum(value - high, low - value), 0.0), enough)
            over = np.asarray(value > high)
        threshold, abnormal = _above(score, 0.0)
        reason = _named(over, "limit-high", "limit-low", enough)
        limit = np.where(over, high, low)
        return Results(score, threshold, abnormal, reason, {"value": value, "limit": limit})

    def _value(self, block: WindowBlock) -> tuple[Floats, Floats | I64]:
        """The window's value, and of how many usable rows."""
        section = self.section
        if section.window.pane is not None and section.of != "median":
            return of_panes(block, section.signal, section.of, section.window.pane)
        values, good = usable(block, section.signal)
        return OF_ROWS[section.of](values, good), good.sum(axis=1)


class RateRule(OfSection[Rate]):
    """How fast a signal changes: the slope of the least-squares line through the window."""

    def detect(self, block: WindowBlock) -> Results:
        values, good = usable(block, self.section.signal)
        enough = good.sum(axis=1) >= max(self.section.min_rows, 2)
        when = (block.times_us - block.starts_us[:, None]) / self.section.per
        slope = _slope(when, values, good)
        score = {"rise": slope, "fall": -slope, "both": np.abs(slope)}[self.section.side]
        score = _measured(score, enough & np.isfinite(score))
        threshold, abnormal = _above(score, self.section.limit)
        reason = _named(np.asarray(slope > 0), "rate-rise", "rate-fall", np.isfinite(score))
        return Results(score, threshold, abnormal, reason, {"rate": slope})


def _slope(when: Floats, values: Floats, good: Bools) -> Floats:
    x = when - mean(when, good)[:, None]
    y = values - mean(values, good)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total(x * y, good) / total(x * x, good))


class ImbalanceRule(OfSection[Imbalance]):
    """Flow that goes in and does not come out; see contracts.plant.detectors.Imbalance."""

    def detect(self, block: WindowBlock) -> Results:
        section = self.section
        inlet, good = usable(block, section.inlet)
        outlet, good_outlet = usable(block, section.outlet)
        flowing = good & good_outlet & (inlet > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(flowing, (inlet - outlet) / inlet, np.nan)
        now, normal = self._normal(block, share, flowing)
        kept = now & ~self._pulses(block, share, normal)
        excess = level(share, kept) - normal
        score = {"loss": excess, "gain": -excess, "both": np.abs(excess)}[section.side]
        enough = (kept.sum(axis=1) >= section.min_rows) & np.isfinite(score)
        score = _measured(score, enough)
        threshold, abnormal = _above(score, section.limit)
        reasons = _named(np.asarray(excess > 0), "imbalance-loss", "imbalance-gain", enough)
        masked = now.sum(axis=1) >= section.min_rows
        reason = tuple(
            "masked" if hidden and why == "too-few-rows" else why
            for why, hidden in zip(reasons, masked.tolist(), strict=True)
        )
        return Results(score, threshold, abnormal, reason, {"excess": excess, "normal": normal})

    def _normal(self, block: WindowBlock, share: Floats, flowing: Bools) -> tuple[Bools, Floats]:
        """The rows to judge, and what is normal for each window."""
        if self.section.history is None:
            return flowing, np.array([self.section.baseline[asset] for asset in block.assets])
        recent = block.times_us >= (block.ends_us - self.section.window.width)[:, None]
        return flowing & recent, level(share, flowing & ~recent)

    def _pulses(self, block: WindowBlock, share: Floats, normal: Floats) -> Bools:
        if self.section.pulse is None:
            return np.zeros(share.shape, bool)
        with np.errstate(invalid="ignore"):
            hits = np.asarray(share < normal[:, None] - self.section.pulse)
        return near(block.times_us, hits, *self.section.guard)


def near(times_us: I64, hits: Bools, before_us: int, after_us: int) -> Bools:
    """bool [n, T]: rows that are hits, or at most `before_us` before or `after_us` after one.
    `times_us` int64 [n, T] rises along each window."""
    last = np.maximum.accumulate(np.where(hits, times_us, -_FAR), axis=1)
    following = np.where(hits, times_us, _FAR)[:, ::-1]
    next_ = np.minimum.accumulate(following, axis=1)[:, ::-1]
    return np.asarray((times_us - last <= after_us) | (next_ - times_us <= before_us))


class PulseRule(OfSection[Pulse]):
    """A signal far above another that the process ties it to: the instrument's fault."""

    def detect(self, block: WindowBlock) -> Results:
        values, good = usable(block, self.section.signal)
        reference, good_reference = usable(block, self.section.reference)
        good = good & good_reference & (reference > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = greatest(values / reference, good)
        enough = good.sum(axis=1) >= self.section.min_rows
        score = _measured(ratio, enough)
        threshold, abnormal = _above(score, self.section.ratio)
        return Results(score, threshold, abnormal, _named(enough, "pulse", "pulse", enough))


_FAULTS = {
    Quality.MISSING: "missing",
    Quality.OUT_OF_RANGE: "out-of-range",
    Quality.FROZEN: "frozen",
    Quality.DARK: "dark",
    Quality.NOT_OBSERVABLE: "not-observable",
    Quality.STUCK: "stuck",
    Quality.JUMP: "jump",
    Quality.CLOCK: "clock",
    Quality.OVER_EXPOSED: "over-exposed",
    Quality.BLURRED: "blurred",
    Quality.MOVED: "moved",
}


class InstrumentRule(OfSection[Instrument]):
    """The share of rows in which a signal is missing, not to be believed or not to be seen, by its
    quality codes; the worst signal and its commonest fault count."""

    def detect(self, block: WindowBlock) -> Results:
        wanted = self.section.signals or block.signals
        columns = [block.signals.index(signal) for signal in wanted]
        quality = block.quality[:, :, columns]
        rows = block.present.sum(axis=1)
        here = block.present[:, :, None]
        counts = [((quality == code) & here).sum(axis=1) for code in _FAULTS]
        by_fault = np.stack(counts) / rows[:, None]
        shares = by_fault.max(axis=0)
        worst = np.argmax(shares, axis=1)
        at = np.arange(len(block))
        enough = rows >= self.section.min_rows
        score = _measured(shares[at, worst], enough)
        threshold = np.full(len(block), self.section.share)
        with np.errstate(invalid="ignore"):
            abnormal = np.asarray(score >= self.section.share)
        faults = list(_FAULTS.values())
        common = np.argmax(by_fault[:, at, worst], axis=0)
        reason = tuple(
            faults[fault] if ok else "too-few-rows"
            for fault, ok in zip(common.tolist(), enough.tolist(), strict=True)
        )
        evidence = {
            signal: np.where(shares[:, index] > 0, shares[:, index], np.nan)
            for index, signal in enumerate(wanted)
        }
        return Results(score, threshold, abnormal, reason, evidence)
