"""Identifiers, derived from what a thing is and never random: doing it twice changes nothing."""

from __future__ import annotations

import hashlib


def asset_key(site: str, asset: str) -> str:
    """`site/asset`: the immutable name of an asset and its key on every topic."""
    return f"{site}/{asset}"


def alarm_key(asset: str, rule: str) -> str:
    """`site/asset/rule`: one alarm, however often it is raised."""
    return f"{asset}/{rule}"


def _digest(*parts: str | int) -> str:
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def detection_id(asset: str, detector: str, start_us: int, end_us: int, revision: int = 0) -> str:
    """The identity of one window's result: 32 hexadecimal digits."""
    text = f"detection\x1f{asset}\x1f{detector}\x1f{start_us}\x1f{end_us}\x1f{revision}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def activation_id(alarm: str, raised_us: int) -> str:
    """The identity of one raising of an alarm, shared by all its transitions."""
    return _digest("activation", alarm, raised_us)


def alert_id(alarm: str, transition: str, at_us: int) -> str:
    """The identity of one transition of an alarm."""
    return _digest("alert", alarm, transition, at_us)
