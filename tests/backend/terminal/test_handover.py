"""Copying bytes between a terminal and a program: nothing lost, nothing piled up, always given back."""

from __future__ import annotations

import asyncio
import os
import signal
import termios
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from backend.errors import HostError, Unreachable, UsageError
from backend.link.pty import open_local
from backend.terminal.handover import Ended, hand_over
from backend.terminal.process import Size
from backend.terminal.tty import Tty

USUAL = Size(80, 24)


class Screen:
    """The other end of a terminal: what a person sees and types."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        self.seen = b""

    def flags(self) -> list[int]:
        return termios.tcgetattr(self.slave)[:4]

    async def look(self, text: bytes) -> None:
        """Wait until this is on the screen."""
        async with asyncio.timeout(20):
            while text not in self.seen:
                if not self.take():
                    await asyncio.sleep(0.005)

    def take(self) -> int:
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return 0
        self.seen += data
        return len(data)

    def close(self) -> None:
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.close()


class Fake:
    """A program that prints what it is told and remembers what it was sent."""

    def __init__(self, *output: bytes, lost: HostError | None = None, endless: bool = False) -> None:
        self.output = list(output)
        self.lost = lost
        self.endless = endless
        self.printed = 0
        self.typed = b""
        self.sizes: list[Size] = []
        self.reading = asyncio.Event()
        self.reading.set()

    async def read(self) -> bytes:
        if self.output:
            self.printed += 1
            return self.output.pop(0)
        if self.lost is not None:
            raise self.lost
        if self.endless:
            self.printed += 1
            await asyncio.sleep(0)
            return b"y" * 1024
        await asyncio.Event().wait()
        return b""

    async def write(self, data: bytes) -> None:
        await self.reading.wait()
        self.typed += data

    def resize(self, size: Size) -> None:
        self.sizes.append(size)

    async def wait(self) -> int:
        return 0

    async def close(self) -> None:
        pass


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


Handing = Callable[[Fake], asyncio.Task[Ended]]


@pytest.fixture
async def handing(screen: Screen) -> AsyncIterator[Handing]:
    """`handing(process)` as a task that is ended with the test."""
    tasks: list[asyncio.Task[Ended]] = []
    ttys: list[Tty] = []

    def start(process: Fake) -> asyncio.Task[Ended]:
        ttys.append(Tty(screen.slave, screen.slave))
        tasks.append(asyncio.create_task(hand_over(process, ttys[-1])))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for each in ttys:
        each.close()


async def test_a_terminal_that_shows_nothing_stops_the_program(screen: Screen, handing: Handing) -> None:
    process = Fake(endless=True)
    handing(process)
    await until(lambda: process.printed)
    before = -1
    while process.printed != before:  # until it stands still
        before = process.printed
        await asyncio.sleep(0.2)
    assert process.printed * 1024 < 500_000
    while screen.take():
        pass
    await until(lambda: process.printed > before)


async def test_a_program_that_reads_nothing_stops_the_terminal_and_no_byte_is_lost(
    screen: Screen, handing: Handing
) -> None:
    process = Fake()
    process.reading.clear()
    handing(process)
    await until(lambda: not screen.flags()[3] & termios.ICANON)
    sent = b""
    idle = 0
    while idle < 20:
        piece = (b"%06d" % len(sent)) * 100
        try:
            sent += piece[: os.write(screen.master, piece)]
            idle = 0
        except BlockingIOError:
            idle += 1
            await asyncio.sleep(0.01)
    assert len(sent) < 500_000
    process.reading.set()
    await until(lambda: len(process.typed) >= len(sent))
    assert process.typed == sent


async def test_the_key_after_the_end_belongs_to_whoever_is_next(screen: Screen, handing: Handing) -> None:
    process = Fake(b"bye", b"")
    assert (await handing(process)).code == 0
    os.write(screen.master, b"next\n")
    assert os.read(screen.slave, 100) == b"next\n"
    assert process.typed == b""


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_with_everything_switched_back(
    screen: Screen, handing: Handing, sign: signal.Signals
) -> None:
    before, old = screen.flags(), signal.getsignal(sign)
    task = handing(Fake(b"\x1b[?1049h\x1b[?25l inside"))
    await screen.look(b"inside")
    assert screen.flags() != before
    os.kill(os.getpid(), sign)
    ended = await task
    assert (ended.code, ended.signal) == (128 + sign, sign)
    assert screen.flags() == before
    await screen.look(b"\x1b[?25h\x1b[?1049l")
    assert signal.getsignal(sign) is old


async def test_a_lost_link_is_told_and_forgets_what_was_typed_for_it(
    screen: Screen, handing: Handing
) -> None:
    before = screen.flags()
    ended = await handing(Fake(b"\x1b[?1003h", lost=Unreachable("gone")))
    assert (ended.code, str(ended.lost)) == (3, "gone")
    assert screen.flags() == before
    await screen.look(b"\x1b[?1003l")


async def test_a_cancel_or_a_bug_gives_the_terminal_back(screen: Screen, handing: Handing) -> None:
    before = screen.flags()
    task = handing(Fake(b"shown"))
    await screen.look(b"shown")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert screen.flags() == before

    class Broken(Fake):
        async def read(self) -> bytes:
            raise RuntimeError("bug")

    with pytest.raises(RuntimeError):
        await handing(Broken())
    assert screen.flags() == before


async def test_a_window_that_is_closed_ends_it(screen: Screen, handing: Handing) -> None:
    task = handing(Fake(b"shown"))
    await screen.look(b"shown")
    os.close(screen.master)
    screen.master = -1
    assert (await asyncio.wait_for(task, 10)).code == 128 + signal.SIGHUP


async def test_the_size_is_told_at_the_start_and_on_every_change(screen: Screen, handing: Handing) -> None:
    process = Fake(b"shown")
    termios.tcsetwinsize(screen.slave, (30, 100))
    handing(process)
    await screen.look(b"shown")
    termios.tcsetwinsize(screen.slave, (1, 1))
    os.kill(os.getpid(), signal.SIGWINCH)
    await until(lambda: process.sizes[-1:] == [Size(1, 1)])
    assert process.sizes[0] == Size(100, 30)


async def test_without_a_terminal_it_is_refused() -> None:
    read, write = os.pipe()
    try:
        with pytest.raises(UsageError, match="needs a terminal"):
            Tty(read, write)
    finally:
        os.close(read)
        os.close(write)


async def local(*argv: str, size: Size = USUAL) -> tuple[bytes, int]:
    process = await open_local(argv, term="xterm-256color", size=size, env={"LC_TEST": "yes"})
    text = b""
    try:
        async with asyncio.timeout(20):
            while data := await process.read():
                text += data
            return text, await process.wait()
    finally:
        await process.close()


async def test_a_command_of_this_machine_has_a_terminal_of_its_own() -> None:
    script = 'test -t 0 && stty size && echo "$TERM $LC_TEST $1" >/dev/tty; exit 5'
    text, code = await local("sh", "-c", script, "x", "$(a) 'b'", size=Size(91, 17))
    assert text.split(b"\r\n") == [b"17 91", b"xterm-256color yes $(a) 'b'", b""]
    assert code == 5


async def test_a_command_that_is_killed_tells_its_signal() -> None:
    assert (await local("sh", "-c", "kill -KILL $$"))[1] == 128 + signal.SIGKILL


async def test_all_output_arrives_and_what_a_child_holds_open_is_not_waited_for() -> None:
    text, code = await local("sh", "-c", "seq 1 50000; sleep 1000 & echo $!")
    *lines, pid, _ = text.split(b"\r\n")
    os.kill(int(pid), signal.SIGKILL)
    assert lines == [b"%d" % number for number in range(1, 50001)]
    assert code == 0


async def test_closing_hangs_up_on_what_runs() -> None:
    process = await open_local(["sleep", "1000"], term="dumb", size=Size(80, 24), env={})
    await process.close()
    assert await process.wait() == 128 + signal.SIGHUP
    await process.close()
