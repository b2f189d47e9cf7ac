"""The log, read by Faust. Nothing else here knows Faust.

What Faust is used for: the consumer group, its rebalances, fetching, and committing. What it is
kept from: tables, windows, creating topics, its web server, reading the command line.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from operator import is_not
from typing import Any, cast

from aiokafka.errors import IllegalStateError, KafkaError

from broker.admin import passes, told
from broker.cluster import Cluster, Where, cluster
from broker.lag import group_lag
from contracts.errors import BrokerError
from contracts.messages import Account
from contracts.record import Record
from stream.adapters.guard import Guard
from stream.adapters.lane import Lane
from stream.ports import Agent

# Importing faust looks for --datadir, -L and others among our own arguments.
_argv, sys.argv = sys.argv, sys.argv[:1]
import faust  # noqa: E402
from faust.assignor import PartitionAssignor  # noqa: E402
from faust.transport.drivers.aiokafka import Consumer, Transport  # noqa: E402
from faust.types import TP  # noqa: E402

sys.argv = _argv

PAUSE_S = 0.01
GATHER_S = 0.003
MOST_GATHERS, MANY = 3, 100
FETCH_S = 1.0
_MISSING = "vigia_missing_topics"
STOP_S = 5.0
JOIN_S = 25.0


class _Turn:
    """What is to be done between two fetches, before all is read again."""

    def __init__(self, apply: Callable[[], None]) -> None:
        self.apply = apply
        self.done = asyncio.Event()


class _App(faust.App):
    """Keeps no tables, so it needs no folder: by itself Faust makes one where it is started."""

    lanes: dict[str, Lane]
    turn: _Turn | None = None

    def _create_directories(self) -> None:
        return

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)


class _Consumer(Consumer):
    """Faust's consumer, whose records go to the lanes as they are fetched, and that commits what
    the lanes say.

    By itself Faust makes two tasks and a dozen calls for each message, and then commits past a
    gap in what was acknowledged.
    """

    @property
    def _lanes(self) -> dict[str, Lane]:
        return cast(_App, self.app).lanes

    async def _drain_messages(self, fetcher: Any) -> None:
        moved = True
        while not (self.should_stop or fetcher.should_stop):
            if not self._ready():
                await asyncio.sleep(PAUSE_S)
                continue
            moved |= self._take_turn()
            hungry = [lane for lane in self._lanes.values() if not lane.full]
            if not hungry or (moved and not await self._go_back()):
                await asyncio.sleep(PAUSE_S)
                continue
            before = self._assignments()
            self._fetch_only(hungry)
            patience = FETCH_S if len(hungry) == len(self._lanes) else PAUSE_S
            records, _ = await self._wait_next_records(patience)
            # What was on its way during a rebalance may have been read before it, and moved the
            # position past what is to be read again.
            moved = not self._ready() or any(map(is_not, before, self._assignments()))
            if not moved:
                moved = not self._deliver(records)
            await self._gather(sum(len(some) for some in (records or {}).values()))

    async def _gather(self, fetched: int) -> None:
        """A fetch costs as much as ten messages: a moment later there are more to share it. After
        one that brought few, and while an agent is at work, so does another moment, since they
        would mostly wait."""
        for _ in range(MOST_GATHERS if fetched < MANY else 1):
            await asyncio.sleep(GATHER_S)
            if not any(lane.working for lane in self._lanes.values()):
                break

    def _take_turn(self) -> bool:
        """Here no fetch is under way. Whether all must be read again."""
        app = cast(_App, self.app)
        turn, app.turn = app.turn, None
        if turn is None:
            return False
        for lane in self._lanes.values():
            lane.again()
        turn.apply()
        turn.done.set()
        return True

    def _ready(self) -> bool:
        """Whether records may be read: outside a rebalance, once we know which are ours."""
        return self.flow_active and None not in self._assignments()

    def _assignments(self) -> list[frozenset[int] | None]:
        return [lane.assignment for lane in self._lanes.values()]

    def _fetch_only(self, lanes: list[Lane]) -> None:
        self._set_active_tps(
            {TP(lane.topic, number) for lane in lanes for number in lane.assignment or ()}
        )

    async def _go_back(self) -> bool:
        """Goes back to what is committed; False where a rebalance came in between, or Kafka does
        not answer.

        Faust does so after a rebalance. But a fetch that the rebalance interrupted goes on in
        Faust's thread, and then moves the position though nobody gets its records; and aiokafka
        leaves a partition where it is as long as its commit is none, or 0.
        """
        places = self.assignment()
        if not places:
            return True
        try:
            await self.perform_seek()
            begins = {place: at for place in places if (at := self._read_offset[place])}
            ends = await self.highwaters(*begins) if begins else {}
            # Beyond its end a log was deleted since that commit, and made again.
            begins = {place: at for place, at in begins.items() if at <= (ends.get(place) or 0)}
            fresh = places - begins.keys()
            if fresh:
                begins |= await self.earliest_offsets(*fresh)
            for place in fresh:
                await self.seek(place, begins[place])
        except KafkaError as error:
            if isinstance(error, IllegalStateError) or passes(error):
                return False
            raise
        for place, at in begins.items():
            self._lanes[place.topic].begins[place.partition] = at
        return True

    def _deliver(self, records: Any) -> bool:
        """Whether nothing was missing before them."""
        whole = True
        for place, some in records.items():
            lane = self._lanes[place.topic]
            if place.partition in (lane.assignment or ()):
                whole &= lane.deliver(place.partition, [_record(one) for one in some])
        return whole

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        for lane in self._lanes.values():
            for partition in lane.heads:
                place = TP(lane.topic, partition)
                if topics is None or place in topics or place.topic in topics:
                    yield place

    def _new_offset(self, tp: TP) -> int | None:
        return self._lanes[tp.topic].heads.get(tp.partition)

    async def verify_all_partitions_active(self) -> None:
        """Faust would look for its own streams; whether work goes on, the guard sees."""


class _Transport(Transport):
    Consumer = _Consumer


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
        bootstrap: Where,
        group: str,
        *,
        session_timeout_s: float = 8.0,
        commit_interval_s: float = 1.0,
        client_id: str = "vigia-stream",
    ) -> None:
        self._lanes: dict[str, Lane] = {}
        self._stopping = asyncio.Event()
        self._where, self._group = bootstrap, group
        self._guard = Guard(bootstrap, group, self._lanes)
        self._app = _App(
            group,
            broker=[f"kafka://{one.strip()}" for one in str(bootstrap).split(",")],
            broker_client_id=client_id,
            store="memory://",
            autodiscover=False,
            PartitionAssignor=_Assignor,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            broker_session_timeout=session_timeout_s,
            broker_heartbeat_interval=session_timeout_s / 4,
            broker_max_poll_records=500,
            broker_commit_interval=commit_interval_s,
            consumer_auto_offset_reset="earliest",
            key_serializer="raw",
            value_serializer="raw",
        )
        self._app.lanes = self._lanes
        self._app.on_partitions_revoked.connect(self._revoked)  # type: ignore[arg-type]
        self._app.on_partitions_assigned.connect(self._assigned)  # type: ignore[arg-type]

    def subscribe(self, topic: str, agent: Agent) -> None:
        """See ports.Log."""
        # Iterated, a topic is subscribed to; nothing ever comes out of it.
        aiter(self._app.topic(topic, key_type=bytes, value_type=bytes))
        self._lanes[topic] = Lane(topic, agent)

    async def run(self) -> None:
        """See ports.Log."""
        # Those of now: while Kafka let nobody in, somebody may have mended them.
        self._app.conf.broker_credentials = _credentials(cluster(self._where).fresh())
        self._app.finalize()
        starting = asyncio.create_task(self._app.start(), name="starting")
        tasks = [asyncio.create_task(lane.work(), name=lane.topic) for lane in self._lanes.values()]
        tasks.append(asyncio.create_task(self._watch(), name="faust"))
        tasks.append(asyncio.create_task(self._guard.run(), name="guard"))
        stop = asyncio.create_task(self._stopping.wait(), name="stop")
        done, pending = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in (*pending, starting):
            task.cancel()
        await asyncio.gather(*pending, starting, return_exceptions=True)
        await self._leave()
        for task in done:
            task.result()

    def accounts(self) -> Mapping[str, Account]:
        """See ports.Log."""
        gone = sum(lane.gone for lane in self._lanes.values())
        if not gone:
            return {}
        dropped = {"gone": gone}
        one = Account(unit="message", taken_in=gone, gone_out=0, held=0, dropped=dropped)
        return {"stream.log-messages": one}

    async def anew(self, apply: Callable[[], None]) -> None:
        """See ports.Log."""
        lanes = list(self._lanes.values())
        await asyncio.gather(*(lane.hold() for lane in lanes))
        try:
            self._app.turn = turn = _Turn(apply)
            await turn.done.wait()
        finally:
            for lane in lanes:
                lane.release()

    async def stop(self) -> None:
        """See ports.Log."""
        self._stopping.set()

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
                raise await self._error(f"Kafka does not list {', '.join(missing)}")
            if all(lane.assignment is not None for lane in self._lanes.values()):
                joined = clock()
            elif clock() - joined > JOIN_S:
                raise await self._error(f"no place in the group for {JOIN_S:.0f} s")
            await asyncio.sleep(0.2)
        reason = getattr(self._app, "_crash_reason", None)
        if isinstance(reason, KafkaError):
            raise BrokerError(told(reason, self._where), retriable=True)
        raise await self._error(f"Faust ended: {reason or 'it stopped by itself'!r}")

    async def _error(self, text: str) -> BrokerError:
        """With the reason, where Kafka tells it to somebody else: Faust does not pass it on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                try:
                    await group_lag(self._where, self._group, list(self._lanes))
                except BrokerError as error:
                    text = f"{text}: {error}"
        return BrokerError(text, retriable=True)

    async def _revoked(self, app: Any, revoked: Any, **kwargs: Any) -> None:
        for lane in self._lanes.values():
            lane.forget()

    async def _assigned(self, app: Any, assigned: Any, **kwargs: Any) -> None:
        for lane in self._lanes.values():
            lane.assign(frozenset(tp.partition for tp in assigned if tp.topic == lane.topic))


def _credentials(kafka: Cluster) -> Any:
    if kafka.user is not None:
        return faust.SASLCredentials(
            username=kafka.user.name,
            password=kafka.user.password,
            ssl_context=kafka.tls,
            mechanism=kafka.user.mechanism,
        )
    return faust.SSLCredentials(kafka.tls) if kafka.tls is not None else None


def _record(message: Any) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        list(message.headers),
        message.timestamp,
    )
