"""How a test asks a server over HTTP."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.loopback import HOST


@dataclass(frozen=True, slots=True)
class Door:
    """Of a server on `port` of the loopback: plain, or with `ca_file` by TLS; with `user` as one
    who knows a password."""

    port: int
    ca_file: Path | None = None
    user: str = ""
    password: str = ""

    def ask(self, path: str, told: object = None) -> Any:
        """What it answers, from JSON; None where it says nothing. `told` is posted as JSON. Raises
        URLError."""
        body = None if told is None else json.dumps(told).encode()
        request = urllib.request.Request(f"{self._origin}{path}", body)
        request.add_header("Content-Type", "application/json")
        if self.user:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        with urllib.request.urlopen(request, timeout=10, context=self._context) as answer:
            text = answer.read()
        return json.loads(text) if text[:1] in (b"{", b"[") else None

    def refusal(self, path: str) -> int | None:
        """The status with which it lets nobody in; None where it does."""
        try:
            self.ask(path)
        except urllib.error.HTTPError as error:
            return error.code
        return None

    @property
    def _origin(self) -> str:
        return f"{'https' if self.ca_file else 'http'}://{HOST}:{self.port}"

    @property
    def _context(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
