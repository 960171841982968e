"""The SSH link against a real sshd on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncssh
import pytest

from backend import link
from backend.config import HostConfig
from backend.errors import Unreachable
from backend.link import sockets
from backend.link.ssh import SshLink
from tests.backend.linked import eventually, opened
from tests.backend.sshd import Sshd, free_port

# ---------------------------------------------------------------------------------------- commands


async def test_arguments_arrive_as_they_are(sshd: Sshd) -> None:
    words = ["a b", "it's", '"$HOME"', "new\nline", "", "*", "héé", "back\\slash", "!history"]
    async with opened(sshd.host()) as box:
        done = await box.run(["printf", "%s|", *words], timeout=10)
        assert done == (0, ("|".join(words) + "|").encode(), b"")


async def test_input_status_signal_and_stderr(sshd: Sshd) -> None:
    async with opened(sshd.host()) as box:
        done = await box.run(["sh", "-c", "cat; echo no >&2; exit 3"], input=b"x" * 300_000, timeout=10)
        assert (done.returncode, len(done.stdout), done.stderr) == (3, 300_000, b"no\n")
        assert (await box.run(["sh", "-c", "kill -9 $$"], timeout=10)).returncode == -9


async def test_a_command_that_lasts_too_long_is_given_up(sshd: Sshd) -> None:
    async with opened(sshd.host()) as box:
        with pytest.raises(TimeoutError):
            await box.run(["tail", "-f", "/dev/null"], timeout=0.3)
        assert (await box.run(["echo", "still here"], timeout=10)).stdout == b"still here\n"


async def test_what_is_given_up_is_told_to_end(tmp_path: Path) -> None:
    """Seen by a server of asyncssh's: OpenSSH signals no session of root, which the tests may run as."""
    signals: list[str] = []

    class Session(asyncssh.SSHServerSession[bytes]):
        def exec_requested(self, command: str) -> bool:
            return True

        def signal_received(self, signal: str) -> None:
            signals.append(signal)

    class Server(asyncssh.SSHServer):
        def session_requested(self) -> Session:
            return Session()

    keys = Sshd(tmp_path / "ssh")
    async with (
        asyncssh.listen(
            "127.0.0.1",
            keys.port,
            server_factory=Server,
            server_host_keys=[str(keys.host_key)],
            authorized_client_keys=str(keys.authorized),
        ),
        opened(keys.host()) as box,
    ):
        with pytest.raises(TimeoutError):
            await box.run(["sleep", "1000"], timeout=0.3)
        await eventually(lambda: signals == ["KILL"])
        await (await box.start(["sleep", "1000"])).close()
        await eventually(lambda: signals == ["KILL", "TERM"])


async def test_a_command_that_is_never_started_ends_in_time_too(sshd: Sshd) -> None:
    async with opened(sshd.host()) as box:
        server = sshd.sessions()
        for pid in server:
            os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(30):
                with pytest.raises(TimeoutError):
                    await box.run(["echo"], timeout=0.3)
        finally:
            for pid in server:
                os.kill(pid, signal.SIGCONT)
        assert (await box.run(["echo", "still here"], timeout=10)).stdout == b"still here\n"


async def test_commands_given_up_while_they_start_take_none_of_the_sessions_a_host_allows(sshd: Sshd) -> None:
    async with opened(sshd.host()) as box:
        server = sshd.sessions()
        for pid in server:
            os.kill(pid, signal.SIGSTOP)
        try:
            runs = [asyncio.create_task(box.run(["cat"], input=b"x", timeout=100)) for _ in range(12)]
            await asyncio.sleep(0)
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
        finally:
            for pid in server:
                os.kill(pid, signal.SIGCONT)

        async def works() -> bool:
            with contextlib.suppress(Unreachable):
                return (await box.run(["echo", "here"], timeout=10)).stdout == b"here\n"
            return False

        async with asyncio.timeout(10):
            while not await works():
                await asyncio.sleep(0.01)
        assert sshd.sessions() == server, "on the same connection"


async def test_a_process_streams_lines_both_ways(sshd: Sshd) -> None:
    async with opened(sshd.host()) as box:
        process = await box.start(
            ["sh", "-c", "while read x; do echo got $x; done; echo bye >&2; printf half"]
        )
        lines = aiter(process)
        await process.write(b"one\n")
        assert await anext(lines) == b"got one"
        await process.write(b"two\n")
        process.write_eof()
        assert [each async for each in lines] == [b"got two", b"half"]
        assert await process.wait() == 0
        assert process.stderr == b"bye\n"
        with pytest.raises(Unreachable):
            await process.write(b"three\n")
        await process.close()


async def test_only_the_end_of_stderr_is_kept(sshd: Sshd) -> None:
    async with opened(sshd.host()) as box:
        process = await box.start(["sh", "-c", "yes noise | head -c 3000000 >&2; echo last >&2"])
        assert await process.wait() == 0
        assert len(process.stderr) <= 4096 and process.stderr.endswith(b"last\n")


async def test_closing_a_process_ends_it_there(sshd: Sshd, tmp_path: Path) -> None:
    async with opened(sshd.host()) as box:
        process = await box.start(["sh", "-c", f"echo $$ >{tmp_path}/pid; exec cat"])
        await eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        pid = int((tmp_path / "pid").read_text())
        await process.close()
        await process.close()
        await eventually(lambda: not Path(f"/proc/{pid}").exists())
        assert (await box.run(["echo", "here"], timeout=10)).stdout == b"here\n"


async def test_a_forwarded_socket_reaches_the_one_there(sshd: Sshd, tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello " + await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(greet, tmp_path / "there.sock")
    async with server, opened(sshd.host()) as box:
        local = await box.forward_socket(str(tmp_path / "there.sock"))
        assert local == await box.forward_socket(str(tmp_path / "there.sock"))
        assert stat.S_IMODE(Path(local).parent.stat().st_mode) == 0o700
        reader, writer = await asyncio.open_unix_connection(local)
        writer.write(b"you\n")
        assert await reader.readline() == b"hello you\n"
        writer.close()
    assert not Path(local).parent.exists()


@pytest.mark.parametrize("way", ["command", "dial", "port", "socket"])
async def test_packets_are_acknowledged_at_once_only_until_a_channel_is_open(
    way: str, sshd: Sshd, tmp_path: Path
) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.readline():
            writer.write(data)
        writer.close()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(20):
            writer.write(b"word\n")
            assert await asyncio.wait_for(reader.readline(), 10) == b"word\n"
        writer.close()

    tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
    unix = await asyncio.start_unix_server(echo, tmp_path / "there.sock")
    port = tcp.sockets[0].getsockname()[1]
    async with tcp, unix, opened(sshd.host()) as box:
        assert isinstance(box, SshLink)
        hurried = lambda: "data_received" in vars(box._connection)  # noqa: E731
        assert hurried()
        if way == "command":
            await box.run(["true"], timeout=10)
        elif way == "dial":
            (await box.dial(asyncio.Protocol, "127.0.0.1", port)).close()
        elif way == "port":
            async with box.forward_port("127.0.0.1", port) as here:
                await talk(*await asyncio.open_connection("127.0.0.1", here))
        else:
            here = await box.forward_socket(str(tmp_path / "there.sock"))
            await talk(*await asyncio.open_unix_connection(here))
        assert not hurried()


def test_folders_of_a_berth_that_was_killed_are_swept_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = [tmp_path / f"berth-{ended.pid}-abc", tmp_path / f"berth-{os.getpid()}-abc", tmp_path / "berth-x"]
    for folder in left:
        folder.mkdir()
    made = sockets.make()
    assert [folder.exists() for folder in left] == [False, True, True]
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


async def test_the_end_of_a_connection_is_told(sshd: Sshd) -> None:
    box = await link.open(sshd.host())
    process = await box.start(["cat"])
    sshd.stop()
    error = await asyncio.wait_for(box.closed, 10)
    assert isinstance(error, Unreachable) and "box" in error.message
    assert [each async for each in process] == []
    assert await process.wait() == -1
    with pytest.raises(Unreachable):
        await box.run(["true"], timeout=30)
    with pytest.raises(Unreachable):
        await box.start(["true"])
    await box.close()


async def test_our_own_close_is_no_error_and_leaves_nothing(sshd: Sshd) -> None:
    before = asyncio.all_tasks()
    box = await link.open(sshd.host())
    await box.start(["cat"])
    await box.close()
    await box.close()
    assert await box.closed is None
    await eventually(lambda: asyncio.all_tasks() == before)
    await eventually(lambda: not sshd.sessions())


async def test_cancelling_a_connection_attempt_leaves_nothing(sshd: Sshd, home: Path) -> None:
    before = asyncio.all_tasks()
    attempt = asyncio.create_task(link.open(sshd.host()))
    await eventually(sshd.sessions)
    attempt.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await attempt).close()
    await eventually(lambda: not sshd.sessions() and asyncio.all_tasks() == before)
    async with opened(sshd.host()) as box:
        assert (await box.run(["echo", "here"], timeout=10)).stdout == b"here\n"


# ------------------------------------------------------------------------------------ unreachable


async def test_a_closed_port_is_refused_with_a_way_out(home: Path) -> None:
    with pytest.raises(Unreachable, match="refuses connections") as caught:
        await link.open(HostConfig(name="box", host="127.0.0.1", sshport=free_port()))
    assert "sshport" in caught.value.hint


async def test_a_name_that_does_not_resolve(home: Path) -> None:
    with pytest.raises(Unreachable, match="does not resolve"):
        await link.open(HostConfig(name="box", host="no-such-host.invalid"))


@contextlib.asynccontextmanager
async def listening(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[HostConfig]:
    """Something on a port that is no SSH server."""
    writers = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await answer(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield HostConfig(name="box", host="127.0.0.1", sshport=server.sockets[0].getsockname()[1])
        for writer in writers:
            writer.close()


async def test_a_login_that_hangs_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.link.target.LOGIN_TIMEOUT", 0.3)

    async def nothing(writer: asyncio.StreamWriter) -> None:
        pass

    async with listening(nothing) as host:
        with pytest.raises(Unreachable, match="did not finish the login"):
            await link.open(host)


async def test_a_port_that_speaks_something_else(home: Path) -> None:
    async def noise(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-1.0-relic\r\n")
        await writer.drain()

    async with listening(noise) as host:
        with pytest.raises(Unreachable, match="no SSH server we understand"):
            await link.open(host)


async def test_a_server_that_hangs_up_at_once(home: Path) -> None:
    async def bye(writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(bye) as host:
        with pytest.raises(Unreachable, match="closed the connection during login") as caught:
            await link.open(host)
    assert "MaxStartups" in caught.value.hint


async def test_no_cryptography_in_common(sshd: Sshd) -> None:
    sshd.stop()
    sshd.options["KexAlgorithms"] = "diffie-hellman-group1-sha1"
    sshd.start()
    (Path(os.environ["HOME"]) / ".ssh/config").write_text("KexAlgorithms curve25519-sha256\n")
    with pytest.raises(Unreachable, match="no cryptography in common"):
        await link.open(sshd.host())


async def test_no_more_sessions(sshd: Sshd) -> None:
    sshd.stop()
    sshd.options["MaxSessions"] = "1"
    sshd.start()
    async with opened(sshd.host()) as box:
        process = await box.start(["cat"])
        with pytest.raises(Unreachable, match="no further session") as caught:
            await box.run(["true"], timeout=30)
        assert "MaxSessions" in caught.value.hint
        await process.close()


# ------------------------------------------------------------------------- one host and the others


async def test_hosts_that_hang_do_not_hold_up_others(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither names that are looked up forever, nor logins that never end."""
    monkeypatch.setattr("backend.link.connect._LONGEST_TURN", 0.05)
    stuck = threading.Event()
    real = socket.getaddrinfo

    def slow(host: str, *rest: object, **more: object) -> object:
        if host == "stuck.example":
            stuck.wait(60)
        return real(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def nothing(writer: asyncio.StreamWriter) -> None:
        pass

    async with listening(nothing) as silent:
        unknown = HostConfig(name="stuck", host="stuck.example")
        waiting = [asyncio.create_task(link.open(host)) for host in [unknown] * 40 + [silent] * 40]
        async with opened(sshd.host(host="localhost", known_hosts=known_as(sshd, "localhost"))) as box:
            assert (await box.run(["echo", "ok"], timeout=30)).stdout == b"ok\n"
        assert not any(each.done() for each in waiting)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    stuck.set()


def known_as(sshd: Sshd, name: str) -> Path:
    """A known_hosts file with the server's key under another name."""
    path = sshd.folder / "known_as"
    path.write_text(f"[{name}]:{sshd.port} {sshd.public}\n")
    return path
