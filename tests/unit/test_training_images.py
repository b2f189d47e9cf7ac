"""Training of image models without TensorFlow: weights, splits, pictures, judges, the card."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from stream.core.manifest import ImageManifest, read_image_manifest
from tests import images
from training.images import crops, piped, recipe
from training.images.build import BELT_MATERIAL, ship_belt, verdict
from training.images.card import card
from training.images.evaluation import auroc, dark_spot, together, verdicts
from training.images.package import describe, golden_pictures
from training.images.piped import Tile
from training.images.pth import read_weights

MAGIC = 0x1950A86A20F9469CFC6C
DATA = Path(os.environ.get("PIPED", images.ROOT.parent / "shared" / "data" / "piped"))
needs_data = pytest.mark.skipif(
    not (DATA / "data").is_dir(), reason="no PIPED data set (name its folder with PIPED)"
)


def text(value: str) -> bytes:
    """A pickled string; the files are written by hand: PyTorch is not here to write them."""
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(b"K" + bytes([value]) for value in values) + b"t"


def tensor(offset: int, shape: Sequence[int], stride: Sequence[int]) -> bytes:
    """The pickle of a dictionary with one tensor of storage 7, six numbers."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("7") + text("cpu")
    storage += b"K\x06NtQ"
    state = b"K" + bytes([offset]) + numbers(*shape) + numbers(*stride)
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + state
    made += b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}" + text("w") + made + b"s."


def weight_file(named: bytes, magic: int = MAGIC) -> bytes:
    """A weight file around the pickle of what it holds."""
    head = pickle.dumps(magic, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    values = np.arange(1, 7, dtype="<f4")
    size = len(values).to_bytes(8, "little")
    return head + named + pickle.dumps(["7"], 2) + size + values.tobytes()


def test_weights_are_read_by_name_shape_and_stride() -> None:
    rows = read_weights(weight_file(tensor(0, (2, 3), (3, 1))))["w"]
    assert rows.tolist() == [[1, 2, 3], [4, 5, 6]]
    turned = read_weights(weight_file(tensor(1, (2, 2), (1, 2))))["w"]
    assert turned.tolist() == [[2, 4], [3, 5]]


@pytest.mark.parametrize(
    ("offset", "shape", "stride"), [(0, (7,), (1,)), (5, (2,), (1,)), (0, (2, 3), (9, 1))]
)
def test_a_tensor_outside_its_storage_is_refused(offset: int, shape: Any, stride: Any) -> None:
    with pytest.raises(ValueError, match="outside its storage"):
        read_weights(weight_file(tensor(offset, shape, stride)))


def test_a_weight_file_that_wants_to_run_something_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        read_weights(weight_file(b"\x80\x02cposix\nsystem\n."))
    with pytest.raises(ValueError, match="old format"):
        read_weights(weight_file(tensor(0, (1,), (1,)), magic=1))


def made(sample: int, dark: bool, part: int = 0) -> Tile:
    rng = np.random.default_rng(sample)
    pixels = rng.integers(100, 140, (*recipe.SIZE, 3)).astype(np.uint8)
    mask = np.zeros(recipe.SIZE, bool)
    if dark:
        mask[60:70, 60:70] = True
        pixels[mask] = 20
    return Tile(f"t{sample}", sample, part, pixels, mask)


TILES = [made(1, False), made(2, False), made(3, True)]


@pytest.mark.parametrize("defective", [False, True])
def test_pictures_cut_across_seams_show_a_defect_or_none(defective: bool) -> None:
    pictures, masks = crops.cut(TILES, defective, 40, np.random.default_rng(1))
    assert pictures.shape == (40, 128, 128, 3) and pictures.dtype == np.uint8
    assert (masks.any((1, 2)) == defective).all()
    grey = pictures.mean(3)
    if defective:
        assert (masks.sum((1, 2)) >= recipe.SMALLEST_DEFECT).all()
        assert max(p[m].mean() for p, m in zip(grey, masks, strict=True)) < 90
    assert grey[~masks].mean() > 100


def test_the_same_seed_cuts_the_same() -> None:
    one, two = (crops.cut(TILES, True, 5, np.random.default_rng(3))[0] for _ in range(2))
    assert np.array_equal(one, two)


def test_a_belt_goes_on_and_shows_good_tiles_alone() -> None:
    frames = np.stack(list(crops.belt(TILES, 200, np.random.default_rng(2))))
    assert frames.shape == (200, 128, 128, 3)
    assert frames.min() > 60
    moved = frames[0][:, recipe.BELT_STEP :].astype(int)
    assert np.abs(moved - frames[1][:, : -recipe.BELT_STEP]).mean() < 12


def test_cells_are_defect_none_or_in_between() -> None:
    mask = np.zeros((1, 32, 32), bool)
    mask[0, 0:4, 0:2] = True
    mask[0, 31, 31] = True
    labels = crops.cell_labels(mask)[0]
    assert labels[0, 0] == 1 and labels[3, 3] == -1
    assert labels[0, 1] == labels[1, 1] == labels[2, 2] == -1
    assert labels[0, 2] == labels[3, 0] == 0


def test_the_simple_rule_measures_how_dark_the_darkest_spot_is() -> None:
    calm, spotted = dark_spot(np.stack([TILES[0].pixels, TILES[2].pixels]))
    assert calm < 20 < 60 < spotted


def scores(*values: float) -> Any:
    return np.array(values, np.float32)


def test_auroc() -> None:
    assert auroc(scores(0, 1), scores(2, 3)) == 1.0
    assert auroc(scores(0, 3), scores(1, 3)) == 0.625


def test_alarms_are_runs_of_frames_and_counts_are_summed() -> None:
    one = verdicts(1.0, scores(0, 2), scores(3, 0.5), scores(2, 2, 0, 2))
    assert (one["found"], one["wrong"], one["belt_above"], one["belt_alarms"]) == (1, 1, 3, 2)
    assert one["above_belt"] == 1
    both: Any = together([one, one | {"auroc": 1.0}])
    assert both["auroc"] == [0.75, 1.0] and both["auroc_mean"] == 0.875
    assert both["belt_alarms"] == 4 and both["belt_frames"] == 8


def test_the_text_says_where_the_simple_rule_is_as_good() -> None:
    def row(mean: float, found: int, alarms: float, above: int) -> dict[str, float]:
        return {
            "auroc_mean": mean,
            "found": found,
            "defective": 9,
            "false_alarms_an_hour": alarms,
            "above_belt": above,
        }

    told = verdict(
        {
            "class, all materials": {"A": row(0.9, 5, 0, 3), "B": row(1.0, 9, 3, 9)},
            "dark spot": {"A": row(1.0, 6, 2, 4), "B": row(0.9, 9, 1, 9)},
        }
    )
    assert "as well as the model on A," in told and "more at its limit on A." in told
    assert "more false alarms on A;" in told and "whole belt on A, fewer on no material" in told
    assert "misses 4 of 9 on A;" in told


@pytest.fixture(scope="module")
def shipped() -> ImageManifest:
    return read_image_manifest((images.PACKAGE / "manifest.json").read_bytes())


def test_the_card_is_the_manifests(shipped: ImageManifest) -> None:
    path = images.ROOT / "docs" / "models" / f"{shipped.name}.md"
    assert path.read_text() == card(shipped)


def test_the_manifest_is_the_recipes(shipped: ImageManifest) -> None:
    again = describe(
        shipped.threshold, shipped.metrics, shipped.versions, shipped.data["sha256"], {}
    )
    assert again.model_copy(update={"files": shipped.files}) == shipped


def write(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def test_the_data_set_is_read_by_sample_and_its_masks_are_turned(tmp_path: Path) -> None:
    for material in piped.MATERIALS:
        root = tmp_path / "data" / material
        for sample in range(1, 7):
            pixels = np.full((128, 127 if sample == 2 else 128, 3), (1, 2, 3), np.uint8)
            write(root / "NoDefects" / f"{material}_S_ND_0{sample}_1.bmp", pixels)
            write(root / "Defects" / f"{material}_S_D_0{sample}_1.bmp", pixels)
            mask = np.full(pixels.shape[:2], 255, np.uint8)
            mask[5, 6] = 0
            write(root / "Defects" / "GroundTruth" / f"{material}_S_GT_0{sample}_1.bmp", mask)
    found = piped.load(tmp_path)
    assert list(found) == list(piped.MATERIALS)
    tiles = found[BELT_MATERIAL]
    assert [tile.defective for tile in tiles] == [False] * 6 + [True] * 6
    assert [tile.part for tile in tiles] == list(range(6)) * 2
    assert {tile.pixels.shape for tile in tiles} == {(128, 128, 3)}
    assert tiles[0].pixels[0, 0].tolist() == [3, 2, 1]
    assert np.argwhere(tiles[7].mask).tolist() == [[5, 6]]
    assert golden_pictures(found, (4, 5)).shape == (10, 128, 128, 3)
    before = piped.fingerprint(tmp_path)
    write(tmp_path / "data" / BELT_MATERIAL / "NoDefects" / "x_01_9.bmp", pixels)
    assert piped.fingerprint(tmp_path) != before


def test_without_the_data_set_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no PIPED images"):
        piped.load(tmp_path)


@needs_data
def test_the_belt_that_ships_is_of_samples_that_did_not_train(tmp_path: Path) -> None:
    assert ship_belt(DATA, tmp_path) == 32
    for path in sorted(tmp_path.rglob("*.png")):
        mine = images.BELT / path.relative_to(tmp_path)
        now, before = (np.asarray(cv2.imread(str(one))) for one in (path, mine))
        assert np.array_equal(now, before), path.name
        assert int(path.stem.split("_")[-2]) > 8


@needs_data
def test_the_model_was_trained_on_this_data(shipped: ImageManifest) -> None:
    assert piped.fingerprint(DATA) == shipped.data["sha256"]


@needs_data
def test_the_simple_rule_tells_all_tiles_apart() -> None:
    for tiles in piped.load(DATA).values():
        found = dark_spot(np.stack([tile.pixels for tile in tiles]))
        shows = np.array([tile.defective for tile in tiles])
        assert auroc(found[~shows], found[shows]) == 1.0
