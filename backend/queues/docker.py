"""The queue of a host without a server: backend/agent/queue, asked over its agent."""

from __future__ import annotations

import base64
import contextlib
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from backend.actions.context import Terminal
from backend.errors import AgentFailed, BerthError, HostError, NoSuchTarget, UsageError
from backend.model import Job, JobRow
from backend.queues.base import Detail, Estimate, Event, QueueStatus, Submission, Unanswered, Which
from backend.queues.channel import Channel, follow, open_channel
from backend.queues.jobrows import job_rows
from backend.queues.leaving import left
from backend.whole import whole

if TYPE_CHECKING:
    from backend.actions.context import Access, ActionContext
    from backend.config import HostConfig


class DockerQueue:
    """One host's queue. Opens its process there when it is first asked."""

    kind = "docker"

    def __init__(self, host: HostConfig, access: Access) -> None:
        self.host = host.name
        self._config = host
        self._access = access
        self._channel: Channel | None = None

    # ------------------------------------------------------------------------------- asking

    async def submit(self, jobs: Sequence[Submission], *, key: str = "", again: bool = False) -> list[str]:
        """Queue all of them or none; the queue itself looks whether the key was there before."""
        _ = again
        body = {"jobs": [body_of(job) for job in jobs], "key": key}
        await self._opened()
        answer = await whole(self._submit(body))
        return [str(number) for number in answer["ids"]]

    async def _submit(self, body: Mapping[str, Any]) -> Any:
        try:
            return await self._ask("submit", body)
        except HostError as error:
            await self.close()  # whatever it is, the next question needs another one
            raise Unanswered(error.message, hint=error.hint) from error

    async def submitted(self, key: str) -> list[str]:
        """The unfinished jobs that were submitted by this key."""
        answer = await self._ask("submitted", {"key": key})
        return [str(number) for number in answer["ids"]]

    async def jobs(self, which: Which = "unfinished", *, owner: str = "", limit: int = 0) -> list[JobRow]:
        """In the order of their turn."""
        answer = await self._ask("list", {"which": which, "owner": owner, "limit": limit})
        return job_rows(self.host, self._jobs(answer["jobs"]))

    async def detail(self, job: str) -> Detail:
        """One job with its history."""
        answer = await self._ask("show", {"id": _number(job)})
        events = [
            Event(
                datetime.fromtimestamp(float(each["at"]), UTC), str(each["text"]), str(each.get("by") or "")
            )
            for each in answer["events"]
        ]
        return Detail(self._row(answer["job"]), answer["job"], events)

    async def cancel(self, jobs: Sequence[str]) -> list[str]:
        """End them, waiting or running."""
        answer = await self._ask("cancel", {"ids": [_number(job) for job in jobs]})
        return [str(line) for line in answer["said"]]

    async def hold(self, jobs: Sequence[str]) -> None:
        """Let them wait until they are released."""
        await self._ask("hold", {"ids": [_number(job) for job in jobs]})

    async def release(self, jobs: Sequence[str]) -> None:
        """The reverse of `hold`."""
        await self._ask("release", {"ids": [_number(job) for job in jobs]})

    async def move(self, job: str, where: str) -> None:
        """`first`, `last`, `before N`, `after N`."""
        word, _, other = where.partition(" ")
        body: dict[str, Any] = {"id": _number(job), "where": word}
        if word in ("before", "after"):
            body["other"] = _number(other)
        elif word not in ("first", "last"):
            raise UsageError(
                f"{where!r} is no place.", hint="Say first, last, before NUMBER or after NUMBER."
            )
        await self._ask("move", body)

    async def edit(self, job: str, changes: Mapping[str, Any]) -> None:
        """Change a waiting job."""
        await self._ask("edit", {"id": _number(job), "changes": dict(changes)})

    async def retry(self, job: str) -> str:
        """Queue an ended job once more."""
        answer = await self._ask("retry", {"id": _number(job)})
        return str(answer["id"])

    async def status(self) -> QueueStatus:
        """The queue as a whole."""
        found = await self._ask("status", {})
        known = {
            name: found.get(name)
            for name in (
                *("gpus_free", "gpus_total", "cpus_free", "cpus_total", "memory_free", "memory_total"),
                *("keeper",),
            )
        }
        return QueueStatus(
            self.host,
            self.kind,
            running=int(found["active"]),
            waiting=int(found["waiting"]),
            paused=str(found.get("paused") or ""),
            draining=str(found.get("draining") or ""),
            notes=tuple(map(str, found.get("notes") or ())),
            **known,
        )

    async def pause(self, reason: str) -> None:
        """Start nothing more."""
        await self._ask("pause", {"reason": reason})

    async def drain(self, reason: str) -> None:
        """Take nothing more."""
        await self._ask("drain", {"reason": reason})

    async def resume(self) -> None:
        """The reverse of both."""
        await self._ask("resume", {})

    async def settings(self, changes: Mapping[str, int]) -> dict[str, Any]:
        """What holds for everybody, after these changes; only root may make some."""
        return dict(await self._ask("settings", {"changes": dict(changes)}))

    async def wake(self) -> None:
        """Start who keeps the queue moving, where jobs need it; nothing else changes."""
        await self._ask("wake", {})

    async def forgettable(self, days: float) -> list[JobRow]:
        """The jobs that ended longer ago by the host's clock, and that nothing needs any more."""
        found = await self._ask("forget", {"days": days, "look": True})
        return job_rows(self.host, self._jobs(found["jobs"]))

    async def forget(self, jobs: Sequence[str]) -> None:
        """Remove ended jobs with their output. Of other people's only root may."""
        await self._ask("forget", {"ids": [_number(job) for job in jobs]})

    async def estimate(self, job: Submission) -> Estimate:
        """When it would start; of a project's job too, whose image is not built yet."""
        found = await self._ask(
            "estimate", {"job": body_of(replace(job, image=job.image or "not-built-yet"))}
        )
        start = found.get("start")
        return Estimate(
            self.host,
            None if start is None else float(start),
            possible=bool(found["possible"]),
            why=str(found.get("why") or ""),
        )

    # ---------------------------------------------------------------------------- following

    async def follow(
        self, job: str, *, to_the_end: bool = True, output: bool = True, tail: int = 0, first: int = 0
    ) -> AsyncIterator[JobRow | bytes | str]:
        """Its row whenever that changed, pieces of its output, and what people should know."""
        body = {
            "id": _number(job), "to_the_end": to_the_end, "output": output, "tail": tail, "first": first
        }  # fmt: skip
        link = await self._access.link(self.host)
        async with follow(link, self._options(), body) as lines:
            async for line in lines:
                if "out" in line:
                    with contextlib.suppress(ValueError):
                        yield base64.b64decode(str(line["out"]), validate=True)
                elif "job" in line:
                    yield self._row(line["job"])
                elif "note" in line:
                    yield f"{self.host}: job {job}: {line['note']}"

    async def terminal(self, ctx: ActionContext, job: str) -> Terminal:
        """A terminal to the running job: its own, or a shell beside it."""
        from backend.terminal import scripts, visits

        row = (await self.detail(job)).row
        if row.state != "running" or not row.container:
            raise NoSuchTarget(
                f"job {job} on {self.host} does not run: it is {row.state}.", hint=row.reason or ""
            )
        again = f"berth job attach {self.host}/{job}"
        if not row.interactive:
            beside = visits.enter(ctx, visits.container_row(self.host, row.container), "none", None, None)
            return replace(
                beside,
                title=f"shell beside job {job} on {self.host}",
                before=(
                    f"Job {job} ({row.name}) on {self.host} has no terminal of its own: this is a shell "
                    "beside it, in its container.",
                    f"Leaving it leaves the job alone. Its output: berth job logs -f {self.host}/{job}",
                ),
                lost=f"The job goes on. Again: {again}",
                verb=tuple(again.split()),
            )
        return Terminal(
            host=self.host,
            argv=scripts.attach(visits.engine_of(ctx, self.host), row.container),
            title=f"job {job} on {self.host}",
            before=(
                f"Attached to job {job} ({row.name}) on {self.host}.",
                "Ctrl+P Ctrl+Q leaves it running.",
            ),
            lost=f"The job goes on. Back to it: {again}",
            verb=tuple(again.split()),
            after=lambda access: left(ctx.config, access, self.host, job),
        )

    async def close(self) -> None:
        """End the process there."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    # ------------------------------------------------------------------------------ details

    async def _opened(self) -> Channel:
        if self._channel is None:
            self._channel = await open_channel(await self._access.link(self.host), self._options())
        return self._channel

    async def _ask(self, verb: str, body: Mapping[str, Any]) -> Any:
        channel = await self._opened()
        try:
            return await channel.ask(verb, body)
        except BerthError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise AgentFailed(f"{self.host}: the queue answered {error!r}.") from error

    def _options(self) -> list[str]:
        out = [] if self._config.engine == "auto" else ["--engine", self._config.engine]
        return [*out, "--socket", self._config.socket] if self._config.socket else out

    def _jobs(self, data: Any) -> list[Job]:
        try:
            return msgspec.convert(data, list[Job])
        except msgspec.ValidationError as error:
            raise AgentFailed(f"{self.host}: the queue sent a job that is none: {error}.") from None

    def _row(self, data: Any) -> JobRow:
        return job_rows(self.host, self._jobs([data]))[0]


def body_of(job: Submission) -> dict[str, Any]:
    """A job as `agent queue submit` takes it: backend/agent/queue/api.py."""
    spec: dict[str, Any] = {
        "image": job.image,
        "command": list(job.command),
        "env": [[name, value] for name, value in job.env.items()],
        "workdir": job.workdir,
        "mounts": [list(mount) for mount in job.mounts],
        "shm": job.shm,
        "network": job.network,
        "tty": job.tty,
        "devices": list(job.devices),
        "groups": list(job.groups),
        "warn_signal": job.warn_signal,
        "warn_before": job.warn_before,
        "idle_limit": job.idle_limit,
        "outfile": job.outfile,
        "project": job.project,
        "script": job.script or shlex.join(job.command),
    }
    if job.entrypoint is not None:
        spec["entrypoint"] = list(job.entrypoint)
    if job.user is not None:
        spec["user"] = job.user
    return {
        "name": job.name,
        "spec": spec,
        "request": {
            "gpus": job.gpus,
            "gpu_ids": list(job.gpu_ids),
            "cpus": job.cpus,
            "memory": job.memory,
            "time_limit": job.time_limit,
        },
        "priority": job.priority,
        "begin_at": None if job.begin_at is None else job.begin_at.timestamp(),
        "after": [[int(number), kind] for number, kind in job.after],
        "retries": job.retries,
        "hold": job.hold,
        "array": list(job.array),
        "array_limit": job.array_limit,
    }


def _number(job: str) -> int:
    if not job.isdecimal() or len(job) > 15:
        raise NoSuchTarget(f"{job!r} is no number of a job.", hint="See: berth jobs")
    return int(job)
