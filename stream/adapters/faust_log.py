"""The log, read by Faust. Nothing else here knows Faust.

What Faust is used for: the consumer group, its rebalances, fetching, and committing. What it is
kept from: tables, windows, creating topics, its web server, reading the command line.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.errors import BrokerError
from contracts.record import Record
from stream.ports import Agent

# Importing faust looks for --datadir, -L and others among our own arguments.
_argv, sys.argv = sys.argv, sys.argv[:1]
import faust  # noqa: E402
from faust.assignor import PartitionAssignor  # noqa: E402

sys.argv = _argv

log = logging.getLogger(__name__)
MAX_WAITING = 1_000
MAX_TAKE = 250
LINGER_S = 0.002
_MISSING = "vigia_missing_topics"
STOP_S = 6.0
JOIN_S = 25.0


@dataclass(slots=True)
class _Lane:
    """One topic on its way from Faust to its agent: events wait here, and stay here until the
    agent says that their offsets are needed no more."""

    topic: str
    agent: Agent
    channel: Any
    waiting: deque[Any] = field(default_factory=deque)
    held: dict[int, deque[Any]] = field(default_factory=dict)
    assignment: frozenset[int] | None = None
    generation: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    space: asyncio.Event = field(default_factory=asyncio.Event)

    def forget(self) -> None:
        """A rebalance: what was read comes again, to whoever owns the partition then."""
        self.generation += 1
        self.waiting.clear()
        self.held.clear()
        self.assignment = None
        self.space.set()

    async def feed(self, generation: Callable[[], int]) -> None:
        """Takes over what Faust has fetched, all that is there at once."""
        queue = self.channel.queue
        while True:
            self._accept(await queue.get(), generation())
            while not queue.empty() and len(self.waiting) < MAX_WAITING:
                self._accept(queue.get_nowait(), generation())
            self.wake.set()
            if len(self.waiting) >= MAX_WAITING:
                self.space.clear()
                await self.space.wait()

    def _accept(self, event: Any, generation: int) -> None:
        # What was on its way during a rebalance belongs to the time before it.
        if event.message.generation_id == generation:
            self.waiting.append(event)

    def take(self) -> list[Any]:
        count = min(len(self.waiting), MAX_TAKE)
        events = [self.waiting.popleft() for _ in range(count)]
        for event in events:
            self.held.setdefault(event.message.partition, deque()).append(event)
        if len(self.waiting) < MAX_WAITING // 2:
            self.space.set()
        return events

    def release(self, heads: Mapping[int, int]) -> None:
        """Acknowledges in strict order: Faust commits past a gap otherwise."""
        for partition, head in heads.items():
            held = self.held.get(partition)
            while held and held[0].message.offset < head:
                held.popleft().ack()


class _App(faust.App):
    """Keeps no tables, so it needs no folder: by itself Faust makes one where it is started."""

    def _create_directories(self) -> None:
        return


class _MissingTopic(Exception):
    """Kafka, just started, did not list a topic that is subscribed to."""


class _Assignor(PartitionAssignor):
    """Faust passes over a topic that Kafka's metadata lacks for a moment, and then nobody reads
    it any more. Such an assignment is refused, and the worker starts again."""

    def assign(self, cluster: Any, member_metadata: Any) -> Any:
        wanted = {topic for member in member_metadata.values() for topic in member.subscription}
        missing = sorted(topic for topic in wanted if not cluster.partitions_for_topic(topic))
        if missing:
            setattr(self.app, _MISSING, missing)
            raise _MissingTopic(", ".join(missing))
        return super().assign(cluster, member_metadata)


class FaustLog:
    """See ports.Log. One instance a process, in the running event loop."""

    def __init__(
        self,
        bootstrap: str,
        group: str,
        *,
        session_timeout_s: float = 8.0,
        commit_interval_s: float = 1.0,
        client_id: str = "vigia-stream",
    ) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._stopping = asyncio.Event()
        self._app = _App(
            group,
            broker=f"kafka://{bootstrap}",
            broker_client_id=client_id,
            store="memory://",
            autodiscover=False,
            PartitionAssignor=_Assignor,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            stream_buffer_maxsize=1_024,
            broker_session_timeout=session_timeout_s,
            broker_heartbeat_interval=session_timeout_s / 4,
            broker_max_poll_records=500,
            broker_commit_interval=commit_interval_s,
            consumer_auto_offset_reset="earliest",
            key_serializer="raw",
            value_serializer="raw",
        )
        self._app.on_partitions_revoked.connect(self._revoked)  # type: ignore[arg-type]
        self._app.on_partitions_assigned.connect(self._assigned)  # type: ignore[arg-type]

    def subscribe(self, topic: str, agent: Agent) -> None:
        """See ports.Log."""
        # Iterated, a topic is subscribed to; its queue is read without Faust's streams, which
        # would acknowledge by themselves and cost as much as our own work.
        channel = aiter(self._app.topic(topic, key_type=bytes, value_type=bytes))
        self._lanes[topic] = _Lane(topic, agent, channel)

    async def run(self) -> None:
        """See ports.Log."""
        self._app.finalize()
        starting = asyncio.create_task(self._app.start(), name="starting")
        tasks = [
            asyncio.create_task(self._work(lane), name=lane.topic) for lane in self._lanes.values()
        ]
        tasks += [
            asyncio.create_task(lane.feed(self._generation), name=f"{lane.topic}, feeding")
            for lane in self._lanes.values()
        ]
        tasks.append(asyncio.create_task(self._watch(), name="faust"))
        stop = asyncio.create_task(self._stopping.wait(), name="stop")
        done, pending = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in (*pending, starting):
            task.cancel()
        await asyncio.gather(*pending, starting, return_exceptions=True)
        await self._leave()
        for task in done:
            task.result()

    async def stop(self) -> None:
        """See ports.Log."""
        self._stopping.set()

    def _generation(self) -> int:
        return int(self._app.consumer_generation_id)

    async def _leave(self) -> None:
        # Without a broker Faust would wait a minute; what is uncommitted comes again anyway.
        leaving = asyncio.ensure_future(self._app.stop())
        await asyncio.wait([leaving], timeout=STOP_S)

    async def _watch(self) -> None:
        """Faust keeps its crashes to itself, and when Kafka goes away while it joins the group
        it may wait for ever: both are found here."""
        clock = asyncio.get_running_loop().time
        joined = clock()
        while not (self._app.should_stop or self._app.crashed):
            if missing := getattr(self._app, _MISSING, ()):
                raise BrokerError(f"Kafka does not list {', '.join(missing)}", retriable=True)
            if all(lane.assignment is not None for lane in self._lanes.values()):
                joined = clock()
            elif clock() - joined > JOIN_S:
                raise BrokerError(f"no place in the group for {JOIN_S:.0f} s", retriable=True)
            await asyncio.sleep(0.2)
        reason = getattr(self._app, "_crash_reason", None) or "it stopped by itself"
        raise BrokerError(f"Faust ended: {reason!r}", retriable=True)

    async def _work(self, lane: _Lane) -> None:
        told = -1
        while True:
            await lane.wake.wait()
            lane.wake.clear()
            while lane.assignment is not None and (lane.waiting or told != lane.generation):
                generation = lane.generation
                if told != generation:
                    log.info("%s: partitions %s", lane.topic, sorted(lane.assignment))
                    await lane.agent.assigned(lane.assignment)
                    told = generation
                    continue
                # Faust hands over message by message: a moment later there are more to share
                # the cost of a step.
                await asyncio.sleep(LINGER_S)
                if lane.generation != generation:
                    continue
                heads = await lane.agent.handle([_record(event.message) for event in lane.take()])
                if lane.generation == generation:
                    lane.release(heads)

    async def _revoked(self, app: Any, revoked: Any, **kwargs: Any) -> None:
        for lane in self._lanes.values():
            lane.forget()

    async def _assigned(self, app: Any, assigned: Any, **kwargs: Any) -> None:
        for lane in self._lanes.values():
            lane.forget()
            lane.assignment = frozenset(tp.partition for tp in assigned if tp.topic == lane.topic)
            lane.wake.set()


def _record(message: Any) -> Record:
    headers = message.headers or ()
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        list(headers.items() if isinstance(headers, dict) else headers),
        int(message.timestamp * 1000),
    )
