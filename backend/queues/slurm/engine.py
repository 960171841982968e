"""The queue of a cluster: Slurm's own, asked on its login node."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused, UsageError
from backend.model import ClusterNode, ClusterPartition, JobRow
from backend.queues.base import Detail, Estimate, Event, QueueStatus, Submission, Which
from backend.queues.slurm import follow as following
from backend.queues.slurm import nodes as sinfo
from backend.queues.slurm import script, text
from backend.queues.slurm.amounts import count, format_of, separator
from backend.queues.slurm.client import Client, complaint
from backend.queues.slurm.text import ENDED, Found
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access, ActionContext, Terminal
    from backend.config import HostConfig
    from backend.link import Link

_SUBMIT = f"""
umask 077; mkdir -p "$HOME/{script.LOGS}" || exit
name=$1; shift; [ -z "$name" ] || set -- "$@" --output="$HOME/{script.LOGS}/$name"
exec sbatch --parsable "$@"
"""
_IS_EDF = (
    'IFS=:; for folder in ${EDF_PATH:-$HOME/.edf}; do [ ! -e "$folder/$1.toml" ] || exit 0; done; exit 1'
)
_HISTORY = "now-7days"
"""How far back sacct is asked."""
_CHANGES = ("name", "priority", "gpus", "gpu_ids", "cpus", "memory", "time_limit", "after")


class SlurmQueue:
    """One cluster's queue. Nothing is kept open: each question is one program on the login node."""

    kind = "slurm"

    def __init__(self, host: HostConfig, access: Access) -> None:
        self.host = host.name
        self._access = access
        self.client = Client(host.name, self.link)
        self._history: bool | None = None
        """Whether there is a database of ended jobs; None: not asked yet."""

    async def link(self) -> Link:
        """The connection to the login node."""
        return await self._access.link(self.host)

    # ------------------------------------------------------------------------------- submitting

    async def submit(self, jobs: Sequence[Submission]) -> list[str]:
        """Queue all of them or none."""
        done: list[list[str]] = []
        try:
            for job in jobs:
                done.append(await self._submit(_resolved(job, done)))
        except BaseException:
            if done:
                firsts = [ids[0].partition("_")[0] for ids in done]
                await asyncio.shield(self.client.try_(["scancel", *firsts]))
            raise
        return [number for ids in done for number in ids]

    async def _submit(self, job: Submission) -> list[str]:
        kind = await self._kind(job)
        await self._known(job)
        name = "" if job.outfile else "%A_%a.log" if job.array else "%j.log"
        argv = ["sh", "-c", _SUBMIT, "sh", name, *script.options(job, kind)]
        said = await self._asked_for(argv, script.script(job, kind))
        number = said.strip().partition(";")[0]
        if not number.isdecimal():
            raise ActionFailed(f"{self.host}: sbatch gave no number, but {said[:200]!r}.")
        return [f"{number}_{index}" for index in sorted(set(job.array))] or [number]

    async def _known(self, job: Submission) -> None:
        """Slurm takes jobs that wait for unknown ones, and starts them at once."""
        for number, _ in job.after:
            try:
                await self.one(number)
            except NoSuchTarget as error:
                raise UsageError(error.message, hint="See: berth jobs") from error

    async def _asked_for(self, argv: list[str], data: bytes) -> str:
        done = await self.client.try_(argv, input=data)
        if done.returncode:
            error = self.client.error_of(done)
            if isinstance(error, NoSuchTarget):  # a job it shall wait for
                raise UsageError(error.message, hint="See: berth jobs")
            if isinstance(error, Refused) and "nice" in error.message:
                raise Refused(error.message, hint="Only administrators may raise a job; below 0 is for all.")
            raise error
        return done.stdout.decode(errors="replace")

    async def _kind(self, job: Submission) -> script.Kind:
        kind = script.kind_of(job)
        if kind is None:
            found = await self.client.try_(["sh", "-c", _IS_EDF, "sh", job.image])
            kind = "docker" if found.returncode else "edf"
        return kind

    async def estimate(self, job: Submission) -> Estimate:
        """When it would start: sbatch --test-only."""
        kind = await self._kind(job)
        plain = replace(job, array=(), after=tuple(each for each in job.after if not each[0].startswith("-")))
        argv = ["sbatch", "--test-only", *script.options(plain, kind)]
        done = await self.client.try_(argv, input=script.script(plain, kind))
        said = complaint(done)
        if done.returncode:
            error = self.client.error_of(done)
            if isinstance(error, UsageError | Refused):
                return Estimate(self.host, None, possible=False, why=said)
            raise error
        match = re.search(r"to start at (\d{9,11}) .*? nodes (\S+) in partition (\S+)", said)
        if match is None:
            return Estimate(self.host, None, possible=True, why=said)
        now = await self.client.run(["date", "+%s"])  # of the cluster's clock, as is the start
        wait = max(0.0, float(int(match[1]) - count(now.strip())))
        return Estimate(
            self.host, wait, possible=True, why=f"Slurm expects {match[2]} in partition {match[3]}"
        )

    async def retry(self, job: str) -> str:
        """Queue an ended job once more: as a new one if it is ours, else by scontrol requeue."""
        found = await self.one(job)
        if found.row.state not in ENDED:
            raise UsageError(f"job {job} on {self.host} has not ended: it is {found.row.state}.")
        again = await self.submission(found)
        if again is None:
            await self.client.run(["scontrol", "requeue", found.row.id])
            return found.row.id
        index = found.row.array.partition("_")[2]
        return (await self.submit([replace(again, array=(int(index),) if index else (), array_limit=0)]))[0]

    async def submission(self, found: Found) -> Submission | None:
        """What a job of ours was submitted with; None for other people's."""
        if not found.meta.kind:
            return None
        done = await self.client.try_(["scontrol", "write", "batch_script", found.row.id, "-"])
        if done.returncode and await self.has_history():
            argv = ["sacct", "--noheader", "--batch-script", "--jobs", found.row.id]
            done = await self.client.try_(argv)
        body = done.stdout.decode(errors="replace")
        again = script.unpacked(body[max(0, body.find("#!")) :])
        if again is None:
            raise ActionFailed(
                f"{self.host}: Slurm has the script of job {found.row.id} no more.",
                hint="Submit it again with berth run.",
            )
        return again

    # ----------------------------------------------------------------------------------- asking

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
        number = _number(job)
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
        if found.meta.kind and not row.log and (log := facts.get("StdOut", "")):
            spec["log"] = log
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

    # --------------------------------------------------------------------------------- changing

    async def cancel(self, jobs: Sequence[str]) -> list[str]:
        """scancel; a line for each."""
        before = {job: (await self.one(job)).row for job in jobs}
        await self.client.run(["scancel", *(row.id for row in before.values())])
        out = []
        for job, row in before.items():
            if row.state in ENDED:
                out.append(f"job {job} on {self.host} had ended already: {row.state}")
            elif row.state in ("queued", "held"):
                out.append(f"job {job} on {self.host} was taken out of the queue")
            else:
                out.append(f"job {job} on {self.host} is told to end (SIGTERM, then SIGKILL)")
        return out

    async def hold(self, jobs: Sequence[str]) -> None:
        """Let them wait until they are released."""
        await self.client.run(["scontrol", "hold", ",".join(map(_number, jobs))])

    async def release(self, jobs: Sequence[str]) -> None:
        """The reverse of `hold`."""
        await self.client.run(["scontrol", "release", ",".join(map(_number, jobs))])

    async def move(self, job: str, where: str) -> None:
        """Slurm turns by priority. `first` and `last`: by scontrol top (where allowed), by niceness."""
        if where == "first":
            await self._top(job)
        elif where == "last":
            await self._update(job, f"Nice={script.nice(-100)}")
        else:
            raise UsageError(
                "Slurm orders jobs by priority: one cannot be put before or after another.",
                hint="Say first or last, or: berth job edit --priority -10",
            )

    async def _top(self, job: str) -> None:
        try:
            await self.client.run(["scontrol", "top", _number(job)])
        except NoSuchTarget:
            raise
        except BerthError as error:
            raise Refused(
                error.message,
                hint="scontrol top is off on most clusters (SchedulerParameters=enable_user_top). "
                "Lower your other jobs instead: berth job move N last",
            ) from error

    async def edit(self, job: str, changes: Mapping[str, Any]) -> None:
        """scontrol update."""
        unknown = [name for name in changes if name not in _CHANGES]
        if unknown:
            raise UsageError(f"{', '.join(unknown)} cannot be changed on a cluster.")
        if changes.get("gpu_ids"):
            raise UsageError("Slurm chooses the GPUs of a cluster itself.", hint="Say how many: --gpus 2")
        words = _updates(changes)
        if words:
            await self._update(job, *words)

    async def _update(self, job: str, *words: str) -> None:
        await self.client.run(["scontrol", "update", f"JobId={_number(job)}", *words])

    async def pause(self, reason: str) -> None:
        """All partitions down: jobs are taken, none starts. For administrators."""
        await self._partitions("DOWN")

    async def drain(self, reason: str) -> None:
        """All partitions drain: no job is taken, those there start. For administrators."""
        await self._partitions("DRAIN")

    async def resume(self) -> None:
        """All partitions up."""
        await self._partitions("UP")

    async def _partitions(self, state: str) -> None:
        _, partitions = await self.cluster()
        for each in partitions:
            await self.client.run(["scontrol", "update", f"PartitionName={each.name}", f"State={state}"])

    # -------------------------------------------------------------------------------- following

    async def follow(
        self, job: str, *, to_the_end: bool = True, output: bool = True, tail: int = 0
    ) -> AsyncIterator[JobRow | bytes | str]:
        """Its row whenever that changed, pieces of its output."""
        async for piece in following.follow(self, job, to_the_end=to_the_end, output=output, tail=tail):
            yield piece

    async def terminal(self, ctx: ActionContext, job: str) -> Terminal:
        """A terminal to the running job, by srun in its allocation."""
        from backend.queues.slurm import terminal

        return await terminal.terminal(self, job)

    async def close(self) -> None:
        """Nothing is held."""


def _resolved(job: Submission, done: list[list[str]]) -> Submission:
    """Numbers below zero count from the first of the same submit: -1 is that one."""
    after = []
    for number, kind in job.after:
        if number.startswith("-"):
            at = int(number[1:]) - 1
            if not 0 <= at < len(done):
                raise UsageError(f"job {number} of the same submit is none before it.")
            number = done[at][0].partition("_")[0]
        after.append((number, kind))
    return replace(job, after=tuple(after))


def _updates(changes: Mapping[str, Any]) -> list[str]:
    """Words of scontrol update."""
    out = []
    if "name" in changes:
        out.append(f"JobName={printable(str(changes['name']), 100)}")
    if "priority" in changes:
        out.append(f"Nice={script.nice(int(changes['priority']))}")
    if "gpus" in changes:
        out.append(f"Gres=gpu:{int(changes['gpus'])}")
    if "cpus" in changes:
        cpus = int(changes["cpus"])
        out += [f"NumCPUs={cpus}-{cpus}", f"CPUsPerTask={cpus}", f"MinCPUsNode={cpus}"]
    if "memory" in changes:
        out.append(f"MinMemoryNode={int(changes['memory']) // 1024**2}")
    if "time_limit" in changes:
        limit = changes["time_limit"]
        out.append(f"TimeLimit={'UNLIMITED' if limit is None else script.minutes(float(limit))}")
    if "after" in changes:
        after = [(str(number), str(kind)) for number, kind in changes["after"]]
        out.append(f"Dependency={script.dependency(after)}")
    return out


def _partitions(names: list[str], partitions: list[ClusterPartition], word: str) -> str:
    if not names:
        return ""
    if len(names) == len(partitions):
        return f"all partitions are {word}"
    return f"{word}: {', '.join(names)}" if word == "drained" else ""


def _number(job: str) -> str:
    if not re.fullmatch(r"[0-9]{1,10}(?:_[0-9]{1,10})?", job):
        raise NoSuchTarget(f"{job!r} is no number of a job.", hint="See: berth jobs")
    return job


def _user(owner: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", owner):
        raise UsageError(f"{owner!r} is no user.")
    return owner
