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


class Door(Section):
    """How a broker is reached, and what it lets us in by."""

    username: str | None = Field(default=None, min_length=1)
    password: Secret | None = None
    tls: bool = Field(
        default=False, description="TLS by the system's CAs; also on where a file below is given"
    )
    ca_file: str | None = Field(default=None, description="CA of the broker; turns TLS on")
    certificate_file: str | None = Field(
        default=None, description="our certificate, PEM, where the broker asks for one"
    )
    key_file: str | None = Field(default=None, description="the key of `certificate_file`, PEM")

    @property
    def secured(self) -> bool:
        """Whether TLS is used."""
        return self.tls or self.ca_file is not None or self.certificate_file is not None
