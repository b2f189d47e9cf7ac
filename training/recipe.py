"""What is built: everything that was chosen by hand, in one place."""

from __future__ import annotations

import numpy as np

from stream.core.features import Feature, FeatureKind, FeatureSet, PulseGuard
from training.whut import PERIOD_US, Rows

NAME = "whut-lstm"
VERSION = "1"
SEED = 20260
ROWS = 30
HOP = 5
WIDTH_US = ROWS * PERIOD_US
HOP_US = HOP * PERIOD_US

# Ratios alone: a pump change moves every signal and none of these. The floors are the noise of
# the meters (flows 0.4 %) and the drift that the pressure gauges show within a run (1 %).
FEATURES = FeatureSet(
    features=(
        Feature("imbalance", FeatureKind.IMBALANCE, ("flow1", "flow2"), 0.004),
        Feature("law_in", FeatureKind.SQUARE_LAW, ("pre1", "flow1"), 0.01),
        Feature("law_out", FeatureKind.SQUARE_LAW, ("pre2", "flow2"), 0.01),
    ),
    # Outside pulses no row of any history is more than 2.2 % below its centre; the smallest pulse
    # is 58 %, its onset may be one row early, and its tail is within 1 % after ten rows.
    guard=PulseGuard("imbalance", excess=0.05, before=2, after=10),
    clip=(-20.0, 20.0),
    min_rows=10,
)

UNITS = 16
CODE = 4
EPOCHS = 40
BATCH = 256
# A pressure gauge that drifts is no theft: in training both laws move together by up to this
# many spreads, so that the autoencoder learns to follow them.
LAW_DRIFT = 3.0
# Of each history the first part trains and the rest sets the threshold.
TRAIN_SHARE = 0.8
# The budget: no false window in the validation part, and half as much again for what the rest
# of the year has that four minutes have not.
MARGIN = 1.5
GOLDEN = 40


def cut_windows(rows: Rows, hop: int = HOP) -> Rows:
    """float64 [n, ROWS, S]: every window of `rows` [m, S], `hop` rows apart. A view."""
    windows = np.lib.stride_tricks.sliding_window_view(rows, ROWS, axis=0)
    return np.moveaxis(windows[::hop], -1, 1)
