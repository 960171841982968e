"""What the actions answer: the command, the way back, the same as a verb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.actions import ACTIONS, ActionContext, Terminal, load
from backend.config import Config, Context, HostConfig
from backend.errors import UsageError
from backend.model import Engine, EngineState, FleetState, HostSnapshot, HostState, SessionRow
from backend.terminal.visits import container_of, container_row

CONTEXT = Context(name="train", host="h", image="i", container="c", user="bob", shell="zsh -l", profile="raw")


class Lent:
    def __init__(self, state: FleetState | None = None) -> None:
        self.state = state


def context(state: FleetState | None = None, **host: Any) -> ActionContext:
    config = Config(
        directory=Path("/nowhere"),
        hosts=(HostConfig(name="h", host="h", **host),),
        contexts=(CONTEXT,),
    )
    return ActionContext(config, Lent(state), None)  # type: ignore[arg-type]


async def run(name: str, row: Any, ctx: ActionContext | None = None, **options: Any) -> Terminal:
    load()
    answer = await ACTIONS[name].call(ctx or context(), row, **options)
    assert isinstance(answer, Terminal)
    return answer


@pytest.mark.parametrize(
    ("name", "options", "verb"),
    [
        ("enter", {}, "berth enter h/c"),
        ("enter", {"new": True}, "berth enter h/c --new"),
        ("enter", {"session": 3}, "berth enter h/c --session 3"),
        ("enter", {"user": "eve"}, "berth enter h/c --new --user eve"),
        ("enter", {"shell": "fish"}, "berth enter h/c --new --shell fish"),
        ("shell", {}, "berth sh h/c"),
        ("root-shell", {}, "berth sh h/c --user 0"),
        ("attach", {}, "berth attach h/c"),
    ],
)
async def test_each_can_be_had_by_a_verb_too(name: str, options: dict[str, Any], verb: str) -> None:
    assert (await run(name, container_row("h", "c"), **options)).verb == tuple(verb.split())


async def test_a_context_says_who_with_which_shell_and_how_to_come_back() -> None:
    terminal = await run("enter", container_of(CONTEXT))
    words = list(terminal.argv)
    assert words[words.index("train") + 1] == "first"
    assert words[words.index("auto") :][:4] == ["auto", "", "c", "bob"]
    assert "raw" in words
    assert words[-2:] == ["zsh", "-l"]
    assert terminal.lost == "The shell lives on. Back to it: berth enter train"


async def test_a_root_shell_is_root_s_whatever_the_context_says() -> None:
    words = list((await run("root-shell", container_of(CONTEXT))).argv)
    assert "bob" not in words
    assert words[words.index("auto") :][:4] == ["auto", "", "c", "0"]


@pytest.mark.parametrize("options", [{"new": True, "session": 1}, {"session": 0}, {"session": 10_000}])
async def test_a_session_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        await run("enter", container_row("h", "c"), **options)


@pytest.mark.parametrize(
    ("configured", "seen", "told"),
    [("auto", "podman", "podman"), ("docker", "podman", "docker"), ("auto", "", "auto")],
)
async def test_the_engine_is_the_configured_one_else_the_one_that_was_seen(
    configured: str, seen: str, told: str
) -> None:
    engine = Engine(state=EngineState.UP, kind=seen)
    host = HostSnapshot(name="h", address="h", state=HostState.UP, engine=engine)
    ctx = context(FleetState(hosts={"h": host}), engine=configured, socket="/run/x.sock")
    words = list((await run("attach", container_row("h", "c"), ctx)).argv)
    assert words[words.index("attach") + 1 :][:3] == [told, "/run/x.sock", "c"]


async def test_a_session_is_attached_by_its_id_on_its_socket() -> None:
    row = SessionRow(
        host="h", id="$3", name="train-1", user="alice", attached=2, windows=1, created_at=None,
        activity_at=None, commands=(), socket="/tmp/tmux-1/default",
    )  # fmt: skip
    terminal = await run("attach-session", row)
    assert list(terminal.argv)[4:7] == ["session", "/tmp/tmux-1/default", "$3"]
    assert terminal.before == ("Also attached: 2.",)
    assert terminal.verb == ("berth", "session", "attach", "h/train-1")
