"""What the agent tells about a build -> its record: steps, lines, how it ended."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from backend.building import dockerlines, remote
from backend.building.model import Build, BuildState, Step
from backend.building.progress import Progress, line_in
from backend.building.records import BuildFailed, Record
from backend.errors import HostError, NoSuchTarget
from backend.text import duration, printable

if TYPE_CHECKING:
    from backend.actions.context import Access

PATIENCE = 120.0
"""Seconds that a lost host has to come back while somebody waits for its build."""
_PAUSE = 1.0
_TAIL = 12
"""Last lines of output that an error carries."""
_STEPS_KEPT = 100
_NUMBERED = re.compile(r"#\d+ |------| > \[")
"""Lines of BuildKit about itself."""
_HINTS = (
    ("no space left on device", "The host's disk is full: free some room there, then: berth images retry"),
    ("network is unreachable", "The host cannot reach it: pull the image, or copy it there."),
    ("parse error", "Correct the Dockerfile: berth images render shows the whole of it."),
)

Say = Callable[[str], None]


class Following:
    """Feeds one record with the events of one build."""

    def __init__(self, record: Record, dockerfile: str, say: Say, *, source: str = "") -> None:
        """`dockerfile`: its text. `source`: what people know it as, for messages."""
        self.record = record
        self.end: remote.End | None = None
        self._instructions = dockerlines.lines(dockerfile)
        self._source = source
        self.say = say
        self._progress = Progress("")
        self._builder = ""
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._seen = 0
        """Lines of the builder that were heard, and written to the log."""
        self._again = 0
        """Of these, how many will be heard again: the host tells from the first line on."""

    def begin(self, builder: str) -> None:
        """A builder of this kind speaks from now on."""
        self._builder = builder
        self._progress = Progress(builder)

    async def events(self, conversation: remote.Remote) -> None:
        """Take in all that happens until it ends."""
        async for event in conversation.events():
            await self.take(event)

    async def take(self, event: remote.Event) -> None:
        """One thing that happens."""
        if isinstance(event, remote.Running):
            self._set(state=BuildState.BUILDING, run=event.id, builder=self._builder)
            if event.joined:
                self.say("it is built already, for another berth of yours: joined")
        elif isinstance(event, remote.Output):
            for at, line in event.lines:
                self._hear(at, line)
            await asyncio.sleep(0)
        elif isinstance(event, remote.End):
            self.end = event

    def replay(self) -> None:
        """All that was heard will be heard again, from the first line on."""
        self._again = self._seen
        self._progress = Progress(self._builder)

    async def again(self, access: Access, host: str, run: str, patience: float = PATIENCE) -> None:
        """Follow a build that goes on there, over a new connection as often as one is lost."""
        until = time.monotonic() + patience
        while self.end is None:
            try:
                link = await access.link(host)
                self.replay()
                async with remote.talk(link, ["follow", run]) as conversation:
                    conversation.beat()
                    await self.events(conversation)
            except (HostError, TimeoutError):
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE)

    def _hear(self, at: float, line: str) -> None:
        known = self._again > 0
        self._again -= known
        self._seen += not known
        if not self._builder:
            self.begin(builder_of(line))
        changed = None
        for said in self._progress.feed(at, line):
            if said.line is not None and not known:
                self.record.say(said.line)
                if said.line.strip() and not _NUMBERED.match(said.line):
                    self._tail.append(said.line)
            changed = said.step or changed
            if said.step is not None and not known:
                self._tell(said.step)
        if changed is not None:
            self._steps()

    def _steps(self) -> None:
        steps = list(self._progress.steps.values())
        done = tuple(replace(step, line=self._line(step)) for step in steps[-_STEPS_KEPT:])
        self._set(step=len(steps), steps=max(self._progress.total, len(steps)), done=done)

    def _tell(self, step: Step) -> None:
        place = f"[{step.stage}] " if step.stage else ""
        if step.seconds is None and not step.cached:
            self.say(f"{place}{step.text}")
        elif step.cached:
            self.say(f"{place or step.text} as before".replace("  ", " "))
        elif step.seconds is not None and step.seconds >= 1:
            self.say(f"{place}took {duration(step.seconds)}")

    def _line(self, step: Step) -> int:
        return dockerlines.line_of(step, self._instructions)

    def _set(self, *, state: BuildState | None = None, **changes: object) -> None:
        build = self.record.build
        self.record.update(build.to(state, **changes) if state else replace(build, **changes))

    def outcome(self) -> remote.End:
        """How it ended; steps that ran are over. Raises `ActionFailed` naming step and line."""
        assert self.end is not None
        self._progress.close(time.time(), ok=not self.end.code)
        self._steps()
        self._set(builder=self.end.builder or self._builder)
        if not self.end.code:
            return self.end
        raise self._failure(self.record.build, self.end)

    def _failure(self, build: Build, end: remote.End) -> BuildFailed:
        error = self._progress.error or end.error
        if end.error and not end.error.startswith(("exit status", "cancelled")):
            error = end.error
        step, line = self._progress.failed, line_in(error)
        if line == 0 and step is not None:
            line = self._line(step)
        where = f"{build.recipe} on {build.host}"
        if line_in(error):
            pass  # it was not even begun
        elif step is not None:
            where += f", step {step.stage or step.number} ({printable(step.text, 120)})"
        place = f"{self._source or 'Dockerfile'}:{line}: " if line else ""
        lower = f"{error} {' '.join(self._tail)}".lower()
        hint = next((hint for part, hint in _HINTS if part in lower), f"See: berth images log {build.id}")
        return BuildFailed(
            f"{where}: {place}{printable(error.strip(), 600).rstrip('.')}.", hint=hint, tail=tuple(self._tail)
        )


def builder_of(line: str) -> str:
    """Which builder begins like this."""
    if line.startswith(('{"stream"', '{"status"', '{"error')):
        return "classic"
    return "podman" if "STEP 1/" in line[:20] else "buildkit"


async def state_of(access: Access, build: Build) -> remote.Known:
    """What the host remembers of a build. Raises `NoSuchTarget`, and what keeps it from being asked."""
    for known in await remote.known(await access.link(build.host)):
        if known.id == build.run:
            return known
    raise NoSuchTarget(f"{build.host} has forgotten build {build.id}.")
