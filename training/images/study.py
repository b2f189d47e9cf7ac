"""Features of all pictures, once; then heads fitted and judged fold by fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.images import normalised
from training.images import crops, heads, recipe
from training.images.evaluation import Scores, dark_spot, together, verdicts
from training.images.piped import Mask, Pixels, Tile

F32 = npt.NDArray[np.float32]
JUDGES = ("class", "class, all materials", "one-class", "dark spot")


@dataclass(frozen=True, slots=True)
class Fold:
    """Which parts of the samples do what."""

    fit: tuple[int, ...]
    validate: tuple[int, ...]
    test: tuple[int, ...]


def fold(number: int) -> Fold:
    """Two parts judge, the next one sets the limit, the other three train."""
    at = [(number * 2 + step) % recipe.PARTS for step in range(recipe.PARTS)]
    return Fold(fit=tuple(at[3:]), validate=(at[2],), test=tuple(at[:2]))


@dataclass(frozen=True, slots=True)
class Seen:
    """Pictures of one part of one material: `features` and `labels` of the cells, whether it
    `shows` a defect, whether it is `whole` (a tile as it is), and the dark-spot rule's score."""

    features: F32
    labels: npt.NDArray[np.int8]
    shows: Mask
    whole: Mask
    dark: Scores

    def normal(self, *, whole: bool) -> Mask:
        """Where the good pictures are: the tiles as they are, or all."""
        return ~self.shows & (self.whole if whole else True)


@dataclass(frozen=True, slots=True)
class Eye:
    """The frozen backbone on pictures uint8 of recipe.SIZE."""

    backbone: Any

    def features(self, pictures: Pixels) -> F32:
        """What the backbone makes of them."""
        return heads.by_parts(self.backbone, normalised(pictures, recipe.MEAN, recipe.SCALE))

    def see(self, tiles: Sequence[Tile], seed: int) -> Seen:
        """The tiles as they are, and pictures cut from them."""
        rng = np.random.default_rng(seed)
        good, no_defects = crops.cut(tiles, False, recipe.CROPS, rng)
        bad, defects = crops.cut(tiles, True, recipe.CROPS, rng)
        pictures = np.concatenate([np.stack([tile.pixels for tile in tiles]), good, bad])
        masks = np.concatenate([np.stack([tile.mask for tile in tiles]), no_defects, defects])
        return Seen(
            self.features(pictures),
            crops.cell_labels(masks),
            np.asarray(masks.any((1, 2))),
            np.arange(len(pictures)) < len(tiles),
            dark_spot(pictures),
        )


def joined(seen: Iterable[Seen]) -> Seen:
    """All of them as one."""
    parts = list(seen)
    names = ("features", "labels", "shows", "whole", "dark")
    return Seen(*(np.concatenate([getattr(one, name) for one in parts]) for name in names))


@dataclass(frozen=True, slots=True)
class Judge:
    """A head with the limit that its validation part set."""

    head: Any
    limit: float

    def scores(self, features: F32) -> Scores:
        """The scores of pictures by their features."""
        return heads.highest(heads.by_parts(self.head, features))


def fitted(task: heads.Task, fit: Seen, validate: Seen) -> Judge:
    """A head fitted on one, its limit set by the normal pictures of the other."""
    if task == "class":
        head = heads.fit_class(fit.features, fit.labels)
    else:
        head = heads.fit_one_class(fit.features[fit.normal(whole=False)])
    normal = heads.by_parts(head, validate.features[validate.normal(whole=False)])
    return Judge(head, heads.limit_of(heads.highest(normal)))


def judged(
    eye: Eye,
    seen: Mapping[str, Sequence[Seen]],
    tiles: Mapping[str, Sequence[Tile]],
    judges: Mapping[str, Judge],
    number: int,
) -> dict[tuple[str, str], dict[str, float | int]]:
    """The verdicts of one fold by judge and material; `judges` has a judge under its name and,
    where it was fitted for one material, that material's."""
    parts, found = fold(number), {}
    for material, by_part in seen.items():
        test = joined(by_part[part] for part in parts.test)
        validate = joined(by_part[part] for part in parts.validate)
        held_out = [tile for tile in tiles[material] if tile.part in parts.test]
        rng = np.random.default_rng(recipe.SEED + number)
        frames = np.stack(list(crops.belt(held_out, recipe.BELT_FRAMES, rng)))
        features, normal = eye.features(frames), test.normal(whole=True)
        shows = test.shows & test.whole
        for name in JUDGES[:-1]:
            judge = judges.get(f"{name} {material}") or judges[name]
            scores, belt = judge.scores(test.features), judge.scores(features)
            found[name, material] = verdicts(judge.limit, scores[normal], scores[shows], belt)
        limit = heads.limit_of(validate.dark[validate.normal(whole=False)])
        found[JUDGES[-1], material] = verdicts(
            limit, test.dark[normal], test.dark[shows], dark_spot(frames)
        )
    return found


def judges_of(seen: Mapping[str, Sequence[Seen]], number: int) -> dict[str, Judge]:
    """All judges of one fold, under the names that `judged` takes."""
    parts, found = fold(number), {}
    everything: dict[str, tuple[Seen, Seen]] = {}
    for material, by_part in seen.items():
        fit = joined(by_part[part] for part in parts.fit)
        validate = joined(by_part[part] for part in parts.validate)
        everything[material] = fit, validate
        for task in heads.TASKS:
            found[f"{task} {material}"] = fitted(task, fit, validate)
    fit = joined(one for one, _ in everything.values())
    validate = joined(one for _, one in everything.values())
    found["class, all materials"] = fitted("class", fit, validate)
    return found


def study(
    eye: Eye, tiles: Mapping[str, Sequence[Tile]]
) -> tuple[dict[str, dict[str, object]], dict[int, dict[str, Judge]]]:
    """The metrics by judge and material, and the judges of every fold."""
    seen = {
        material: [
            eye.see([one for one in all_tiles if one.part == part], recipe.SEED + part)
            for part in range(recipe.PARTS)
        ]
        for material, all_tiles in tiles.items()
    }
    judges = {number: judges_of(seen, number) for number in range(recipe.FOLDS)}
    rows = [judged(eye, seen, tiles, judges[number], number) for number in judges]
    metrics: dict[str, dict[str, object]] = {name: {} for name in JUDGES}
    for name, material in rows[0]:
        metrics[name][material] = together([row[name, material] for row in rows])
    return metrics, judges
