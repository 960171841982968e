"""Logs as the engine sends them: a request per container, bytes in, batches of lines out.

Read without the SDK, which wakes a thread twice for every line: a container that writes 2,000 lines a second
would cost half a core. Here the socket is read at most 25 times a second, whatever it sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from backend.agent.http_parse import ResponseError, ResponseParser
from backend.enginehttp import get, refusal
from backend.errors import EngineError
from backend.logs.lines import MAX_CHARACTERS, LogLine, clean, plain
from backend.logs.plain import LogEngine

PAUSE = 0.04
"""Seconds between two reads of a socket that sends all the time."""
_CHUNK = 256 * 1024
_FRAME_LIMIT = 64 * 1024 * 1024


class FrameSplitter:
    """The engine's stream of a container without a terminal: frames of `kind 0 0 0 length`, then data.

    Source: Docker Engine API, ContainerAttach, "Stream format". With a terminal there are no frames.
    """

    def __init__(self, tty: bool) -> None:
        self._tty = tty
        self._buffer = bytearray()
        self._partial: dict[bool, tuple[datetime | None, bytes]] = {}

    def feed(self, data: bytes, source: int) -> list[LogLine]:
        """Take more bytes; the lines they complete. Raises `EngineError` for bytes that are no frames."""
        self._buffer += data
        return self._terminal(source) if self._tty else self._frames(source)

    def rest(self, source: int) -> list[LogLine]:
        """What stands there without a newline at the end of the stream."""
        if self._tty and self._buffer:
            self._buffer += b"\n"
            return self._terminal(source)
        return [_line(at, text, error, source) for error, (at, text) in self._partial.items() if text]

    def _terminal(self, source: int) -> list[LogLine]:
        whole, newline, rest = bytes(self._buffer).rpartition(b"\n")
        if not newline:
            if len(self._buffer) > MAX_CHARACTERS * 8:
                del self._buffer[MAX_CHARACTERS * 4 :]  # an endless line: its beginning is enough
            return []
        self._buffer = bytearray(rest)
        return [_line(*_timed(line), False, source) for line in whole.split(b"\n")]

    def _frames(self, source: int) -> list[LogLine]:
        lines: list[LogLine] = []
        buffer, at, end = self._buffer, 0, len(self._buffer)
        while end - at >= 8:
            kind, size = buffer[at], int.from_bytes(buffer[at + 4 : at + 8], "big")
            if kind > 2 or size > _FRAME_LIMIT:
                raise EngineError("the engine's log is not in the form the engine says it is in.")
            if end - at < 8 + size:
                break
            self._frame(bytes(buffer[at + 8 : at + 8 + size]), kind == 2, source, lines)
            at += 8 + size
        del buffer[:at]
        return lines

    def _frame(self, data: bytes, error: bool, source: int, lines: list[LogLine]) -> None:
        """One frame is one message with a time before it; long lines come in several, each with a time."""
        at, text = _timed(data)
        if error in self._partial:
            first, before = self._partial.pop(error)
            at, text = first or at, before + text
        if not text.endswith(b"\n"):
            self._partial[error] = (at, text[: MAX_CHARACTERS * 4])
            return
        for line in text[:-1].split(b"\n"):
            lines.append(_line(at, line, error, source))


def _timed(data: bytes) -> tuple[datetime | None, bytes]:
    """A line's RFC 3339 time (nanoseconds cut to microseconds) and the rest."""
    stamp, space, rest = data.partition(b" ")
    if not space or not 20 <= len(stamp) <= 40:
        return None, data
    try:
        text = stamp.decode("ascii")
        at = datetime.fromisoformat(text[:26].rstrip("Z") if text.endswith("Z") else text)
    except ValueError:
        return None, data
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at, rest


def _line(at: datetime | None, data: bytes, error: bool, source: int) -> LogLine:
    text = clean(data)
    return LogLine(at, source, error, text, plain(text))


async def stream(
    engine: LogEngine,
    container: str,
    *,
    tty: bool,
    follow: bool,
    tail: int | None = None,
    since: datetime | None = None,
    source: int = 0,
) -> AsyncGenerator[list[LogLine], None]:
    """Batches of a container's log lines: the last `tail` (None: all) since `since`, then what comes.

    Ends when the container does, or at the log's end without `follow`. Raises `NoSuchTarget`, or
    `EngineError` where the engine refuses, breaks off in the middle, or cannot be reached.
    """
    path, version = engine.endpoint
    query: dict[str, object] = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow)}
    query["tail"] = "all" if tail is None else tail
    if since is not None:
        query["since"] = f"{since.timestamp():.6f}"
    url = f"/containers/{quote(container, safe='')}/logs?{urlencode(query)}"
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_CHUNK)
    except OSError as error:
        raise EngineError(f"{engine.host}: the engine cannot be reached: {error.strerror}.") from None
    try:
        writer.write(get(version, url))
        async for lines in _read(reader, FrameSplitter(tty), engine.host, source, PAUSE if follow else 0.0):
            yield lines
    except (OSError, ResponseError) as error:
        raise EngineError(f"{engine.host}: the log broke off ({error}).") from None
    finally:
        writer.close()


async def _read(
    reader: asyncio.StreamReader, splitter: FrameSplitter, host: str, source: int, pause: float
) -> AsyncIterator[list[LogLine]]:
    body = bytearray()
    parser = ResponseParser(on_data=body.extend)
    while not parser.done:
        data = await reader.read(_CHUNK)
        if not data:
            parser.end()
            break
        parser.feed(data)
        if parser.status >= 400:
            continue  # the body says why
        lines = splitter.feed(bytes(body), source)
        body.clear()
        if lines:
            yield lines
            await asyncio.sleep(pause if len(data) < _CHUNK else 0)
    if parser.status >= 400:
        raise refusal(parser.status, bytes(body), host)
    if rest := splitter.rest(source):
        yield rest
