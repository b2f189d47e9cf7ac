"""What of Kafka's errors is worth another try."""

from __future__ import annotations

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)

from broker.admin import mapped, told
from broker.cluster import Cluster, User
from contracts.errors import BrokerError


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (KafkaConnectionError(), True),
        # A Kafka that is away for longer than a request waits.
        (KafkaTimeoutError(), True),
        (KafkaUnavailableError(), True),
        # Who looks after Kafka may give the right.
        (TopicAuthorizationFailedError("vigia.readings"), True),
        (UnsupportedVersionError(), False),
    ],
)
def test_an_answer_that_did_not_come_may_come_the_next_time(
    error: KafkaError, passes: bool
) -> None:
    with pytest.raises(BrokerError) as raised, mapped("127.0.0.1:9092"):
        raise error
    assert raised.value.retriable is passes


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TopicAuthorizationFailedError({"b", "a"}), "the topic a, b"),
        (GroupAuthorizationFailedError("vigia-stream"), "the consumer group vigia-stream"),
        (ClusterAuthorizationFailedError(), "to write to any topic"),
    ],
)
def test_who_is_not_allowed_what_is_said(error: KafkaError, text: str) -> None:
    kafka = Cluster("k:9092", user=User("edge", "secret-of-edge", "PLAIN"))
    assert told(error, kafka) == f"Kafka at k:9092: user edge is not allowed {text}"
    assert "who comes without a user" in told(error, "k:9092")
    assert "secret" not in repr(kafka)
