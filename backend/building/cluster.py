"""Builds on a cluster: one job of its queue builds recipes and all they stand on, on one node, parents first.

The login node only takes contexts into a folder that the nodes have in common; see backend/agent/builds/job.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from backend import shipping
from backend.building import jobs, remote
from backend.building.following import Following
from backend.building.model import BuildState, Request
from backend.building.model import Job as Wanted
from backend.building.records import Record, failed
from backend.errors import ActionFailed, AgentFailed, BerthError, HostError, Refused, UsageError
from backend.queues.base import Unanswered
from backend.text import printable, size
from backend.whole import whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backend.actions.context import Access
    from backend.building.rendering import Rendering
    from backend.config import Config
    from backend.link import Link
    from backend.queues.base import Submission
    from backend.recipes.model import Recipe, Rendered

_WAIT = 60.0
_KEYS = "find_keys.py"
_WELL = (BuildState.DONE, BuildState.FRESH)
_PUT = 'umask 077; cat >"$1.new" && mv -- "$1.new" "$1"'


class ClusterBuild:
    """One job: recipes that are built on a node, parents first."""

    def __init__(
        self, config: Config, access: Access, request: Request, order: str, host: str, *,
        say: Callable[[str], None],
        confirm: Callable[[str], Awaitable[bool]],
    ) -> None:  # fmt: skip
        self._config = config
        self._access = access
        self._request = request
        self._order = order
        self._host = host
        self._say = say
        self._confirm = confirm
        self._wanted = request.job or Wanted()
        self.job = ""
        """Its number; empty until the queue took it."""

    async def run(self, recipes: Sequence[Recipe], records: Sequence[Record], rendering: Rendering) -> None:
        """From the contexts to the images. Every record has its end then; raises only a cancel and bugs."""
        for record in records:
            record.keep()
        try:
            await self._run(recipes, records, rendering)
        except asyncio.CancelledError as cancel:
            if isinstance(cancel.__cause__, Unanswered):
                _lose(records, cancel.__cause__)
            if self.job:
                await whole(jobs.cancel(self._config, self._access, self._host, self.job))
            self._end(records, BuildState.CANCELLED)
            raise
        except BerthError as error:
            self._say(f"{self._host}: {error}")
            if isinstance(error, Unanswered) and not self.job:
                _lose(records, error)
            for record in records:
                if record.build.active and self.job and isinstance(error, HostError):
                    record.update(record.build.to(BuildState.DETACHED, error=error.message))
                elif record.build.active:
                    failed(record, error)
                    break
            self._end(records, BuildState.SKIPPED)

    async def _run(self, recipes: Sequence[Recipe], records: Sequence[Record], rendering: Rendering) -> None:
        from backend.queues.choose import queue_of
        from backend.queues.once import queued

        rendered = [await rendering.of(each, self._access, self._host) for each in recipes]
        for made, record in zip(rendered, records, strict=True):
            _no_secrets(made)
            record.update(replace(record.build, images=made.tags))
        link = await self._access.link(self._host)
        if into := self._into(rendered[-1]):
            from backend.outputs import sqsh

            await sqsh.may_write(link, into, self._confirm)
        folder = await self._bring(link, rendered, records)
        follows = [
            Following(record, _text(made), self._voice(record), source=str(recipe.file or ""))
            for record, made, recipe in zip(records, rendered, recipes, strict=True)
        ]
        queues = partial(queue_of, self._config, self._access, self._host)
        job = self._submission(folder, records)
        hint = f"It is called {job.name!r} in: berth jobs --host {self._host}"
        async with queues() as queue:
            (self.job,) = await queued(queues, self._host, [job], "", self._say, hint=hint)
            for number, record in enumerate(records):
                build = record.build.to(
                    BuildState.WAITING, why=f"job {self.job}", run=jobs.run_of(self.job, number)
                )
                record.update(build)
            names = ", ".join(each.build.recipe for each in records)
            self._say(f"{self._host}: job {self.job} builds {names}")
            ending = jobs.Ending(self._host, self.job, records, follows, self._say)
            await ending.wait(self._access, queue, self._order)
        await self._after(link, ending, rendered[-1])

    def _voice(self, record: Record) -> Callable[[str], None]:
        return lambda line: self._say(f"{record.build.host} {record.build.recipe}: {line}")

    # ------------------------------------------------------------------------------------ sending

    async def _bring(self, link: Link, rendered: Sequence[Rendered], records: Sequence[Record]) -> str:
        """All that the job needs, in a folder of the cluster; its path."""
        from backend.building import stage

        made = await _make(link, self._order, [each.tags[0] for each in rendered])
        folder = str(made["folder"])
        for number, (each, record) in enumerate(zip(rendered, records, strict=True)):
            record.update(record.build.to(BuildState.SENDING))
            sent = await stage.bring(
                link,
                each.folder,
                f"{folder}/{number}/tree",
                there=bool(made["rsync"]),
                say=self._say,
                linked=each.linked,
                before=str(made["before"][number]),
            )
            record.update(record.build.to(BuildState.WAITING, sent=sent))
        from backend import bundle, toolkit

        files = {"agent.pyz": bundle.agent_zipapp()[0], _KEYS: toolkit.source(_KEYS).encode()}
        files["plan.json"] = json.dumps(self._plan(rendered)).encode()
        for name, data in files.items():
            done = await link.run(["sh", "-c", _PUT, "sh", f"{folder}/{name}"], input=data, timeout=_WAIT)
            if done.returncode:
                said = printable(done.stderr.decode(errors="replace").strip(), 300)
                raise ActionFailed(f"{self._host}: {folder}/{name} cannot be written: {said}.")
        return folder

    def _plan(self, rendered: Sequence[Rendered]) -> dict[str, Any]:
        return {
            "builds": [self._specification(each) for each in rendered],
            "into": self._into(rendered[-1]),
            "compression": "zstd",
            "check": self._request.check is not False,
        }

    def _into(self, made: Rendered) -> str:
        from backend.outputs import sqsh

        return sqsh.file_of(made.recipe, self._request.sqsh) if self._request.sqsh else ""

    def _specification(self, made: Rendered) -> dict[str, Any]:
        from backend.building import fresh

        dockerfile = _text(made)
        labels = fresh.labels(made, dockerfile, {})
        del labels[fresh.BASES_LABEL]  # the node knows what it has
        chosen = self._request.builder
        return {
            **remote.specification(
                dockerfile=dockerfile,
                tags=made.tags,
                args=made.build_args,
                labels=labels,
                secrets={},
                target=made.target,
                platform=made.platform,
                no_cache=bool(made.no_cache) or self._request.no_cache,
            ),
            "images": list(made.images),
            "force": self._request.force or self._request.no_cache,
            "pull": "missing" if self._request.pull else "never",
            "builder": chosen if chosen != "auto" else "buildkit" if made.buildkit else "auto",
        }

    def _submission(self, folder: str, records: Sequence[Record]) -> Submission:
        from backend.queues.base import Submission

        wanted = self._wanted
        return Submission(
            command=("python3", f"{folder}/agent.pyz", "build", "job", "run", folder),
            name=f"build {records[-1].build.recipe}",
            cpus=wanted.cpus,
            memory=wanted.memory,
            time_limit=wanted.time or None,
            partition=wanted.partition,
        )

    # -------------------------------------------------------------------------------------- after

    async def _after(self, link: Link, ending: jobs.Ending, made: Rendered) -> None:
        """The image file is described beside it."""
        if not ending.made or not ending.made.get("path"):
            found = (ending.made or {}).get("keys")
            if found:
                failed(ending.records[-1], self._refused(found, made.tags[0]))
            elif self._request.sqsh and all(each.build.state in _WELL for each in ending.records):
                why = printable(str((ending.made or {}).get("error") or "the job says nothing of it"), 600)
                failed(ending.records[-1], ActionFailed(f"image.sqsh was not made: {why}."))
            return
        from backend.outputs import sqsh

        done = sqsh.Made(
            path=str(ending.made["path"]),
            size=int(ending.made["size"]),
            files=int(ending.made["files"]),
            image=str(ending.made.get("id") or ""),
        )
        for name in ending.made.get("left_out") or ():
            self._say(f"left out: the variable {printable(str(name))} holds a line break")
        path = await sqsh.describe(link, done, made.cluster)
        wrote = f"wrote {printable(done.path)} on {self._host}: {size(done.size)}"
        self._say(f"{wrote}; beside it: {printable(path)}")

    def _refused(self, found: object, image: str) -> BerthError:
        """What is said of private keys: such an image becomes no file, as it is neither pushed nor saved."""
        from backend.images import keys

        try:
            keys.refuse(msgspec.convert(found, list[keys.Find]), image)
        except Refused as error:
            return error
        except msgspec.ValidationError:
            pass
        return AgentFailed(f"{self._host}: image.sqsh was not made, and nobody understands why.")

    @staticmethod
    def _end(records: Sequence[Record], state: BuildState) -> None:
        for record in records:
            if record.build.active and record.build.state is not BuildState.DETACHED:
                record.update(record.build.to(state))


def _lose(records: Sequence[Record], why: Unanswered) -> None:
    """Nobody knows whether the job of these is queued, and may run."""
    for record in records:
        if record.build.active:
            record.update(record.build.to(BuildState.LOST, error=why.message, hint=why.hint))


def _text(made: Rendered) -> str:
    return made.dockerfile.read_text("utf-8", "replace")


def _no_secrets(made: Rendered) -> None:
    if made.secrets:
        raise UsageError(
            f"{made.recipe} needs secrets ({', '.join(made.secrets)}), which would lie on the cluster's disk "
            "until the job begins.",
            hint="Build it on a host with an engine.",
        )


async def _make(link: Link, order: str, images: Sequence[str]) -> dict[str, Any]:
    """The folder of a job on a cluster."""
    agent = await shipping.start(link, ["build", "job", "make"])
    try:
        await agent.process.write(json.dumps({"order": order, "images": list(images)}).encode() + b"\n")
        async for line in agent.lines:
            found = json.loads(line)
            if "failed" in found:
                raise remote.failure(link.name, found["failed"])
            if isinstance(found.get("made"), dict):
                return dict(found["made"])
        said = printable(agent.process.stderr.decode(errors="replace").strip()[-300:])
        raise AgentFailed(f"{link.name}: no folder for the job was made: {said or 'no word'}.")
    finally:
        await agent.process.close()
