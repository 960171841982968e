"""Who may come in: whoever has the token, from a page of ours, under an address that is ours.

What each check is for:

* token: other users of this machine, and other programs, reach a port on loopback as well.
* Host: a web site can have its own name resolved to 127.0.0.1 (DNS rebinding) and be the same site as us.
* Origin: a page from elsewhere may open a websocket to us, and browsers send cookies along.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

LOOPBACK_NAMES = frozenset({"localhost"})


class Gate:
    """The secrets of one server, and what is compared with them. Both last as long as the server."""

    def __init__(self, port: int, *, open_to: Iterable[str] = ()) -> None:
        """`open_to`: names of this machine that are allowed beside addresses; none: loopback alone."""
        self.token = secrets.token_urlsafe(32)
        """Opens the door once per browser: part of the address that is printed. Never logged."""
        self.cookie = secrets.token_urlsafe(32)
        """What a browser has from then on. Another secret: an address that leaks later is not a cookie."""
        self.cookie_name = f"berth-{port}"
        """By port: browsers send cookies to every port of an address."""
        self._names = frozenset(name.lower() for name in open_to)

    def knows_token(self, given: str) -> bool:
        """Whether this is the token; how long that takes says nothing."""
        return _same(given, self.token)

    def knows_cookie(self, given: str | None) -> bool:
        """Whether this is the cookie's value."""
        return given is not None and _same(given, self.cookie)

    def is_ours(self, host: str) -> bool:
        """Whether a request's Host names this machine by an address, or by a name that nobody else can give.

        Any port: behind `ssh -L` the browser knows another one.
        """
        name = _hostname(host)
        if name is None:
            return False
        if name in LOOPBACK_NAMES or name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # An address cannot be rebound. On loopback alone nothing else leads here.
        return address.is_loopback or bool(self._names)

    def is_same_page(self, origin: str | None, host: str) -> bool:
        """Whether a request with this Origin comes from a page that this server gave under `host`."""
        if not origin:
            return False
        parts = _split(origin)
        return parts is not None and parts.scheme in ("http", "https") and parts.netloc == host.lower()


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def _hostname(host: str) -> str | None:
    parts = _split(f"//{host}")
    if parts is None or parts.path or parts.query or parts.fragment or parts.username is not None:
        return None
    return parts.hostname


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url.lower())
        _ = parts.port  # one that is no number is found out only now
    except ValueError:
        return None
    return parts
