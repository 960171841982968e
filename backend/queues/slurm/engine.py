"""The queue of a cluster: Slurm's own, asked on its login node."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend.errors import ActionFailed, BerthError, HostError, NoSuchTarget, Refused, UsageError
from backend.model import JobRow
from backend.queues.base import Estimate, Submission, Unanswered
from backend.queues.slurm import follow as following
from backend.queues.slurm import script
from backend.queues.slurm.amounts import count
from backend.queues.slurm.asking import Cluster, number_of
from backend.queues.slurm.client import complaint
from backend.queues.slurm.text import ENDED
from backend.text import printable
from backend.whole import whole

if TYPE_CHECKING:
    from backend.actions.context import ActionContext, Terminal

_SUBMIT = f"""
umask 077; mkdir -p "$HOME/{script.LOGS}" || exit
name=$1; shift; [ -z "$name" ] || set -- "$@" --output="$HOME/{script.LOGS}/$name"
exec sbatch --parsable "$@"
"""
_IS_EDF = (
    'IFS=:; for folder in ${EDF_PATH:-$HOME/.edf}; do [ ! -e "$folder/$1.toml" ] || exit 0; done; exit 1'
)
_CHANGES = ("name", "priority", "gpus", "gpu_ids", "cpus", "memory", "time_limit", "after")


class SlurmQueue(Cluster):
    """One cluster's queue."""

    # ------------------------------------------------------------------------------- submitting

    async def submit(self, jobs: Sequence[Submission], *, key: str = "", again: bool = False) -> list[str]:
        """Queue all of them or none; those that are there by this key are not queued `again`."""
        await self.link()
        keys = [f"{key}.{number}" if key else "" for number in range(len(jobs))]
        done: list[list[str]] = []
        try:
            there = await self._by_key(keys) if key and again else {}
            for job, each in zip(jobs, keys, strict=True):
                if each in there:
                    done.append(there[each])
                else:
                    await self._add(job, each, done)
        except HostError as error:
            raise Unanswered(error.message, hint=error.hint) from error
        except BaseException as error:
            if done and not (key and isinstance(error, asyncio.CancelledError)):  # who has the key ends them
                firsts = [ids[0].partition("_")[0] for ids in done]
                await asyncio.shield(self.client.try_(["scancel", *firsts]))
            raise
        return [number for ids in done for number in ids]

    async def _add(self, job: Submission, key: str, done: list[list[str]]) -> None:
        """Its numbers are known even if we are cancelled while sbatch answers: else nobody could end it."""
        adding = asyncio.ensure_future(self._submit(_resolved(job, done), key))
        try:
            await whole(adding)
        finally:
            if not adding.cancelled() and adding.exception() is None:
                done.append(adding.result())

    async def submitted(self, key: str) -> list[str]:
        """The unfinished jobs of ours that were submitted by this key."""
        found = await self.squeue("--me")
        ours = [each for each in found if each.meta.key.rpartition(".")[0] == key]
        return [each.row.id for each in ours if each.row.state not in ENDED]

    async def _by_key(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """The jobs of ours that were submitted by these keys."""
        found: dict[str, list[str]] = {}
        for each in await self.squeue("--me", "--states=all"):
            if each.meta.key in keys:
                found.setdefault(each.meta.key, []).append(each.row.id)
        return {key: sorted(ids, key=_in_array) for key, ids in found.items()}

    async def _submit(self, job: Submission, key: str = "") -> list[str]:
        kind = await self._kind(job)
        await self._known(job)
        name = "" if job.outfile else "%A_%a.log" if job.array else "%j.log"
        argv = ["sh", "-c", _SUBMIT, "sh", name, *script.options(job, kind, key=key)]
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
        await self.client.run(["scontrol", "hold", ",".join(map(number_of, jobs))])

    async def release(self, jobs: Sequence[str]) -> None:
        """The reverse of `hold`."""
        await self.client.run(["scontrol", "release", ",".join(map(number_of, jobs))])

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
            await self.client.run(["scontrol", "top", number_of(job)])
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
        await self.client.run(["scontrol", "update", f"JobId={number_of(job)}", *words])

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
        self, job: str, *, to_the_end: bool = True, output: bool = True, tail: int = 0, first: int = 0
    ) -> AsyncIterator[JobRow | bytes | str]:
        """Its row whenever that changed, pieces of its output. All attempts write to one file."""
        _ = first
        async for piece in following.follow(self, job, to_the_end=to_the_end, output=output, tail=tail):
            yield piece

    async def terminal(self, ctx: ActionContext, job: str) -> Terminal:
        """A terminal to the running job, by srun in its allocation."""
        from backend.queues.slurm import terminal

        return await terminal.terminal(self, job)

    async def close(self) -> None:
        """Nothing is held."""


def _in_array(number: str) -> int:
    return int(number.partition("_")[2] or 0)


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
