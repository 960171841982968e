"""HTTP/1.1 responses as they come in: bytes in, status and body out. Touches no socket.

RFC 9112, as far as container engines use it: Content-Length, chunked, or a body that ends with the
connection. Everything is bounded: a peer cannot make the agent keep more than it agreed to.
"""

from __future__ import annotations

from typing import Any, Callable

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 64 * 1024 * 1024
LINE_LIMIT = 1024 * 1024


class ResponseError(Exception):
    """The peer does not speak HTTP/1.1, or sends more than is accepted."""


class ResponseParser:
    """One response. With `on_data` the body is handed over as it comes; else it is collected."""

    def __init__(self, on_head: Callable[[int], Any] | None = None, on_data: Any = None) -> None:
        self.status = 0
        self.body = b""
        self.done = False
        self.keep_alive = True
        self._on_head = on_head
        self._on_data = on_data
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._size = 0
        self._step: Callable[[], bool] = self._head
        self._left = 0
        self._chunked = False

    @property
    def started(self) -> bool:
        """Whether any byte of the response came."""
        return bool(self.status or self._buffer)

    def feed(self, data: bytes) -> None:
        """Take more bytes. Raises ResponseError."""
        self._buffer += data
        while not self.done and self._step():
            pass
        if self.done and self._buffer:
            raise ResponseError("more data than the response")

    def end(self) -> None:
        """The peer closed the connection. Raises ResponseError if something is missing."""
        if self.done:
            return
        if self._step == self._until_close:
            self._finish()
            return
        raise ResponseError("the connection was closed in the middle of a response")

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise ResponseError("endless response header")
            return False
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        first = lines[0].split(" ", 2)
        if len(first) < 2 or not first[0].startswith("HTTP/1.") or not _is_number(first[1], 10):
            raise ResponseError("not an HTTP response")
        status = int(first[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if 100 <= status < 200:
            return True
        self.status = status
        self._choose_body(headers, first[0])
        if self._on_head is not None:
            self._on_head(status)
        return True

    def _choose_body(self, headers: dict[str, str], version: str) -> None:
        connection = headers.get("connection", "").lower()
        self.keep_alive = "close" not in connection and (version != "HTTP/1.0" or "keep-alive" in connection)
        if self.status in (204, 304):
            self._finish()
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            self._step = self._chunk_size
        elif "content-length" in headers:
            if not _is_number(headers["content-length"], 10):
                raise ResponseError("bad Content-Length")
            self._left = int(headers["content-length"])
            self._step = self._by_length
            if not self._left:
                self._finish()
        else:
            self.keep_alive = False
            self._step = self._until_close

    def _by_length(self) -> bool:
        if self._take() and not self._left:
            self._finish()
        return False

    def _until_close(self) -> bool:
        self._left = len(self._buffer)
        self._take()
        return False

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        text = line.split(b";", 1)[0].strip().decode("latin-1")
        if not _is_number(text, 16):
            raise ResponseError("bad chunk size")
        self._left = int(text, 16)
        self._step = self._chunk_data if self._left else self._trailer
        return True

    def _chunk_data(self) -> bool:
        if not self._take():
            return False
        if self._left:
            return False
        self._step = self._chunk_end
        return True

    def _chunk_end(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if line:
            raise ResponseError("chunk longer than it said")
        self._step = self._chunk_size
        return True

    def _trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self._finish()
        return True

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise ResponseError("endless line")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _take(self) -> bool:
        """Move what is there of the current piece to the body; False when nothing was there."""
        piece = bytes(self._buffer[: self._left])
        if not piece:
            return False
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        if self._on_data is not None:
            self._on_data(piece)
            return True
        self._size += len(piece)
        if self._size > BODY_LIMIT:
            raise ResponseError("endless response")
        self._parts.append(piece)
        return True

    def _finish(self) -> None:
        self.body = b"".join(self._parts)
        self._parts = []
        self.done = True


class LineSplitter:
    """Bytes in pieces -> whole lines. A line past the limit is dropped, the next one counts again."""

    def __init__(self, on_line: Callable[[bytes], Any], limit: int = LINE_LIMIT) -> None:
        self._on_line = on_line
        self._limit = limit
        self._rest = b""
        self._skipping = False
        self.dropped = 0
        """How many lines were too long."""

    def feed(self, data: bytes) -> None:
        """Take more bytes and hand over the lines they complete."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif len(line) > self._limit:
                self.dropped += 1
            elif line.strip():
                self._on_line(line)
        if len(self._rest) > self._limit:
            if not self._skipping:
                self.dropped += 1
            self._skipping = True
            self._rest = b""


def _is_number(text: str, base: int) -> bool:
    """Plain digits only: `int()` alone would take signs, spaces and underscores."""
    digits = "0123456789abcdefABCDEF" if base == 16 else "0123456789"
    return 0 < len(text) <= 16 and all(char in digits for char in text)
