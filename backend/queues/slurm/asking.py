"""What can be asked of a cluster, without changing anything."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from backend.errors import ActionFailed, NoSuchTarget, UsageError
from backend.model import ClusterNode, ClusterPartition, JobRow
from backend.queues.base import Detail, Event, QueueStatus, Submission, Which
from backend.queues.slurm import nodes as sinfo
from backend.queues.slurm import script, text
from backend.queues.slurm.amounts import format_of, separator
from backend.queues.slurm.client import Client
from backend.queues.slurm.text import ENDED, Found

if TYPE_CHECKING:
    from backend.config import HostConfig
    from backend.link import Completed, Link

_HISTORY = "now-7days"
"""How far back sacct is asked."""


class Links(Protocol):
    """What gives connections to hosts: an action's access, or one that is there already."""

    async def link(self, host: str) -> Link:
        """The open connection of a host. Raises `HostError` where there is none to be had."""


class Cluster:
    """Of one login node. Nothing is kept open: each question is one program there."""

    kind = "slurm"

    def __init__(self, host: HostConfig, links: Links) -> None:
        self.host = host.name
        self._links = links
        self.client = Client(host.name, self.link)
        self._history: bool | None = None
        """Whether there is a database of ended jobs; None: not asked yet."""

    async def link(self) -> Link:
        """The connection to the login node."""
        return await self._links.link(self.host)

    async def squeue(self, *words: str) -> list[Found]:
        """What squeue knows, in the order of their turn."""
        end = separator()
        argv = ["squeue", "--array", "--noheader", *words, "--Format", format_of(text.JOB_FIELDS, end)]
        return text.jobs(self.host, await self.client.run(argv), end)

    async def jobs(self, which: Which = "unfinished", *, owner: str = "", limit: int = 0) -> list[JobRow]:
        """In the order of their turn; ended ones from the database, else as long as Slurm remembers them."""
        words = [f"--user={_user(owner)}"] if owner else []
        if which != "unfinished":
            words.append("--states=all")
        found = await self.squeue(*words)
        if which != "unfinished":
            here = {each.row.id for each in found}
            found += [each for each in await self._past(owner) if each.row.id not in here]
        rows = [each.row for each in found]
        if which != "all":
            rows = [row for row in rows if (row.state in ENDED) == (which == "ended")]
        return rows[:limit] if limit else rows

    async def recent(self) -> list[JobRow]:
        """All that the controller knows: unfinished ones, and those that ended some minutes ago."""
        return [each.row for each in await self.squeue("--states=all")]

    async def _past(self, owner: str = "", job: str = "") -> list[Found]:
        if not await self.has_history():
            return []
        end = separator()
        argv = ["sacct", "--noheader", "--allocations", "--parsable", f"--delimiter={end}"]
        argv += [f"--jobs={job}"] if job else [f"--starttime={_HISTORY}"]
        argv += [f"--user={_user(owner)}"] if owner else ["--allusers"]
        done = await self.client.try_([*argv, f"--format={','.join(text.SACCT_FIELDS)}"])
        return [] if done.returncode else text.history(self.host, done.stdout.decode(errors="replace"), end)

    async def has_history(self) -> bool:
        """Whether there is a database of ended jobs. Asked once."""
        if self._history is None:
            done = await self.client.try_(["sacct", "--noheader", "--jobs=1", "--format=JobID"])
            self._history = done.returncode == 0
        return self._history

    async def one(self, job: str) -> Found:
        """One job, whether it has ended or not. Raises `NoSuchTarget`."""
        number = number_of(job)
        try:
            found = await self.squeue(f"--jobs={number}", "--states=all")
        except NoSuchTarget:
            found = []
        found = found or await self._past(job=number)
        if not found:
            raise NoSuchTarget(
                f"{self.host}: Slurm knows no job {job}.",
                hint="It forgets ended jobs after some minutes. See: berth jobs",
            )
        return next((each for each in found if each.row.id == number), found[0])

    async def detail(self, job: str) -> Detail:
        """One job, with what scontrol says of it."""
        found = await self.one(job)
        row = found.row
        done = await self.client.try_(["scontrol", "show", "job", "--details", row.id])
        facts = {} if done.returncode else text.facts(done.stdout.decode(errors="replace"))
        spec: dict[str, Any] = {"slurm": facts}
        if not row.log:
            row = replace(row, log=facts.get("StdOut", "") or await self._log_of(found))
        events = [
            Event(at, what)
            for at, what in (
                (row.submitted_at, "submitted"),
                (row.started_at, f"started on {row.node}"),
                (row.ended_at, row.state + (f": {row.reason}" if row.reason else "")),
            )
            if at is not None
        ]
        return Detail(row, spec, events)

    async def _log_of(self, found: Found) -> str:
        """Where a job of ours wrote its output, once Slurm itself has forgotten it; else empty."""
        if not found.meta.kind:
            return ""
        done = await self.client.try_(["getent", "passwd", _user(found.row.owner)])
        fields = done.stdout.decode(errors="replace").strip().split(":")
        return f"{fields[5]}/{script.LOGS}/{found.row.id}.log" if len(fields) == 7 and fields[5] else ""

    async def config(self) -> dict[str, str]:
        """scontrol show config."""
        found: dict[str, str] = {}
        for line in (await self.client.run(["scontrol", "show", "config"])).splitlines():
            name, equals, value = line.partition("=")
            if equals:
                found.setdefault(name.strip(), value.strip())
        return found

    async def cluster(self) -> tuple[list[ClusterNode], list[ClusterPartition]]:
        """The nodes and partitions."""
        end = separator()
        argv = ["sinfo", "--Node", "--noheader", "--Format", format_of(sinfo.NODE_FIELDS, end)]
        return sinfo.cluster(self.host, await self.client.run(argv), end)

    async def status(self) -> QueueStatus:
        """The queue as a whole."""
        (nodes, partitions), rows = await asyncio.gather(self.cluster(), self.jobs())
        able = [node for node in nodes if sinfo.takes_jobs(node)]
        stopped = [each.name for each in partitions if each.state in ("down", "inact")]
        drained = [each.name for each in partitions if each.state in ("drain", "inact")]
        out_of_work = [f"{node.name} is {node.state}: {node.reason}" for node in nodes if node not in able]
        return QueueStatus(
            self.host,
            self.kind,
            running=sum(row.state in ("running", "starting") for row in rows),
            waiting=sum(row.state in ("queued", "held") for row in rows),
            paused=_partitions(stopped, partitions, "down"),
            draining=_partitions(drained, partitions, "drained"),
            gpus_free=sum(node.gpus - node.gpus_used for node in able),
            gpus_total=sum(node.gpus for node in nodes),
            cpus_free=sum(node.cpus - node.cpus_used for node in able),
            cpus_total=sum(node.cpus for node in nodes),
            memory_free=sum(node.memory - node.memory_used for node in able),
            memory_total=sum(node.memory for node in nodes),
            notes=tuple(out_of_work[:20]),
        )

    async def submission(self, found: Found) -> Submission | None:
        """What a job of ours was submitted with; None for other people's."""
        if not found.meta.kind:
            return None
        again = _unpacked(
            await self.client.try_(["scontrol", "write", "batch_script", found.row.id, "-"])
        )  # whose exit code is 0 for a job that it does not know
        if again is None and await self.has_history():
            argv = ["sacct", "--noheader", "--batch-script", "--jobs", found.row.id]
            again = _unpacked(await self.client.try_(argv))
        if again is None:
            raise ActionFailed(
                f"{self.host}: Slurm has the script of job {found.row.id} no more.",
                hint="Submit it again with berth run.",
            )
        return again


def _unpacked(done: Completed) -> Submission | None:
    """The job in the script that a program printed, after what else it says."""
    body = done.stdout.decode(errors="replace")
    return script.unpacked(body[max(0, body.find("#!")) :])


def _partitions(names: list[str], partitions: list[ClusterPartition], word: str) -> str:
    if not names:
        return ""
    if len(names) == len(partitions):
        return f"all partitions are {word}"
    return f"{word}: {', '.join(names)}" if word == "drained" else ""


def number_of(job: str) -> str:
    """A job's number, as it is. Raises `NoSuchTarget`."""
    if not re.fullmatch(r"[0-9]{1,10}(?:_[0-9]{1,10})?", job):
        raise NoSuchTarget(f"{job!r} is no number of a job.", hint="See: berth jobs")
    return job


def _user(owner: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", owner):
        raise UsageError(f"{owner!r} is no user.")
    return owner
