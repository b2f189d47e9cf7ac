"""How good judges of pictures are, on samples that they were not fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from training.images import recipe
from training.images.piped import Pixels

Scores = npt.NDArray[np.float32]


def dark_spot(pictures: Pixels) -> Scores:
    """The simple rule: how far the darkest spot, about five pixels wide, lies below the median of
    its picture, in grey levels."""
    found = []
    for picture in pictures:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        soft = cv2.GaussianBlur(grey, (0, 0), 2.0)
        found.append(np.median(soft) - soft.min())
    return np.array(found, np.float32)


def auroc(normal: Scores, defective: Scores) -> float:
    """The probability that a defective picture scores above a normal one; ties count half."""
    above = (defective[:, None] > normal).mean() + 0.5 * (defective[:, None] == normal).mean()
    return float(above)


def verdicts(
    limit: float, normal: Scores, defective: Scores, belt: Scores
) -> dict[str, float | int]:
    """AUROC and what a limit makes of held-out tiles and of the frames of a normal belt; and
    whatever the limit, how many defective tiles score `above_belt`, above all of its frames."""
    over = belt > limit
    starts = int(over[0]) + int((over[1:] & ~over[:-1]).sum())
    return {
        "auroc": round(auroc(normal, defective), 4),
        "found": int((defective > limit).sum()),
        "defective": len(defective),
        "wrong": int((normal > limit).sum()),
        "normal": len(normal),
        "above_belt": int((defective > belt.max()).sum()),
        "belt_frames": len(belt),
        "belt_above": int(over.sum()),
        "belt_alarms": starts,
    }


def together(folds: Sequence[dict[str, float | int]]) -> dict[str, object]:
    """The folds of one judge and material in one row: AUROC fold by fold, counts summed, alarms
    an hour."""
    counts = {name: sum(int(fold[name]) for fold in folds) for name in folds[0] if name != "auroc"}
    hours = counts["belt_frames"] / recipe.BELT_RATE / 3600
    values = [float(fold["auroc"]) for fold in folds]
    return {
        "auroc": values,
        "auroc_mean": round(float(np.mean(values)), 4),
        "auroc_spread": round(float(np.std(values)), 4),
        **counts,
        "belt_hours": round(hours, 2),
        "false_alarms_an_hour": round(counts["belt_alarms"] / hours, 2),
    }
