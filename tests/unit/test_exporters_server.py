"""Who may read the metrics."""

from __future__ import annotations

import asyncio
import base64
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

import pytest

from contracts.errors import ConfigError
from exporters.adapters.gate import Gate
from exporters.adapters.http import Answer, Listen, MetricsServer
from tests.processes.authority import Authority


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_the_loopback_needs_no_token(host: str) -> None:
    assert Listen.checked(host, 9464, Gate()) == Listen(host, 9464)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "plant.example", "", "127.0.0.1.example", "0177.0.0.1"]
)
def test_all_else_does(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--token-file"):
        Listen.checked(host, 9464, Gate())
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    assert Listen.checked(host, 9464, Gate.of(token)).gate.admits("Bearer 0123456789abcdef")


@pytest.mark.parametrize(
    "text", ["", "\n", "short", "nicht-ascii-äöü-0123456", "two\nlines-0123456789"]
)
def test_unfit_tokens_are_refused(text: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Gate.of(token)
    assert not text.strip() or text.strip() not in str(caught.value)


def test_a_token_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Gate.of(tmp_path / "none")


def get(
    url: str, authorization: str | None = None, context: ssl.SSLContext | None = None
) -> tuple[int, str]:
    request = urllib.request.Request(url)
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def page(accept: str) -> Answer:
    return Answer(HTTPStatus.OK, b"here\n")


async def test_pages_are_made_on_the_event_loop() -> None:
    loop = asyncio.get_running_loop()
    made: list[object] = []

    def noted(accept: str) -> Answer:
        made.append(asyncio.get_running_loop())
        return page(accept)

    async with MetricsServer(Listen("127.0.0.1", 0), {"/metrics": noted}) as server:
        found = await asyncio.to_thread(get, f"{server.url}/metrics?name[]=x")
        assert found == (200, "here\n")
        assert (await asyncio.to_thread(get, f"{server.url}/"))[0] == 404
    assert made == [loop]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("0123456789abcdef", 401),
        ("Basic 0123456789abcdef", 401),
        ("bearer 0123456789abcdef", 200),
        ("Bearer 0123456789abcdefg", 401),
        ("Bearer 0123456789abcdef", 200),
    ],
)
async def test_the_token_opens_every_page(authorization: str | None, status: int) -> None:
    listen = Listen("127.0.0.1", 0, Gate("0123456789abcdef"))
    async with MetricsServer(listen, {"/metrics": page}) as server:
        for path in ("/metrics", "/nothing"):
            found = await asyncio.to_thread(get, f"{server.url}{path}", authorization)
            assert found[0] == (404 if (status, path) == (200, "/nothing") else status)


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        (basic("prometheus:0123456789abcdef"), 200),
        (basic("grafana:a:colon:0123456789"), 200),
        (basic("prometheus:0123456789abcdeF"), 401),
        (basic("nobody:0123456789abcdef"), 401),
        (basic("nobody:"), 401),
        (basic("prometheus"), 401),
        ("Basic \xff", 401),
        ("Bearer 0123456789abcdef", 401),
    ],
)
async def test_a_user_and_a_password_open_every_page(
    authorization: str | None, status: int, tmp_path: Path
) -> None:
    users = tmp_path / "users"
    users.write_text("prometheus:0123456789abcdef\n\ngrafana:a:colon:0123456789\n")
    listen = Listen.checked("127.0.0.1", 0, Gate.of(users_file=users))
    async with MetricsServer(listen, {"/metrics": page}) as server:
        found = await asyncio.to_thread(get, f"{server.url}/metrics", authorization)
        assert found[0] == status


@pytest.mark.parametrize("text", ["", "prometheus\n", ":0123456789abcdef\n", "prometheus:short\n"])
def test_unfit_users_are_refused(text: str, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(text)
    with pytest.raises(ConfigError, match="users") as caught:
        Gate.of(users_file=users)
    assert "0123456789abcdef" not in str(caught.value)


async def test_only_a_certificate_of_the_clients_ca_opens(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    server, reader = ours.issue("vigia"), ours.issue("prometheus")
    stranger = others.issue("prometheus")
    gate = Gate.of(None, None, server.certificate, server.key, ours.ca_file)
    async with MetricsServer(Listen.checked("127.0.0.1", 0, gate), {"/metrics": page}) as open_:
        for pair, works in ((reader, True), (stranger, False), (None, False)):
            context = ssl.create_default_context(cafile=ours.ca_file)
            if pair is not None:
                context.load_cert_chain(pair.certificate, pair.key)
            try:
                found = await asyncio.to_thread(get, f"{open_.url}/metrics", None, context)
            except OSError:
                assert not works
            else:
                assert works
                assert found == (200, "here\n")


def test_tls_needs_both_files_and_usable_ones(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    with pytest.raises(ConfigError, match="together"):
        Gate.of(certificate=one.certificate)
    with pytest.raises(ConfigError, match="--tls-certificate"):
        Gate.of(client_ca=authority.ca_file)
    with pytest.raises(ConfigError, match="the key is not that of the certificate"):
        Gate.of(certificate=one.certificate, key=other.key)


async def test_ipv6_and_a_port_that_is_taken() -> None:
    try:
        async with MetricsServer(Listen("::1", 0), {"/metrics": page}) as server:
            assert (await asyncio.to_thread(get, f"{server.url}/metrics"))[0] == 200
    except ConfigError:
        pass  # a machine without IPv6 says so
    async with MetricsServer(Listen("127.0.0.1", 0), {}) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with MetricsServer(Listen("127.0.0.1", port), {}):
                raise AssertionError("two servers on one port")
