"""Images as streams: out of one engine, into a file or into another engine, never whole in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING
from urllib.parse import quote

from backend import enginehttp
from backend.agent.http_parse import ResponseError, ResponseParser
from backend.errors import EngineError
from backend.text import printable

if TYPE_CHECKING:
    from backend.engine import EngineClient

_CHUNK = 256 * 1024
_LAST_WORDS = 5.0
"""Seconds for the answer of an engine that hung up."""


class Declined(EngineError):
    """The engine read what it was sent, and does not take it."""


async def save(engine: EngineClient, image: str) -> AsyncGenerator[bytes, None]:
    """The image as `docker save` writes it, in pieces. Raises `NoSuchTarget`, or `EngineError`."""
    path, version = engine.endpoint
    reader, writer = await _connect(engine, path)
    url = f"/v{version}/images/{quote(image, safe='/:@')}/get"
    body = bytearray()
    parser = ResponseParser(on_data=body.extend)
    try:
        writer.write(f"GET {url} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n".encode())
        while not parser.done:
            data = await reader.read(_CHUNK)
            if not data:
                parser.end()
            else:
                parser.feed(data)
            if parser.status == 200 and body:
                yield bytes(body)
                body.clear()
            if not data:
                break
        if parser.status != 200:
            raise enginehttp.refusal(parser.status, bytes(body), engine.host)
    except (OSError, ResponseError) as error:
        raise EngineError(f"{engine.host}: {image} broke off in the middle ({error}).") from None
    finally:
        writer.close()


async def load(
    engine: EngineClient, chunks: AsyncIterator[bytes], sent: Callable[[int], None] = lambda total: None
) -> str:
    """Give an image to an engine; what it says. `sent` hears how many bytes went so far."""
    path, version = engine.endpoint
    reader, writer = await _connect(engine, path)
    parser = ResponseParser()
    # Read from the start: an engine that has no room says so and hangs up while we still send.
    answer = asyncio.create_task(enginehttp.answer(reader, parser))
    total = 0
    head = f"POST /v{version}/images/load?quiet=1 HTTP/1.1\r\nHost: engine\r\n"
    head += "Content-Type: application/x-tar\r\n"
    try:
        writer.write((head + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n").encode())
        async for chunk in chunks:
            if answer.done():
                break
            if not chunk:
                continue
            writer.write(b"%x\r\n" % len(chunk) + chunk + b"\r\n")
            total += len(chunk)
            sent(total)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        await answer
    except (OSError, ResponseError) as error:
        await asyncio.wait({answer}, timeout=_LAST_WORDS)
        if not parser.done:
            raise EngineError(f"{engine.host}: the image did not arrive whole ({error}).") from None
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
        writer.close()
    if parser.status != 200:
        raise Declined(enginehttp.refusal(parser.status, parser.body, engine.host).message)
    return _said(parser.body, engine.host)


def _said(body: bytes, host: str) -> str:
    """The last line of the engine's progress. Raises `EngineError` for one that is an error."""
    said = ""
    for raw in body.splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            continue
        if not isinstance(line, dict):
            continue
        if "error" in line:
            raise Declined(f"{host}: {printable(str(line['error']), 300)}.")
        said = str(line.get("stream") or line.get("status") or said)
    return printable(said.strip(), 300)


async def copy(
    source: EngineClient, target: EngineClient, image: str, sent: Callable[[int], None] = lambda total: None
) -> str:
    """An image from one engine to another, through here but not onto this disk."""
    async with aclosing(save(source, image)) as chunks:
        return await load(target, chunks, sent)


async def _connect(engine: EngineClient, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_unix_connection(path, limit=4 * _CHUNK)
    except OSError as error:
        raise EngineError(f"{engine.host}: the engine cannot be reached: {error.strerror}.") from None
