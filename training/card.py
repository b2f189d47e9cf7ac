"""The model card, written from the manifest alone."""

from __future__ import annotations

from typing import Any

from stream.core.manifest import Manifest


def card(manifest: Manifest) -> str:
    """Markdown: what the model sees, was fitted on, finds and misses."""
    return "\n".join([*_head(manifest), *_assets(manifest), *_metrics(manifest), *_foot(manifest)])


def _head(manifest: Manifest) -> list[str]:
    window = manifest.window
    return [
        f"# {manifest.name} {manifest.version}",
        "",
        "Written by `make models`; the figures are those of `manifest.json`.",
        "",
        f"An LSTM autoencoder on windows of {window.rows} rows ({window.width_us / 1e6:g} s, every "
        f"{window.hop_us / 1e6:g} s). The score is the mean absolute error of the rebuilt "
        "features, in spreads. It is trained on the history of the five runs alone; rows with a "
        "pulse of the outlet meter are masked, so a pulse is an instrument's fault and no score.",
        "",
        "| feature | of | smallest spread |",
        "|---|---|---|",
        *(
            f"| `{f.name}` | {f.kind} of {', '.join(f.signals)} | {f.floor:g} |"
            for f in manifest.features
        ),
        "",
    ]


def _assets(manifest: Manifest) -> list[str]:
    rows = [
        f"| {asset} | {', '.join(f'{c:.4f}' for c in spec.centre)} "
        f"| {', '.join(f'{s:.4f}' for s in spec.spread)} | {spec.threshold:.3f} |"
        for asset, spec in manifest.assets.items()
    ]
    return [
        "| asset | centre | spread | threshold |",
        "|---|---|---|---|",
        *rows,
        "",
        str(manifest.metrics["budget"]),
        "",
    ]


def _metrics(manifest: Manifest) -> list[str]:
    judges: dict[str, Any] = {key: manifest.metrics[key] for key in ("model", "rule")}
    lines = ["## On rows that were never fitted on", ""]
    lines += ["`rule` is the median imbalance of a window against its asset's centre.", ""]
    lines += ["| held out, as recorded | windows | not measured | false windows | false alarms |"]
    lines += ["|---|---|---|---|---|"]
    for judge, found in judges.items():
        for asset, row in found["held_out"].items():
            lines.append(f"| {judge}, {asset}, {row['seconds']} s | {_counts(row)} |")
    for judge, found in judges.items():
        for name, row in found["pump_changes"].items():
            text = f"{judge}, {row['changes']} pump changes, {name}"
            lines.append(f"| {text} | {_counts(row)} |")
    lines += ["", "| withdrawal | judge | found | delay median | delay at most |"]
    lines += ["|---|---|---|---|---|"]
    for judge, found in judges.items():
        for size, row in found["withdrawals"].items():
            lines.append(
                f"| {size} | {judge} | {row['found']} of {row['events']} "
                f"| {row['delay_median_s']:.1f} s | {row['delay_max_s']:.1f} s |"
            )
    return [*lines, "", *_speed(manifest)]


def _counts(row: dict[str, int]) -> str:
    keys = ("windows", "not_measured", "false_windows", "false_alarms")
    return " | ".join(str(row[key]) for key in keys)


def _speed(manifest: Manifest) -> list[str]:
    return [
        "A false alarm is one after an on-delay of 2 s. A withdrawal is held 8 s after a ramp of "
        "0.5 to 3 s; the delay counts from its start and holds window, ramp and on-delay.",
        "",
    ]


def _foot(manifest: Manifest) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return [
        "## What it is not",
        "",
        "It was seen on one rig in one afternoon, and the withdrawals are computed, not real. "
        "Where the outlet lags the inlet by more than a row, a pump change looks like a loss while "
        "it lasts.",
        "",
        f"Data: {manifest.credit}. {manifest.licence}.",
        f"Data file SHA-256 `{manifest.data['sha256']}`; model SHA-256 `{manifest.sha256}`.",
        f"Built with {versions}.",
        "",
    ]
