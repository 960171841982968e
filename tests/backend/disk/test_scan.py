"""The scanner on real trees: the same sums as du, bounded memory, estimates that can be believed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.disk.host import look, places, scan, tree
from backend.disk.host.scan import Scan

ROOT = os.geteuid() == 0
NAMES = [
    b"new\nline",
    b"quote'\"",
    b"\xff\xfe no text",
    b"-rf",
    "bidi \u202e".encode(),
    b"a b",
    b"\x1b[31mred",
]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits are those of the test, not of the machine."""
    monkeypatch.setattr(scan.time, "monotonic", Clock())


class Clock:
    """Each look takes one second: so many folders are read as seconds are given."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def du(path: Path | bytes, *options: str) -> int:
    done = subprocess.run(["du", "-sxk", *options, path], capture_output=True, check=True)
    return int(done.stdout.split()[0]) * 1024


def whole(path: Path | str) -> Scan:
    found = Scan(str(path))
    assert not found.run(1e12)
    found.estimate()
    return found


def fill(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def test_the_same_as_du_with_links_holes_loops_and_any_name(tmp_path: Path) -> None:
    fill(tmp_path / "a/one", 100_000)
    os.link(tmp_path / "a/one", tmp_path / "a/two")
    (tmp_path / "b").mkdir()
    os.link(tmp_path / "a/one", tmp_path / "b/three")
    with (tmp_path / "b/sparse").open("wb") as file:
        file.truncate(1 << 40)
        file.write(b"x" * 5000)
    (tmp_path / "b/loop").symlink_to(tmp_path)
    (tmp_path / "b/dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "b/pipe")
    for name in NAMES:
        folder = os.path.join(os.fsencode(tmp_path), name)
        os.mkdir(folder)
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"y" * 10_000)
    found = whole(tmp_path)
    root = found.tree.root
    assert root.bytes == du(tmp_path)
    assert root.files == 3 + 1 + 3 + len(NAMES) and root.folders == 2 + len(NAMES)
    assert not root.open and not root.guess and not found.problems
    inside = {os.fsencode(kid.name): kid for kid in root.kids or ()}
    for name in NAMES:
        assert inside[name].bytes == du(os.path.join(os.fsencode(tmp_path), name))
        assert found.tree.find(f"{tmp_path}/{os.fsdecode(name)}") is inside[name]
    rows, complete = look.files_of(str(tmp_path / "b"))
    assert complete and {row["name"]: row["kind"] for row in rows} == {
        **{"three": "file", "sparse": "file", "pipe": "other"},
        **{"loop": "link", "dangling": "link"},
    }


@pytest.mark.skipif(not ROOT, reason="needs another user")
def test_folders_that_cannot_be_read_are_named_and_owners_are_told_apart(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    fill(tmp_path / "open/a", 50_000)
    fill(tmp_path / "closed/b", 50_000)
    fill(tmp_path / "mine/c", 90_000)
    os.chown(tmp_path / "mine/c", 54321, 54321)
    (tmp_path / "closed").chmod(0o700)
    said = as_nobody(lambda: _seen(tmp_path))
    assert said == [
        "[('closed', 'Permission denied')] 2 0",
        "[('54321', True, 'mine'), ('root', False, 'open')]",
    ]


def _seen(folder: Path) -> list[str]:
    found = whole(folder)
    root = found.tree.root
    problems = [(path.rpartition("/")[2], why) for path, why in found.problems]
    holders = [
        (each["owner"], each["bytes"] > 80000, each["folders"][0]["path"].rpartition("/")[2])
        for each in look.owners(found, root)
    ]
    return [f"{problems} {root.files} {root.open}", str(holders)]


def as_nobody(work: Callable[[], list[str]]) -> list[str]:
    """What a function says that runs as a user who may read little, in a process of its own."""
    source, target = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(target, "\n".join(work()).encode())
        finally:
            os._exit(0)
    os.close(target)
    with open(source, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said.splitlines()


@pytest.mark.skipif(not ROOT, reason="mounts")
def test_other_file_systems_are_not_entered_not_even_the_same_one_bound(tmp_path: Path) -> None:
    fill(tmp_path / "tree/own", 10_000)
    fill(tmp_path / "other/large", 5_000_000)
    for name in ("bound", "memory"):
        (tmp_path / "tree" / name).mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from backend.disk.host.scan import Scan\n"
        "from backend.disk.host.change import Refusal, allowed\n"
        "for cross in (False, True):\n"
        "    s = Scan(sys.argv[2], cross=cross); s.run(1e12); s.estimate()\n"
        "    print(s.tree.root.files, s.tree.root.bytes > 5_000_000,"
        " sorted(k.name for k in s.tree.root.kids if k.flags & 16))\n"
        "for path in (sys.argv[2], sys.argv[2] + '/bound'):\n"
        "    try: allowed(path, [])\n"
        "    except Refusal as why: print(str(why).split(' (')[0])\n"
    )
    script = 'mount --bind "$1/other" "$1/tree/bound" && mount -t tmpfs none "$1/tree/memory" && '
    script += 'shift && exec "$@"'
    argv = ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path)]
    argv += [sys.executable, "-c", code, str(Path(__file__).parents[3]), str(tmp_path / "tree")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1 False ['bound', 'memory']",
        "2 True []",
        "has a file system mounted in it",
        "is where a file system is mounted",
    ]


def test_nested_deeper_than_any_path_can_be(tmp_path: Path) -> None:
    before = os.getcwd()
    name = "d" * 100
    try:
        os.chdir(tmp_path)
        for _ in range(120):
            os.mkdir(name)
            os.chdir(name)
        Path("bottom").write_bytes(b"x" * 20_000)
    finally:
        os.chdir(before)
    root = whole(tmp_path).tree.root
    assert (root.folders, root.files) == (120, 1)
    assert root.bytes == du(tmp_path)


def test_what_is_sampled_is_estimated_and_read_on_where_somebody_looks(tmp_path: Path) -> None:
    for number in range(300):
        fill(tmp_path / f"people/p{number}/data/file", 4096 * (1 + number % 5))
    found = Scan(str(tmp_path), seed=7)
    assert found.run(scan.time.monotonic() + 380), "there has to be something left"
    found.estimate()
    root, true = found.tree.root, du(tmp_path)
    assert 0 < root.open < 300 and root.bytes < true
    assert abs(root.bytes + root.guess - true) < tree.SURE * root.doubt**0.5 + 0.1 * true
    assert root.guess > 0.5 * (true - root.bytes)
    people = found.tree.find(f"{tmp_path}/people")
    assert people is not None
    unread = next(kid for kid in people.kids or () if kid.open)
    found.focus(unread)
    found.run(1e12)
    assert not unread.open and root.open, "only what is below it"
    found.estimate()
    assert look.state_of(found)["open"] == root.open
    found.focus(None)
    assert not found.run(1e12)
    found.estimate()
    assert (root.bytes, root.open, root.guess) == (true, 0, 0)
    assert [row["bytes"] for row in look.owners(found, root)] == [true]


def test_memory_is_bounded_sums_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "WAITING", 60)  # from half of this on the deepest first
    for number in range(40):
        for below in range(10):
            fill(tmp_path / f"f{number}/g{below}/h/file", 5000)
    found = Scan(str(tmp_path))
    found.tree.most = found.tree._fold_at = 50
    found.run(1e12)
    found.estimate()
    root = found.tree.root
    assert root.bytes == du(tmp_path) and not root.open
    assert found.tree.kept < 150
    assert any(node.flags & tree.FOLDED for node in found.tree.nodes())
    folded = next(node for node in found.tree.nodes() if node.flags & tree.FOLDED)
    assert folded.bytes and not folded.kids


def test_folders_that_nobody_has_room_for_are_counted_and_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "WAITING", 20)
    for number in range(100):
        fill(tmp_path / f"f{number}/file", 8000)
    found = Scan(str(tmp_path))
    assert not found.run(1e12)
    found.estimate()
    root = found.tree.root
    assert root.folders == 100 and root.open == 80
    assert root.flags & tree.PART
    assert abs(root.bytes + root.guess - du(tmp_path)) < 0.1 * du(tmp_path)


def test_a_folder_that_is_too_large_is_left_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_LOOK", 10)
    for number in range(100):
        (tmp_path / f"f{number}").touch()
    found = Scan(str(tmp_path))
    found.run(scan.time.monotonic() + 4)
    root = found.tree.root
    assert 0 < root.files < 100 and root.open


def test_the_biggest_and_who_has_them(tmp_path: Path) -> None:
    fill(tmp_path / "only/way/down/huge", 3_000_000)
    for number in range(5):
        fill(tmp_path / f"many/f{number}", 200_000)
    found = whole(tmp_path)
    rows = look.biggest(found, found.tree.root, 4)
    said = [row["name"].removeprefix(str(tmp_path)) for row in rows]
    assert said[:3] == ["", "/only/way/down/huge", "/many"] and said[3].startswith("/many/f")
    (owner,) = look.owners(found, found.tree.root)
    assert owner["folders"][0]["path"] == f"{tmp_path}/only/way/down"


def test_mount_points_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "23 22 8:2 / /mnt/a\\040b\\134c rw - xfs /dev/sdb1 rw\n"
        "24 22 0:5 / /proc rw - proc proc rw\nbroken line\n"
    )
    found = places.mounts(str(table))
    assert set(found) == {"/", "/mnt/a b\\c", "/proc"}
    assert places.mount_of("/mnt/a b\\c/deep/er", found) == "/mnt/a b\\c"
    assert places.mount_of("/mnt", found) == "/"
    assert places.mounts(str(tmp_path / "none")) == {}


def test_file_systems_are_told_once_with_what_they_are_for(tmp_path: Path) -> None:
    found = places.filesystems([["root", "/"], ["folder", str(tmp_path)], ["engine", "/nowhere/at/all"]])
    root = next(row for row in found if row["mount"] == "/")
    assert "root" in root["roles"] and root["total"] >= root["used"] > 0 and not root["error"]
    holds = [row for row in found if str(tmp_path) in row["folders"]]
    assert len(holds) == 1 and "folder" in holds[0]["roles"]
    assert not any("engine" in row["roles"] for row in found)


def test_a_file_system_that_hangs_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.undo()  # the real clock
    gone, true = threading.Event(), os.statvfs

    def statvfs(path: str) -> os.statvfs_result:
        if path == "/":
            gone.wait(60)
        return true(path)

    monkeypatch.setattr(places, "PATIENCE", 0.2)
    monkeypatch.setattr(places.os, "statvfs", statvfs)
    found = places.filesystems([["root", "/"]])
    assert [row["error"] for row in found if row["mount"] == "/"] == ["does not answer"]
    gone.set()
