"""`berth doctor`'s checks, against a real sshd and this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import doctor, picture
from backend.config import Config, HostConfig
from backend.doctor import Check, run_doctor
from backend.errors import NoSuchTarget
from tests.backend.sshd import Sshd, free_port, keygen


async def checks(*hosts: HostConfig) -> dict[str, Check]:
    """By step, of one host."""
    config = Config(directory=Path("/nowhere"), hosts=hosts)
    found = [check async for check in run_doctor(config, [hosts[0].name])]
    assert len({check.step for check in found}) == len(found), "each step once"
    return {check.step: check for check in found}


async def test_a_host_that_is_well(sshd: Sshd) -> None:
    found = await checks(sshd.host(engine="none", queue="none"))
    assert list(found)[:6] == ["resolve", "connect", "host key", "login", "python3", "clock"]
    for step in ("resolve", "connect", "host key", "login", "python3", "clock", "agent"):
        assert found[step].ok, found[step]
    assert str(sshd.port) in found["resolve"].message and "Python 3" in found["python3"].message
    assert found["engine"].ok is None and found["queue dir"].ok is None


async def test_this_machine_needs_no_way(home: Path) -> None:
    found = await checks(HostConfig(name="local", host="local", local=True))
    assert "login" not in found and found["agent"].ok and found["python3"].ok


async def test_each_step_that_can_fail_on_the_way_says_how_to_mend_it(sshd: Sshd, tmp_path: Path) -> None:
    closed = await checks(sshd.host(sshport=free_port()))
    assert closed["resolve"].ok and closed["connect"].ok is False and "sshport" in closed["connect"].hint
    assert {closed[step].ok for step in ("host key", "login", "python3", "engine", "queue dir")} == {None}

    nowhere = await checks(sshd.host(host="no-such-host.invalid"))
    assert nowhere["resolve"].ok is False and nowhere["resolve"].hint

    stranger = await checks(sshd.host(identity_file=keygen(tmp_path / "stranger")))
    assert (
        stranger["host key"].ok and stranger["login"].ok is False and "ssh-copy-id" in stranger["login"].hint
    )

    sshd.known_hosts.write_text("")
    unknown = await checks(sshd.host())
    assert unknown["connect"].ok and unknown["host key"].ok is False and unknown["login"].ok is None
    assert "SHA256:" in unknown["host key"].message


async def test_a_clock_that_is_wrong(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SKEW", -1.0)
    found = await checks(sshd.host(engine="none"))
    assert found["clock"].ok is False and "set-ntp" in found["clock"].hint


async def test_hosts_that_are_left_out_and_hosts_that_are_not_there(sshd: Sshd) -> None:
    assert list(await checks(sshd.host(skip=True))) == ["skip"]
    with pytest.raises(NoSuchTarget):
        async for _ in run_doctor(Config(directory=Path("/nowhere")), ["gone"]):
            pass


async def test_a_bug_on_one_host_hides_no_other(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(host: HostConfig, disks: object) -> object:
        if host.name == "bad":
            raise ZeroDivisionError("oops")
        return []

    monkeypatch.setattr(picture, "disk_problems", buggy)
    hosts = (sshd.host(name="bad", engine="none"), sshd.host(name="good", engine="none"))
    found = [check async for check in run_doctor(Config(directory=Path("/nowhere"), hosts=hosts))]
    assert any(check.host == "bad" and check.ok is False and "oops" in check.message for check in found)
    assert any(check.host == "good" and check.step == "queue dir" for check in found)
