"""Features of windows: the formulas, the pulse guard, and that neighbours change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.features import (
    Feature,
    FeatureKind,
    FeatureSet,
    Floats,
    PulseGuard,
    Why,
    extract,
    level,
    pulse_rows,
    raw_features,
    robust_scale,
    widen,
)

SIGNALS = ("pre", "in", "out")
LOSS = Feature("loss", FeatureKind.IMBALANCE, ("in", "out"), 0.004)
LAW = Feature("law", FeatureKind.SQUARE_LAW, ("pre", "in"), 0.01)
SPEC = FeatureSet((LOSS, LAW), PulseGuard("loss", 0.05, 1, 3), (-20.0, 20.0), 10)
ROWS = 20


def windows(n: int, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    flow = 1.5 + 0.001 * rng.normal(size=(n, ROWS))
    outlet = flow * (0.97 + 0.002 * rng.normal(size=(n, ROWS)))
    return np.stack([0.27 * flow**2, flow, outlet], axis=-1)


def scaler(n: int) -> tuple[Floats, Floats]:
    return np.tile([0.03, np.log(0.27)], (n, 1)), np.tile([0.004, 0.01], (n, 1))


def test_formulas() -> None:
    raw = raw_features(np.array([[0.54, 2.0, 1.5]]), SIGNALS, (LOSS, LAW))
    assert raw[0] == pytest.approx([0.25, np.log(0.54 / 4.0)])


def test_signal_is_itself_and_columns_go_by_name() -> None:
    feature = Feature("p", FeatureKind.SIGNAL, ("pre",), 1.0)
    assert raw_features(np.array([[7.0, 1.0, 2.0]]), SIGNALS, (feature,))[0, 0] == 7.0


@pytest.mark.parametrize("row", [[0.5, 0.0, 1.0], [0.5, -1.0, 1.0], [np.nan, np.nan, 1.0]])
def test_without_flow_there_is_no_feature(row: list[float]) -> None:
    assert np.isnan(raw_features(np.array([row]), SIGNALS, (LOSS, LAW))).all()


@pytest.mark.parametrize("change", [0.85, 1.15])
def test_a_pump_change_is_no_feature(change: float) -> None:
    values = windows(4)
    changed = values * np.array([change**2, change, change])
    before = raw_features(values, SIGNALS, SPEC.features)
    np.testing.assert_allclose(raw_features(changed, SIGNALS, SPEC.features), before, atol=1e-12)


def test_a_pulse_and_its_tail_leave_no_trace() -> None:
    clean = windows(1)
    pulsed = clean.copy()
    pulsed[0, 8:12, 2] *= [4.0, 2.0, 1.3, 1.03]
    extracted = extract(pulsed, SIGNALS, SPEC, *scaler(1))
    assert extracted.why[0] == Why.MEASURED
    # One row before, three hits, three rows of tail.
    assert extracted.kept[0] == ROWS - 1 - 3 - 3
    kept = np.r_[0:7, 14:ROWS]
    expected = extract(clean, SIGNALS, SPEC, *scaler(1)).x[0, kept]
    np.testing.assert_array_equal(extracted.x[0, kept], expected)
    np.testing.assert_allclose(extracted.x[0, 7:14], np.tile(np.median(expected, 0), (7, 1)), 1e-6)


def test_windows_with_too_few_rows_say_why() -> None:
    values = windows(3)
    values[0, :11, 2] = np.nan
    values[1, ::3, 2] *= 3.0
    extracted = extract(values, SIGNALS, SPEC, *scaler(3))
    assert list(extracted.why) == [Why.MISSING, Why.PULSE, Why.MEASURED]
    assert list(extracted.measured) == [False, False, True]
    assert not extracted.x[:2].any()
    assert extracted.x.dtype == np.float32 and extracted.x.flags.c_contiguous


def test_features_are_scaled_by_their_own_asset() -> None:
    values, centre = windows(2), np.array([[0.03, -1.3], [0.02, -1.2]])
    spread = np.array([[0.004, 0.01], [0.5, 2.0]])
    raw = raw_features(values, SIGNALS, SPEC.features)
    for at in range(2):
        expected = np.clip((raw[at] - centre[at]) / spread[at], *SPEC.clip)
        found = extract(values, SIGNALS, SPEC, centre, spread).x[at]
        np.testing.assert_array_equal(found, expected.astype(np.float32))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.0, 0.4))
def test_neighbours_change_nothing(seed: int, n: int, holes: float) -> None:
    rng = np.random.default_rng(seed)
    values = windows(n, seed)
    values[rng.random(values.shape) < holes / 3] = np.nan
    values[..., 2] *= np.where(rng.random((n, ROWS)) < 0.05, 3.0, 1.0)
    centre, spread = scaler(n)
    together = extract(values, SIGNALS, SPEC, centre, spread)
    order = rng.permutation(n)[: rng.integers(1, n + 1)]
    some = extract(values[order], SIGNALS, SPEC, centre[order], spread[order])
    np.testing.assert_array_equal(some.x, together.x[order])
    np.testing.assert_array_equal(some.why, together.why[order])
    assert np.isfinite(together.x).all()


@given(st.integers(0, 2**32 - 1))
def test_level_is_the_median_of_what_is_kept(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, keep = rng.normal(size=(6, 9)), rng.random((6, 9)) < 0.5
    for one, kept, got in zip(x, keep, level(x, keep), strict=True):
        if kept.any():
            assert got == np.median(one[kept])
        else:
            assert np.isnan(got)


def test_widen() -> None:
    hits = np.array([[False, False, False, True, False, False, False]])
    assert widen(hits, 1, 2).tolist() == [[False, False, True, True, True, True, False]]
    assert widen(hits, 0, 0).tolist() == hits.tolist()
    assert widen(hits, 50, 50).all()


def test_pulse_rows_ignore_losses_and_gaps() -> None:
    imbalance = np.array([[0.2, -0.03, np.nan, -0.2]])
    assert pulse_rows(imbalance, np.array([0.0]), 0.05).tolist() == [[False, False, False, True]]


def test_robust_scale_ignores_outliers_and_gaps_and_keeps_the_floor() -> None:
    raw = np.column_stack([np.r_[np.arange(101.0), 1e9, np.nan], np.ones(103)])
    centre, spread = robust_scale(raw, (0.1, 0.5))
    assert centre == pytest.approx([50.5, 1.0])
    assert spread == pytest.approx([1.4826 * 25.5, 0.5])
    with pytest.raises(ValueError, match="no row"):
        robust_scale(np.full((3, 1), np.nan), (1.0,))


def test_declarations_are_checked() -> None:
    with pytest.raises(ValueError, match="expected 2 signals"):
        Feature("x", FeatureKind.IMBALANCE, ("a",), 1.0)
    with pytest.raises(ValueError, match="floor"):
        Feature("x", FeatureKind.SIGNAL, ("a",), 0.0)
    with pytest.raises(ValueError, match="names that differ"):
        FeatureSet((LOSS, LOSS), None, (-1.0, 1.0), 1)
    with pytest.raises(ValueError, match="guard"):
        FeatureSet((LAW,), SPEC.guard, (-1.0, 1.0), 1)
