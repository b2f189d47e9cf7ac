"""`python -m training`: rebuild the pipeline rig's model; `images`: the image model.

`data` and `belt` rebuild the data files that ship.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stream.core.manifest import Package
from training import recipe, whut
from training.card import card
from training.evaluation import Judge, Rule, Threshold, false_alarms, pump_changes, withdrawals
from training.fitting import Fitted, fit, training_windows
from training.images import build
from training.images.card import card as image_card
from training.package import describe, golden, thresholds, write

ROOT = Path(__file__).parents[1]
EVALUATION_SEED = 7


def main(arguments: list[str]) -> int:
    """Build a model (`models`, the default, or `images`) or shipped data (`data`, `belt`)."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("models", help="rebuild models/ and docs/models/ from the shipped data")
    data = commands.add_parser("data", help="rebuild the shipped data file")
    data.add_argument("folder", type=Path, help="folder of the original CSV files")
    for name, text in (
        ("images", "rebuild the image model and its card from the PIPED data set"),
        ("belt", "rebuild the tiles of the demo's belt from the PIPED data set"),
    ):
        commands.add_parser(name, help=text).add_argument("folder", type=Path)
    chosen = parser.parse_args(arguments)
    match chosen.command:
        case "data":
            return ship_data(chosen.folder)
        case "images":
            return build_images(chosen.folder)
        case "belt":
            tiles = build.ship_belt(chosen.folder, ROOT / "vigia" / "demo" / "data" / "belt")
            print(f"{tiles} tiles")
            return 0
    return build_models()


def ship_data(folder: Path) -> int:
    """Write the shipped data file and say what was left out."""
    for asset, (kept, dropped) in whut.ship(folder).items():
        print(f"{asset}: {kept} rows, {dropped} left out")
    return 0


def build_models() -> int:
    """Train, judge and write the model package and its card."""
    # TensorFlow takes seconds to import and is in an extra of its own.
    from training import autoencoder, versions

    fitted = tuple(fit(run) for run in whut.load())
    windows = training_windows(fitted)
    print(f"training {recipe.NAME} on {len(windows)} windows, {recipe.EPOCHS} epochs", flush=True)
    model = autoencoder.train(windows)
    scores = autoencoder.scorer(model)
    limits = thresholds(scores, fitted)
    print("judging it on the held-out rows", flush=True)
    metrics = evaluate(Threshold(scores, limits), fitted)
    files = {
        "model.onnx": autoencoder.to_onnx(model),
        "golden.npz": golden(scores, fitted, recipe.SEED),
    }
    manifest = describe(fitted, limits, metrics, versions.installed(), files)
    put(manifest, files, card(manifest))
    return 0


def build_images(folder: Path) -> int:
    """Train, judge and write the image model and its card. Where the data set is not in `folder`
    it says so and leaves them as they are."""
    if not (folder / "data").is_dir():
        print(f"{folder}: no PIPED data set here (make models PIPED=...); image model not rebuilt")
        return 0
    manifest, files = build.build(folder)
    put(manifest, files, image_card(manifest))
    return 0


def put(manifest: Package, files: dict[str, bytes], text: str) -> None:
    """Write a package and its card."""
    write(ROOT / "models" / manifest.name, manifest, files)
    out = ROOT / "docs" / "models" / f"{manifest.name}.md"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    print(text)


def evaluate(model: Judge, fitted: tuple[Fitted, ...]) -> dict[str, object]:
    """The manifest's metrics: the model and, beside it, the simple rule."""
    budget = (
        f"The threshold is {recipe.MARGIN:g} times the highest score of the validation part (the "
        f"last {1 - recipe.TRAIN_SHARE:.0%} of the history): no false window there, and none "
        "allowed for in what is held out."
    )
    return {"budget": budget} | {
        name: {
            "held_out": false_alarms(judge, fitted),
            "pump_changes": {
                text: pump_changes(judge, fitted, draws=50, lag=lag, seed=EVALUATION_SEED)
                for lag, text in enumerate(("both flows at once", "outlet 0.1 s late"))
            },
            "withdrawals": withdrawals(judge, fitted, draws=200, seed=EVALUATION_SEED),
        }
        for name, judge in (("model", model), ("rule", Rule()))
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
