"""Which partition is an asset's: Kafka's own murmur2, with the same count on every topic."""

from __future__ import annotations

from functools import lru_cache

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit hash that Kafka's default partitioner uses (seed 0x9747b28c)."""
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for at in range(0, whole, 4):
        k = (int.from_bytes(data[at : at + 4], "little") * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if rest := data[whole:]:
        h = ((h ^ int.from_bytes(rest, "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=100_000)
def partition_of(key: str, partitions: int) -> int:
    """The partition of `key` (an asset, whatever the message's own key is)."""
    return partition_of_bytes(key.encode(), partitions)


def partition_of_bytes(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner gives a message with this key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
