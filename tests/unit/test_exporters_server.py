"""Who may read the metrics."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

import pytest

from contracts.errors import ConfigError
from exporters.adapters.http import Answer, Listen, MetricsServer


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_the_loopback_needs_no_token(host: str) -> None:
    assert Listen.checked(host, 9464, None) == Listen(host, 9464, None)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "plant.example", "", "127.0.0.1.example", "0177.0.0.1"]
)
def test_all_else_does(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--token-file"):
        Listen.checked(host, 9464, None)
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    assert Listen.checked(host, 9464, token).token == "0123456789abcdef"


@pytest.mark.parametrize(
    "text", ["", "\n", "short", "nicht-ascii-äöü-0123456", "two\nlines-0123456789"]
)
def test_unfit_tokens_are_refused(text: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Listen.checked("127.0.0.1", 9464, token)
    assert not text.strip() or text.strip() not in str(caught.value)


def test_a_token_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Listen.checked("127.0.0.1", 9464, tmp_path / "none")


def get(url: str, authorization: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url)
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
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
        ("bearer 0123456789abcdef", 401),
        ("Bearer 0123456789abcdefg", 401),
        ("Bearer 0123456789abcdef", 200),
    ],
)
async def test_the_token_opens_every_page(authorization: str | None, status: int) -> None:
    listen = Listen("127.0.0.1", 0, "0123456789abcdef")
    async with MetricsServer(listen, {"/metrics": page}) as server:
        for path in ("/metrics", "/nothing"):
            found = await asyncio.to_thread(get, f"{server.url}{path}", authorization)
            assert found[0] == (404 if (status, path) == (200, "/nothing") else status)


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
