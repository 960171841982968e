"""The life of a container by its actions, on real engines."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime

import pytest

from backend import actions, processes
from backend.actions.runner import Result
from backend.engine import EngineClient, connect
from backend.errors import ActionFailed, EngineError, NoSuchTarget, Refused, UsageError
from backend.link.local import LocalLink
from backend.model import ContainerRow
from tests.backend.actions.conftest import Act, Answers, children, host_of, new, row_of
from tests.backend.engined import Engined

OBEDIENT = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
STUBBORN = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]


async def state(engine: EngineClient, container: str) -> str:
    return str((await engine.inspect(container))["State"]["Status"])


async def test_stop_start_restart_pause_kill(engine: EngineClient, act: Act):
    made = await new(engine, "web", *OBEDIENT)
    assert (await act(engine, "stop", made)).message == "stopped web on h1"
    assert await state(engine, made) == "exited"
    assert (await act(engine, "start", made)).message == "started web on h1"
    assert (await act(engine, "pause", made)).ok
    assert await state(engine, made) == "paused"
    assert (await act(engine, "stop", made)).ok  # also a frozen one
    assert (await act(engine, "restart", made, grace=0)).ok
    assert (await act(engine, "pause", made)).ok and (await act(engine, "unpause", made)).ok
    assert await state(engine, made) == "running"
    assert (await act(engine, "kill", made)).message == "sent SIGKILL to web on h1"
    assert await engine.wait(made, timeout=10) == 137


async def test_a_signal_reaches_the_first_process(docker: EngineClient, act: Act):
    script = "trap 'exit 42' USR1; touch /set; while :; do sleep 0.05; done"
    made = await new(docker, "web", "sh", "-c", script)
    async with asyncio.timeout(30):
        while (await docker.exec(made, ["stat", "/set"])).exit_code:
            await asyncio.sleep(0.02)
    assert (await act(docker, "kill", made, signal="USR1")).ok
    assert await docker.wait(made, timeout=10) == 42


async def test_a_start_that_fails_at_once_says_so(docker: EngineClient, act: Act):
    made = await new(docker, "web", "sh", "-c", "exit 3", start=False)
    result = await act(docker, "start", made)
    assert isinstance(result.error, ActionFailed) and "exit code 3" in result.error.message
    assert "berth logs h1/web" in result.error.hint
    done = await new(docker, "done", "true", start=False)
    assert (await act(docker, "start", done)).message == "started done on h1, it has ended already"


EVERY = {
    "start": {},
    "stop": {},
    "restart": {},
    "pause": {},
    "unpause": {},
    "kill": {},
    "remove": {},
    "rename": {"name": "other"},
    "inspect": {},
    "top": {},
    "signal-process": {"pid": 1},
    "exec": {"command": ("true",)},
    "copy-out": {"source": "/etc"},
    "copy-in": {"source": "/etc/hostname", "target": "/tmp"},
    "commit": {"image": "i:1"},
    "recreate": {"image": "busybox:latest"},
}


@pytest.mark.parametrize("name", EVERY)
async def test_a_container_that_vanished_is_said_to_be_gone(docker: EngineClient, act: Act, name: str):
    result = await vanish(docker, act, name)
    assert isinstance(result.error, NoSuchTarget), result
    assert result.error.message == "web is no longer on h1."
    assert await docker.containers() == []


@pytest.mark.parametrize("name", ["stop", "exec", "remove", "copy-out"])
async def test_the_same_with_podman(podman: Engined, act: Act, name: str):
    client = await connect(LocalLink("h1"), host_of(podman))
    result = await vanish(client, act, name)
    assert isinstance(result.error, NoSuchTarget), result
    assert result.error.message == "web is no longer on h1."
    assert await client.containers() == []
    client.close()


async def vanish(engine: EngineClient, act: Act, name: str) -> Result:
    """What an action says of a container that went away after it was listed."""
    made = await new(engine)
    row = await row_of(engine, made)
    await engine.remove(made, force=True)
    fitting = next(
        changed
        for status in ("running", "exited", "paused")
        if actions.load()[name].applies(changed := _with_state(row, status))
    )
    return await act(engine, name, fitting, **EVERY[name])


def _with_state(row: ContainerRow, status: str) -> ContainerRow:
    from msgspec.structs import replace

    return replace(row, state=status)


# ------------------------------------------------------------------------------------------ remove


async def test_a_container_that_rests_is_removed_without_questions(engine: EngineClient, act: Act):
    made = await new(engine, start=False)
    voice = Answers()
    assert (await act(engine, "remove", made, voice)).message == "removed web on h1"
    assert voice.asked == [] and await engine.containers() == []


async def test_one_that_runs_is_stopped_only_if_that_is_wanted(engine: EngineClient, act: Act):
    made = await new(engine, "web", *OBEDIENT)
    result = await act(engine, "remove", made)
    assert isinstance(result.error, Refused) and await state(engine, made) == "running"
    await engine.pause(made)
    voice = Answers("Stop it?")
    assert (await act(engine, "remove", made, voice)).ok
    assert voice.asked == ["web on h1 runs. Stop it?"] and await engine.containers() == []


async def test_force_asks_nothing(engine: EngineClient, act: Act):
    made = await new(engine, "web", *STUBBORN)
    voice = Answers()
    assert (await act(engine, "remove", made, voice, force=True)).message == "removed web on h1 by force"
    assert voice.asked == [] and await engine.containers() == []


async def test_one_that_removes_itself_is_removed(docker: EngineClient, act: Act):
    made = await new(
        docker, "web", "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done", AutoRemove=True
    )
    assert (await act(docker, "remove", made, Answers("Stop"))).message == "removed web on h1"
    assert await docker.containers() == []


class Unwilling:
    """The real engine, but one that cannot remove until the container's processes are gone."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine
        self.tried: list[bool] = []

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    async def stop(self, container: str, *, grace: int = 10) -> None:
        raise EngineError(
            "h1: cannot stop container: tried to kill container, but did not receive an exit event"
        )

    async def remove(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        self.tried.append(force)
        if await processes.members(self._engine.link, container):
            raise EngineError("h1: unable to remove: device or resource busy")
        await self._engine.remove(container, force=force, volumes=volumes)


async def test_the_last_stage_kills_the_processes_themselves(docker: EngineClient, act: Act):
    made = await new(docker, "web", "sh", "-c", "trap '' TERM; sleep 5151 & sleep 5152 & wait")
    row = await row_of(docker, made)
    unwilling = Unwilling(docker)

    voice = Answers("Stop it?", "by force?")
    result = await act(unwilling, "remove", row, voice)
    assert isinstance(result.error, Refused) and len(children("sleep 515")) >= 2
    assert voice.asked[-1].startswith("web on h1 cannot be removed even by force. Kill its 3 processes?")
    assert any("sleep 5151" in line for line in voice.lines)

    result = await act(unwilling, "remove", row, Answers("Stop it?", "by force?", "Kill"))
    assert result.message == "removed web on h1, after its processes were killed"
    assert children("sleep 515") == [] and await docker.containers() == []
    assert unwilling.tried == [True, True, True]


# ---------------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize("name", ["--rm", "a b", "$(id)", "x\ny", "", "a", "/abs", "[bold]", "é", "x" * 300])
async def test_a_name_that_no_container_can_have(docker: EngineClient, act: Act, name: str):
    made = await new(docker, start=False)
    result = await act(docker, "rename", made, name=name)
    assert isinstance(result.error, UsageError)
    assert (await docker.inspect(made))["Name"] == "/web"


async def test_rename(engine: EngineClient, act: Act):
    made = await new(engine, start=False)
    assert (await act(engine, "rename", made, name="Other-1.x_y")).ok
    assert (await row_of(engine, made)).name == "Other-1.x_y"
    await new(engine, start=False)
    assert isinstance((await act(engine, "rename", made, name="web")).error, EngineError)


async def test_top_shows_what_each_process_uses(engine: EngineClient, act: Act):
    made = await new(engine, "web", "sh", "-c", "while :; do :; done & sleep '61 $(x)\n62'; sleep 1000")
    voice = Answers()
    assert (await act(engine, "top", made, voice)).ok
    assert voice.lines[0].split() == ["PID", "USER", "CPU", "MEMORY", "S", "COMMAND"]
    busy = voice.lines[1].split()
    assert busy[1] == "root" and int(busy[2]) > 2 and os.path.exists(f"/proc/{busy[0]}")
    assert any("61 $(x)\n62" in line or "sleep 1000" in line for line in voice.lines)


async def test_a_process_of_it_can_be_signalled_and_no_other(engine: EngineClient, act: Act):
    made = await new(engine, "web", "sh", "-c", "sleep 6161 & sleep 6162 & wait")
    async with asyncio.timeout(10):
        while not (found := await processes.members(engine.link, made)) or len(found) < 3:
            await asyncio.sleep(0.02)
    pid = next(pid for pid, command in found.items() if command == "sleep 6161")
    assert (await act(engine, "signal-process", made, pid=pid)).ok
    left = (await processes.members(engine.link, made)).values()
    assert "sleep 6161" not in left and "sleep 6162" in left
    result = await act(engine, "signal-process", made, pid=os.getpid(), signal="KILL")
    assert isinstance(result.error, NoSuchTarget)
    assert isinstance((await act(engine, "signal-process", made, pid=0)).error, UsageError)


async def test_exec_reports_lines_and_names_the_exit_code(engine: EngineClient, act: Act):
    made = await new(engine)
    voice = Answers()
    script = "printf 'one\\r\\ntwo'; sleep 0.2; printf ' more\\n'; echo bad >&2; printf '\\033[2Jlast'"
    result = await act(engine, "exec", made, voice, command=("sh", "-c", script), user="alice")
    assert result.ok and sorted(voice.lines) == sorted(["one", "two more", "bad", "\x1b[2Jlast"])
    result = await act(engine, "exec", made, command=("sh", "-c", "exit 9"))
    assert isinstance(result.error, ActionFailed) and "exit code 9 in web on h1" in result.error.message
    hostile = ("echo", "--rm", "$(id)", "a b", "';x", "[bold]")
    voice = Answers()
    assert (await act(engine, "exec", made, voice, command=hostile)).ok
    assert voice.lines == ["--rm $(id) a b ';x [bold]"]
    assert isinstance((await act(engine, "exec", made, command=())).error, UsageError)
    assert isinstance((await act(engine, "exec", made, command=("x",), env=("A",))).error, UsageError)


async def test_inspect_is_complete_in_both_forms(engine: EngineClient, act: Act):
    import json

    import yaml

    made = await new(engine)
    for form, read in (("yaml", yaml.safe_load), ("json", json.loads)):
        voice = Answers()
        assert (await act(engine, "inspect", made, voice, form=form)).ok
        assert read("\n".join(voice.lines))["Id"] == made


async def test_an_engine_that_hangs_does_not_hang_the_action(
    docker: EngineClient, dockerd: Engined, act: Act, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("backend.engine.client.CALL_TIMEOUT", 0.2)
    made = await new(docker)
    row = await row_of(docker, made)
    dockerd.process.send_signal(signal.SIGSTOP)
    try:
        result = await act(docker, "stop", row, grace=0)
    finally:
        dockerd.thaw()
    assert isinstance(result.error, EngineError) and "did not answer" in result.error.message


def test_dangerous_actions_name_host_and_target_and_every_key_is_known():
    row = ContainerRow(
        host="h1", id="f" * 64, name="web", image="i", state="running", status="Up",
        created_at=datetime.now(UTC), started_at=None,
        cpu_percent=None, mem_used=None, mem_limit=None, net_rx=None, net_tx=None, gpus=(),
        gpu_util_percent=None, gpu_mem_used=None, owner=None, context=None, ports=(), labels={},
    )  # fmt: skip
    ours = [each for each in actions.load().values() if each.group == "Container"]
    for each in ours:
        if each.danger:
            assert "web" in each.question(row) and "h1" in each.question(row)
    dangerous = {each.name for each in ours if each.danger}
    assert dangerous >= {"stop", "restart", "kill", "remove", "recreate", "signal-process"}
    keys = {each.key: each.name for each in ours if each.danger and each.key not in ("s", "r")}
    assert all(key.startswith("ctrl+") for key in keys if key)


async def test_processes_that_come_and_go_while_they_are_looked_at_are_no_error(
    docker: EngineClient, act: Act
):
    made = await new(docker, "web", "sh", "-c", "while :; do true & true; done")
    for _ in range(5):
        result = await act(docker, "top", made)
        assert result.ok, result
