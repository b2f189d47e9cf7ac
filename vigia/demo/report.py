"""The demo's summary: for a person, and for a program (DEMO_JSON). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.messages import Account
from contracts.texts import reason_text
from vigia.demo.planting import EventKind
from vigia.demo.summary import Findings, Raising
from vigia.demo.truth import Planted, Truth


@dataclass(frozen=True, slots=True)
class Report:
    """All that a demo has to show. `faults` says in plain words why it did not pass."""

    truth: Truth
    findings: Findings
    raised: Sequence[Raising]
    accounts: Mapping[str, Account]
    readings_in: int
    frames_in: int
    detections: int
    p50_ms: float | None
    p99_ms: float | None
    rss: Mapping[str, int]
    faults: Sequence[str]

    def json(self) -> dict[str, Any]:
        """The keys of DEMO_JSON; times in seconds from the first reading."""
        return {
            "seed": self.truth.seed,
            "planted": [self._planted(event, by) for event, by in self._found()],
            "alarms": [self._alarm(one) for one in self.raised],
            "missed": [self._planted(event, ()) for event in self.findings.missed],
            "spurious": [self._alarm(one) for one in self.findings.spurious],
            "account": {
                stage: account.model_dump(mode="json") for stage, account in self.accounts.items()
            },
            "readings_in": self.readings_in,
            "frames_in": self.frames_in,
            "detections": self.detections,
            "latency_ms": {"p50": self.p50_ms, "p99": self.p99_ms},
            "rss_mb": {name: round(size / 1e6, 1) for name, size in self.rss.items()},
        }

    def lines(self) -> list[str]:
        """The summary in words."""
        found = self.findings
        lines = [self._found_line(event, by) for event, by in self._found()]
        lines += [f"  spurious: {self._told(one)}" for one in found.spurious]
        lines.append(
            f"{len(found.due)} events planted, {len(found.due) - len(found.missed)} found, "
            f"{len(found.missed)} missed, {len(found.spurious)} spurious alarms"
        )
        lines.append(
            f"{found.pump_changes} pump changes; {found.pulses} jumps of the outlet meter, "
            f"{found.pulses_seen} told as instrument faults"
        )
        lines.append(
            f"{self.readings_in} readings and {self.frames_in} frames in, {self.detections} "
            f"detections; from receipt at the edge to the detection's taking by Kafka: "
            f"p50 {self.p50_ms} ms, p99 {self.p99_ms} ms"
        )
        sizes = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in self.rss.items())
        lines.append(f"memory at most: {sizes}")
        return lines

    def _found(self) -> list[tuple[Planted, tuple[Raising, ...]]]:
        return list(zip(self.findings.due, self.findings.found, strict=True))

    def _since(self, at_us: int | None) -> float | None:
        return None if at_us is None else round((at_us - self.truth.first_us) / 1e6, 3)

    def _planted(self, event: Planted, by: Sequence[Raising]) -> dict[str, Any]:
        return {
            "asset": event.asset,
            "kind": str(event.kind),
            "start_s": self._since(event.start_us),
            "end_s": self._since(event.end_us),
            "ramp_s": event.ramp_s,
            "size": event.size,
            "split": event.split,
            "found_by": [one.activation for one in by],
        }

    def _alarm(self, one: Raising) -> dict[str, Any]:
        return {
            "activation": one.activation,
            "asset": one.asset,
            "rule": one.rule,
            "class": str(one.alarm_class),
            "severity": str(one.severity),
            "raised_s": self._since(one.raised_us),
            "cleared_s": self._since(one.cleared_us),
            "score": one.score,
            "threshold": one.threshold,
            "reason": one.reason,
        }

    def _found_line(self, event: Planted, by: Sequence[Raising]) -> str:
        what = (
            f"  {event.asset} at {self._since(event.start_us):.0f} s: {_what(event)} for "
            f"{(event.end_us - event.start_us) / 1e6:.0f} s"
        )
        if not by:
            return f"{what}: MISSED"
        after = [f"{one.rule} after {(one.raised_us - event.start_us) / 1e6:.1f} s" for one in by]
        return f"{what}: {', '.join(after)}"

    def _told(self, one: Raising) -> str:
        why = reason_text(one.reason, "en", {"score": one.score, "threshold": one.threshold})
        return f"{one.asset} {one.rule} at {self._since(one.raised_us):.1f} s: {why}"


def _what(event: Planted) -> str:
    told = {
        EventKind.WITHDRAWAL: f"{event.size:.1%} of the flow taken",
        EventKind.DEFECT: "a tile with a defect in view",
        EventKind.LEVEL: f"the level {event.size:.0%} of the height above normal",
        EventKind.INTERFACE: f"the water {event.size:.0%} of the height above normal",
        EventKind.STUCK: "the camera stuck",
    }
    return told.get(event.kind, str(event.kind))


def faults_of(findings: Findings, books: Sequence[str]) -> list[str]:
    """Why the demo did not pass, in plain words; nothing when it did."""
    faults = []
    if findings.missed:
        faults.append(f"{len(findings.missed)} of {len(findings.due)} events were missed")
    if findings.spurious:
        faults.append(f"{len(findings.spurious)} alarms tell of nothing that happened")
    return [*faults, *(f"the account does not add up: {text}" for text in books)]
