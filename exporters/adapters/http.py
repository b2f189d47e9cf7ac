"""The HTTP server of `/metrics` and `/healthz`: closed by default."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

from contracts.errors import ConfigError
from exporters.adapters.gate import Gate

_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Page = Callable[[str], Answer]
"""From the `Accept` header to the answer; called on the event loop."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen, and what readers must show (nothing on the loopback only)."""

    host: str
    port: int
    gate: Gate = field(default_factory=Gate)

    @classmethod
    def checked(cls, host: str, port: int, gate: Gate) -> Listen:
        """Raises ConfigError when others could read without showing anything."""
        if not gate.shut and not _is_loopback(host):
            raise ConfigError(
                f"{host} can be reached from elsewhere: give --token-file, --users-file or "
                "--client-ca, or listen on 127.0.0.1"
            )
        return cls(host, port, gate)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class MetricsServer:
    """Serves pages from threads of its own; each page is made on the event loop, which is thereby
    the only one to touch what it shows, and does not answer when it hangs."""

    def __init__(self, listen: Listen, pages: dict[str, Page]) -> None:
        self._listen = listen
        self._pages = pages
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        host, port = self._server.server_address[:2]
        name = str(host)
        scheme = "http" if self._listen.gate.tls is None else "https"
        return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"

    async def __aenter__(self) -> Self:
        gate = self._listen.gate
        handler = _handler(gate, self._pages, asyncio.get_running_loop())
        try:
            self._server = _Server((self._listen.host, self._listen.port), handler)
        except OSError as error:
            where = f"{self._listen.host}:{self._listen.port}"
            raise ConfigError(f"cannot listen on {where}: {error.strerror}") from error
        if gate.tls is not None:
            # Each connection shakes hands in its own thread, within the handler's timeout.
            self._server.socket = gate.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off, or shows no certificate, is no fault of ours."""

    def __init__(self, where: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in where[0]:
            self.address_family = socket.AF_INET6
        super().__init__(where, handler)


def _handler(
    gate: Gate, pages: dict[str, Page], loop: asyncio.AbstractEventLoop
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0
        server_version = "vigia"
        sys_version = ""

        def do_GET(self) -> None:
            answer = self._answer()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            if answer.status is HTTPStatus.UNAUTHORIZED:
                self.send_header("WWW-Authenticate", gate.challenge)
            self.end_headers()
            self.wfile.write(answer.body)

        def _answer(self) -> Answer:
            if not gate.admits(self.headers.get("Authorization", "")):
                return Answer(HTTPStatus.UNAUTHORIZED, b"a token or a password is needed\n")
            page = pages.get(self.path.partition("?")[0])
            if page is None:
                return Answer(HTTPStatus.NOT_FOUND, b"there are /metrics and /healthz\n")
            return _on_loop(loop, page, self.headers.get("Accept", ""))

        def log_message(self, format: str, *args: object) -> None:
            """A line for each scrape would drown what matters."""

    return Handler


def _on_loop(loop: asyncio.AbstractEventLoop, page: Page, accept: str) -> Answer:
    async def made() -> Answer:
        return page(accept)

    future = asyncio.run_coroutine_threadsafe(made(), loop)
    try:
        return future.result(_ANSWER_S)
    except FutureTimeout:
        future.cancel()
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the exporter hangs\n")
