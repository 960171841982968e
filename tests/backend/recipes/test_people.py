"""The script that makes an image's users, run for real in a small system of its own."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from backend.recipes.model import User
from backend.recipes.people import script
from tests.backend.recipes.conftest import KEY

BUSYBOX = shutil.which("busybox")
pytestmark = pytest.mark.skipif(
    BUSYBOX is None or os.geteuid() != 0, reason="needs root and a static busybox to chroot into"
)
TOOLS = "sh grep sed head mkdir cp chmod chown touch cat echo dirname tail"


class System:
    """A root with busybox and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("bin", "etc", "berth", "tmp"):
            (root / folder).mkdir(parents=True)
        shutil.copy(BUSYBOX or "", root / "bin/busybox")
        for tool in TOOLS.split():
            (root / "bin" / tool).symlink_to("busybox")
        self.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n")
        self.file("etc/group", "root:x:0:\nstaff:x:50:ubuntu\nempty:x:51:\n")
        self.file("etc/shadow", "root:*:1::::::\nubuntu:!:1::::::\n")
        self.file("berth/authorized_keys", KEY)

    def file(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *users: User) -> subprocess.CompletedProcess[str]:
        self.file("berth/users.sh", script(users))
        argv = [shutil.which("chroot") or "chroot", str(self.root), "/bin/sh", "/berth/users.sh"]
        return subprocess.run(argv, capture_output=True, text=True, env={"PATH": "/bin"}, check=False)

    def lines(self, name: str) -> list[str]:
        return (self.root / name).read_text().splitlines()


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path / "root")


ANN = User(name="ann", uid=1000, groups=("docker:999", "staff", "empty", "new"), sudo=True)
BOB = User(name="bob", uid=1001, gid=999, groups=("docker:999",), shell="/bin/nosuch")


def test_users_get_their_numbers_groups_homes_and_keys(system: System) -> None:
    system.file("etc/skel/.profile", "x")
    system.file("berth/bashrc", "alias l=ls\n")
    (system.root / "etc/sudoers.d").mkdir()
    ran = system.run(ANN, BOB)
    assert ran.returncode == 0, ran.stderr
    assert "ann takes the place of ubuntu" in ran.stderr
    passwd = system.lines("etc/passwd")
    assert passwd[1:] == ["ann:x:1000:1000::/home/ann:/bin/sh", "bob:x:1001:999::/home/bob:/bin/sh"]
    groups = dict(line.rsplit(":", 1) for line in system.lines("etc/group"))
    assert groups["docker:x:999"] == "ann,bob"
    assert groups["staff:x:50"] == "ubuntu,ann"
    assert groups["empty:x:51"] == "ann"
    assert groups["new:x:900"] == "ann"
    assert [line.split(":")[:2] for line in system.lines("etc/shadow")[1:]] == [["ann", "*"], ["bob", "*"]]
    for name, uid, gid in (("ann", 1000, 1000), ("bob", 1001, 999)):
        home = system.root / "home" / name
        keys = home / ".ssh/authorized_keys"
        assert keys.read_text() == KEY
        assert {(path.stat().st_uid, path.stat().st_gid) for path in (home, keys, home / ".bashrc")} == {
            (uid, gid)
        }
        assert [stat.S_IMODE(path.stat().st_mode) for path in (keys.parent, keys)] == [0o700, 0o600]
        assert (home / ".profile").exists()
    sudo = system.root / "etc/sudoers.d/berth-ann"
    assert (sudo.read_text(), stat.S_IMODE(sudo.stat().st_mode)) == ("ann ALL=(ALL) NOPASSWD:ALL\n", 0o440)
    assert not (system.root / "etc/sudoers.d/berth-bob").exists()


def test_it_may_run_again(system: System) -> None:
    system.run(ANN, BOB)
    before = [system.lines(f"etc/{name}") for name in ("passwd", "group", "shadow")]
    assert system.run(ANN, BOB).returncode == 0
    assert [sorted(system.lines(f"etc/{name}")) for name in ("passwd", "group", "shadow")] == [
        sorted(lines) for lines in before
    ]


def test_a_system_without_shadow_sudo_and_groups(system: System) -> None:
    for name in ("shadow", "group"):
        (system.root / "etc" / name).unlink()
    ran = system.run(ANN)
    assert ran.returncode == 0, ran.stderr
    assert "there is no sudo in the image" in ran.stderr
    assert not (system.root / "etc/shadow").exists()


def test_somebody_of_that_name_with_another_number_is_an_error(system: System) -> None:
    ran = system.run(User(name="ubuntu", uid=5))
    assert ran.returncode == 1
    assert "ubuntu is in the base already, with another number than 5" in ran.stderr
