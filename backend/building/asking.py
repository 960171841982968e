"""What the verbs about builds share: hosts, what comes after a build, builds of other berths."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from backend.building import records
from backend.building.model import Build, BuildState, Request
from backend.building.order import worst
from backend.building.records import BuildFailed, Record, failed
from backend.errors import ActionFailed, BerthError, HostError, NoSuchTarget, Refused, UsageError
from backend.text import age, duration, printable

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.config import Config

_TAG = "tag:"
_CANCEL = 30.0
"""Seconds that another berth has to end a build of its own."""
_LOOK = 0.2


# ------------------------------------------------------------------------------------- the request


def hosts(config: Config, words: Sequence[str]) -> tuple[str, ...]:
    """The hosts that names, patterns and `tag:TAG` mean; none said: the one there is, or this machine."""
    can = [host for host in config.hosts if not host.skip and host.engine != "none"]
    if not words:
        names = [host.name for host in can if host.local] or [host.name for host in can]
        if len(names) == 1:
            return (names[0],)
        raise UsageError(
            "which host?", hint=f"Say --host {' '.join(names[:6])}, --host '*' or --host tag:TAG."
        )
    found: list[str] = []
    for word in words:
        if word.startswith(_TAG):
            fitting = [host.name for host in can if word.removeprefix(_TAG) in host.tags]
        elif any(char in word for char in "*?["):
            fitting = [host.name for host in can if fnmatchcase(host.name, word)]
        else:
            fitting = [config.host(word).name]
        if not fitting:
            raise NoSuchTarget(f"no host fits {word!r}.", hint="See: berth hosts")
        found += fitting
    return tuple(dict.fromkeys(found))


def arguments(words: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` words. Raises `UsageError`."""
    for word in words:
        if not word.partition("=")[0] or "=" not in word:
            raise UsageError("a build argument is NAME=VALUE.", hint=f"Not: {word.partition('=')[0]}")
    return dict(word.split("=", 1) for word in words)


def check(config: Config, request: Request) -> None:
    """Raise `Refused` for a host that is read-only, `NoSuchTarget` for a context that is not there."""
    from backend.building import byjob

    for name in request.hosts:
        writable(config, config.host(name).name)
    byjob.check(config, request)
    if request.up:
        context = config.context(request.up)
        if context.host not in request.hosts:
            raise UsageError(
                f"context {request.up} is on {context.host}, where nothing is built.",
                hint=f"Say --host {context.host}.",
            )


def writable(config: Config, name: str) -> None:
    """Raise `Refused` for a host that is read-only."""
    if any(host.name == name and host.read_only for host in config.hosts):
        raise Refused(f"host {name} is read-only.", hint="See read_only in hosts.yaml.")


async def detached(config: Config, request: Request) -> str:
    """Start a berth of its own that does it; the id of the order."""
    order = records.new_id()
    records.folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    argv = [sys.executable, "-P", "-m", "backend.building", order, str(config.directory)]
    said = await asyncio.to_thread(_start, argv, msgspec.json.encode(request))
    if said != "started":
        raise ActionFailed(said or "the order could not be started.")
    return order


def _start(argv: list[str], data: bytes) -> str:
    """Start a process that outlives us; its first line."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    with process.stdin, process.stdout:
        process.stdin.write(data)
        process.stdin.close()
        said = process.stdout.readline().decode(errors="replace").strip()
    process.returncode = 0  # nobody waits for it: it is no child that was forgotten
    return said


# ---------------------------------------------------------------------------------------- its end


def raise_worst(builds: Iterable[Build]) -> None:
    """Raise what went wrong with the first build that did not go well, naming how many others did not."""
    builds = list(builds)
    state = worst(builds)
    if state is None:
        return
    bad = [each for each in builds if worst([each]) is not None]
    first = next((each for each in bad if each.state is BuildState.FAILED), bad[0])
    more = f" ({len(bad)} of {len(builds)} builds did not go well)" if len(builds) > 1 else ""
    said = first.error or f"{first.recipe} on {first.host}: {first.state.value}"
    if state is BuildState.DETACHED and first.state is BuildState.DETACHED:
        raise HostError(f"{said} The build goes on there.", hint="Later: berth images builds")
    raise BuildFailed(f"{said}{more}", hint=first.hint, tail=first.tail)


def told(builds: Sequence[Build]) -> str:
    """One line about an order that went well."""
    done = [each for each in builds if each.state is BuildState.DONE]
    if not done:
        return f"nothing to do: {len(builds)} images are fresh"
    names = ", ".join(f"{each.images[0]} on {_place(each)}" for each in done[-4:])
    more = f" and {len(done) - 4} more" if len(done) > 4 else ""
    fresh = f"; {len(builds) - len(done)} were fresh" if len(builds) > len(done) else ""
    return f"built {names}{more}{fresh}"


def _place(build: Build) -> str:
    return f"{build.node} of {build.host}" if build.node else build.host


async def afterwards(ctx: ActionContext, request: Request, builds: Sequence[Build]) -> None:
    """Push, and start a context, if that is asked for."""
    if request.push:
        from backend.actions.images import check_keys, push_reference

        for build in builds:
            if _named(request, build):
                engine = await ctx.engine(build.host)
                if request.check is not False:
                    await check_keys(ctx, engine, build.images[0], "image")
                for image in build.images:
                    await push_reference(ctx, engine, image)
                    ctx.report(f"pushed {image} from {build.host}")
    if request.up:
        from backend.building.starting import start_again

        ctx.report(await start_again(ctx, ctx.config.context(request.up)))


def _named(request: Request, build: Build) -> bool:
    """Whether it was asked for, and is not only what that stands on."""
    return bool({build.recipe, *build.images} & set(request.names)) or len(request.names) == 0


def table(builds: Sequence[Build]) -> list[str]:
    """Lines of a list for people."""
    lines = []
    for each in builds:
        step = f" {each.step}/{each.steps}" if each.steps and each.active else ""
        took = "-" if each.seconds is None else duration(each.seconds)
        said = each.error or (each.current.text if each.current and each.active else each.why)
        state = f"{each.state.value}{step}"
        lines.append(
            f"{each.id}  {state:<15} {took:>9}  {age(each.created_at):>9}  "
            f"{printable(f'{each.host}/{each.recipe}', 60):<28}  {printable(said, 120)}".rstrip()
        )
    return lines


# ---------------------------------------------------------------------------- builds of others


async def find_again(ctx: ActionContext) -> None:
    """Ask hosts how builds ended that nobody follows; what cannot be asked stays as it is."""
    from backend.building import jobs
    from backend.building.following import state_of

    left = [each for each in records.listed(10 * records.KEPT, active=True) if _left(each)]

    async def one(build: Build) -> None:
        if jobs.job_of(build) is not None:
            await _find_job(ctx, build)
            return
        try:
            async with asyncio.timeout(_CANCEL):
                known = await state_of(ctx.access, build)
        except NoSuchTarget as error:
            _write(build.to(BuildState.LOST, error=error.message))
            return
        except (BerthError, TimeoutError):
            return
        if known.state == "killed":
            _write(build.to(BuildState.LOST, error="the process that built was killed"))
        elif known.end is not None:
            await follow(ctx, build, say=lambda line: None)

    await asyncio.gather(*map(one, left))


async def _find_job(ctx: ActionContext, build: Build) -> None:
    """How a job ended that built; one that goes on is left alone."""
    from backend.building import jobs

    try:
        async with asyncio.timeout(_CANCEL):
            over = await jobs.has_ended(ctx.config, ctx.access, build)
    except (BerthError, TimeoutError):
        return
    if over:
        await follow(ctx, build, say=lambda line: None)


def _left(build: Build) -> bool:
    return build.state is BuildState.DETACHED and bool(build.run) and not records.owned(build.order)


def _write(build: Build) -> None:
    record = Record(build)
    record.keep()
    record.close()


async def follow(ctx: ActionContext, build: Build, say: Callable[[str], None] | None = None) -> Build:
    """A build until its end: by its record where a berth works on it, else from its host."""
    from backend.building import jobs
    from backend.building.following import Following

    if not build.active:
        return build
    if records.owned(build.order):
        return await _watch(ctx, build)
    if not build.run:
        return build
    with records.own(build.order) as ours:
        if not ours:
            return await _watch(ctx, build)
        record = Record(build.to(BuildState.BUILDING, error="", ended_at=None))
        record.keep()
        following = Following(record, "", say or ctx.report)
        try:
            if jobs.job_of(build) is not None:
                await jobs.follow(ctx.config, ctx.access, record, say or ctx.report)
                return record.build
            await following.again(ctx.access, build.host, build.run)
            end = following.outcome()
            record.update(record.build.to(BuildState.DONE, image_id=end.image))
        except BerthError as error:
            if following.end is not None and following.end.cancelled:
                record.update(record.build.to(BuildState.CANCELLED))
            elif isinstance(error, HostError):
                record.update(record.build.to(BuildState.DETACHED, error=error.message))
            else:
                failed(record, error)
        except asyncio.CancelledError:
            record.update(record.build.to(BuildState.DETACHED))
            raise
        finally:
            record.close()
        return record.build


async def _watch(ctx: ActionContext, build: Build) -> Build:
    """Show the log of a build that another berth works on, until it ends."""
    at = 0
    while True:
        now = records.find(build.id)
        try:
            with records.log_path(build.id).open("rb") as file:
                file.seek(at)
                data = file.read()
        except OSError:
            data = b""
        whole, newline, _ = data.rpartition(b"\n")
        at += len(whole) + len(newline)
        for line in whole.decode("utf-8", "replace").splitlines():
            ctx.report(line)
        if not now.active or now.state is BuildState.DETACHED:
            return now
        await asyncio.sleep(_LOOK)


async def cancel(ctx: ActionContext, build: Build) -> Build:
    """End a build, whoever works on it; how it is then. Raises `ActionFailed` where it does not end."""
    from backend.building import jobs, remote

    if records.owned(build.order):
        records.ask_cancel(build.id)
        until = time.monotonic() + _CANCEL
        while (now := records.find(build.id)).active and records.owned(build.order):
            if time.monotonic() > until:
                raise ActionFailed(
                    f"build {build.id} does not end.", hint=f"Its berth is process {build.pid}."
                )
            await asyncio.sleep(_LOOK)
        return now
    if not build.run:
        _write(build.to(BuildState.LOST, error="the berth that began it was killed"))
        return records.find(build.id)
    if (found := jobs.job_of(build)) is not None:
        await jobs.cancel(ctx.config, ctx.access, build.host, found[0])
        return await follow(ctx, build, say=lambda line: None)
    end = await remote.cancel(await ctx.link(build.host), build.run)
    if end is None:
        raise ActionFailed(f"{build.host} does not say that build {build.id} has ended.")
    state = BuildState.CANCELLED if end.cancelled else BuildState.FAILED if end.code else BuildState.DONE
    _write(build.to(state, image_id=end.image, error="" if end.cancelled else end.error))
    return records.find(build.id)
