"""The edge on real brokers: what comes becomes rows, what is broken becomes dead letters."""

from __future__ import annotations

from pathlib import Path

from contracts.headers import NO_TIME
from contracts.readings import Quality
from tests.conftest import RunningKafka
from tests.integration.edge_world import (
    Log,
    check_chain,
    edge_process,
    make_topics,
    now_us,
    plant_text,
    publisher,
    rows_of,
)
from tests.processes.mosquitto import Mosquitto


async def test_values_become_rows_and_everything_is_accounted_for(
    kafka: RunningKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(kafka.bootstrap, prefix)
    log, begin = Log(kafka.bootstrap, prefix), now_us()
    with (
        edge_process(
            tmp_path, plant_text(prefix, assets=3), kafka.bootstrap, mosquitto.port
        ) as edge,
        publisher(mosquitto.port) as device,
    ):
        for number in range(50):
            for asset in ("a0", "a1", "a2"):
                device.row(asset, begin + number * 1000, number)
        device.settle()

        async def all_there(log: Log) -> bool:
            rows = rows_of(await log.batches())
            return sum(map(len, rows.values())) == 150

        await log.until(all_there)
        assert edge.terminate() == 0
    batches = await log.batches()
    check_chain(batches)
    expected = {begin + number * 1000: [float(number)] * 2 for number in range(50)}
    assert rows_of(batches) == {f"rig/a{i}": expected for i in range(3)}
    assert {batch.columns[0].clock for batch in batches} == {"source"}
    status = await log.status()
    assert status is not None
    messages, readings = status.account["edge.mqtt"], status.account["edge.rows"]
    assert (messages.taken_in, messages.gone_out, messages.held) == (300, 300, 0)
    assert (readings.taken_in, readings.gone_out, readings.held) == (300, 300, 0)


async def test_broken_payloads_and_the_year_2099_become_dead_letters(
    kafka: RunningKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(kafka.bootstrap, prefix)
    log, begin = Log(kafka.bootstrap, prefix), now_us()
    year_2099 = 4_070_908_800_000_000
    with (
        edge_process(tmp_path, plant_text(prefix), kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        device.row("a0", begin, 1.0)
        device.send("rig/a0/flow", b'{"t": 1, "value"')
        device.row("a0", year_2099, 2.0)
        device.send("rig/a0/flow", {"t": begin, "value": "7"})
        device.send("rig/a0/flow", bytes(3_000_000))
        device.row("a0", begin + 1000, 3.0)
        device.settle()

        async def all_there(log: Log) -> bool:
            there = rows_of(await log.batches()).get("rig/a0", {})
            return len(there) == 2 and len(await log.letters()) == 5

        await log.until(all_there)
        assert edge.terminate() == 0
    batches = await log.batches()
    assert set(rows_of(batches)["rig/a0"]) == {begin, begin + 1000}
    assert all(b.position.wm_after_us <= begin + 1001 for b in batches)
    letters = await log.letters()
    reasons = sorted(reason for reason, _ in letters)
    assert reasons == ["future", "future", "not-json", "too-large", "type"]
    assert ("not-json", b'{"t": 1, "value"') in letters
    status = await log.status()
    assert status is not None
    account = status.account["edge.mqtt"]
    assert (account.taken_in, account.gone_out, account.held) == (9, 4, 0)
    assert account.dropped == {"not-json": 1, "future": 2, "too-large": 1, "type": 1}


async def test_a_silent_sensor_is_said_and_its_heartbeats_move_the_watermark(
    kafka: RunningKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(kafka.bootstrap, prefix)
    log, begin = Log(kafka.bootstrap, prefix), now_us()
    plant = plant_text(prefix, idle="500ms", lateness="100ms")
    with (
        edge_process(tmp_path, plant, kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        device.row("a0", begin, 1.0)
        device.send("rig/a0/flow", {"t": begin + 1, "value": -5.0})
        device.settle()
        edge.wait_until(lambda: edge.said("rig/a0 flow: out-of-range") > 0)
        edge.wait_until(lambda: edge.said("rig/a0 pressure: silent") > 0)

        async def beats(log: Log) -> bool:
            batches = await log.batches()
            return sum(bool((b.quality == Quality.MISSING).all()) for b in batches) >= 4

        await log.until(beats)
        assert edge.terminate() == 0
    batches = await log.batches()
    check_chain(batches)
    assert set(rows_of(batches)["rig/a0"]) == {begin, begin + 1}
    missing = Quality.MISSING
    silent = [b for b in batches if len(b.times_us) and (b.quality == missing).all()]
    for batch in silent:
        assert batch.position.wm_before_us <= batch.newest_us < batch.position.wm_after_us
    marks = [batch.position.wm_after_us for batch in batches]
    assert NO_TIME < marks[0] <= begin + 1
    assert begin < marks[-1] < now_us() - 600_000
    status = await log.status()
    assert status is not None
    assert {source.state for source in status.sources} == {"silent"}
