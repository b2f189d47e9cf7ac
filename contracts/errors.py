"""The one error tree.

VigiaError
├── ConfigError        the plant file or a setting is wrong: says where and what was expected
├── MessageError       the bytes of one message cannot be used (the sender's fault)
│   ├── DecodeError    not the format that its headers claim
│   └── FieldError     decoded, but a field is missing, of another type or out of bounds
├── ModelError         a model package cannot be trusted on this machine
├── MemoryExceeded     this process outgrew its bound (another starts in its place)
├── SourceError        a camera or sensor source was lost (the world's fault; callers retry)
├── SpoolError         the disk does not keep what it should (callers retry)
│   ├── SpoolTaken     another process works there
│   └── SpoolLost      what it had kept cannot be read any more, and is set aside
└── BrokerError        Kafka is away or refuses (callers retry, or not, as `retriable` says)
    ├── KafkaStartError
    ├── MessageTooLarge
    └── TopicMissing   Kafka is there, and a topic is not
"""

from __future__ import annotations

__all__ = [
    "BrokerError",
    "ConfigError",
    "DecodeError",
    "FieldError",
    "KafkaStartError",
    "MemoryExceeded",
    "MessageError",
    "MessageTooLarge",
    "ModelError",
    "SourceError",
    "SpoolError",
    "SpoolLost",
    "SpoolTaken",
    "TopicMissing",
    "VigiaError",
]


class VigiaError(Exception):
    """Everything that Vigía raises on purpose. Its text is written for a person."""

    retriable = False


class ConfigError(VigiaError):
    """A setting or a plant file cannot be used."""


class MessageError(VigiaError):
    """One message cannot be used; `reason` is a short bounded word for counters."""

    reason = "message"

    def __init__(self, text: str, *, reason: str | None = None) -> None:
        super().__init__(text)
        if reason is not None:
            self.reason = reason


class DecodeError(MessageError):
    """The bytes are not what their headers or their topic promise."""

    reason = "undecodable"


class FieldError(MessageError):
    """A field of a decoded message is missing or unusable."""

    reason = "field"


class ModelError(VigiaError):
    """A model package is incomplete, changed, or scores differently on this machine."""


class MemoryExceeded(VigiaError):
    """This process takes more memory than it may."""

    retriable = True


class SourceError(VigiaError):
    """A source of readings was lost."""

    retriable = True


class SpoolError(VigiaError):
    """The disk is full or broken: nothing of what was asked was done."""

    retriable = True


class SpoolTaken(SpoolError):
    """The folder belongs to another process as long as that lives."""


class SpoolLost(SpoolError):
    """What was on disk cannot be read. It was set aside and will not be looked at again."""


class BrokerError(VigiaError):
    """Kafka did not do what was asked."""

    def __init__(self, text: str, *, retriable: bool = False) -> None:
        super().__init__(text)
        self.retriable = retriable


class KafkaStartError(BrokerError):
    """The local Kafka did not come up; the text ends with its last log lines."""


class TopicMissing(BrokerError):
    """Kafka answers, and does not know a topic."""

    def __init__(self, *topics: str, retriable: bool = True) -> None:
        super().__init__(f"there is no topic {', '.join(topics)}", retriable=retriable)


class MessageTooLarge(BrokerError):
    """The broker will never take this message; sending again does not help."""
