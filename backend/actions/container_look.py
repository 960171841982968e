"""Looking into a container: what the engine knows of it, its processes, a command run inside."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

from backend.actions.containers import GROUP, Signal, alive, engine_of, runs
from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import ActionFailed, UsageError
from backend.model import ContainerRow
from backend.text import percent, size


@action(on=ContainerRow, key="i", changes=False, bulk=False, footer=True, prints=True, group=GROUP)
async def inspect(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    form: Annotated[Literal["yaml", "json"], Option("how it is written", flag="--format")] = "yaml",
) -> str:
    """Show everything the engine knows of the container."""
    async with engine_of(ctx, row) as engine:
        found = await engine.inspect(row.id)
    ctx.give(found)
    if form == "json":
        import json

        text = json.dumps(found, indent=2, ensure_ascii=False)
    else:
        import yaml

        text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=1000)
    for line in text.splitlines():
        ctx.report(line)
    return f"{row.name} on {row.host}: {len(found)} keys"


@action(on=ContainerRow, key="T", applies=alive, changes=False, bulk=False, prints=True, group=GROUP)
async def top(ctx: ActionContext, row: ContainerRow) -> str:
    """Show the container's processes with their pid on the host, user, CPU and memory."""
    from msgspec import to_builtins

    from backend import proclist

    link = await ctx.link(row.host)
    reading = await proclist.read_twice(link, row.id, await _first_pid(ctx, row))
    found = sorted(reading.processes, key=lambda each: (-(each.cpu_percent or 0.0), -each.mem_used))
    ctx.give([to_builtins(each) for each in found])
    wide = max([4, *(len(each.user) for each in found)])
    ctx.report(f"{'PID':>8}  {'USER':<{wide}}  {'CPU':>6}  {'MEMORY':>7}  S  COMMAND")
    for each in found:
        cpu, memory = percent(each.cpu_percent), size(each.mem_used)
        ctx.report(f"{each.pid:>8}  {each.user:<{wide}}  {cpu:>6}  {memory:>7}  {each.state}  {each.command}")
    return f"{row.name} on {row.host}: {len(found)} process{'' if len(found) == 1 else 'es'}"


@action(
    on=ContainerRow,
    verb="signal",
    name="signal-process",
    title="signal a process",
    applies=alive,
    danger="Send a signal to a process of {0.name} on {0.host}?",
    bulk=False,
    group=GROUP,
)
async def signal_process(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    pid: Annotated[int, Option("its pid on the host, as `top` shows it", positional=True)],
    signal: Annotated[Signal, Option("which signal", short="s", ask=True)] = "TERM",
) -> str:
    """Send a signal to one process of the container."""
    from backend import processes

    if pid < 1:
        raise UsageError(f"{pid} is no process.", hint=f"See: berth top {row.host}/{row.name}")
    async with engine_of(ctx, row) as engine:
        await engine.inspect(row.id)
        await processes.send_signal(await ctx.link(row.host), engine, row.id, pid, signal)
    return f"sent SIG{signal} to process {pid} of {row.name} on {row.host}"


@action(on=ContainerRow, name="exec", verb="exec", applies=runs, prints=True, group=GROUP)
async def exec_(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    command: Annotated[tuple[str, ...], Option("the command and its arguments", positional=True, many=True)],
    user: Annotated[str | None, Option("who runs it (default: the container's user)", short="u")] = None,
    workdir: Annotated[str | None, Option("where it runs", short="w")] = None,
    env: Annotated[tuple[str, ...], Option("NAME=VALUE for it", short="e", masked=True)] = (),
) -> str:
    """Run a command in the container and show its output.

    It has no terminal and no input: `enter` is for that. If it is cancelled, the command is ended.
    """
    if not command:
        raise UsageError("no command was given.", hint=f"berth exec {row.host}/{row.name} -- COMMAND ...")
    lines = Lines(ctx)
    async with engine_of(ctx, row) as engine:
        result = await engine.exec(
            row.id, command, user=user or "", workdir=workdir, env=_environment(env), output=lines.feed
        )
    lines.end()
    ctx.give({"exit_code": result.exit_code}, beside=True)
    if result.exit_code:
        failed = ActionFailed(
            f"{shlex.join(command)} ended with exit code {result.exit_code} in {row.name} on {row.host}."
        )
        failed.exit_code = result.exit_code  # as docker and ssh pass it on: scripts ask for it
        raise failed
    return f"{shlex.join(command)} is done in {row.name} on {row.host}"


class Lines:
    """Pieces of two streams -> whole lines, reported as they come."""

    LIMIT = 64 * 1024
    """Bytes after which a line is cut even if it does not end."""

    def __init__(self, ctx: ActionContext) -> None:
        self._ctx = ctx
        self._held: dict[int, bytes] = {}

    def feed(self, stream: int, data: bytes) -> None:
        """A piece of one of the streams."""
        *lines, rest = (self._held.get(stream, b"") + data).split(b"\n")
        for line in lines:
            self._say(line)
        if len(rest) > self.LIMIT:
            self._say(rest)
            rest = b""
        self._held[stream] = rest

    def end(self) -> None:
        """What came without a newline."""
        for rest in self._held.values():
            if rest:
                self._say(rest)
        self._held.clear()

    def _say(self, line: bytes) -> None:
        self._ctx.report(line.decode(errors="replace").removesuffix("\r"))


async def _first_pid(ctx: ActionContext, row: ContainerRow) -> int:
    async with engine_of(ctx, row) as engine:
        state = (await engine.inspect(row.id)).get("State") or {}
    pid = state.get("Pid")
    if not isinstance(pid, int) or pid < 1:
        raise ActionFailed(f"{row.name} on {row.host} does not run.", hint="Start it first.")
    return pid


def _environment(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"{pair!r} is not NAME=VALUE.")
        found[name] = value
    return found
