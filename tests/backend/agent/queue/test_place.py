"""The queue's folder: made for everybody of the engine's group, and refused where it cannot be trusted."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backend.agent.queue import place
from backend.agent.queue.errors import FailedError, MissingError, RefusedError
from backend.agent.queue.store import Store

from .conftest import job, needs_root

GROUP = 4100
CALL = """
import sys
sys.path.insert(0, sys.argv[1])
from backend.agent.queue import people, place
from backend.agent.queue.errors import QueueError
from backend.agent.queue.store import Store
from backend.agent.queue.jobs import Job, Request, Spec
try:
    with place.find(sys.argv[2]) as folder, Store.open(folder) as store:
        owner = people.user()
        print(store.submit([Job(0, owner, 1, "w", Spec("i"), Request()) for _ in range(5)], owner))
except QueueError as error:
    print(error.kind, error.message, "|", error.hint)
"""


@pytest.fixture
def source(base: Path) -> str:
    """Our code where every user may read it."""
    root = Path(__file__).parents[4]
    target = base / "code" / "backend"
    target.mkdir(parents=True)
    (target / "__init__.py").touch()
    subprocess.run(["cp", "-r", root / "backend" / "agent", target], check=True)
    return str(base / "code")


def as_user(uid: int, groups: list[int], *argv: str, umask: int = 0o077) -> str:
    """What `CALL` says as that user. The system's Python: ours may be in a home that is private."""
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    done = subprocess.run(
        [python, "-B", "-c", CALL, *argv],
        capture_output=True,
        text=True,
        user=uid,
        group=uid,
        extra_groups=groups,
        umask=umask,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.stdout.strip()


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_a_new_folder_is_its_groups_whatever_the_umask(engine):
    before = os.umask(0o077)
    try:
        with place.find(engine) as folder, Store.open(folder) as store:
            store.submit([job()], "ann")
            assert mode(folder.path) == 0o2770
            for name in ("queue.db", "queue.db-wal", "queue.db-shm", "queue.id", "queue.next", "queue.lock"):
                assert mode(os.path.join(folder.path, name)) == 0o660, name
            assert mode(folder.make_logs()) == 0o2770
    finally:
        os.umask(before)


def test_without_create_nothing_is_made(engine, base):
    with pytest.raises(MissingError):
        place.find(engine, create=False)
    assert not (base / "queue").exists()


def test_without_an_engine_nothing_is_made(base):
    with pytest.raises(MissingError, match="no container engine"):
        place.find(str(base / "none.sock"))
    assert not (base / "queue").exists()


def test_many_make_it_at_once(engine):
    begin, got, wrong = threading.Barrier(8), [], []

    def maker() -> None:
        begin.wait()
        try:
            with place.find(engine) as folder, Store.open(folder) as store:
                got.extend(store.submit([job()], "ann"))
        except FailedError as error:  # replaced while it was empty: said so, nothing half done
            wrong.append(error)

    threads = [threading.Thread(target=maker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(1, 9)) and not wrong
    assert [name for name in os.listdir(Path(engine).parent) if ".new" in name] == []


def test_a_link_is_refused(engine, base):
    (base / "real").mkdir(mode=0o2770)
    (base / "queue").symlink_to(base / "real")
    with pytest.raises(RefusedError, match="a link"):
        place.find(engine)
    assert list((base / "real").iterdir()) == []


def test_a_file_is_refused(engine, base):
    (base / "queue").write_text("")
    with pytest.raises(RefusedError, match="no folder"):
        place.find(engine)


def test_a_folder_that_everybody_writes_is_refused(engine, base):
    (base / "queue").mkdir()
    (base / "queue").chmod(0o777)
    with pytest.raises(RefusedError, match="everybody"):
        place.find(engine)


def test_a_database_that_is_a_link_or_a_folder_is_refused(engine, base):
    with place.find(engine) as folder:
        os.symlink("/etc/passwd", folder.database)
        with pytest.raises(RefusedError):
            Store.open(folder)
        os.unlink(folder.database)
        os.mkdir(folder.database)
        with pytest.raises(RefusedError):
            Store.open(folder)


def test_a_folder_that_is_swapped_is_noticed(engine, base):
    with place.find(engine) as folder:
        os.rename(base / "queue", base / "old")
        os.mkdir(base / "queue", 0o2770)
        with pytest.raises(RefusedError, match="replaced"):
            Store.open(folder)
    assert os.listdir(base / "queue") == []


def test_files_are_never_opened_through_links(folder, base):
    (base / "secret").write_text("secret")
    os.symlink(base / "secret", os.path.join(folder.path, "keeper.lock"))
    with pytest.raises(OSError):
        folder.open("keeper.lock")


@needs_root
def test_a_strangers_folder_is_refused(engine, base):
    (base / "queue").mkdir()
    os.chown(base / "queue", 4009, 4009)
    (base / "queue").chmod(0o2770)
    with pytest.raises(RefusedError, match="no right to the engine"):
        place.find(engine)


@needs_root
def test_two_users_of_the_engines_group_share_it(engine, base, source):
    os.chown(engine, 0, GROUP)
    os.chmod(engine, 0o660)
    base.chmod(0o1777)
    with place.find(engine):  # root came first
        pass
    assert as_user(4001, [GROUP], source, engine) == "[1, 2, 3, 4, 5]"
    assert as_user(4002, [GROUP], source, engine) == "[6, 7, 8, 9, 10]"
    with place.find(engine) as folder, Store.open(folder, check=True) as store:
        store.cancel([3, 8], "root")
        assert {each.owner for each in store.unfinished()} == {"4001", "4002"}
    assert as_user(4001, [GROUP], source, engine) == "[11, 12, 13, 14, 15]"


@needs_root
def test_who_is_not_in_the_group_is_told_what_to_do(engine, base, source):
    os.chown(engine, 0, GROUP)
    os.chmod(engine, 0o660)
    base.chmod(0o1777)
    said = as_user(4003, [], source, engine)
    assert said.startswith("refused 4003 may not use the container engine") and "usermod -aG" in said
    with place.find(engine) as folder:
        assert os.stat(folder.path).st_gid == GROUP
    said = as_user(4003, [], source, engine)
    assert said.startswith("refused 4003 may not use the queue") and "usermod -aG" in said


@needs_root
def test_the_first_user_makes_it_for_all(engine, base, source):
    os.chown(engine, 0, GROUP)
    os.chmod(engine, 0o660)
    base.chmod(0o1777)
    assert as_user(4001, [GROUP], source, engine) == "[1, 2, 3, 4, 5]"
    found = os.stat(base / "queue")
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (4001, GROUP, 0o2770)


@needs_root
def test_a_read_only_file_system(engine, base):
    with place.find(engine) as folder, Store.open(folder) as store:
        store.submit([job()], "ann")
    inside = f'mount --bind {base}/queue {base}/queue && mount -o remount,bind,ro {base}/queue && exec "$@"'
    root = Path(__file__).parents[4]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", inside, "sh", sys.executable, "-c", CALL, root, engine],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("failed") and "read-only" in done.stdout, done.stdout + done.stderr


@needs_root
def test_a_full_disk(engine, base):
    inside = f'mount -t tmpfs -o size=64k none {base}/room && exec "$@"'
    (base / "room").mkdir()
    root = Path(__file__).parents[4]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", inside, "sh", sys.executable, "-c", CALL, root, engine],
        capture_output=True,
        text=True,
        env={**os.environ, place.ENVIRONMENT: f"{base}/room/queue"},
        check=False,
    )
    assert done.stdout.startswith("failed") and "no room for the queue" in done.stdout, (
        done.stdout + done.stderr
    )


def test_an_own_engine_has_an_own_folder(base, monkeypatch):
    monkeypatch.delenv(place.ENVIRONMENT)
    monkeypatch.setattr(place, "SHARED", str(base / "berth"))
    monkeypatch.setattr(place, "SYSTEM", str(base / "no"))
    monkeypatch.setattr(os, "getuid", lambda: 4001)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(base / "s"))
        if os.geteuid() == 0:
            os.chown(base / "s", 4001, 4001)
            assert place.wanted(str(base / "s")) == str(base / "berth-4001")
        assert place.wanted(str(base / "none")) == str(base / "berth")


@needs_root
@pytest.mark.parametrize(("listener", "own"), [(0, False), (4001, True), (None, False)])
def test_an_engine_is_a_persons_own_only_where_that_person_serves_it(base, monkeypatch, listener, own):
    path = str(base / "s")
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(path)
        os.chown(path, 4001, 4001)
        if listener is not None:
            os.seteuid(listener)
            try:
                engine.listen()
            finally:
                os.seteuid(0)
        assert not place.has_own_engine(path)
        monkeypatch.setattr(os, "getuid", lambda: 4001)
        assert place.has_own_engine(path) is own
    assert not place.has_own_engine("") and not place.has_own_engine(str(base / "none"))
