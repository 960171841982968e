"""Who may come in to `berth serve`, by what a browser says."""

from __future__ import annotations

import pytest

from backend.web.gate import Gate

HOST = "127.0.0.1:8000"


@pytest.mark.parametrize(
    "host", [HOST, "localhost:9000", "LOCALHOST", "[::1]:8000", "127.0.0.1", "127.8.8.8:1"]
)
def test_loopback_has_these_names_on_any_port(host: str) -> None:
    assert Gate(8000).is_ours(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000",  # rebound to 127.0.0.1
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1:8000",
        "0.0.0.0:8000",
        "user@127.0.0.1",
        "127.0.0.1:port",
        "127.0.0.1/path",
        "[::1",
        "",
        "2130706433",
    ],
)
def test_nothing_else_leads_to_loopback(host: str) -> None:
    assert not Gate(8000).is_ours(host)


def test_other_addresses_have_addresses_and_their_own_names() -> None:
    gate = Gate(8000, open_to=("gpu-box", "0.0.0.0"))
    assert gate.is_ours("gpu-box:8000")
    assert gate.is_ours("10.0.0.1:8000")
    assert gate.is_ours("localhost:8000")
    assert not gate.is_ours("evil.example:8000")


@pytest.mark.parametrize("origin", [f"http://{HOST}", f"https://{HOST}", f"HTTP://{HOST}"])
def test_pages_of_the_server_are_known_by_their_origin(origin: str) -> None:
    assert Gate(8000).is_same_page(origin, HOST)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "http://127.0.0.1:8001",
        "http://localhost:8000",
        "https://evil.example",
        "file://",
        HOST,
    ],
)
def test_pages_from_elsewhere_are_too(origin: str | None) -> None:
    assert not Gate(8000).is_same_page(origin, HOST)


def test_secrets_are_long_different_each_time_and_not_each_other() -> None:
    one, other = Gate(8000), Gate(8000)
    secrets = {one.token, one.cookie, other.token, other.cookie}
    assert len(secrets) == 4
    assert min(map(len, secrets)) >= 43  # 256 bits
    assert one.knows_token(one.token)
    assert one.knows_cookie(one.cookie)
    for wrong in ("", one.token[:-1], one.cookie, other.token, "é", "\udc80", one.token + "x"):
        assert not one.knows_token(wrong)
    assert not one.knows_cookie(None)
    assert not one.knows_cookie(one.token)


def test_each_port_has_a_cookie_of_its_own_name() -> None:
    assert Gate(8000).cookie_name != Gate(8001).cookie_name
