"""The plants and the readings that are measured: pipelines of four signals at 10 Hz, in order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.headers import NO_TIME
from contracts.readings import Column, Position, ReadingBatch
from tests.chaos.world import PERIOD_US, SIGNALS, START_US

LIKE = "whut/pumps-2"
NORMAL = 0.016
COLUMNS = tuple(Column(signal) for signal in SIGNALS)
WINDOW_ROWS, HOP_ROWS = 30, 5


def assets_of(count: int) -> list[str]:
    """The keys of `count` assets."""
    return [f"bench/a{number:03d}" for number in range(count)]


def write_plant(
    folder: Path,
    assets: list[str],
    prefix: str,
    detectors: tuple[str, ...],
    period_us: int = PERIOD_US,
) -> Path:
    """A plant file with some of the detectors `balance` and `model`, each with its alarm. The
    package of the model is made where there is none, for windows of rows so far apart."""
    width, hop = WINDOW_ROWS * period_us, HOP_ROWS * period_us
    window = f"{{width: {width // 1000}ms, hop: {hop // 1000}ms}}"
    known = {
        "balance": f"{{id: balance, kind: imbalance, window: {window}, inlet: flow1, "
        f"outlet: flow2, limit: 0.012, baseline: {json.dumps(dict.fromkeys(assets, NORMAL))}}}",
        "model": f"{{id: model, kind: autoencoder, window: {window}, package: model}}",
    }
    every = f"{period_us // 1000}ms"
    signals = [
        f"{{id: {signal}, topic: 'bench/{{asset}}', pointer: /{signal}, time: /t}}"
        for signal in SIGNALS
    ]
    lines = [
        "vigia: 1",
        f"kafka: {{prefix: {prefix}}}",
        "sites:",
        "  - id: bench",
        "    assets:",
        *(f"      - {{id: {asset.split('/')[1]}, signals: line}}" for asset in assets),
        "signal_sets:",
        f"  line: {{rows: {{period: {every}}}, lateness: 0, signals: [{', '.join(signals)}]}}",
        "detectors:",
        *(f"  - {known[name]}" for name in detectors),
        "alarms:",
        *(f"  - {{id: {name}-alarm, detector: {name}}}" for name in detectors),
    ]
    path = folder / f"{prefix}.yaml"
    path.write_text("\n".join(lines))
    _fit(folder / "model", assets, width)
    return path


def _fit(model: Path, assets: list[str], width_us: int) -> None:
    """The shipped package, with the scaling of one rig asset for all these."""
    if model.exists():
        return
    shutil.copytree(Path(__file__).parents[2] / "models" / "whut-lstm", model)
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["assets"] |= {asset: manifest["assets"][LIKE] for asset in assets}
    manifest["window"]["width_us"] = width_us
    (model / "manifest.json").write_text(json.dumps(manifest))


def batches(assets: list[str], rows: int, size: int) -> list[ReadingBatch]:
    """About `rows` rows in batches of `size`, asset by asset in turn, and at the end a heartbeat
    of each asset that closes its windows."""
    r = np.random.default_rng(0)
    found = []
    for number in range(rows // (len(assets) * size)):
        times = START_US + (number * size + np.arange(size, dtype=np.int64)) * PERIOD_US
        before = int(times[0]) - PERIOD_US if number else NO_TIME
        watermark = before + 1 if number else NO_TIME
        position = Position(number, watermark, int(times[-1]) + 1, before, int(times[-1]))
        for asset in assets:
            values = signals_of(r, size)
            quality = np.zeros(values.shape, np.uint8)
            found.append(ReadingBatch(asset, position, COLUMNS, times, values, quality))
    last = Position(number + 1, int(times[-1]) + 1, int(times[-1]) + 60_000_000, int(times[-1]))
    return found + [_heartbeat(asset, last) for asset in assets]


def signals_of(r: np.random.Generator, rows: int) -> NDArray[np.float64]:
    """float64 [rows, 4]: what a pipeline that loses nothing sends."""
    inlet = 1 + r.normal(0, 0.002, rows)
    outlet = inlet * (1 - NORMAL) + r.normal(0, 0.002, rows)
    pressure = (np.exp(-1.30) * inlet**2, np.exp(-1.28) * outlet**2)
    return np.column_stack((inlet, outlet, *pressure))


def _heartbeat(asset: str, position: Position) -> ReadingBatch:
    none = np.empty((0, len(COLUMNS)))
    return ReadingBatch(
        asset, position, COLUMNS, np.empty(0, np.int64), none, none.astype(np.uint8)
    )
