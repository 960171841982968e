"""One Docker SDK client whose sockets can be shut from outside, which is what makes a call cancellable.

A lane does one thing at a time, in one thread. Whoever waits for that thread and gives up calls `abort`: the
lane's sockets are shut down, the blocked read in the thread returns, the thread ends.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from typing import Any
from urllib.parse import quote

from docker import APIClient
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool
from requests import Response
from urllib3.connection import HTTPConnection

MESSAGE_LIMIT = 600
"""Characters kept of what an engine says about an error."""


class AnswerError(Exception):
    """The engine answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class AbortedError(Exception):
    """The lane was aborted before this socket was opened."""


class _Connection(UnixHTTPConnection):
    """Tells its lane of its socket before it connects."""

    lane: Lane

    def connect(self) -> None:
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connecting.settimeout(self.lane.connect_timeout)
        try:
            self.lane.opened(connecting)
            connecting.connect(self.unix_socket)
            connecting.settimeout(None)  # how long an answer may take is decided by who waits for it
        except BaseException:
            connecting.close()
            raise
        self.sock = connecting


class _Pool(UnixHTTPConnectionPool):
    lane: Lane

    def _new_conn(self) -> HTTPConnection:
        connection = _Connection(self.base_url, self.socket_path)
        connection.lane = self.lane
        return connection


class _Adapter(UnixHTTPAdapter):
    """The SDK's adapter with connections that know their lane, to a path no URL ever has to hold."""

    def __init__(self, lane: Lane, path: str) -> None:
        super().__init__("http+unix:///", max_pool_size=1)
        self.lane = lane
        self.socket_path = path

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        del proxies
        with self.pools.lock:
            pool = self.pools.get("one")
            if pool is None:
                pool = _Pool("http+unix:///", self.socket_path, maxsize=1)
                pool.lane = self.lane
                self.pools["one"] = pool
        return pool


class Lane(APIClient):
    """An SDK client of one socket. Not for two threads at once, but for `abort` and `moved`."""

    def __init__(self, path: str, *, version: str, connect_timeout: float) -> None:
        """`version`: of the API, as the engine gave it. `connect_timeout`: in seconds."""
        super().__init__(base_url="unix:///nowhere", version=version)
        self.trust_env = False  # no ~/.netrc, no proxies: it is a socket
        self.timeout = None  # type: ignore[assignment]  # SDK's own word for "none"
        self.connect_timeout = connect_timeout
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._aborted = False
        self._custom_adapter = _Adapter(self, path)
        self.mount("http+docker://", self._custom_adapter)
        self.moved_at = time.monotonic()

    @property
    def aborted(self) -> bool:
        """Whether nobody waits any more for what it does."""
        return self._aborted

    def opened(self, fresh: socket.socket) -> None:
        """A connection of this lane uses this socket from now on."""
        with self._lock:
            if self._aborted:
                raise AbortedError
            self._sockets = [each for each in self._sockets if each.fileno() >= 0] + [fresh]

    def moved(self) -> None:
        """Data came or went: the call is alive."""
        self.moved_at = time.monotonic()
        if self._aborted:
            raise AbortedError

    def abort(self) -> None:
        """End whatever a thread does on this lane. Never blocks, never raises; the lane is spent."""
        with self._lock:
            self._aborted = True
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # not connected, or closed already

    def endpoint(self, path: str, *parts: str) -> str:
        """The URL of something the SDK has no method for; `parts` go into the `{}` of `path`, quoted."""
        return f"{self.base_url}/v{self.api_version}{path.format(*(quote(part, safe='') for part in parts))}"

    def checked(self, response: Response) -> Response:
        """The response, unless it is an error."""
        if response.status_code >= 400:
            raise AnswerError(response.status_code, _said(response))
        return response

    def _url(self, path: str, *parts: str, **how: Any) -> str:
        """As the SDK's, but no container's name reaches beyond its own part of the path."""
        if path.startswith(("/containers/", "/exec/")):
            return self.endpoint(re.sub(r"\{\d\}", "{}", path), *parts)
        return str(super()._url(path, *parts, **how))  # type: ignore[misc]

    def _raise_for_status(self, response: Response) -> None:
        """In place of the SDK's: the engine's message, whatever shape its answer has."""
        self.checked(response)


def _said(response: Response) -> str:
    """What an error answer says, cut to size."""
    try:
        found = response.json()["message"]
    except (ValueError, KeyError, TypeError, LookupError):
        found = response.text
    text = found.strip() if isinstance(found, str) else ""
    return text[:MESSAGE_LIMIT] or f"status {response.status_code} {response.reason or ''}".strip()
