"""Asks the broker now and then how far the line's consumer groups are behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from broker.cluster import Where
from broker.lag import group_lag
from contracts.errors import BrokerError
from contracts.topics import DETECTIONS, READINGS, topic_name
from exporters.core.lag import Lag

_EVERY_S = 5.0
_log = logging.getLogger(__name__)


async def watch_lags(
    bootstrap: Where, prefix: str, tell: Callable[[tuple[Lag, ...]], None]
) -> None:
    """Tells the lags of the stream's group every few seconds; none while Kafka does not answer."""
    group = f"{prefix}-stream"
    topics = [topic_name(topic, prefix) for topic in (READINGS, DETECTIONS)]
    while True:
        try:
            found = await group_lag(bootstrap, group, topics)
        except BrokerError as error:
            _log.info("no lags: %s", error)
            found = []
        tell(tuple(Lag(group, one.topic, one.partition, one.lag) for one in found))
        await asyncio.sleep(_EVERY_S)
