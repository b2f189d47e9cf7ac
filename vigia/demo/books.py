"""Whether every reading and every frame can be accounted for, from the planter and the cameras to
the alarms. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.messages import Account

STAGES = (
    "planter.publish",
    "edge.mqtt",
    "edge.rows",
    "edge.frames",
    "stream.frames",
    "stream.reading-messages",
    "stream.rows",
    "stream.windows",
    "stream.detection-messages",
    "stream.alarms",
)


@dataclass(frozen=True, slots=True)
class OnTopics:
    """What lies on the topics, counted by reading them: all rows; sensors' readings in them, and
    rows of assets that a camera watches; frames, and those of them that have an image (the others
    say that a camera is silent); results of windows in detections."""

    rows: int
    readings: int
    seen_rows: int
    frames: int
    images: int
    detections: int


def unbalanced(accounts: Mapping[str, Account], lies: OnTopics) -> list[str]:
    """What does not add up, in plain words; nothing when all does.

    Each stage for itself: in = out + held + dropped. And between stages: what one says it gave
    is what the next says it got, and what lies on the topic between them.
    """
    missing = [f"{stage} told nothing of its account" for stage in STAGES if stage not in accounts]
    return missing or [*_stages(accounts), *_between(accounts, lies)]


def _stages(accounts: Mapping[str, Account]) -> list[str]:
    return [
        f"{stage}: {account.missing} {account.unit}s are neither out nor held nor dropped"
        for stage, account in accounts.items()
        if account.missing
    ]


def _between(accounts: Mapping[str, Account], lies: OnTopics) -> list[str]:
    out = {stage: account.gone_out for stage, account in accounts.items()}
    taken = {stage: account.taken_in for stage, account in accounts.items()}
    pairs = [
        ("published", out["planter.publish"], "came to the edge", taken["edge.mqtt"]),
        ("published", out["planter.publish"], "were read by the edge", taken["edge.rows"]),
        ("written by the edge", out["edge.rows"], "lie in the readings", lies.readings),
        ("frames written by the edge", out["edge.frames"], "have an image", lies.images),
        ("frames lie", lies.frames, "came to the workers", taken["stream.frames"]),
        ("frames were looked at", out["stream.frames"], "rows tell of them", lies.seen_rows),
        ("rows lie in the readings", lies.rows, "came to the workers", taken["stream.rows"]),
        ("results written", out["stream.windows"], "lie in the detections", lies.detections),
        ("lie in the detections", lies.detections, "came to alarming", taken["stream.alarms"]),
    ]
    return [f"{a} {left}, but {b} {right}" for left, a, right, b in pairs if a != b]
