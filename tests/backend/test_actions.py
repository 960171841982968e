"""Declaring actions, and running them on many targets at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import pytest

from backend.actions import registry, runner
from backend.actions.context import Terminal
from backend.actions.registry import Action, Option, action
from backend.actions.runner import Result
from backend.actions.runs import Runs
from backend.activity import ActivityLog
from backend.config import Config, HostConfig, Settings
from backend.errors import ActionFailed, NoSuchTarget, Refused


class Nobody:
    """Says no to everything."""

    async def confirm(self, question):
        return False


def target(name: str = "c", host: str = "h1", state: str = "running") -> SimpleNamespace:
    return SimpleNamespace(host=host, name=name, state=state)


@pytest.fixture
def perform(tmp_path):
    """Runs an action on targets, as the dashboard does; their results."""

    async def go(found, targets, options, config=None) -> list[Result]:
        runs = Runs(config or Config(directory=tmp_path), access=None, log=ActivityLog(tmp_path / "log"))
        started = [runs.start(found, each, options, ask=Nobody()) for each in targets]
        try:
            return await asyncio.gather(*(run.task for run in started))
        finally:
            await runs.close()

    return go


@pytest.fixture
def declare(monkeypatch):
    """Declares into an empty registry; gives the declared Action."""
    monkeypatch.setattr(registry, "ACTIONS", {})

    def go(call, **about) -> Action:
        action(**({"on": SimpleNamespace} | about))(call)
        return list(registry.ACTIONS.values())[-1]

    return go


def test_a_declaration_gives_name_verb_help_and_options(declare):
    async def kill_it(
        ctx: NotImportedAnywhere,  # noqa: F821  # as actions do that import types for checking only
        row,
        *,
        signal: Annotated[Literal["TERM", "KILL"], Option("which signal", short="s")] = "KILL",
        mounts: Annotated[tuple[str, ...], Option("folders")] = (),
        image: Annotated[str | None, Option("another image")] = None,
        count: Annotated[int, Option("how many")],
    ) -> str:
        """Send a signal.

        More words.
        """

    found = declare(kill_it, danger="Kill {0.name} on {0.host}?")
    assert (found.name, found.verb, found.summary, found.details) == (
        "kill-it", ("kill-it",), "Send a signal.", "More words."
    )  # fmt: skip
    signal, mounts, image, count = found.params
    assert (signal.kind, signal.choices, signal.default, signal.required) == (
        str,
        ("TERM", "KILL"),
        "KILL",
        False,
    )
    assert (mounts.kind, mounts.many) == (str, True)
    assert (image.kind, image.optional) == (str, True)
    assert (count.kind, count.required) == (int, True)
    assert found.question(target()) == "Kill c on h1?"


def test_two_actions_of_one_name_are_refused(declare):
    async def stop(ctx, row):
        """Stop."""

    declare(stop)
    with pytest.raises(ValueError, match="stop"):
        declare(stop)


def test_an_action_without_help_is_refused(declare):
    async def stop(ctx, row):
        pass

    with pytest.raises(ValueError, match="docstring"):
        declare(stop)


async def test_one_failure_never_hides_anothers_result(declare, perform):
    async def stop(ctx, row):
        """Stop."""
        if row.name == "bad":
            raise ActionFailed("no")
        if row.name == "slow":
            raise TimeoutError
        return f"stopped {row.name}"

    found = declare(stop)
    results = await perform(found, [target("a"), target("bad"), target("slow"), target("b")], {})
    assert [result.ok for result in results] == [True, False, False, True]
    assert results[0].message == "stopped a"
    assert "h1/slow" in results[2].error.message


async def test_runs_go_side_by_side_but_not_all_on_one_host(declare, perform):
    running = most = 0

    async def stop(ctx, row):
        """Stop."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    found = declare(stop)
    await perform(found, [target(str(i)) for i in range(30)], {})
    assert most == runner.PER_HOST
    most = 0
    await perform(found, [target(str(i), host=f"h{i}") for i in range(30)], {})
    assert most == 30


@pytest.mark.parametrize(
    "config",
    [
        Config(directory=Path("/x"), settings=Settings(read_only=True)),
        Config(directory=Path("/x"), hosts=(HostConfig(name="h1", host="h1", read_only=True),)),
    ],
)
async def test_read_only_refuses_what_changes_and_lets_look(declare, config, perform):
    ran = []

    async def stop(ctx, row):
        """Stop."""
        ran.append("stop")

    async def inspect(ctx, row):
        """Look."""
        ran.append("inspect")

    (result,) = await perform(declare(stop), [target()], {}, config)
    assert isinstance(result.error, Refused) and result.error.exit_code == 5
    (result,) = await perform(declare(inspect, changes=False), [target()], {}, config)
    assert result.ok and ran == ["inspect"]


async def test_read_only_lets_what_is_only_to_be_shown(declare, perform):
    ran = []

    async def tidy(ctx, row, *, dry_run: Annotated[bool, Option("only show what would be done")] = False):
        """Tidy."""
        ran.append(dry_run)

    config = Config(directory=Path("/x"), settings=Settings(read_only=True))
    found = declare(tidy)
    (shown,) = await perform(found, [target()], {"dry_run": True}, config)
    (done,) = await perform(found, [target()], {"dry_run": False}, config)
    assert shown.ok and isinstance(done.error, Refused) and ran == [True]

    async def own(ctx, row, *, dry_run: Annotated[str, Option("a text of the user's own command")] = ""):
        """Do something."""
        ran.append(dry_run)

    (done,) = await perform(declare(own), [target()], {"dry_run": "no"}, config)
    assert isinstance(done.error, Refused) and ran == [True]


async def test_an_action_that_no_longer_applies_says_so(declare, perform):
    async def stop(ctx, row):
        """Stop."""

    found = declare(stop, applies=lambda row: row.state == "running")
    (result,) = await perform(found, [target(state="exited")], {})
    assert isinstance(result.error, NoSuchTarget) and "exited" in result.error.hint


async def test_a_terminal_is_handed_to_the_front_end(declare, perform):
    async def enter(ctx, row):
        """Enter."""
        return Terminal(host=row.host, argv=["sh"], title="c")

    found = declare(enter, terminal=True)
    assert not found.bulk
    (result,) = await perform(found, [target()], {})
    assert result.terminal.argv == ["sh"]


async def test_a_cancel_reaches_every_run(declare, perform):
    started, ended = asyncio.Event(), []

    async def wait(ctx, row):
        """Wait."""
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(row.name)

    task = asyncio.create_task(perform(declare(wait), [target("a"), target("b")], {}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["a", "b"]


def test_verbs_that_load_one_file_only_name_the_right_one():
    from backend import actions

    modules = {"do": "commands"}  # its verbs are declared by settings.yaml
    modules |= {
        " ".join(action.verb[:many]): action.call.__module__.rpartition(".")[2]
        for many in (2, 1)
        for action in actions.load().values()
        if action.verb
    }
    assert {verb: modules[verb] for verb in actions.ALONE} == actions.ALONE


async def test_a_read_only_host_that_an_option_names_refuses_too(declare, perform):
    async def load(ctx, row, *, to: Annotated[str, Option("where", host=True)]):
        """Load."""

    config = Config(directory=Path("/x"), hosts=(HostConfig(name="h2", host="h2", read_only=True),))
    found = declare(load)
    (result,) = await perform(found, [target()], {"to": "h2"}, config)
    assert isinstance(result.error, Refused)
    (result,) = await perform(found, [target()], {"to": "h1"}, config)
    assert result.ok


async def test_a_read_only_host_among_several_refuses_too(declare, perform):
    async def pull(ctx, row, *, to: Annotated[tuple[str, ...], Option("where", host=True, several=True)]):
        """Pull."""

    config = Config(directory=Path("/x"), hosts=(HostConfig(name="h2", host="h2", read_only=True),))
    (result,) = await perform(declare(pull), [target()], {"to": ("h1", "h2")}, config)
    assert isinstance(result.error, Refused)


async def test_a_bug_in_one_run_never_hides_anothers_result(declare, perform):
    async def stop(ctx, row):
        """Stop."""
        return {"a": "done"}[row.name]

    results = await perform(declare(stop), [target("a"), target("b")], {})
    assert [result.ok for result in results] == [True, False]
    assert "bug" in results[1].error.hint
