"""The model card, written from the manifest alone."""

from __future__ import annotations

from typing import Any

from stream.core.manifest import ImageManifest


def card(manifest: ImageManifest) -> str:
    """Markdown: what the model sees, was fitted on, finds and misses."""
    return "\n".join([*_head(manifest), *_tables(manifest), *_foot(manifest)])


def _head(manifest: ImageManifest) -> list[str]:
    (width, height), (columns, rows) = manifest.size, manifest.heat
    return [
        f"# {manifest.name} {manifest.version}",
        "",
        "Written by `make models`; the figures are those of `manifest.json`.",
        "",
        f"Says whether a picture of {width} x {height} pixels, RGB, shows a defect of a surface. "
        "The first five blocks of EfficientNet-Lite0 with ImageNet weights, frozen, then a small "
        f"head that gives each of {columns} x {rows} cells its own probability (the heat map). The "
        "score is that of the highest cell.",
        "",
        str(manifest.metrics["budget"]),
        f"The logit is moved so that this limit is the threshold {manifest.threshold:g}.",
        "",
    ]


def _tables(manifest: ImageManifest) -> list[str]:
    judges: Any = manifest.metrics["judges"]
    lines = ["## On samples that were never fitted on", "", str(manifest.metrics["split"]), ""]
    lines += [
        "| judge | material | AUROC by fold | found | good tiles above | false alarms/h "
        "| above the whole belt |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, materials in judges.items():
        for material, row in materials.items():
            folds = ", ".join(f"{value:.3f}" for value in row["auroc"])
            lines.append(
                f"| {name} | {material} | {folds} (mean {row['auroc_mean']:.3f} "
                f"± {row['auroc_spread']:.3f}) | {row['found']} of {row['defective']} "
                f"| {row['wrong']} of {row['normal']} | {row['false_alarms_an_hour']:g} "
                f"| {row['above_belt']} of {row['defective']} |"
            )
    return [*lines, "", str(manifest.metrics["belt"]), ""]


def _foot(manifest: ImageManifest) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return [
        f"The package holds `class, all materials`, {manifest.metrics['shipped']}. `one-class` is "
        "the Mahalanobis distance of a cell's features from those of normal pictures alone; `dark "
        "spot` is how far the darkest blurred spot lies below the median of its picture, and needs "
        "no model.",
        "",
        "## What it is not",
        "",
        str(manifest.metrics["verdict"]),
        "",
        "Defects here are dark and on five known materials; of others nothing is known. The "
        "normal belt is made of few tiles in random order, so its hours are no independent hours.",
        "",
        f"Data: {manifest.credit}. {manifest.licence}.",
        f"Data SHA-256 `{manifest.data['sha256']}`; model SHA-256 `{manifest.sha256}`.",
        f"Built with {versions}.",
        "",
    ]
