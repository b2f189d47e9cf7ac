"""The board's metrics in Prometheus's formats, by prometheus_client with a registry of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from contracts.messages import Histogram
from exporters.core.families import Family

Families = Callable[[], Iterable[Family]]


class Exposition:
    """Writes what `families` gives."""

    def __init__(self, families: Families) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(families))

    def page(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the best format that the `accept` header takes."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type


class _Collector(Collector):
    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families():
            yield _metric(family)


def _metric(family: Family) -> Metric:
    if family.kind == "histogram":
        shown = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, one in family.samples:
            assert isinstance(one, Histogram)
            shown.add_metric(labels, _buckets(one), one.sum_s)
        return shown
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    plain = kind(family.name, family.help, labels=family.labels)
    for labels, value in family.samples:
        assert not isinstance(value, Histogram)
        plain.add_metric(labels, value)
    return plain


def _buckets(one: Histogram) -> list[tuple[str, float]]:
    pairs = zip(one.bounds_s, one.counts, strict=True)
    return [
        *((str(bound), float(count)) for bound, count in pairs),
        ("+Inf", one.count),
    ]
