"""What of Kafka's errors is worth another try."""

from __future__ import annotations

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)

from broker.admin import mapped
from contracts.errors import BrokerError


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (KafkaConnectionError(), True),
        # A Kafka that is away for longer than a request waits.
        (KafkaTimeoutError(), True),
        (KafkaUnavailableError(), True),
        (TopicAuthorizationFailedError(), False),
        (UnsupportedVersionError(), False),
    ],
)
def test_an_answer_that_did_not_come_may_come_the_next_time(
    error: KafkaError, passes: bool
) -> None:
    with pytest.raises(BrokerError) as raised, mapped("127.0.0.1:9092"):
        raise error
    assert raised.value.retriable is passes
