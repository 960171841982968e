"""A day's jobs: how they are asked for, what they do, and what two tellers say of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.acceptance.terminal import Terminal
from tests.lab import Host, LabError
from tests.lab.machine import wait_for

IMAGE = "busybox:latest"
DAY = "/var/tmp/day"
"""Of each host, and `/day` in each job: what jobs note there, and the files they wait for."""
NEVER = "never"
WORK = """
note() { read -r up _ </proc/uptime; echo "$1 $name ${NVIDIA_VISIBLE_DEVICES:-none} $up" >>/day/notes; }
name=$0$1 wait=$2 code=$3
note begin
echo "$name is here"
until [ "$wait" = now ] || [ -e "/day/$wait" ]; do sleep 0.5; done
case $code in second) [ "$(grep -c "^begin $name " /day/notes)" = 2 ]; code=$?; esac
note end
exit "$code"
"""
"""A job: notes its begin and end, waits for a file, and exits as it was told."""
KILLED = (143, 137)
"""By SIGTERM, or by SIGKILL where the time for that was too short."""
ENDED = ("completed", "failed", "cancelled", "timeout")
_ORDER = re.compile(r"(h|q)*((s|r)*(q|h)*){0,4}(s|r)*e?")
_LETTER = {"held": "h", "queued": "q", "starting": "s", "running": "r"}


@dataclass(frozen=True)
class Task:
    """What a person submits, and how it has to end."""

    user: str
    name: str
    host: str
    options: str = ""
    wait: str = "now"
    code: str = "0"
    """What it exits with; `second`: 1 at first, then 0."""
    after: str = ""
    """Name of the task of the same user that it waits for; `any:` before it for whatever end."""
    state: str = ""
    """Empty: what follows from the code."""
    exit_code: int | tuple[int | None, ...] | None = -1
    """-1: the code; several: one of these."""
    array: int = 0
    """Its indices are 1 to this; each exits with its own, and `code` is not asked."""
    begins: int = 1
    """How often it is run."""

    @property
    def ends(self) -> list[tuple[str, str, tuple[int | None, ...]]]:
        """Name, state and possible exit codes of each of its jobs."""
        if self.array:
            return [(f"{self.name}{number}", "failed", (number,)) for number in range(1, self.array + 1)]
        code = 0 if self.code == "second" else int(self.code)
        state = self.state or ("failed" if code else "completed")
        codes = self.exit_code if isinstance(self.exit_code, tuple) else (self.exit_code,)
        return [(self.name, state, (code,) if codes == (-1,) else codes)]

    def words(self, after: Iterable[str] = ()) -> list[str]:
        """Of `berth`; `after`: the numbers of what it waits for."""
        index = "$BERTH_ARRAY_INDEX" if self.array else ""
        code = "$BERTH_ARRAY_INDEX" if self.array else self.code
        script = f'exec sh -c "$0" {self.name} "{index}" {self.wait} "{code}"'
        out = ["run", "--host", self.host, "--image", IMAGE, "--mount", f"{DAY}:/day", "--name", self.name]
        out += [*self.options.split(), *(word for one in after for word in ("--after", one))]
        if self.array:
            out += ["--array", f"1-{self.array}%2"]
        return [*out, "--", "sh", "-c", script, WORK]


class Berth:
    """`berth` as one person, without a terminal."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.said = ""

    def __call__(self, *words: str, code: int | None = 0) -> str:
        done = subprocess.run(
            ["berth", *words],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert code is None or done.returncode == code, f"{words}: {done.returncode}, {done.stderr}"
        self.said = done.stderr
        return done.stdout

    def jobs(self) -> list[dict[str, Any]]:
        """All of all queues; every queue answers."""
        found: list[dict[str, Any]] = json.loads(self("jobs", "--all", "--json", "--timeout", "60"))
        assert not self.said, self.said
        return found

    def submit(self, tasks: Iterable[Task]) -> dict[str, list[str]]:
        """One after the other: name -> places."""
        places: dict[str, list[str]] = {}
        for task in tasks:
            after = []
            if task.after:
                kind, _, name = task.after.rpartition(":")
                after = [f"{kind}:{_number(one)}" if kind else _number(one) for one in places[name]]
            options = task.words(after)
            places[task.name] = self(*options[:1], "--detach", *options[1:]).split()
        return places


def _number(place: str) -> str:
    return place.rpartition("/")[2]


# ------------------------------------------------------------------------------------- the two tellers

Told = dict[str, tuple[str, str]]
"""Job as HOST/NUMBER -> its state with the exit code of what failed, and why."""


def listed(berth: Berth) -> Told:
    """As `berth jobs --all --json` tells it."""
    return {f"{row['host']}/{row['id']}": (_state(row), _why(row)) for row in berth.jobs()}


def _state(row: dict[str, Any]) -> str:
    code = row["exit_code"]
    return f"failed {code}" if row["state"] == "failed" and code is not None else str(row["state"])


def _why(row: dict[str, Any]) -> str:
    """As the view says it, but for the times in it."""
    place = f"#{row['place']}: " if row["place"] and row["state"] == "queued" else ""
    return f"{place}{row['reason']}"


def _timeless(text: str) -> str:
    """Without the expected start and the time since the end."""
    text = re.sub(r"^(#\d+), (now|in [^:]+)", r"\1", text.strip())
    return re.sub(r"(, |^)[^,]* ago$", "", text)


def _fits(told: tuple[str, str], shown: tuple[str, str]) -> bool:
    """Whether the view says what the list says; it may cut its words short, and adds the exit code's."""
    (state, why), (word, text) = told, shown
    if state != word:
        return False
    if state.split()[0] in ENDED and not why:
        return not text or text == "cancelled" or text.startswith("exit code") or "signal" in text
    if text.endswith("…"):
        return why.startswith(text[:-1]) or text.startswith(why)
    return why.removesuffix(": ") == text


@dataclass
class Board:
    """The dashboard on its Jobs view, in a terminal that is wide enough for all of it."""

    terminal: Terminal
    seen: dict[str, str] = field(default_factory=dict)
    """Job -> the letters of its states, in the order they were shown."""

    def open(self) -> None:
        """Start it; press the view's key."""
        self.terminal.line("berth")
        self.terminal.until("hosts · ")
        self.terminal.keys("5")
        self.terminal.until(lambda screen: "WHY / WHEN" in screen or "The jobs of all queues" in screen)

    def shown(self) -> Told:
        """What stands on the screen now."""
        lines = self.terminal.screen().splitlines()
        head = next((line for line in lines if "WHY / WHEN" in line), None)
        if head is None:
            return {}
        state, why = head.index("STATE"), head.index("WHY / WHEN")
        gpus = head.index(" GPUS") - 7  # a bar and a number stand before it
        found: Told = {}
        for line in lines[lines.index(head) + 1 :]:
            words = line[:state].split()
            if len(words) < 4 or not words[2].replace("_", "").isdecimal():
                continue
            job = f"{words[1]}/{words[2]}"
            found[job] = (line[state:why].strip(), _timeless(line[why:gpus]))
            letter = _LETTER.get(found[job][0], "e")
            if not self.seen.get(job, "").endswith(letter):
                self.seen[job] = self.seen.get(job, "") + letter
        return found

    def check_order(self) -> None:
        """No job ever went a way that there is not: an end is an end."""
        for job, letters in self.seen.items():
            assert _ORDER.fullmatch(letters), f"job {job} was shown as {letters}"


def agree(berth: Berth, board: Board, *, seconds: float = 90) -> Told:
    """Wait until both tell the same story, at a time when the list stands still; the story."""
    before: Told = {}
    seen: Told = {}

    def same() -> Told | None:
        nonlocal before, seen
        first = listed(berth)
        seen = board.shown()
        before = listed(berth)
        return before if first == before and not _apart(before, seen) else None

    try:
        found = wait_for(same, "", seconds=seconds)
    except LabError:
        apart = [f"{key}: list {before.get(key)}, view {seen.get(key)}" for key in _apart(before, seen)]
        raise AssertionError("they tell different stories:\n" + "\n".join(apart)) from None
    board.check_order()
    return found


def _apart(listed: Told, shown: Told) -> list[str]:
    """Jobs of which they say different things."""
    both = listed.keys() & shown.keys()
    lost = listed.keys() ^ shown.keys()
    return sorted(lost | {job for job in both if not _fits(listed[job], shown[job])})


# ------------------------------------------------------------------------------------------- evidence


@dataclass(frozen=True)
class Span:
    """One run of a job, as it noted it itself. Seconds of the machine's uptime."""

    name: str
    gpus: frozenset[str]
    begin: float
    end: float | None


def spans(host: Host) -> list[Span]:
    """All runs on a host, by their begin."""
    found: dict[str, list[Span]] = {}
    text = host.run(["cat", f"{DAY}/notes"], check=False).stdout
    for line in text.splitlines():
        what, name, gpus, at = line.split()
        runs = found.setdefault(name, [])
        if what == "begin":
            ids = frozenset() if gpus in ("none", "void") else frozenset(gpus.split(","))
            runs.append(Span(name, ids, float(at), None))
        else:
            runs[-1] = Span(name, runs[-1].gpus, runs[-1].begin, float(at))
    return sorted((run for runs in found.values() for run in runs), key=lambda run: run.begin)


def uptime_of(moment: str) -> float:
    """A time of the list on the clock of the notes."""
    up = float(Path("/proc/uptime").read_text().split()[0])
    return up - (time.time() - datetime.fromisoformat(moment).timestamp())


def touch(host: Host, *names: str) -> None:
    """Let those go on who wait for these files."""
    host.run(["touch", *(f"{DAY}/{name}" for name in names)])


def laptop_processes(env: dict[str, str]) -> list[int]:
    """Pids of all berth processes of this person that are still there."""
    mark = f"BERTH_STATE_DIR={env['BERTH_STATE_DIR']}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def sessions(host: Host) -> list[str]:
    """The SSH connections that are open on a host."""
    out = host.run(["ps", "-eo", "args"]).stdout.splitlines()
    return [line for line in out if re.match(r"sshd: \w+(@|$)", line)]


def until(check: Callable[[], Any], what: str, *, seconds: float = 120) -> Any:
    """Wait for a condition, with the patience that a loaded machine needs."""
    return wait_for(check, what, seconds=seconds)
