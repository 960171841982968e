"""A fleet that never was, played through a unix socket: recorded agent lines of as many hosts as wanted.

`python -m tests.bench.replay SOCKET --hosts 100 --containers 100` makes the lines of some intervals and then
serves them, each connection one host at its own phase. The dashboard under test reads them through
`ReplayLink`, so that decoding, fleet and screen are the real ones while SSH is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec

from backend.config import HostConfig
from backend.errors import HostError, Unreachable
from backend.link.api import MAX_LINE, Completed
from tests.data.fleet import make_hosts

TICKS = 20
"""Intervals that are recorded; after the last one it begins again with the second."""
ASK_IMAGES = b"images\n"


class ReplayProcess:
    """An agent that is a stream of recorded lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.stderr = b""

    async def _lines(self) -> AsyncIterator[bytes]:
        while line := await self._reader.readline():
            yield line[:-1]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._lines()

    async def write(self, data: bytes) -> None:
        """Commands go nowhere, but for one: images are only told of once somebody asks."""
        if b'"images"' in data:
            self._writer.write(ASK_IMAGES)

    def write_eof(self) -> None:
        """There is nothing to end."""

    async def wait(self) -> int:
        """Only called after the lines ended."""
        return 0

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()


class ReplayLink:
    """A connection to one recorded host."""

    local = True  # its agent is started as it is, not shipped

    def __init__(self, name: str, socket: str) -> None:
        self.name = name
        self._socket = socket
        self.closed: asyncio.Future[HostError | None] = asyncio.get_running_loop().create_future()

    async def start(self, argv: Sequence[str]) -> ReplayProcess:
        """Whatever is started is the agent."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket, limit=MAX_LINE)
        except OSError as error:
            raise Unreachable(f"{self.name}: {error}") from None
        writer.write(self.name.encode() + b"\n")
        return ReplayProcess(reader, writer)

    async def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float) -> Completed:
        """There is no shell."""
        return Completed(127, b"", b"")

    async def forward_socket(self, remote_path: str) -> str:
        """There is no engine."""
        raise Unreachable(f"{self.name} is recorded.")

    async def close(self) -> None:
        """Hang up."""
        if not self.closed.done():
            self.closed.set_result(None)


def opener(socket: str):
    """For `Fleet(opener=...)`."""

    async def open_link(host: HostConfig) -> ReplayLink:
        return ReplayLink(host.name, socket)

    return open_link


async def serve(socket: str, hosts: int, containers: int, gpus: int, interval: float, images: int) -> None:
    """Play the recording to everybody who connects, for ever."""
    made = make_hosts(hosts, containers=containers, gpus=gpus, now=datetime.now(UTC))
    recorded = {
        host.name: [b"".join(host.lines(tick, time.time() + tick * interval)) for tick in range(TICKS)]
        for host in made
    }
    listed = {
        host.name: b'{"s":"images","t":%.3f,"d":%b}\n'
        % (time.time(), msgspec.json.encode(host.images(images)))
        for host in made
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        while line := await reader.readline():
            if line == ASK_IMAGES:
                writer.write(listed[name])

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = (await reader.readline()).decode().strip()
        phase = interval * (list(recorded).index(name) + 0.5) / len(recorded)
        answering = asyncio.create_task(answer(reader, writer, name))
        due = asyncio.get_running_loop().time()
        tick = 0
        try:
            while not writer.is_closing():
                writer.write(recorded[name][tick])
                await writer.drain()
                due += interval + (phase if tick == 0 else 0)
                tick = tick % (TICKS - 1) + 1
                await asyncio.sleep(due - asyncio.get_running_loop().time())
        except ConnectionError:
            pass
        finally:
            answering.cancel()
            writer.close()

    server = await asyncio.start_unix_server(play, socket)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """The player."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket")
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--containers", type=int, default=100)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--interval", type=float, default=2.0)
    options = parser.parse_args()
    asyncio.run(
        serve(
            options.socket, options.hosts, options.containers, options.gpus, options.interval, options.images
        )
    )


if __name__ == "__main__":
    main()
