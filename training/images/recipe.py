"""What is built: everything that was chosen by hand, in one place."""

from __future__ import annotations

NAME = "piped-lite0"
VERSION = "1"
SEED = 20261
SIZE = (128, 128)
MEAN, SCALE = 127.0, 128.0
# The first five blocks see 8 x 8 pixels a cell, about what a defect covers, and hold 54 thousand
# numbers. Deeper features are coarser and tell these small defects apart less well.
BLOCKS = 5
CELL = 8

# Samples go in parts; three parts train, one sets the threshold and two judge.
PARTS = 6
FOLDS = 3
# Pictures of each part and material that are cut across the seams of tiles, normal and defective.
CROPS = 96
# A cell shows a defect from this many masked pixels on; from one on it is not normal either.
DEFECT_PIXELS = 8
SMALLEST_DEFECT = 24

HIDDEN = 16
EPOCHS = 12
BATCH = 64
# The limit lies this many times as far above the median of the validation part's normal pictures
# as their highest score does: none of them above, and half as much again for what comes later.
MARGIN = 1.5

BELT_RATE = 2.0
BELT_FRAMES = 1800
BELT_STEP = 48
