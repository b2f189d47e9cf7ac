"""Who may do what with the topics: the file that `vigia topics allow` gives to Kafka."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from contracts.errors import ConfigError
from contracts.plant.lines import YamlError, load_with_lines
from contracts.topics import TOPICS

_NAMES = tuple(topic.name for topic in TOPICS)


def _topic(name: str) -> str:
    if name not in _NAMES:
        raise ValueError(f"expected one of {', '.join(_NAMES)}, got {name!r}")
    return name


TopicName = Annotated[str, AfterValidator(_topic)]


class Rights(BaseModel):
    """What one user may do, of topics by their names without the prefix. Who may read or write a
    topic may also ask where it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read: tuple[TopicName, ...] = ()
    write: tuple[TopicName, ...] = ()
    consume_as: tuple[str, ...] = Field(
        default=(), description="consumer groups that it works in, without the prefix"
    )
    watch: tuple[str, ...] = Field(
        default=(), description="consumer groups whose offsets it may ask for"
    )


class Access(BaseModel):
    """The rights of all users, by their names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: dict[str, Rights]


def read_access(text: bytes, name: str) -> Access:
    """What is in the file `name`. Raises ConfigError that names what is wrong in it."""
    try:
        document, _, repeated = load_with_lines(text.decode("utf-8-sig"))
        if repeated:
            path, line = repeated[0]
            raise ConfigError(f"{name}:{line}: {'.'.join(map(str, path))} stands here twice")
        return Access.model_validate(document)
    except ValidationError as error:
        told = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError("\n".join(f"{name}: {line}" for line in told)) from None
    except YamlError as error:
        raise ConfigError(f"{name}:{error.line}: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: expected UTF-8 text") from None
