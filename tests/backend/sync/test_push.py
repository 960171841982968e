"""Push and pull with a real sshd and the real rsync."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.errors import ActionFailed, Refused
from tests.backend.sync.conftest import World, files, left_behind, write


async def test_what_is_new_goes_over_and_is_then_the_same(world: World) -> None:
    write(world.here / "work/a.py", "one")
    write(world.here / "work/deep/er/b.txt", "two")
    (world.here / "work/empty").mkdir()
    (world.here / "work/run.sh").write_text("#!/bin/sh\n")
    (world.here / "work/run.sh").chmod(0o755)
    plan, done = await world.run(world.profile())
    assert sorted(each.path for each in plan.of("new") if not each.folder) == [
        b"a.py",
        b"deep/er/b.txt",
        b"run.sh",
    ]
    assert (done.new, done.failed) == (3, [])
    assert files(world.there / "work") == files(world.here / "work")
    assert (world.there / "work/empty").is_dir()
    assert (world.there / "work/run.sh").stat().st_mode & 0o100
    again, done = await world.run(world.profile())
    assert (again.changes, again.same, done.new) == ((), 3, 0)
    assert left_behind(world.there) == []


async def test_a_change_within_the_same_second_is_seen(world: World) -> None:
    file = write(world.here / "work/a.py", "one")
    await world.run(world.profile())
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_mtime_ns, before.st_mtime_ns + 1_000_000))
    plan, _ = await world.run(world.profile())
    assert [each.kind for each in plan.changes] == ["changed"]
    assert (world.there / "work/a.py").read_text() == "two"


async def test_newer_files_there_are_left_alone(world: World) -> None:
    write(world.here / "work/a", "old", age=5000)
    write(world.there / "work/a", "newer", age=50)
    plan, _ = await world.run(world.profile())
    assert [each.kind for each in plan.changes] == ["newer"]
    assert (world.there / "work/a").read_text() == "newer"


async def test_large_files_stay(world: World) -> None:
    write(world.here / "work/small", b"x" * 1000)
    write(world.here / "work/large", b"x" * 1001)
    plan, _ = await world.run(world.profile(world.rule(max_size=1000)))
    assert {each.path: each.kind for each in plan.changes} == {b"small": "new", b"large": "large"}
    assert files(world.there / "work") == {"small": b"x" * 1000}


async def test_both_sides_changed_is_a_conflict_with_three_ways_out(world: World) -> None:
    for name in "abc":
        write(world.here / f"work/{name}", "first", age=1000)
    await world.run(world.profile())
    for name in "abc":
        write(world.here / f"work/{name}", "mine", age=20)
        write(world.there / f"work/{name}", "theirs", age=10)
    plan, _ = await world.run(world.profile())
    assert [each.kind for each in plan.changes] == ["conflict"] * 3
    choices = {(0, b"a"): "mine", (0, b"b"): "theirs"}
    await world.run(world.profile(), choices=choices)
    assert files(world.there / "work") == {"a": b"mine", "b": b"theirs", "c": b"theirs"}
    plan = await world.plan(world.profile())
    assert [(each.kind, each.path) for each in plan.changes] == [("conflict", b"c")]


async def test_only_what_changed_here_goes_though_its_time_is_older(world: World) -> None:
    file = write(world.here / "work/a", "first", age=10)
    await world.run(world.profile())
    file.write_text("from a backup")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    await world.run(world.profile())
    assert (world.there / "work/a").read_text() == "from a backup"


async def test_deletions_are_what_was_shown_and_can_be_undone(world: World) -> None:
    from backend.sync.history import undo

    for name in ("stays", "goes", "old/goes too"):
        write(world.here / "work" / name, name)
    profile = world.profile(world.rule(delete=True))
    await world.run(profile)
    before = files(world.there / "work")
    (world.here / "work/goes").unlink()
    (world.here / "work/old/goes too").unlink()
    (world.here / "work/old").rmdir()
    write(world.here / "work/stays", "changed", age=1)
    plan, done = await world.run(profile)
    assert sorted(each.path for each in plan.of("deleted")) == [b"goes", b"old", b"old/goes too"]
    assert (done.deleted, done.changed, done.failed) == (2, 1, [])
    assert files(world.there / "work") == {"stays": b"changed"}
    assert not (world.there / "work/old").exists()
    async with world.sync(profile) as sync:
        back, stay = await undo(sync, done.run, "push")
    assert (back, stay) == (3, [])
    assert files(world.there / "work") == before


async def test_nothing_is_deleted_without_being_asked_to(world: World) -> None:
    write(world.here / "work/a")
    write(world.there / "work/only there")
    plan, _ = await world.run(world.profile())
    assert plan.of("deleted") == []
    plan = await world.plan(world.profile(), delete=True)
    assert [each.path for each in plan.of("deleted")] == [b"only there"]


async def test_more_than_was_shown_is_not_deleted(world: World) -> None:
    write(world.here / "work/a")
    write(world.there / "work/shown")
    profile = world.profile(world.rule(delete=True))
    shown = (await world.plan(profile)).deletions()
    write(world.there / "work/came later")
    async with world.sync(profile) as sync:
        with pytest.raises(Refused, match="1 more would be deleted"):
            await sync.apply(await sync.plan(), approved=shown)
    assert (world.there / "work/shown").exists()


@pytest.mark.parametrize("state", ["missing", "empty", "folders"])
async def test_a_source_that_looks_unmounted_deletes_nothing(world: World, state: str) -> None:
    write(world.there / "work/precious")
    write(world.here / "other/a")
    if state != "missing":
        (world.here / "work").mkdir()
    if state == "folders":
        (world.here / "work/sub").mkdir()
    profile = world.profile(world.rule(delete=True), world.rule("other"))
    async with world.sync(profile) as sync:
        plan = await sync.plan()
        with pytest.raises(Refused, match="is it mounted"):
            await sync.apply(plan)
    assert (world.there / "work/precious").exists()


async def test_what_cannot_be_read_here_is_not_taken_for_gone(world: World) -> None:
    write(world.here / "work/a")
    write(world.here / "work/closed/b")
    profile = world.profile(world.rule(delete=True))
    await world.run(profile)
    async with world.sync(profile) as sync:
        plan = await sync.plan()
        mine, theirs = sync.seen[0]
        for path in [path for path in mine.entries if path.startswith(b"closed/")]:
            del mine.entries[path]
        mine.blind.append(b"closed")
        plan = sync._compare(0.0)
    assert plan.of("deleted") == []
    assert theirs.entries[b"closed/b"]


async def test_secrets_go_only_where_nobody_else_looks(world: World) -> None:
    write(world.here / "work/plain")
    write(world.here / "work/secret/key", "hunter2").chmod(0o644)
    profile = world.profile(world.rule(), world.rule("work/secret", secret=True))
    _plan, done = await world.run(profile)
    assert done.failed == []
    assert (world.there / "work/secret").stat().st_mode & 0o777 == 0o700
    assert (world.there / "work/secret/key").stat().st_mode & 0o777 == 0o600
    assert (world.there / "work").stat().st_mode & 0o777 != 0o700
    again, _ = await world.run(profile)
    assert again.changes == ()
    (world.there / "work/secret").chmod(0o750)
    write(world.here / "work/secret/key", "hunter3", age=1)
    with pytest.raises(Refused, match="0750"):
        await world.run(profile)
    assert (world.there / "work/secret/key").read_text() == "hunter2"


async def test_pull_brings_back_what_was_written_there(world: World) -> None:
    write(world.there / "work/result.json", "{}")
    write(world.there / "work/model.bin", b"x" * 100)
    profile = world.profile(world.rule(direction="pull", filter=("+ *.json", "- *")))
    _plan, done = await world.run(profile, "pull")
    assert (done.new, done.failed) == (1, [])
    assert files(world.here / "work") == {"result.json": b"{}"}
    write(world.there / "work/result.json", "{1}", age=1)
    _, done = await world.run(profile, "pull")
    assert files(world.here / "work") == {"result.json": b"{1}"}
    assert done.kept == 1


async def test_links_that_lead_out_are_not_pulled(world: World) -> None:
    write(world.there / "work/a")
    (world.there / "work/in").symlink_to("a")
    (world.there / "work/out").symlink_to("/etc/passwd")
    (world.there / "work/up").symlink_to("../../x")
    plan, _ = await world.run(world.profile(world.rule(direction="pull")), "pull")
    assert sorted(each.path for each in plan.of("link")) == [b"out", b"up"]
    assert sorted(os.listdir(world.here / "work")) == ["a", "in"]


async def test_both_ways(world: World) -> None:
    profile = world.profile(world.rule(direction="both", delete=True))
    write(world.here / "work/mine")
    write(world.there / "work/theirs")
    await world.run(profile, "sync")
    assert files(world.here / "work") == files(world.there / "work") == {"mine": b"text", "theirs": b"text"}
    (world.here / "work/theirs").unlink()
    write(world.there / "work/mine", "changed there", age=1)
    _plan, done = await world.run(profile, "sync")
    assert files(world.here / "work") == files(world.there / "work") == {"mine": b"changed there"}
    assert done.failed == []


async def test_a_folder_here_and_a_file_there_is_said_not_forced(world: World) -> None:
    write(world.here / "work/x/inside")
    write(world.there / "work/x", "a file")
    write(world.here / "work/ok")
    plan, _done = await world.run(world.profile())
    assert [(each.kind, each.path) for each in plan.of("kind")] == [("kind", b"x")]
    assert (world.there / "work/x").read_text() == "a file"
    assert (world.there / "work/ok").exists()


async def test_a_link_to_a_folder_there_is_not_replaced(world: World) -> None:
    write(world.here / "work/data/a")
    elsewhere = world.there / "elsewhere"
    elsewhere.mkdir()
    (world.there / "work").mkdir()
    (world.there / "work/data").symlink_to(elsewhere)
    plan, _ = await world.run(world.profile())
    assert [each.kind for each in plan.changes] == ["kind"]
    assert (world.there / "work/data").is_symlink()


async def test_the_folders_of_a_rule_may_be_links(world: World, tmp_path: Path) -> None:
    write(tmp_path / "disk here/a")
    (tmp_path / "disk there").mkdir()
    (world.here / "work").symlink_to(tmp_path / "disk here")
    (world.there / "work").symlink_to(tmp_path / "disk there")
    _, done = await world.run(world.profile())
    assert done.failed == []
    assert (world.there / "work").is_symlink()
    assert files(tmp_path / "disk there") == {"a": b"text"}


async def test_the_slower_way_without_rsync(world: World) -> None:
    write(world.here / "work/a b", "one")
    write(world.here / "work/sub/ü", "two").chmod(0o755)
    (world.here / "work/link").symlink_to("a b")
    _, done = await world.run(world.profile(), tar=True)
    assert (done.failed, files(world.there / "work")) == ([], files(world.here / "work"))
    assert os.readlink(world.there / "work/link") == "a b"
    write(world.there / "work/sub/back", "three")
    back = world.profile(world.rule(direction="pull"))
    _, done = await world.run(back, "pull", tar=True)
    assert (world.here / "work/sub/back").read_text() == "three"
    assert (await world.plan(world.profile())).changes == ()


async def test_the_local_side_needs_rsync_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write(world.here / "work/a")
    async with world.sync(world.profile()) as sync:
        plan = await sync.plan()
        sync.rsync = ""
        with pytest.raises(ActionFailed, match="has no rsync") as error:
            await sync.apply(plan)
    assert "--tar" in error.value.hint
