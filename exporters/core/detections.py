"""The newest result of each detector for each asset, and how long results take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from contracts.messages import Detection, DetectionBatch, Verdict, decode_json
from contracts.record import Record
from contracts.topics import DETECTIONS
from exporters.core.bounds import Names
from exporters.core.buckets import Buckets
from exporters.core.families import Family, Labels, counter, gauge, histogram, seconds
from exporters.core.wanted import Start, Wanted

_RECENT = 1_000
_LABELS: Labels = ("asset", "detector")


@dataclass(frozen=True, slots=True)
class _Mark:
    end_us: int
    revision: int


class Detections:
    """What detectors said last."""

    wanted = (Wanted(DETECTIONS, Start.RECENT, _RECENT),)

    def __init__(self, names: Names) -> None:
        self._names = names
        self._newest: dict[Labels, Detection] = {}
        self._marks: dict[Labels, _Mark] = {}
        self._verdicts: Counter[Labels] = Counter()
        self._latency = Buckets()

    def take(self, record: Record, now_us: int, live: bool) -> str | None:
        """Keeps the batch in `record`; why not, if not. Raises MessageError."""
        batch = decode_json(DetectionBatch, record.value)
        labels = self._names.detector(batch.asset, batch.detector)
        fresh = [one for one in batch.items if self._is_new(labels, one)]
        if not fresh:
            return "repeated" if batch.items else "empty"
        for one in fresh:
            self._keep(labels, one)
            if live and not batch.backfill:
                self._verdicts[(labels[1], one.verdict.value)] += 1
                if one.received_us > 0:
                    self._latency.observe(seconds(record.timestamp_ms * 1000 - one.received_us))
        return None

    def _is_new(self, labels: Labels, one: Detection) -> bool:
        mark = self._marks.get(labels)
        return mark is None or (one.end_us, one.revision) > (mark.end_us, mark.revision)

    def _keep(self, labels: Labels, one: Detection) -> None:
        self._newest[labels] = one
        self._marks[labels] = _Mark(one.end_us, one.revision)

    def families(self, now_us: int) -> Iterator[Family]:
        """The newest results."""
        # What another plant file has no longer has no newest window.
        newest = [(k, v) for k, v in sorted(self._newest.items()) if self._names.detector(*k) == k]
        yield gauge(
            "vigia_detection_score",
            "Score of the newest window; none where it could not be measured.",
            _LABELS,
            [(key, one.score) for key, one in newest if one.score is not None],
        )
        yield gauge(
            "vigia_detection_threshold",
            "Score above which a window is abnormal.",
            _LABELS,
            [(key, one.threshold) for key, one in newest],
        )
        yield gauge(
            "vigia_detection_measured",
            "Whether the newest window could be measured.",
            _LABELS,
            [(key, float(one.verdict is not Verdict.NOT_MEASURED)) for key, one in newest],
        )
        yield gauge(
            "vigia_detection_window_end_timestamp_seconds",
            "End of the newest window in event time, since 1970.",
            _LABELS,
            [(key, seconds(one.end_us)) for key, one in newest],
        )
        yield counter(
            "vigia_detections_total",
            "Windows judged since this exporter started.",
            ("detector", "verdict"),
            self._counts(),
        )
        yield histogram(
            "vigia_detection_latency_seconds",
            "From the edge's receipt of the row that completed a window to the broker's time.",
            (),
            [((), self._latency.histogram())],
        )

    def _counts(self) -> Iterator[tuple[Labels, float]]:
        # From 0 on, or Prometheus would not see the first one as an increase.
        detectors = {detector for _, detector in self._names.detectors}
        every = {(detector, verdict.value) for detector in detectors for verdict in Verdict}
        for key in sorted(every | self._verdicts.keys()):
            yield key, self._verdicts[key]
