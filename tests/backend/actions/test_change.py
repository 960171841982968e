"""Commit, and recreate with changes, on real engines: the old container is there until the new one runs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backend.engine import EngineClient
from backend.errors import ActionFailed, BerthError, EngineError, NoSuchTarget, Refused, UsageError
from backend.recreate import swap
from tests.backend.actions.conftest import Act, Answers, new, row_of
from tests.backend.engined import IMAGE

OBEDIENT = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done")
YES = "Remove the old one"


@pytest.fixture(autouse=True)
def short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails at once here fails within this."""
    monkeypatch.setattr(swap, "_LOOK", 0.4)


async def named(engine: EngineClient) -> dict[str, str]:
    """Name and state of every container."""
    return {each["Names"][0].lstrip("/"): each["State"] for each in await engine.containers()}


async def tags(engine: EngineClient) -> dict[str, str]:
    """Every image name with its image; what has no name under its id."""
    found = {}
    for each in await engine.images():
        for name in each.get("RepoTags") or (each["Id"],):
            found[each["Id"] if name == "<none>:<none>" else name.removeprefix("localhost/")] = each["Id"]
    return found


async def say(engine: EngineClient, container: str, script: str) -> str:
    done = await engine.exec(container, ["sh", "-c", script])
    return done.stdout.decode().strip()


async def other_image(engine: EngineClient, name: str = "other:1") -> str:
    """Another image than the one that all containers here are made of: it brings a variable of its own."""
    made = await new(engine, "base", start=False)
    image = await engine.commit(made, name, changes=["ENV OTHER=yes"])
    await engine.remove(made)
    return image


# ----------------------------------------------------------------------------------------- commit


async def test_commit_makes_an_image_of_what_is_inside(engine: EngineClient, act: Act):
    made = await new(engine)
    await say(engine, made, "echo kept >/root/file")
    result = await act(engine, "commit", made, image="test/work:1", message="before lunch", author="alice")
    assert result.message == "committed web on h1 to test/work:1"
    image = await engine.inspect_image("test/work:1")
    assert (image["Comment"], image["Author"]) == ("before lunch", "alice")
    again = await engine.create({"Image": "test/work:1", "Cmd": ["sleep", "100"]} | host_network(), "again")
    await engine.start(again)
    assert await say(engine, again, "cat /root/file") == "kept"


def host_network() -> dict[str, Any]:
    return {"HostConfig": {"NetworkMode": "host"}}


async def test_commit_takes_no_name_without_being_told_to(docker: EngineClient, act: Act):
    made = await new(docker)
    before = await tags(docker)
    no = Answers()
    result = await act(docker, "commit", made, no, image=IMAGE)
    assert isinstance(result.error, Refused) and len(no.asked) == 1
    for name in ("--rm", "A B", "$(id)", "x:y:z", "", "[/b]"):
        assert isinstance((await act(docker, "commit", made, image=name)).error, UsageError), name
    assert await tags(docker) == before
    assert (await act(docker, "commit", made, image="test/a:1")).ok
    assert (await act(docker, "commit", made, Answers("Give its name"), image="test/a:1")).ok


# --------------------------------------------------------------------------- recreate: what changes


async def test_the_same_again_is_the_same(engine: EngineClient, act: Act, tmp_path):
    body = {
        "Image": IMAGE,
        "Cmd": list(OBEDIENT),
        "Env": ["ODD=$x \"y\" 'z' [b]", "EMPTY="],
        "Labels": {"team": "a b", "berth.owner": "alice"},
        "User": "alice",
        "WorkingDir": "/tmp",
        "Tty": True,
        "HostConfig": {
            "NetworkMode": "host",
            "Binds": [f"{tmp_path}:/here:ro"],
            "Memory": 64 << 20,
            "ShmSize": 8 << 20,
            "CapAdd": ["SYS_PTRACE"],
            "Ulimits": [
                {"Name": "nofile", "Soft": 512, "Hard": 1024},
                {"Name": "nproc", "Soft": 4096, "Hard": 4096},
            ],
        },
    }
    made = await engine.create(body, "web")
    await engine.start(made)
    old = await engine.inspect(made)
    voice = Answers(YES)
    result = await act(engine, "recreate", made, voice)
    assert result.ok, result
    assert result.message == "recreated web on h1; the old one was removed"
    assert "web" in voice.asked[0] and "h1" in voice.asked[0] and "web-before-" in voice.asked[0]
    assert await named(engine) == {"web": "running"}
    fresh = await engine.inspect("web")
    assert fresh["Id"] != made
    for key in ("User", "WorkingDir", "Tty", "Cmd", "Image"):
        assert fresh["Config"][key] == old["Config"][key], key
    ours = {"ODD=$x \"y\" 'z' [b]", "EMPTY="}
    assert ours <= set(fresh["Config"]["Env"])
    assert {"team": "a b", "berth.owner": "alice"}.items() <= fresh["Config"]["Labels"].items()
    for key in ("Memory", "ShmSize", "NetworkMode"):
        assert fresh["HostConfig"][key] == old["HostConfig"][key], key
    script = "grep 'open files' /proc/1/limits; id -un; pwd; grep -c ' /here ' /proc/mounts"
    limits, *rest = (await say(engine, "web", script)).splitlines()
    assert limits.split()[3:5] == ["512", "1024"] and rest == ["alice", "/tmp", "1"]
    assert "read-only" in (await engine.exec("web", ["touch", "/here/x"], user="0")).stderr.decode().lower()


async def test_another_image_mount_and_environment(engine: EngineClient, act: Act, tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/file").write_text("seen\n")
    await other_image(engine)
    made = await new(engine, "web", *OBEDIENT, Binds=[f"{tmp_path}:/gone", f"{tmp_path}:/stays"])
    await say(engine, made, "echo lost >/root/file")
    result = await act(
        engine,
        "recreate",
        made,
        Answers(YES),
        image="other:1",
        mount=(f"{tmp_path / 'a b'}:/data:ro",),
        unmount=("/gone/",),
        env=("NEW=a=b c", "PATH=/bin:/x"),
        unset=("NOT_THERE",),
    )
    assert result.ok, result
    script = "cat /data/file; echo $OTHER/$NEW/$PATH; cat /root/file 2>/dev/null; ls -d /gone /stays 2>&1"
    assert (await say(engine, "web", script)).splitlines()[:2] == ["seen", "yes/a=b c//bin:/x"]
    mounts = await say(engine, "web", "cat /proc/mounts")
    assert " /stays " in mounts and " /gone " not in mounts
    assert await named(engine) == {"web": "running"}


async def test_what_was_done_inside_comes_along_if_it_is_committed(engine: EngineClient, act: Act):
    made = await new(engine, "web", *OBEDIENT)
    await say(engine, made, "echo kept >/root/file")
    result = await act(engine, "recreate", made, Answers(YES), commit="test/web:2", env=("A=1",))
    assert result.ok, result
    assert await say(engine, "web", "cat /root/file; echo $A") == "kept\n1"
    assert (await engine.inspect("web"))["Config"]["Image"].endswith("test/web:2")


async def test_the_old_one_stays_if_nobody_says_otherwise(engine: EngineClient, act: Act):
    made = await new(engine, "web", *OBEDIENT, RestartPolicy={"Name": "always", "MaximumRetryCount": 0})
    result = await act(engine, "recreate", made)
    assert result.ok and "the old one is web-before-" in result.message
    there = await named(engine)
    kept = result.message.rpartition(" ")[2]
    assert there == {"web": "running", kept: "exited"}
    assert (await engine.inspect(kept))["Id"] == made
    assert (await engine.inspect("web"))["HostConfig"]["RestartPolicy"]["Name"] == "always"
    if engine.kind == "docker":  # Podman 4 cannot change it
        assert (await engine.inspect(kept))["HostConfig"]["RestartPolicy"]["Name"] == "no"
    asked = Answers(YES)
    assert (await act(engine, "recreate", "web", asked, keep=True)).ok and asked.asked == []
    assert sorted((await named(engine)).values()) == ["exited", "exited", "running"]


async def test_one_that_rests_is_made_again_and_rests(engine: EngineClient, act: Act):
    made = await new(engine, start=False)
    result = await act(engine, "recreate", made, Answers(YES), env=("A=1",))
    assert result.ok and "not started as the old one was not" in result.message
    assert list(await named(engine)) == ["web"]
    found = await engine.inspect("web")
    assert not found["State"]["Running"] and "A=1" in found["Config"]["Env"]


async def test_volumes_nobody_named_are_there_again(engine: EngineClient, act: Act):
    body = {"Image": IMAGE, "Cmd": list(OBEDIENT), "Volumes": {"/var/data": {}}} | host_network()
    made = await engine.create(body, "web")
    await engine.start(made)
    await say(engine, made, "echo mine >/var/data/file")
    assert (await act(engine, "recreate", made, Answers(YES), env=("A=1",))).ok
    assert await say(engine, "web", "cat /var/data/file") == "mine"


async def test_an_image_whose_name_moved_on_is_still_the_one_it_has(docker: EngineClient, act: Act):
    first = await other_image(docker)
    made = await docker.create({"Image": "other:1", "Cmd": list(OBEDIENT)} | host_network(), "web")
    await docker.start(made)
    base = await new(docker, "base2", start=False)
    second = await docker.commit(base, "other:1", changes=["ENV OTHER=no"])
    await docker.remove(base)
    voice = Answers(YES)
    assert (await act(docker, "recreate", made, voice, env=("A=1",))).ok
    assert any("another image by now" in line for line in voice.lines)
    assert (await docker.inspect("web"))["Image"] == first != second
    assert await say(docker, "web", "echo $OTHER") == "yes"


# ----------------------------------------------------------------------------- recreate: what fails


async def untouched(engine: EngineClient, made: str, images: dict[str, str], state: str = "running") -> None:
    """The old container is what it was, and nothing else is there."""
    assert await named(engine) == {"web": state}
    found = await engine.inspect("web")
    assert found["Id"] == made
    assert await tags(engine) == images


WRONG: dict[str, tuple[dict[str, Any], type[BerthError], str]] = {
    "image missing": ({"image": "nope:1"}, NoSuchTarget, "nope"),
    "image that cannot be": ({"image": "--rm"}, BerthError, "rm"),
    "both images": ({"image": IMAGE, "commit": "x:1"}, UsageError, "both"),
    "mount": ({"mount": ("relative/path:/x",)}, UsageError, "is not a mount"),
    "not mounted": ({"unmount": ("/nowhere",)}, UsageError, "nothing is mounted at /nowhere"),
    "port": ({"publish": ("70000:80",)}, UsageError, "is not a port mapping"),
    "not published": ({"unpublish": ("80",)}, UsageError, "port 80 is not published"),
    "env": ({"env": ("NOVALUE",)}, UsageError, "is not NAME=VALUE"),
    "gpus": ({"gpus": "2"}, ActionFailed, "no GPU that berth can see"),
    "gpus that cannot be": ({"gpus": "-1"}, BerthError, ""),
}


@pytest.mark.parametrize(("options", "kind", "text"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_is_said_before_anything_is_touched(
    docker: EngineClient, act: Act, options: dict[str, Any], kind: type[BerthError], text: str
):
    made = await new(docker, "web", *OBEDIENT)
    started = (await docker.inspect(made))["State"]["StartedAt"]
    images = await tags(docker)
    result = await act(docker, "recreate", made, **options)
    assert isinstance(result.error, kind) and text in result.error.message, result
    await untouched(docker, made, images)
    assert (await docker.inspect(made))["State"]["StartedAt"] == started


async def test_one_that_would_be_gone_once_stopped_is_left_alone(docker: EngineClient, act: Act):
    made = await new(docker, "web", *OBEDIENT, AutoRemove=True)
    result = await act(docker, "recreate", made, env=("A=1",))
    assert isinstance(result.error, ActionFailed) and "--rm" in result.error.message
    assert await named(docker) == {"web": "running"}
    await docker.remove(made, force=True)


@pytest.mark.parametrize("was", ["running", "paused", "exited"])
async def test_a_new_one_that_does_not_run_gives_way_to_the_old_one(
    engine: EngineClient, act: Act, was: str, tmp_path
):
    made = await new(engine, "web", *OBEDIENT, RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 3})
    (tmp_path / "file").write_text("x")
    if was == "paused":
        await engine.pause(made)
    if was == "exited":
        await engine.stop(made)
    images = await tags(engine)
    # A file cannot be mounted over a folder: the engine creates such a container, and does not start it.
    result = await act(engine, "recreate", made, mount=(f"{tmp_path / 'file'}:/etc",))
    if was == "exited":
        assert result.ok  # it is not started, so nobody knows yet
        return
    assert isinstance(result.error, EngineError), result
    await untouched(engine, made, images, was)
    assert (await engine.inspect(made))["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"


async def test_a_new_one_that_ends_at_once_gives_way_too(
    engine: EngineClient, act: Act, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(swap, "_LOOK", 2.0)  # Podman is slow to notice
    made = await new(engine, "web", "sh", "-c", f"[ -z $BREAK ] || exit 7; {OBEDIENT[2]}")
    images = await tags(engine)
    result = await act(engine, "recreate", made, env=("BREAK=1",), commit="test/tmp:1")
    assert isinstance(result.error, ActionFailed)
    assert "ended at once with exit code 7" in result.error.message and "put back" in result.error.hint
    await untouched(engine, made, images)


async def test_a_name_that_another_image_had_is_given_back(
    engine: EngineClient, act: Act, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(swap, "_LOOK", 2.0)
    await other_image(engine, "test/tmp:1")
    made = await new(engine, "web", "sh", "-c", f"[ -z $BREAK ] || exit 7; {OBEDIENT[2]}")
    images = await tags(engine)
    voice = Answers("Give its name")
    result = await act(engine, "recreate", made, voice, env=("BREAK=1",), commit="test/tmp:1")
    assert isinstance(result.error, ActionFailed) and voice.asked
    await untouched(engine, made, images)


# --------------------------------------------------------------------- recreate: failed and cancelled

OPTIONS: dict[str, Any] = {"commit": "test/tmp:1", "env": ("A=1",), "keep": True}
Call = Callable[..., Awaitable[Any]]


async def test_a_failure_of_any_step_puts_the_old_one_back(
    docker: EngineClient, act: Act, monkeypatch: pytest.MonkeyPatch
):
    """The engine's n-th answer is an error, for every n until there is no n-th."""
    made = await new(docker, "web", *OBEDIENT)
    row, images, real = await row_of(docker, made), await tags(docker), docker.call
    steps = []
    for nth in itertools.count(1):
        counted = itertools.count(1)

        async def call(doing: str, work: Any, **how: Any) -> Any:
            if next(counted) == nth:  # noqa: B023  # called in this turn only
                steps.append(doing)
                raise EngineError("h1: out of luck.")
            return await real(doing, work, **how)

        monkeypatch.setattr(docker, "call", call)
        result = await act(docker, "recreate", row, **OPTIONS)
        monkeypatch.setattr(docker, "call", real)
        if len(steps) < nth:
            break
        if result.ok:  # a look whose answer is not needed
            await _back(docker, made, images)
            continue
        assert "out of luck" in str(result.error), (steps[-1], result)
        await untouched(docker, made, images)
    assert {"stop", "rename", "start", "commit to test/tmp:1"} <= set(steps)
    assert any(step.startswith("create web-new-") for step in steps)


async def _back(engine: EngineClient, made: str, images: dict[str, str]) -> None:
    """Undo a recreate that worked."""
    await engine.remove("web", force=True)
    await engine.rename(made, "web")
    await engine.start(made)
    for name in set(await tags(engine)) - set(images):
        await engine.remove_image(name)


async def test_a_cancel_at_any_step_puts_the_old_one_back(
    docker: EngineClient, act: Act, monkeypatch: pytest.MonkeyPatch
):
    """Cancelled while the n-th request to the engine is on its way, for every n until there is no n-th."""
    made = await new(docker, "web", *OBEDIENT)
    row, images, real = await row_of(docker, made), await tags(docker), docker.call
    steps = []
    for nth in itertools.count(1):
        counted = itertools.count(1)
        loop = asyncio.get_running_loop()

        async def call(doing: str, work: Any, **how: Any) -> Any:
            if next(counted) == nth:  # noqa: B023  # called in this turn only
                steps.append(doing)
                loop.call_later(0.002, running.cancel)  # noqa: B023
                loop.call_later(0.02, running.cancel)  # noqa: B023  # and again, by somebody impatient
            return await real(doing, work, **how)

        monkeypatch.setattr(docker, "call", call)
        running = asyncio.create_task(act(docker, "recreate", row, **OPTIONS))
        await asyncio.wait({running})
        monkeypatch.setattr(docker, "call", real)
        if len(steps) < nth:
            assert running.result().ok
            break
        if not running.cancelled():
            assert running.result().ok, steps  # it was done before the cancel came
            await _back(docker, made, images)
            continue
        await untouched(docker, made, images)
    assert {"stop", "rename", "start", "wait for its end", "commit to test/tmp:1"} <= set(steps)


async def test_when_the_engine_dies_meanwhile_the_way_back_is_told(
    docker: EngineClient, act: Act, monkeypatch: pytest.MonkeyPatch
):
    made = await new(docker, "web", *OBEDIENT)
    row, real, dead = await row_of(docker, made), docker.call, False

    async def call(doing: str, work: Any, **how: Any) -> Any:
        nonlocal dead
        dead = dead or doing == "start"
        if dead:
            raise EngineError("h1: the engine went away.")
        return await real(doing, work, **how)

    monkeypatch.setattr(docker, "call", call)
    result = await act(docker, "recreate", row)
    monkeypatch.setattr(docker, "call", real)
    assert isinstance(result.error, ActionFailed) and "could not be put back" in result.error.message
    assert "web-before-" in result.error.hint
    assert result.error.hint.rpartition(" ")[2].rstrip(".") in await named(docker)
