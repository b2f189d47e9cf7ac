"""What the chaos harness sends is what it says: bounded disorder, rows twice, and rows far too
late, so that what must come of it does not depend on how it is cut into batches."""

from __future__ import annotations

from collections import Counter

import orjson

from tests.chaos.feed import DISORDER_US, LATE_ROWS, LATENESS_US, in_time, messages, windows_of
from tests.chaos.tanks import FrameMessage, Tanks

ASSETS = ["chaos/a", "chaos/b"]


def test_rows_are_in_time_or_too_late_by_far() -> None:
    sent = list(messages(3, ASSETS, 40_000))
    seen: dict[str, list[int]] = {asset: [] for asset in ASSETS}
    newest = dict.fromkeys(ASSETS, 0)
    late = Counter[str]()
    for message in sent:
        assert [row["t"] for row in orjson.loads(message.payload)["rows"]] == list(message.times_us)
        for time_us in message.times_us:
            asset = message.asset
            if time_us in seen[asset]:
                late["twice"] += 1
            elif time_us < newest[asset] - DISORDER_US:
                later = sum(t > time_us for t in seen[asset][-LATE_ROWS - 200 :])
                assert later > LATE_ROWS - 100 and time_us < newest[asset] - LATENESS_US
                late["late"] += 1
            newest[asset] = max(newest[asset], time_us)
            seen[asset].append(time_us)
    assert late["twice"] > 100 and late["late"] > 30
    rows = in_time(sent)
    assert sum(map(len, rows.values())) + late["late"] == sum(len(set(s)) for s in seen.values())


def test_windows_are_those_with_a_row_that_ended() -> None:
    rows = {"a": {10_000_000, 10_100_000, 20_000_000}}
    starts = {start for _, start in windows_of(rows)}
    # Those of 3 s by 0.5 s that have one of the first two; those with the last row end after it.
    assert starts == {7_500_000 + 500_000 * n for n in range(6)}


def test_frames_of_a_tank_follow_each_other_as_an_edge_writes_them() -> None:
    last: dict[str, FrameMessage] = {}
    for frame in Tanks(402, ["tanks/a", "tanks/b"]).frames(2_000):
        before = last.get(frame.asset)
        if before is not None:
            assert frame.position.sequence == before.position.sequence + 1
            assert frame.position.wm_before_us == before.position.wm_after_us
            assert frame.position.max_before_us == before.times_us[0] < frame.times_us[0]
        last[frame.asset] = frame
