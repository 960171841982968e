"""What squeue, sacct and scontrol print of jobs -> rows. Pure.

A job's name and comment are its owner's, and may hold any character: newlines, bars, whole forged lines.
Therefore fields end in a separator that is drawn anew for every question (`amounts.separator`), and records
are counted by fields, not by lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from backend.model import JobRow
from backend.queues.slurm.amounts import amount, count, gpus, known, moment, records, span
from backend.queues.slurm.meta import Meta, read_comment

JOB_FIELDS = (
    *("JobID", "ArrayJobID", "ArrayTaskID", "UserName", "Name", "State", "Reason", "Partition", "NodeList"),
    *("NumCPUs", "tres-alloc", "tres-per-node", "tres-per-job", "TimeLimit", "SubmitTime"),
    *("StartTime", "EndTime", "PriorityLong", "Comment", "Command", "WorkDir", "Dependency", "exit_code"),
    *("STDOUT", "BatchHost"),
)
"""Of squeue --Format (https://slurm.schedmd.com/squeue.html)."""
SACCT_FIELDS = (
    *("JobIDRaw", "JobID", "User", "JobName", "State", "Partition", "NodeList", "AllocCPUS", "ReqTRES"),
    *("Timelimit", "Submit", "Start", "End", "Priority", "Comment", "WorkDir", "ExitCode", "Reason", "UID"),
)
"""Of sacct --format (https://slurm.schedmd.com/sacct.html)."""
_YEAR = 365 * 86400.0
"""Seconds. What backfill writes down as the limit of a job that has none, and adds up to expected starts."""

_STATES = {
    "PENDING": "queued",
    "REQUEUED": "queued",
    "REQUEUE_FED": "queued",
    "REQUEUE_HOLD": "held",
    "SPECIAL_EXIT": "held",
    "CONFIGURING": "starting",
    "RUNNING": "running",
    "COMPLETING": "running",
    "SUSPENDED": "running",
    "STOPPED": "running",
    "SIGNALING": "running",
    "STAGE_OUT": "running",
    "RESIZING": "running",
    "COMPLETED": "completed",
    "CANCELLED": "cancelled",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
}
"""The rest (FAILED, NODE_FAIL, OUT_OF_MEMORY, BOOT_FAIL, PREEMPTED, ...) is `failed`."""
ENDED = ("completed", "failed", "cancelled", "timeout")
_REASONS = {
    "Resources": "waits for resources",
    "Priority": "jobs of higher priority go first",
    "Dependency": "waits for other jobs",
    "DependencyNeverSatisfied": "a job it waits for failed: it never starts",
    "BeginTime": "its begin time is still to come",
    "JobHeldUser": "held",
    "JobHeldAdmin": "held by an administrator",
    "JobArrayTaskLimit": "as many of its array run as may at once",
    "PartitionTimeLimit": "asks for more time than its partition allows: it never starts",
    "PartitionNodeLimit": "asks for more nodes than its partition allows: it never starts",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition is inactive",
    "ReqNodeNotAvail": "nodes it needs are down, drained or reserved",
    "BadConstraints": "asks for what no node has",
    "NonZeroExitCode": "",
    "TimeLimit": "its time was up",
    "NodeDown": "its node went down",
    "OutOfMemory": "out of memory",
    "RaisedSignal": "a signal ended it",
}


@dataclass(frozen=True)
class Found:
    """A job, and what Slurm alone needs to know of it."""

    row: JobRow
    raw: str
    """Its number without array: what srun --jobid takes."""
    meta: Meta
    pending: bool
    turn: tuple[float, float]
    """Sorts by turn: those that go first are smaller."""


# ---------------------------------------------------------------------------------------------- jobs


def jobs(host: str, output: str, end: str) -> list[Found]:
    """squeue's jobs in the order of their turn: running, waiting, ended ones newest first."""
    return _in_turn([found for each in records(output, JOB_FIELDS, end) if (found := _job(host, each))])


def _job(host: str, each: dict[str, str]) -> Found | None:
    raw, task = each["JobID"], each["ArrayTaskID"]
    if not raw.isdecimal():
        return None
    array = f"{each['ArrayJobID']}_{task}" if task.isdecimal() else ""
    state, word = _state(each["State"], each["Reason"])
    submitted, start, end = (moment(each[name]) for name in ("SubmitTime", "StartTime", "EndTime"))
    limit = span(each["TimeLimit"])
    pending = state in ("queued", "held")
    nodes = known(each["NodeList"])
    meta = read_comment(each["Comment"])
    gpus = _gpus_asked(each)
    began = None if pending or (state in ENDED and not nodes) else start
    row = JobRow(
        host=host,
        engine="slurm",
        id=array or raw,
        name=each["Name"],
        owner=each["UserName"],
        state=state,
        reason=word,
        priority=count(each["PriorityLong"]),
        gpus=gpus,
        cpus=count(each["NumCPUs"]) or None,
        memory=_tres_memory(each["tres-alloc"]),
        time_limit=None if limit == _YEAR else limit,
        submitted_at=submitted,
        started_at=began,
        ended_at=end if state in ENDED else None,
        expected_start=start if state == "queued" and not _never(submitted, start) else None,
        exit_code=exit_code(each["exit_code"], state),
        image=meta.image,
        command=meta.command or known(each["Command"]),
        project=meta.project,
        container=f"berth-slurm-{array or raw}" if meta.kind == "docker" and state == "running" else "",
        node=nodes,
        partition=each["Partition"],
        array=array,
        retries=meta.retries,
        after=_after(known(each["Dependency"])),
        interactive=meta.tty,
        log=_expanded(known(each["STDOUT"]), raw, each["ArrayJobID"], task),
    )
    return Found(row, raw, meta, pending, _turn(row, submitted, end))


def _never(submitted: datetime | None, start: datetime | None) -> bool:
    """Whether a start is expected after the end of jobs that have no limit: nobody knows that."""
    return bool(submitted and start and (start - submitted).total_seconds() > 0.8 * _YEAR)


def _after(dependency: str) -> tuple[str, ...]:
    """`12`, `any:13` of `afterok:12(unfulfilled),afterany:13_*(unfulfilled)`; other kinds by Slurm's name."""
    found: list[str] = []
    for part in re.split(r"[,?]", dependency)[:50]:
        kind, _, jobs = re.sub(r"\(\w*\)|\+\d+", "", part).partition(":")
        word = {"afterok": "", "afterany": "any:"}.get(kind, f"{kind}:")
        found += (word + number for number in re.findall(r"\d+(?:_\d+)?", jobs))
    return tuple(dict.fromkeys(found))[:50]


@lru_cache(4096)
def _state(state: str, reason: str) -> tuple[str, str]:
    """Our state and, in words, why."""
    slurm = (state.split() or [""])[0].rstrip("+")  # `CANCELLED by 5001`
    found = _STATES.get(slurm, "failed")
    cause = known(reason.strip("()"))
    first, comma, more = cause.partition(", ")  # `ReqNodeNotAvail, UnavailableNodes:n[1-2]`
    word = _REASONS.get(first, first.replace("_", " "))
    word += f": {more.rpartition(':')[2]}" if comma and word and first in _REASONS else comma + more
    if found == "queued" and cause.startswith("JobHeld"):
        found = "held"
    if slurm in ("COMPLETING", "SUSPENDED", "STOPPED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "DEADLINE"):
        word = word or slurm.lower().replace("_", " ")
    if slurm == "OUT_OF_MEMORY":
        word = "out of memory"
    return found, word


def _turn(row: JobRow, submitted: datetime | None, end: datetime | None) -> tuple[float, float]:
    at = submitted.timestamp() if submitted else 0.0
    if row.state in ENDED:
        return (2.0, -(end.timestamp() if end else 0.0))
    return (0.0, at) if row.state in ("running", "starting") else (1.0, -float(row.priority))


def _in_turn(found: list[Found]) -> list[Found]:
    """Sorted, and those that wait with their place."""
    from msgspec.structs import replace as changed

    found.sort(key=lambda each: (*each.turn, int(each.raw)))
    place, out = 0, []
    for each in found:
        if each.row.state == "queued":
            place += 1
            each = replace(each, row=changed(each.row, place=place))
        out.append(each)
    return out


def history(host: str, output: str, end: str) -> list[Found]:
    """sacct's ended jobs, newest first."""
    out = []
    for each in records(output, SACCT_FIELDS, end):
        same = {
            **each,
            "ArrayJobID": each["JobID"].partition("_")[0],
            "ArrayTaskID": each["JobID"].partition("_")[2],
            "UserName": each["User"],
            "Name": each["JobName"],
            "NumCPUs": each["AllocCPUS"],
            "tres-alloc": each["ReqTRES"],
            "tres-per-node": "",
            "tres-per-job": "",
            "TimeLimit": each["Timelimit"],
            "SubmitTime": each["Submit"],
            "StartTime": each["Start"],
            "EndTime": each["End"],
            "PriorityLong": each["Priority"],
            "Command": "",
            "Dependency": "",
            "exit_code": _status(each["ExitCode"]),
            "STDOUT": "",
            "Reason": _cause(each),
        }
        found = _job(host, {**same, "JobID": each["JobIDRaw"]})
        if found is not None and found.row.state in ENDED:
            out.append(_noted(found))
    return _in_turn(out)


def _cause(each: dict[str, str]) -> str:
    """Why it ended. sacct's own reason is why it waited last, which says nothing of a job that ran."""
    state, _, by = each["State"].partition(" by ")
    if state == "TIMEOUT":
        return "TimeLimit"
    if by.isdecimal() and len(by) < 11:
        name = each["User"] if by == each["UID"] else "root" if by == "0" else f"user {by}"
        return f"cancelled by {name}"
    return "" if moment(each["Start"]) else each["Reason"]


def _noted(found: Found) -> Found:
    """With what the job's comment knows better than the database."""
    from msgspec.structs import replace as changed

    row, meta = found.row, found.meta
    if not meta.kind:
        return found
    return replace(found, row=changed(row, gpus=row.gpus or meta.gpus, log=meta.outfile))


def _status(text: str) -> str:
    """sacct's `CODE:SIGNAL` as a wait status."""
    code, _, signal = text.partition(":")
    return str((count(code) << 8) + (count(signal) & 127))


def exit_code(text: str, state: str) -> int | None:
    """Of a wait status, as a shell says it: 128 + N for signal N."""
    if state not in ENDED or not text.isdecimal() or len(text) > 9:
        return None
    status = int(text)
    if state in ("cancelled", "timeout") and not status:
        return None
    return 128 + (status & 127) if status & 127 else status >> 8 & 255


def _expanded(path: str, raw: str, array: str, task: str) -> str:
    """A file name's %j, %A and %a (https://slurm.schedmd.com/sbatch.html, filename pattern)."""
    if "%" not in path:
        return path
    values = {"j": raw, "A": array or raw, "a": task, "%": "%"}
    return re.sub(r"%([jAa%])", lambda match: values[match[1]], path)


def _tres_memory(tres: str) -> int | None:
    for item in tres.split(","):
        name, _, value = item.partition("=")
        if name == "mem":
            return amount(value) or None
    return None


def _gpus_asked(each: dict[str, str]) -> int:
    # squeue's own NumNodes of a waiting job counts what its CPUs might take
    nodes = re.search(r"(?:^|,)node=(\d{1,6})", each["tres-alloc"])
    per_node = gpus(each["tres-per-node"]) * (int(nodes[1]) if nodes else 1)
    return gpus(each["tres-alloc"]) or gpus(each["tres-per-job"]) or per_node


def facts(output: str) -> dict[str, str]:
    """`Key=Value` of scontrol show job, of its first record. For people alone: a name may forge it."""
    found: dict[str, str] = {}
    for line in output.partition("\n\n")[0].splitlines()[:200]:
        for word in re.split(r" +(?=[A-Z][A-Za-z/:_]*=)", line.strip()):
            name, equals, value = word.partition("=")
            if equals and name not in found and known(value):
                found[name] = value
    return found
