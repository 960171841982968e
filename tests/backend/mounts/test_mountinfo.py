"""The kernel's list of mounts, and what people say of places."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.config import Config, Context, HostConfig
from backend.errors import ActionFailed, NoSuchTarget, UsageError
from backend.mounts import mountinfo, places

LINES = rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
70 22 0:51 / /home/al/my\040mnt rw shared:9 - fuse.sshfs berth-0a1b2c:h1:work/x rw,user_id=1000
71 22 0:52 / /mnt/other rw,nosuid - fuse.sshfs al@h1:/ rw,user_id=1000,group_id=1000
72 22 0:53 / /mnt/hers ro,nosuid - fuse.sshfs berth-ffffff:h1: ro,user_id=1001,group_id=1000
73 70 0:54 / /home/al/my\040mnt/in rw - tmpfs tmpfs rw
half a line
"""


def test_only_ones_own_are_ours() -> None:
    mounts = list(mountinfo.parse(LINES))
    assert [each.folder for each in mounts][1] == "/home/al/my mnt"
    found = [mountinfo.ours(each, 1000) for each in mounts]
    assert [each for each in found if each] == [("0a1b2c", "h1", "work/x")]
    assert mountinfo.ours(mounts[3], 1001) == ("ffffff", "h1", "")
    assert mountinfo.at("/home/al/my mnt", mounts) == mounts[1]
    assert mountinfo.holding("/home/al/my mnt/in/a", mounts) == mounts[4]
    assert mountinfo.holding("/home/al/my mnts", mounts) == mounts[0]


@given(st.binary(max_size=300))
def test_any_list_can_be_read(data: bytes) -> None:
    for each in mountinfo.parse(LINES[:200] + data):
        assert isinstance(each.folder, str)


@given(st.text(max_size=30), st.text(max_size=300))
def test_a_name_is_one_option_of_sshfs_and_comes_back(host: str, path: str) -> None:
    name = mountinfo.name("0a1b2c", host, path)
    assert "," not in name and "\\" not in name and name.isprintable()
    mount = mountinfo.Mounted("/x", "fuse.sshfs", name, frozenset({"user_id=7"}), "0:1")
    found = mountinfo.ours(mount, 7)
    assert found is not None and found.id == "0a1b2c"


def _config() -> Config:
    hosts = (HostConfig(name="h1", host="h1"), HostConfig(name="local", host="localhost", local=True))
    contexts = (Context(name="train", host="h1", image="x", container="train"),)
    return Config(directory=Path("/nowhere"), hosts=hosts, contexts=contexts)


@pytest.mark.parametrize(
    ("text", "source", "folder"),
    [
        ("h1", ("h1", "", ""), "mnt/h1"),
        ("h1:", ("h1", "", ""), "mnt/h1"),
        ("h1:~/src/", ("h1", "src", ""), "mnt/h1-src"),
        ("h1:/", ("h1", "/", ""), "mnt/h1-root"),
        ("h1:a:b", ("h1", "a:b", ""), "mnt/h1-a:b"),
        ("train:/data/x", ("h1", "/data/x", "train"), "mnt/train-x"),
    ],
)
def test_places(text: str, source: tuple[str, ...], folder: str) -> None:
    found = places.source(_config(), text)
    assert found == source
    assert places.folder("", found) == str(Path.home().resolve() / folder)


def test_places_that_cannot_be(tmp_path: Path) -> None:
    for text, kind in (("nobody", NoSuchTarget), ("local:x", UsageError), ("h1:~bob/x", UsageError)):
        with pytest.raises(kind):
            places.source(_config(), text)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name, why in (("file", "no folder"), ("link", "no folder"), (".", "not empty"), ("file/x", "Not a")):
        with pytest.raises(ActionFailed, match=why):
            places.prepared(str(tmp_path / name) if name != "." else str(tmp_path), [])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "link"]


def test_what_this_machine_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="sshfs is not installed"):
        places.able(None)
    with pytest.raises(UsageError, match="cannot be used") as caught:
        places.able("/usr/bin/sshfs", str(tmp_path / "fuse"))
    assert "modprobe fuse" in caught.value.hint
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(UsageError) as caught:
        places.able("/usr/bin/sshfs")
    assert "macFUSE" in caught.value.hint
