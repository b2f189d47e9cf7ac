"""Kafka and the MQTT broker: away, restarted, without a topic; and a disk that fills meanwhile."""

from __future__ import annotations

import asyncio
import time

from broker.admin import admin
from contracts.messages import Transition
from tests.faults.meters import USUAL, now_us
from tests.faults.plant import BACKFILL_S, HIGH
from tests.faults.row import Found
from tests.faults.world import World
from tests.processes.small_disk import fill

AWAY_S, OUTAGE_S = 120.0, 3.0 * BACKFILL_S
EPISODE_S = 6.0
PAST, STANDING = "works/m0", "works/m1"


async def kafka_away(world: World) -> Found:
    """Two minutes without Kafka."""
    since, detect_s = time.monotonic(), await _gone(world)
    await asyncio.sleep(AWAY_S - (time.monotonic() - since))
    kept = _kept(world)
    recover_s = await _back(world)
    told = f"Kafka away for {AWAY_S:.0f} s"
    return Found(told, {"the disk kept what came": kept > 0}, detect_s, recover_s)


async def kafka_restarted(world: World) -> Found:
    """Stopped in order and started again at once."""
    await asyncio.to_thread(world.kafka.stop)
    recover_s = await _back(world)
    return Found("Kafka stopped and started again", {}, None, recover_s, "over before it is told")


async def outage(world: World) -> Found:
    """One thing happens and ends while Kafka is away, and another still holds when it is back."""
    raised = await _raised(world)
    known = len(world.follower.alerts)
    detect_s = await _gone(world)
    await _episode(world, PAST)
    world.meters.flow[STANDING] = 1.6 * HIGH
    await asyncio.sleep(OUTAGE_S)
    recover_s = await _back(world)
    await world.until(lambda: _stands(world, STANDING), "what still holds was not told")
    told = [(one.asset, one.transition, one.backfill) for one in world.follower.alerts[known:]]
    counted = await _raised(world) - raised
    past_stands = await _stands(world, PAST)
    world.meters.flow[STANDING] = USUAL
    await world.until(lambda: _stands_not(world, STANDING), "it was not cleared")
    ever = [one for one in world.follower.alerts[known:] if one.asset == PAST]
    live = (STANDING, Transition.RAISED, False)
    held = {
        "what is past is on record": any(one.backfill for one in ever),
        "it paged nobody": all(one.backfill for one in ever) and not past_stands,
        "what still holds was told once": told.count(live) == 1,
        "the exporter counted that one alone": counted == 1,
    }
    done = f"Kafka away longer than backfill_after ({BACKFILL_S} s): an alarm past, one that holds"
    return Found(done, held, detect_s, recover_s)


async def _episode(world: World, asset: str) -> None:
    world.meters.flow[asset] = 1.6 * HIGH
    await asyncio.sleep(EPISODE_S)
    world.meters.flow[asset] = USUAL
    await asyncio.sleep(EPISODE_S)


async def _raised(world: World) -> float:
    labels = {"transition": "raised", "severity": "critical"}
    return await world.metric("vigia_alerts_total", **labels) or 0.0


async def _stands(world: World, asset: str) -> bool:
    return await world.metric("vigia_alarm_active", asset=asset, rule="high") == 1


async def _stands_not(world: World, asset: str) -> bool:
    return await world.metric("vigia_alarm_active", asset=asset, rule="high") == 0


async def _gone(world: World) -> float:
    """Stops Kafka; the seconds until the edge says so."""
    said = len(world.log("edge"))
    since = time.monotonic()
    await asyncio.to_thread(world.kafka.stop)
    await world.until(
        lambda: "Kafka does not answer" in world.log("edge")[said:], "the edge did not notice"
    )
    return time.monotonic() - since


async def _back(world: World) -> float:
    """Starts Kafka; the seconds until all is live again, from when it answers."""
    await asyncio.to_thread(world.kafka.start)
    since = time.monotonic()
    await asyncio.sleep(3)
    await world.recovered()
    return time.monotonic() - since


def _kept(world: World) -> int:
    """Bytes of the edge's spool."""
    return sum(file.stat().st_size for file in world.spool.rglob("readings.db*"))


async def mqtt_restarted(world: World) -> Found:
    """Stopped in order; sensors keep what they have for three seconds."""
    said = len(world.run.text)
    since = time.monotonic()
    await asyncio.to_thread(world.mqtt.stop)
    told = await world.said("no connection to the MQTT broker", said)
    await asyncio.sleep(max(0.0, 3 - told))
    detect_s = min(told, time.monotonic() - since)
    await asyncio.to_thread(world.mqtt.start)
    back = time.monotonic()
    await asyncio.sleep(3)
    await world.recovered()
    return Found("the MQTT broker stopped and started again", {}, detect_s, time.monotonic() - back)


async def topic_vanishes(world: World) -> Found:
    """Somebody deletes vigia.readings while all run. The sensors rest for a moment before, so that
    all that is on it was read."""
    said = len(world.run.text)
    workers = {room: await asyncio.to_thread(world.pid, room) for room in ("worker", "second")}
    world.meters.paused = True
    await asyncio.sleep(1)
    await world.until(lambda: not world.missing(now_us()), "not all is on the log")
    since = time.monotonic()
    async with admin(world.kafka.bootstrap) as client:
        await client.delete_topics([f"{world.prefix}.readings"])
    world.meters.paused = False
    detect_s = await world.said("was gone, with all that was in it", said)
    world.follower.anew("readings")
    await asyncio.sleep(3)
    await world.recovered()
    now = {room: await asyncio.to_thread(world.pid, room) for room in workers}
    held = {"the workers began anew": now != workers}
    return Found(
        "vigia.readings deleted while all run",
        held,
        detect_s,
        time.monotonic() - since,
        "windows that were open when their rows were deleted are not decided",
        excused=("windows_missing", "windows_wrong"),
    )


async def disk_full(world: World) -> Found:
    """Kafka away, and the disk of the spool full to the last byte."""
    said = len(world.log("edge"))
    await _gone(world)
    filler = await asyncio.to_thread(fill, world.spool)
    since = time.monotonic()
    await world.until(
        lambda: "are not kept on disk" in world.log("edge")[said:], "the edge did not say so"
    )
    detect_s = time.monotonic() - since
    await asyncio.sleep(8)
    full = filler.stat().st_size > 0
    recover_s = await _back(world)
    filler.unlink()
    return Found(
        "Kafka away and the spool's disk (16 MB) full", {"it was full": full}, detect_s, recover_s
    )
