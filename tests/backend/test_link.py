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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from backend import link
from backend.config import HostConfig
from backend.errors import ActionFailed, HostKeyChanged, HostKeyUnknown, LoginRefused, Unreachable
from backend.link import Link, sockets
from tests.backend.sshd import Sshd, descendants, free_port, keygen


@contextlib.asynccontextmanager
async def opened(host: HostConfig) -> AsyncIterator[Link]:
    connection = await link.open(host)
    try:
        yield connection
    finally:
        await connection.close()


async def eventually(wish: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not wish():
            await asyncio.sleep(0.01)


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
            async with asyncio.timeout(5):
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
        await box.run(["true"], timeout=5)
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
            await box.run(["true"], timeout=5)
        assert "MaxSessions" in caught.value.hint
        await process.close()


# ------------------------------------------------------------------------------------------- login


async def test_a_key_that_is_not_let_in(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(LoginRefused, match="other_key") as caught:
        await link.open(sshd.host(identity_file=keygen(tmp_path / "other_key")))
    assert "ssh-copy-id" in caught.value.hint and str(sshd.port) in caught.value.hint


async def test_no_key_at_all(sshd: Sshd) -> None:
    with pytest.raises(LoginRefused, match="no key here") as caught:
        await link.open(sshd.host(identity_file=None))
    assert "ssh-keygen" in caught.value.hint


async def test_a_key_file_that_is_not_there(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(LoginRefused, match="does not exist"):
        await link.open(sshd.host(identity_file=tmp_path / "gone"))


@pytest.mark.parametrize("format_", ["RFC4716", "PEM"])
async def test_a_locked_key_says_how_to_unlock_it_and_the_agent_does(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    key = tmp_path / "locked"
    kind = ["-t", "rsa", "-m", "PEM"] if format_ == "PEM" else ["-t", "ed25519"]
    subprocess.run(["ssh-keygen", "-q", *kind, "-N", "secret", "-f", str(key)], check=True)
    with pytest.raises(LoginRefused, match="needs a passphrase") as caught:
        await link.open(sshd.host(identity_file=key))
    assert f"ssh-add {key}" in caught.value.hint

    sshd.authorized.write_bytes((tmp_path / "locked.pub").read_bytes())
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "secret", "-N", "", "-f", str(key)], check=True)
    keys = [keygen(tmp_path / f"more{number}") for number in range(8)]
    with ssh_agent(tmp_path, [*keys, key]) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(key)], check=True)
        async with opened(sshd.host(identity_file=key)) as box:
            assert (await box.run(["echo", "in"], timeout=5)).stdout == b"in\n"
        with pytest.raises(LoginRefused, match="too many keys") as caught:
            await link.open(sshd.host(identity_file=None))
        assert "identity_file" in caught.value.hint


@contextlib.contextmanager
def ssh_agent(folder: Path, keys: list[Path]) -> Iterator[Path]:
    path = folder / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(1000):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(path)) == 0:
                    break
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", "-q", *map(str, keys)], check=True, env=environment)
        yield path
    finally:
        agent.kill()
        agent.wait()


# --------------------------------------------------------------------------------------- host keys


async def test_an_unknown_key_is_shown_accepted_and_then_known(sshd: Sshd) -> None:
    sshd.known_hosts.write_text("# nothing yet\nother ssh-ed25519 broken\ngarbage")
    with pytest.raises(HostKeyUnknown) as caught:
        await link.open(sshd.host())
    error = caught.value
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(sshd.host_key)], check=True, capture_output=True, text=True
    )
    assert error.fingerprint.startswith("SHA256:") and error.fingerprint in shown.stdout
    assert error.key == f"[127.0.0.1]:{sshd.port} {sshd.public}"
    assert error.fingerprint in error.message and f"ssh -p {sshd.port} 127.0.0.1" in error.hint
    link.add_known_host(sshd.host(), error.key)
    assert sshd.known_hosts.read_text().splitlines()[2:] == ["garbage", error.key]
    async with opened(sshd.host()):
        pass


async def test_a_key_is_added_to_a_new_file_that_only_we_can_read(sshd: Sshd, tmp_path: Path) -> None:
    target = tmp_path / "new" / "known_hosts"
    link.add_known_host(sshd.host(known_hosts=target), sshd.public)
    assert target.read_text() == f"[127.0.0.1]:{sshd.port} {sshd.public}\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    async with opened(sshd.host(known_hosts=target)):
        pass


@pytest.mark.parametrize(
    "key", ["", "x", "ssh-ed25519 AAAA", "* ssh-ed25519 KEY", "a b c d", "@revoked a KEY"]
)
def test_what_is_no_key_is_not_added(sshd: Sshd, key: str) -> None:
    before = sshd.known_hosts.read_text()
    with pytest.raises(ActionFailed):
        link.add_known_host(sshd.host(), key.replace("KEY", sshd.public.split()[1]))
    assert sshd.known_hosts.read_text() == before


async def test_a_changed_key_names_the_line_on_record(sshd: Sshd) -> None:
    sshd.known_hosts.write_text("# first line\n" + sshd.known_hosts.read_text())
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    with pytest.raises(HostKeyChanged, match=r"known_hosts:2 ") as caught:
        await link.open(sshd.host())
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in caught.value.hint


async def test_a_key_of_another_kind_than_the_one_on_record_is_a_changed_key(sshd: Sshd) -> None:
    sshd.stop()
    sshd.new_host_key("rsa")
    sshd.start()
    with pytest.raises(HostKeyChanged):
        await link.open(sshd.host())


async def test_a_host_with_several_keys_is_asked_for_the_known_one(sshd: Sshd, tmp_path: Path) -> None:
    sshd.stop()
    sshd.new_host_key("rsa")
    sshd.options["HostKey"] = f"{sshd.host_key}\nHostKey {keygen(tmp_path / 'second')}"
    sshd.trust()
    sshd.start()
    async with opened(sshd.host()) as box:
        assert (await box.run(["echo", "here"], timeout=10)).stdout == b"here\n"


async def test_a_revoked_key(sshd: Sshd) -> None:
    with sshd.known_hosts.open("a") as file:
        file.write(f"@revoked * {sshd.public}\n")
    with pytest.raises(HostKeyChanged, match=r"revoked.*known_hosts:2"):
        await link.open(sshd.host())


async def test_hashed_lines_lines_without_port_and_authorities(sshd: Sshd, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(sshd.known_hosts)], check=True, capture_output=True)
    assert "127.0.0.1" not in sshd.known_hosts.read_text()
    async with opened(sshd.host()):
        pass
    sshd.known_hosts.write_text(f"127.0.0.1 {sshd.public}\n")
    async with opened(sshd.host()):
        pass
    authority = keygen(tmp_path / "authority")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "box", "-h", "-n", "127.0.0.1"]
    subprocess.run([*sign, str(sshd.host_key.with_suffix(".pub"))], check=True, capture_output=True)
    sshd.stop()
    sshd.options["HostCertificate"] = f"{sshd.host_key}-cert.pub"
    sshd.start()
    public = " ".join((tmp_path / "authority.pub").read_text().split()[:2])
    sshd.known_hosts.write_text(f"@cert-authority * {public}\n")
    async with opened(sshd.host()):
        pass


async def test_another_hosts_line_does_not_vouch(sshd: Sshd) -> None:
    sshd.known_hosts.write_text(f"[127.0.0.1]:{sshd.port + 1},127.0.0.2 {sshd.public}\n")
    with pytest.raises(HostKeyUnknown):
        await link.open(sshd.host())


# ------------------------------------------------------------------------------------- ssh config


def ssh_config(home: Path, text: str) -> None:
    (home / ".ssh/config").write_text(text)


async def test_the_ssh_configuration_is_read(sshd: Sshd, home: Path) -> None:
    (home / ".ssh/extra").write_text(
        f"Host b?x\n  IdentityFile {sshd.user_key}\n  IdentityFile ~/.ssh/gone\n"
    )
    ssh_config(
        home,
        f"Include extra\nHost box\n  HostName 127.0.0.1\n  Port {sshd.port}\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n  RemoteCommand false\n  RequestTTY force\n"
        "  StrictHostKeyChecking no\n  ForwardAgent yes\n",
    )
    host = HostConfig(name="box", host="box")
    async with opened(host) as box:
        assert (await box.run(["echo", "ok"], timeout=5)).stdout == b"ok\n"
    sshd.known_hosts.write_text("")
    with pytest.raises(HostKeyUnknown) as caught:
        await link.open(host)
    link.add_known_host(host, caught.value.key)
    assert sshd.public in sshd.known_hosts.read_text()


async def test_no_setting_of_ssh_switches_the_check_off(sshd: Sshd, home: Path) -> None:
    ssh_config(home, "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null none\n")
    with pytest.raises(HostKeyUnknown) as caught:
        await link.open(sshd.host(known_hosts=None))
    link.add_known_host(sshd.host(known_hosts=None), caught.value.key)
    assert sshd.public in (home / ".ssh/known_hosts").read_text()


async def test_homes_that_are_not_there_in_the_ssh_configuration(sshd: Sshd, home: Path) -> None:
    ssh_config(
        home,
        f"Host box\n  HostName 127.0.0.1\n  Port {sshd.port}\n"
        f"  IdentityFile ~nobody-of-this-name/id\n  IdentityFile {sshd.user_key}\n"
        f"  UserKnownHostsFile ~nobody-of-this-name/hosts {sshd.known_hosts}\n",
    )
    async with opened(HostConfig(name="box", host="box")) as box:
        assert (await box.run(["echo", "ok"], timeout=5)).stdout == b"ok\n"


async def test_a_broken_ssh_configuration_says_where(sshd: Sshd, home: Path) -> None:
    ssh_config(home, "Host box\n  Port many\n")
    with pytest.raises(Unreachable, match="config line 2"):
        await link.open(HostConfig(name="box", host="box"))


async def test_an_ssh_configuration_that_hangs(
    sshd: Sshd, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.link.connect._PREPARE_TIMEOUT", 0.2)
    ssh_config(home, "Match exec 'sleep 2'\n  Port 1\n")
    with pytest.raises(Unreachable, match="takes over") as caught:
        await link.open(sshd.host())
    assert "Match exec" in caught.value.hint


# ------------------------------------------------------------------------------------------ jumps


@pytest.fixture
def gate(tmp_path: Path, home: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "gate").start()
    yield server
    server.stop()


def behind(gate: Sshd, sshd: Sshd, home: Path, more: str = "") -> None:
    """A configuration in which `gate` and `box` are those servers."""
    ssh_config(
        home,
        f"{more}\nHost gate\n  HostName 127.0.0.1\n  Port {gate.port}\n  IdentityFile {gate.user_key}\n"
        f"  UserKnownHostsFile {gate.known_hosts}\n"
        f"Host box\n  HostName 127.0.0.1\n  Port {sshd.port}\n  IdentityFile {sshd.user_key}\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n",
    )


async def test_hosts_behind_a_jump_host_share_one_connection_to_it(
    sshd: Sshd, gate: Sshd, home: Path
) -> None:
    behind(gate, sshd, home)
    hosts = [HostConfig(name=f"box{number}", host="box", proxy_jump="gate") for number in range(5)]
    boxes = await asyncio.gather(*map(link.open, hosts))
    assert len(gate.sessions()) == 1
    assert (await boxes[3].run(["echo", "ok"], timeout=5)).stdout == b"ok\n"
    await asyncio.gather(*(box.close() for box in boxes[:4]))
    assert (await boxes[4].run(["echo", "ok"], timeout=5)).stdout == b"ok\n"
    await boxes[4].close()
    await eventually(lambda: not gate.sessions() and not sshd.sessions())


async def test_proxyjump_of_the_ssh_configuration_for_everything(sshd: Sshd, gate: Sshd, home: Path) -> None:
    behind(gate, sshd, home, "Host *\n  ProxyJump gate\n")
    async with opened(HostConfig(name="box", host="box")):
        assert len(gate.sessions()) == 1
    async with opened(HostConfig(name="box", host="box", proxy_jump="none")):
        await eventually(lambda: not gate.sessions())


async def test_proxycommand(sshd: Sshd, gate: Sshd, home: Path) -> None:
    command = f"ssh -F {home}/.ssh/config -W 127.0.0.1:{sshd.port} gate"
    behind(gate, sshd, home, f"Host box\n  ProxyCommand echo noise >&2; {command}\n")
    async with opened(HostConfig(name="box", host="box")) as box:
        assert len(gate.sessions()) == 1
        assert (await box.run(["echo", "ok"], timeout=5)).stdout == b"ok\n"
    await eventually(lambda: not descendants(os.getpid()) or not gate.sessions())


async def test_trouble_with_a_jump_host_names_it(sshd: Sshd, gate: Sshd, home: Path) -> None:
    behind(gate, sshd, home)
    host = HostConfig(name="box", host="box", proxy_jump="gate")
    gate.known_hosts.write_text("")
    with pytest.raises(HostKeyUnknown, match="jump host gate") as caught:
        await link.open(host)
    assert caught.value.key == f"[127.0.0.1]:{gate.port} {gate.public}"
    gate.trust()
    sshd.stop()
    with pytest.raises(Unreachable, match="jump host") as refused:
        await link.open(host)
    assert "box" in refused.value.message
    gate.stop()
    with pytest.raises(Unreachable, match=r"jump host gate.*refuses"):
        await link.open(host)


async def test_jump_hosts_in_a_circle(sshd: Sshd, gate: Sshd, home: Path) -> None:
    behind(gate, sshd, home, "Host gate\n  ProxyJump other\nHost other\n  ProxyJump gate\n")
    with pytest.raises(Unreachable, match="leads through itself"):
        await asyncio.wait_for(link.open(HostConfig(name="box", host="box", proxy_jump="gate")), 10)


async def test_a_jump_host_that_dies_takes_its_hosts_along(sshd: Sshd, gate: Sshd, home: Path) -> None:
    behind(gate, sshd, home)
    host = HostConfig(name="box", host="box", proxy_jump="gate")
    box = await link.open(host)
    gate.stop()
    assert isinstance(await asyncio.wait_for(box.closed, 10), Unreachable)
    gate.start()
    async with opened(host) as again:  # a new connection to the jump host, while the dead one is still held
        assert (await again.run(["echo", "ok"], timeout=5)).stdout == b"ok\n"
    await box.close()


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
            assert (await box.run(["echo", "ok"], timeout=5)).stdout == b"ok\n"
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


async def test_a_last_word_of_the_ssh_configuration(sshd: Sshd, home: Path) -> None:
    """`Match final`, as distributions have it in their own files, means that all is read twice."""
    ssh_config(home, "Match final all\n  Ciphers aes256-ctr,aes128-ctr\n  GSSAPIAuthentication yes\n")
    async with opened(sshd.host()) as box:
        assert (await box.run(["echo", "ok"], timeout=5)).stdout == b"ok\n"
    sshd.known_hosts.write_text("")
    with pytest.raises(HostKeyUnknown):
        await link.open(sshd.host())
