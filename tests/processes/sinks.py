"""Where e-mails and webhooks of a test end: servers on the loopback, with TLS and secrets."""

from __future__ import annotations

import hmac
import json
import ssl
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from broker.loopback import HOST, free_port
from tests.processes.authority import Authority


def _tls(authority: Authority, name: str) -> ssl.SSLContext:
    pair = authority.issue(name)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


class MailSink:
    """An SMTP server that takes mail of the user `vigia` alone, after STARTTLS."""

    password = "secret-of-the-mail-server"

    def __init__(self, authority: Authority) -> None:
        self.mails: list[EmailMessage] = []
        self.port = free_port()
        self._authority = authority
        self._controller: Controller | None = None

    def _known(self, _: SMTP, __: Session, ___: Envelope, mechanism: str, told: Any) -> AuthResult:
        known = isinstance(told, LoginPassword) and (
            told.login == b"vigia" and hmac.compare_digest(told.password, self.password.encode())
        )
        return AuthResult(success=known)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keeps a mail; called by aiosmtpd."""
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        """Of all mails that came."""
        return [str(mail["Subject"]) for mail in self.mails]

    def __enter__(self) -> Self:
        self._controller = Controller(
            self,
            hostname=HOST,
            port=self.port,
            tls_context=_tls(self._authority, "mail"),
            require_starttls=True,
            auth_required=True,
            # Go's mail client and this server ask for LOGIN's name in other words.
            auth_exclude_mechanism=["LOGIN"],
            authenticator=self._known,
        )
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._controller is not None
        self._controller.stop()


class WebhookSink:
    """An HTTPS server that keeps what is posted with its token, or with `path` what is posted
    there: then the address is the secret."""

    token = "secret-of-the-webhook"

    def __init__(self, authority: Authority, path: str | None = None) -> None:
        self._path = path
        self.calls: list[dict[str, Any]] = []
        self.refused = 0
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.socket = _tls(authority, "hooks").wrap_socket(
            self._server.socket, server_side=True
        )
        self.port = self._server.server_address[1]
        self.url = f"https://{HOST}:{self.port}{path or ''}"

    def _known(self, request: BaseHTTPRequestHandler) -> bool:
        if self._path is not None:
            return request.path == self._path
        return request.headers["Authorization"] == f"Bearer {self.token}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not sink._known(self):
                    sink.refused += 1
                    self.send_error(401)
                    return
                sink.calls.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        return Handler

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
