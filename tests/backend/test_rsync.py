"""What goes from rsync's pipe to a command on a host."""

from __future__ import annotations

import asyncio
import os
import socket

from backend import rsync

PACKET = 1 << 15


class Command:
    """A command that takes what it is sent, when it is let."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended = asyncio.Event()
        self.may = asyncio.Event()
        self.may.set()

    async def write(self, data: bytes) -> None:
        await self.may.wait()
        self.pieces.append(data)

    def write_eof(self) -> None:
        self.ended.set()


async def until(command: Command, size: int) -> None:
    async with asyncio.timeout(30):
        while sum(map(len, command.pieces)) < size:
            await asyncio.sleep(0.001)


async def test_blocks_with_a_few_bytes_each_go_in_whole_packets() -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    command, sent = Command(), b""
    command.may.clear()
    sending = asyncio.create_task(rsync._send(command, ours.fileno()))  # type: ignore[arg-type]
    for number in range(40):
        block = os.urandom(PACKET + 4)
        if number == 2:
            command.may.set()
        await asyncio.get_running_loop().sock_sendall(theirs, block)
        sent += block
    await until(command, len(sent))
    assert b"".join(command.pieces) == sent
    odd = [len(piece) for piece in command.pieces if len(piece) % PACKET]
    assert len(odd) < 20, odd
    theirs.sendall(b"more")
    theirs.close()
    await sending
    assert command.pieces[-1] == b"more" and command.ended.is_set()
    ours.close()


async def test_what_is_less_than_a_packet_is_not_kept_waiting() -> None:
    ours, theirs = socket.socketpair()
    command = Command()
    sending = asyncio.create_task(rsync._send(command, ours.fileno()))  # type: ignore[arg-type]
    for number in range(1, 4):
        theirs.sendall(b"a" * number)
        await until(command, number * (number + 1) // 2)
    assert command.pieces == [b"a", b"aa", b"aaa"]
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert not asyncio.get_running_loop().remove_reader(ours.fileno())
    for each in (ours, theirs):
        each.close()


async def test_a_host_that_takes_nothing_costs_nothing() -> None:
    ours, theirs = socket.socketpair()
    command = Command()
    sending = asyncio.create_task(rsync._send(command, ours.fileno()))  # type: ignore[arg-type]
    theirs.sendall(b"first")
    await until(command, 5)
    command.may.clear()
    theirs.sendall(b"second")
    turns = 0
    while turns < 100:  # the loop turns round only because of us
        await asyncio.sleep(0)
        turns += 1
    theirs.sendall(b"third")
    for _ in range(100):
        await asyncio.sleep(0)
    assert not asyncio.get_running_loop().remove_reader(ours.fileno())
    command.may.set()
    await until(command, 16)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    for each in (ours, theirs):
        each.close()
