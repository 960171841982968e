"""Who is let in, and whose key a host has to have, against a real sshd on loopback."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import link
from backend.errors import ActionFailed, HostKeyChanged, HostKeyUnknown, LoginRefused
from tests.backend.linked import opened
from tests.backend.sshd import Sshd, keygen


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
            assert (await box.run(["echo", "in"], timeout=30)).stdout == b"in\n"
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
