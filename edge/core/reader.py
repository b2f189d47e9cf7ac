"""What MQTT messages say, whatever they are written in: JSON, or Sparkplug B."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.plant.model import SignalSet
from edge.core.nodes import Nodes, Order
from edge.core.payload import Parsed, Sensor, parse
from edge.core.routes import routes
from edge.core.sparkplug import NAMESPACE


class Reader:
    """All sources of `assets`. Raises UnitError."""

    def __init__(self, assets: Mapping[str, SignalSet]) -> None:
        self._routes = routes(assets)
        self._nodes = Nodes(assets)

    @property
    def topics(self) -> tuple[str, ...]:
        """What to subscribe to; some may end in `/+`, for any word there."""
        return (*self._routes, *self._nodes.topics())

    def sensors(self) -> dict[str, list[Sensor]]:
        """What each topic of data feeds."""
        plain = {
            topic: [(feed.asset, cell.column) for feed in feeds for cell in feed.cells]
            for topic, feeds in self._routes.items()
        }
        return {**plain, **self._nodes.sensors()}

    def read(self, topic: str, payload: bytes, arrival_us: int) -> Parsed:
        """The readings in one message that arrived at `arrival_us`. Raises nothing."""
        if topic.startswith(NAMESPACE) and topic not in self._routes:
            return self._nodes.read(topic, payload, arrival_us)
        return parse(self._routes, topic, payload, arrival_us)

    def place_of(self, topic: str) -> str:
        """The topic of `sensors` that a message on `topic` tells of."""
        parts = topic.split("/")
        if parts[0] != NAMESPACE or topic in self._routes or len(parts) < 3:
            return topic
        return "/".join((*parts[:2], f"{parts[2][:1]}DATA", *parts[3:]))

    def connection_lost(self) -> None:
        """Messages may have been missed."""
        self._nodes.connection_lost()

    def orders(self, now_us: int) -> list[Order]:
        """What is to be sent now, so that what comes can be read."""
        return self._nodes.orders(now_us)
