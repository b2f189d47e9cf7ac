"""A seeded plant and its readings: 200 pipelines of four signals, with withdrawals, rows out of
order and late, repeated rows, gaps and silences. What windows it must give is counted here from
the input alone, in the plainest way, without any of the product's window code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.headers import NO_TIME
from contracts.readings import Column, Position, ReadingBatch

START_US = 1_700_000_000_000_000
PERIOD_US = 100_000
WIDTH_US, HOP_US, LATENESS_US = 3_000_000, 500_000, 300_000
DISORDER_US = 400_000
SIGNALS = ("flow1", "flow2", "pre1", "pre2")
COLUMNS = tuple(Column(signal) for signal in SIGNALS)
DETECTORS = ("balance", "model", "pressure")

PLANT = """
vigia: 1
kafka: {{prefix: {prefix}, partitions: {partitions}}}
spool: {{backfill_after: 1h}}
sites:
  - id: chaos
    assets:
{assets}
signal_sets:
  line:
    rows: {{period: 100ms}}
    lateness: 500ms
    idle: 1h
    signals:
{signals}
detectors:
  - id: balance
    kind: imbalance
    assets: ["chaos/a*"]
    window: {{width: 3s, hop: 500ms, lateness: 300ms}}
    inlet: flow1
    outlet: flow2
    limit: 0.02
    baseline: {{{baseline}}}
  - id: pressure
    kind: limit
    assets: ["chaos/a*"]
    window: {{width: 3s, hop: 500ms, lateness: 300ms}}
    signal: pre1
    high: 0.31
  - id: model
    kind: autoencoder
    assets: ["chaos/a*"]
    window: {{width: 3s, hop: 500ms, lateness: 300ms}}
    package: model
{seen}alarms:
  - {{id: theft, detector: balance, severity: critical, on_delay: 1s, off_delay: 2s}}
  - {{id: strange, detector: model, on_delay: 1s, off_delay: 1s, deadband: 0.1}}
  - {{id: pressure-high, detector: pressure, off_delay: 500ms}}
"""


SIGNAL = (
    '      - {{id: {0}, topic: "x/{{asset}}", items: /rows, pointer: /{0}, time: /t, '
    "time_format: us}}"
)
SEEN = """  - id: overfill
    kind: limit
    assets: ["tanks/t*"]
    window: {width: 3s, hop: 500ms, lateness: 300ms}
    signal: level
    high: 75
  - id: eyes
    kind: instrument
    assets: ["tanks/t*"]
    window: {width: 3s, hop: 500ms, lateness: 300ms}
"""
SEEN_ALARMS = """  - {id: overfilled, detector: overfill, severity: critical, off_delay: 1s}
  - {id: blind, detector: eyes, class: instrument}
"""


def write_plant(
    folder: Path, assets: list[str], prefix: str, partitions: int, tanks: Sequence[str] = ()
) -> Path:
    """The plant file, and beside it the shipped model fitted to these assets."""
    shipped = Path(__file__).parents[2] / "models" / "whut-lstm"
    model = folder / "model"
    if not model.exists():
        shutil.copytree(shipped, model)
        manifest = json.loads((model / "manifest.json").read_text())
        like = manifest["assets"]["whut/pumps-2"]
        manifest["assets"] |= {asset: {**like, "centre": [0.016, -1.30, -1.28]} for asset in assets}
        (model / "manifest.json").write_text(json.dumps(manifest))
    names = "\n".join(f"      - {{id: {a.split('/')[1]}, signals: line}}" for a in assets)
    if tanks:
        # A site of its own: the edge of the sensors must not take these cameras for its own.
        names += "\n  - id: tanks\n    assets:"
    names += "".join(
        f"\n      - {{id: {t.split('/')[1]}, camera: {{kind: thermal, folder: none}}}}"
        for t in tanks
    )
    baseline = ", ".join(f"{asset}: 0.016" for asset in assets)
    path = folder / f"{prefix}.yaml"
    path.write_text(
        PLANT.format(
            prefix=prefix,
            partitions=partitions,
            assets=names,
            baseline=baseline,
            signals="\n".join(map(SIGNAL.format, SIGNALS)),
            seen=SEEN if tanks else "",
        )
        + (SEEN_ALARMS if tanks else "")
    )
    return path


@dataclass
class _Line:
    """One asset as an edge would write it."""

    asset: str
    r: np.random.Generator
    now: int = START_US
    position: Position = field(default_factory=lambda: Position(0))
    newest: int = NO_TIME
    behind: list[NDArray[np.float64]] = field(default_factory=list)
    stolen: float = 0.0

    def rows(self, count: int) -> NDArray[np.float64]:
        """float64 [n, 5]: time and four signals, about `count` of them, not in order."""
        r = self.r
        if r.random() < 0.01:
            self.now += int(r.integers(10, 300)) * PERIOD_US
        if r.random() < 0.08:
            self.stolen = float(r.choice([0.0, 0.0, 0.03, 0.08]))
        times = self.now + np.arange(1, count + 1) * PERIOD_US
        self.now = int(times[-1])
        inlet = 1.0 + 0.1 * np.sin(times / 6e7) + r.normal(0, 0.002, count)
        outlet = inlet * (0.984 - self.stolen) + r.normal(0, 0.002, count)
        noise = r.normal(0, 0.003, (count, 2))
        made: NDArray[np.float64] = np.column_stack(
            (
                times,
                inlet,
                outlet,
                np.exp(-1.30 + noise[:, 0]) * inlet**2,
                np.exp(-1.28 + noise[:, 1]) * outlet**2,
            )
        )
        return self._disorder(made)

    def _disorder(self, made: NDArray[np.float64]) -> NDArray[np.float64]:
        r = self.r
        late = r.random(len(made)) < 0.05
        parts = [made[~late]]
        if self.behind and r.random() < 0.5:
            parts += self.behind
            self.behind = []
        self.behind += [made[late]]
        if r.random() < 0.05:
            parts.append(made[~late][:2])
        rows = np.concatenate(parts)
        r.shuffle(rows)
        return rows

    def write(self, rows: NDArray[np.float64], watermark: int) -> ReadingBatch:
        here = Position(
            self.position.sequence,
            self.position.wm_after_us,
            max(self.position.wm_after_us, watermark),
            max(self.position.max_before_us, self.newest),
            START_US + self.position.sequence,
        )
        times = rows[:, 0].astype(np.int64)
        values = np.ascontiguousarray(rows[:, 1:])
        quality = np.zeros(values.shape, np.uint8)
        batch = ReadingBatch(self.asset, here, COLUMNS, times, values, quality)
        self.position = Position(here.sequence + 1, 0, here.wm_after_us, here.max_before_us)
        self.newest = batch.newest_us
        return batch

    def watermark(self, rows: NDArray[np.float64]) -> int:
        newest = max(self.newest, self.position.max_before_us, int(rows[:, 0].max(initial=0)))
        return newest - DISORDER_US + 1


def batches(seed: int, assets: list[str], rows: int, size: int = 20) -> list[ReadingBatch]:
    """Exactly `rows` rows, and a last heartbeat of each asset that closes its windows."""
    r = np.random.default_rng(seed)
    lines = [_Line(asset, np.random.default_rng([seed, i])) for i, asset in enumerate(assets)]
    found: list[ReadingBatch] = []
    left = rows
    while left > 0:
        line = lines[int(r.integers(len(lines)))]
        made = line.rows(int(r.integers(1, 2 * size)))[:left]
        left -= len(made)
        found.append(line.write(made, line.watermark(made)))
    for line in lines:
        found.append(line.write(np.empty((0, 5)), line.now + 60_000_000))
    return found


class Rows(Protocol):
    """What windows are counted from: a batch of readings, or a frame."""

    @property
    def asset(self) -> str: ...
    @property
    def position(self) -> Position: ...
    @property
    def times_us(self) -> NDArray[np.int64]: ...


def count_windows(log: Sequence[Rows]) -> set[tuple[str, int]]:
    """Every (asset, window start) that at least one row reaches in time."""
    expected = set()
    for batch in log:
        for t in batch.times_us.tolist():
            start = t - t % HOP_US
            while start > t - WIDTH_US:
                if start + WIDTH_US + LATENESS_US > batch.position.wm_before_us:
                    expected.add((batch.asset, start))
                start -= HOP_US
    return expected
