"""The little that is said to an engine's socket without its SDK: loading that takes 0.2 s."""

from __future__ import annotations

import asyncio
import json

from backend.agent.http_parse import ResponseParser
from backend.errors import EngineError, NoSuchTarget
from backend.text import printable

_CHUNK = 256 * 1024


def get(version: str, path: str) -> bytes:
    """A request for one connection. Without a version the engine takes its own."""
    return f"GET {f'/v{version}' if version else ''}{path} HTTP/1.1\r\nHost: engine\r\n\r\n".encode()


async def ask(socket: str, request: bytes, host: str) -> bytes:
    """One question on a connection of its own: the body of the answer.

    Raises `NoSuchTarget` or `EngineError` where the engine refuses, `OSError`, `ResponseError`.
    """
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(request)
        parser = ResponseParser()
        await answer(reader, parser)
    finally:
        writer.close()
    if parser.status >= 400:
        raise refusal(parser.status, parser.body, host)
    return parser.body


async def answer(reader: asyncio.StreamReader, parser: ResponseParser) -> None:
    """Read one answer to its end. Raises `OSError`, `ResponseError`."""
    while not parser.done:
        if data := await reader.read(_CHUNK):
            parser.feed(data)
        else:
            parser.end()


def refusal(status: int, body: bytes, host: str) -> EngineError | NoSuchTarget:
    """What the engine says instead of an answer."""
    try:
        said = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        said = f"status {status}"
    message = f"{host}: {printable(said, 300)}."
    return NoSuchTarget(message) if status == 404 else EngineError(message)
