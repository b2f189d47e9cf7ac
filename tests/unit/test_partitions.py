"""An asset's partition is the one that any Kafka client would choose."""

from __future__ import annotations

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from contracts.partitions import partition_of, partition_of_bytes


@given(key=st.text(min_size=1), count=st.integers(1, 50))
def test_as_kafkas_default_partitioner(key: str, count: int) -> None:
    everywhere = list(range(count))
    expected = DefaultPartitioner()(key.encode(), everywhere, everywhere)
    assert partition_of(key, count) == expected
    assert partition_of_bytes(key.encode(), count) == expected
