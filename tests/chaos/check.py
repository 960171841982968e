"""What must be true after any fault. Each broken promise is a sentence."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.world import MARKS, World

ACTIVE = ("starting", "running")
KILLED = {137, 143, 255}
"""Exit codes of what was killed from outside: by SIGKILL, by SIGTERM, and what Docker says after a crash."""
_NO_CODE = r"removed|never made|never ran|saw|cannot be told|already exists|already in use"
"""Ends without an exit code. The last two are Docker's words on a container in whose start it was killed:
whether it ran cannot be told, so that it is not started once more."""
_NEVER = re.compile("never made|never ran")
"""The queue is sure that nothing of the attempt ran."""
STALE = 2.5
"""Seconds that a reading of the GPUs may be old."""


@dataclass
class Report:
    """What was done and what went wrong."""

    faults: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    """Seconds from the end of each fault to the next start of a job."""
    jobs: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    marks: int = 0

    def text(self) -> str:
        """For people."""
        moved = sorted(self.moved)
        lines = [f"{sum(self.faults.values())} faults:"]
        lines += [f"  {name:26} {count}" for name, count in sorted(self.faults.items())]
        total = sum(self.jobs.values())
        lines.append(
            f"{total} jobs, {self.attempts} attempts, {self.marks} of them seen by the jobs themselves:"
        )
        lines += [f"  {state:26} {count}" for state, count in sorted(self.jobs.items())]
        if moved:
            middle, late = moved[len(moved) // 2], moved[min(len(moved) - 1, int(len(moved) * 0.99))]
            lines.append(
                f"moved again after {middle:.2f} s (median), {late:.2f} s (p99), {moved[-1]:.2f} s (worst)"
            )
        lines.append(f"{len(self.violations)} violations")
        return "\n".join([*lines, *(f"  {text}" for text in self.violations)])


def check(world: World, report: Report, stale: float) -> None:
    """Everything, once all jobs are over."""
    records = world.inside("records", {})
    assert records is not None, world.said
    jobs = {job["id"]: job for job in records["jobs"]}
    events = records["events"]
    marks = _marks(world)
    report.marks = len(marks["start"])
    for job in jobs.values():
        report.jobs[job.get("state", "queued")] = report.jobs.get(job.get("state", "queued"), 0) + 1
    said, report.violations = report.violations, []
    say = said.append
    _nothing_lost(world, jobs, say)
    _queued_once(jobs, say)
    _never_twice(jobs, events, marks, report, say)
    _never_overbooked(events, say)
    _exit_codes(world, jobs, events, marks, say)
    _engine_agrees(world, jobs, say)
    _strangers_left_alone(world, stale, say)
    _explained(said, events, world, marks, report)


def _explained(said: list[str], events: list[Any], world: World, marks: Any, report: Report) -> None:
    """Each sentence with all that the records tell of its job."""
    for text in said:
        match = re.search(r"(?:job |berth-[0-9a-f]{8}-)(\d+)", text)
        if match is None:
            report.violations.append(text)
            continue
        number = int(match.group(1))
        told = []
        for each in events:
            if each["job"] == number:
                told.append(
                    (each["at"], f"queue: {each['attempt']} {each['old']}>{each['new']} {each['text']}")
                )
        for each in world.engine_events:
            about = each.get("Actor", {}).get("Attributes", {})
            if about.get("berth.job") == str(number):
                what = f"engine: {each['Action']} {about['name']} {about.get('exitCode', '')}"
                told.append((each["timeNano"] / 1e9, what))
            elif each["Action"] == "lost":
                told.append((each["at"], "engine: away"))
        told.sort(key=lambda one: one[0])
        first = next((at for at, line in told if "away" not in line), 0.0)
        lines = [f"      {at:.3f} {line}" for at, line in told if at > first - 20][:30]
        found = {key: value for kind in marks.values() for key, value in kind.items() if key[0] == number}
        report.violations.append("\n".join([text, *lines, f"      marks: {found}"]))


def _marks(world: World) -> dict[str, dict[tuple[int, int], list[str]]]:
    """What the jobs wrote themselves: (job, attempt) -> what they said at their start and end."""
    found: dict[str, dict[tuple[int, int], list[str]]] = {
        "start": defaultdict(list),
        "end": defaultdict(list),
    }
    for path in Path(f"/proc/{world.host.pid}/root{MARKS}").iterdir():
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) == 4:
                found[words[0]][int(words[1]), int(words[2])].append(words[3])
    return found


def _nothing_lost(world: World, jobs: dict[int, Any], say: Any) -> None:
    for number in world.jobs:
        state = jobs.get(number, {}).get("state", "queued") if number in jobs else "lost"
        if state not in ("completed", "failed", "cancelled", "timeout"):
            say(f"job {number} was accepted and is {state}")


def _queued_once(jobs: dict[int, Any], say: Any) -> None:
    """However often a submit was asked for."""
    seen: dict[str, int] = {}
    for number, job in sorted(jobs.items()):
        first = seen.setdefault(job["name"], number)
        if first != number:
            say(f"job {number} is job {first} once more: {job['name']}")


def _never_twice(jobs: dict[int, Any], events: list[Any], marks: Any, report: Report, say: Any) -> None:
    failures: dict[int, int] = defaultdict(int)
    unmade: dict[int, int] = defaultdict(int)
    for event in events:
        if event["old"] in ACTIVE and event["new"] == "queued":
            (unmade if _NEVER.search(event["text"]) else failures)[event["job"]] += 1
    for number, job in jobs.items():
        attempts, retries = job.get("attempt", 0), job.get("retries", 0)
        report.attempts += attempts
        if failures[number] > retries:
            say(f"job {number} was run {failures[number] + 1} times, {retries} retries asked")
        if attempts > 1 + failures[number] + unmade[number]:
            say(f"job {number} has {attempts} attempts")
    for (number, attempt), starts in marks["start"].items():
        if len(starts) > 1:
            say(f"attempt {attempt} of job {number} ran {len(starts)} times")
        if number not in jobs or attempt > jobs[number].get("attempt", 0):
            say(f"attempt {attempt} of job {number} ran, and nobody knows it")
    for event in events:
        ran = (event["job"], event["attempt"]) in marks["start"]
        if _NEVER.search(event["text"]) and ran:
            say(f"attempt {event['attempt']} of job {event['job']} ran and was queued again")


def _never_overbooked(events: list[Any], say: Any) -> None:
    booked: dict[int, dict[str, Any]] = {}
    for event in events:
        job = event["job"]
        if event["new"] == "starting" and event["old"] == "queued":
            mine = event["data"]
            for kind in ("gpus", "cpus"):
                for other, theirs in booked.items():
                    both = set(mine.get(kind, ())) & set(theirs.get(kind, ()))
                    if both:
                        say(f"{kind} {sorted(both)} were booked for job {job} and job {other}")
            booked[job] = mine
        elif event["old"] in ACTIVE and event["new"] not in ACTIVE:
            booked.pop(job, None)


def _exit_codes(world: World, jobs: dict[int, Any], events: list[Any], marks: Any, say: Any) -> None:
    containers: dict[int, set[str]] = defaultdict(set)
    for event in events:
        containers[event["job"]].add(event["data"].get("container", ""))
    for number, asked in world.jobs.items():
        job = jobs.get(number)
        if job is None:
            continue
        state, code, attempt = job.get("state"), job.get("exit_code"), job.get("attempt", 0)
        said = marks["end"].get((number, attempt), [])
        error = job.get("error", "")
        if state == "completed" and (code != 0 or asked.code != 0 or said != ["0"]):
            say(
                f"job {number} is completed with {code}, said {said}, and should have ended with {asked.code}"
            )
        if state == "failed" and code == asked.code and code and not said:
            say(f"job {number} failed with its own exit code {code}, but never came so far")
        if state == "failed" and code is not None and code not in KILLED | {asked.code}:
            say(f"job {number} failed with exit code {code}, which nobody gave: {error}")
        if state == "failed" and code in KILLED and said and said[0] == str(asked.code) and asked.code == 0:
            pass  # killed between its last word and its end
        if state == "failed" and code is None and not re.search(_NO_CODE, error):
            say(f"job {number} failed without an exit code: {error}")
        by_hand = "by hand" in error and not containers[number].isdisjoint(world.by_hand)
        if state == "cancelled" and number not in world.cancelled and not by_hand:
            say(f"job {number} was cancelled, and nobody asked for it: {error}")
        limit = asked.request.get("time_limit")
        if state == "timeout" and (limit is None or limit > 30):
            say(f"job {number} was ended by a limit of {limit} s, which never passed")


def _engine_agrees(world: World, jobs: dict[int, Any], say: Any) -> None:
    """By the engine's own events: no GPU in two containers at a time."""
    holding: dict[str, tuple[str, set[str]]] = {}
    for event in world.engine_events:
        action = event["Action"]
        if action == "lost":
            holding.clear()
            continue
        about, key = event["Actor"]["Attributes"], event["Actor"]["ID"]
        if action == "start":
            told = json.loads(about["berth.job.json"])
            gpus = set(told.get("gpus", ()))
            for other, (name, theirs) in holding.items():
                if other != key and gpus & theirs:
                    say(f"{about['name']} started on GPUs {sorted(gpus & theirs)} of {name}")
            holding[key] = (about["name"], gpus)
            if told["id"] not in jobs:
                say(f"container {about['name']} has no job")
        elif action in ("die", "destroy"):
            holding.pop(key, None)


def _strangers_left_alone(world: World, stale: float, say: Any) -> None:
    for event in world.engine_events:
        if event["Action"] != "create":
            continue
        told = json.loads(event["Actor"]["Attributes"]["berth.job.json"])
        for gpu, began, ended in world.held:
            if gpu in told.get("gpus", ()) and began + stale < event["seen"] < ended:
                say(f"job {told['id']} was given GPU {gpu}, which somebody else held")
