"""What all sections of the plant file have, and where secrets come from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A mapping in the plant file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Secret(Section):
    """Where a secret is read from when it is needed; the plant file never holds it."""

    file: str | None = Field(default=None, description="path of a file that holds it")
    env: str | None = Field(default=None, description="name of an environment variable")
