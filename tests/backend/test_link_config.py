"""The configuration of ssh, and hosts behind others, against a real sshd on loopback."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import link
from backend.config import HostConfig
from backend.errors import HostKeyUnknown, Unreachable
from tests.backend.linked import eventually, opened
from tests.backend.sshd import Sshd, descendants


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
        assert (await box.run(["echo", "ok"], timeout=30)).stdout == b"ok\n"
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
        assert (await box.run(["echo", "ok"], timeout=30)).stdout == b"ok\n"


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
    assert (await boxes[3].run(["echo", "ok"], timeout=30)).stdout == b"ok\n"
    await asyncio.gather(*(box.close() for box in boxes[:4]))
    assert (await boxes[4].run(["echo", "ok"], timeout=30)).stdout == b"ok\n"
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
        assert (await box.run(["echo", "ok"], timeout=30)).stdout == b"ok\n"
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
        assert (await again.run(["echo", "ok"], timeout=30)).stdout == b"ok\n"
    await box.close()


async def test_a_last_word_of_the_ssh_configuration(sshd: Sshd, home: Path) -> None:
    """`Match final`, as distributions have it in their own files, means that all is read twice."""
    ssh_config(home, "Match final all\n  Ciphers aes256-ctr,aes128-ctr\n  GSSAPIAuthentication yes\n")
    async with opened(sshd.host()) as box:
        assert (await box.run(["echo", "ok"], timeout=30)).stdout == b"ok\n"
    sshd.known_hosts.write_text("")
    with pytest.raises(HostKeyUnknown):
        await link.open(sshd.host())
