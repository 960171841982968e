"""What builders print -> steps and lines: pure, one line at a time, whatever a host sends.

classic    JSON lines of the engine's API: `{"stream": "Step 2/5 : RUN make"}`
buildkit   `--progress=plain`: `#5 [builder 2/5] RUN make`, `#5 0.158 text`, `#5 DONE 1.2s`
buildx     `--progress=rawjson`: the status structs of BuildKit's client
podman     `STEP 2/5: RUN make`, also `[1/2] STEP 2/5: RUN make`
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec.structs import replace

from backend.building.model import Step
from backend.text import printable

_TEXT = 400
"""Characters of a step's text that are kept."""
_STEPS = 2000
"""Steps that are told apart: no Dockerfile has more."""
_CLASSIC = re.compile(r"Step (\d{1,4})/(\d{1,4}) : (.*)", re.DOTALL)
_PODMAN = re.compile(r"(?:\[(\d{1,3})/(\d{1,3})\] )?STEP (\d{1,4})/(\d{1,4}): (.*)")
_PLAIN = re.compile(r"#(\d{1,5}) (.*)")
_VERTEX = re.compile(r"\[(?:([^\]\s]+) )?\s*(\d{1,4})/(\d{1,4})\] (.*)", re.DOTALL)
_LOG = re.compile(r"(\d+\.\d+) (.*)")
_DONE = re.compile(r"DONE (\d+(?:\.\d+)?)s")
_ERROR_LINE = re.compile(r"line (\d{1,6})")


class Said(NamedTuple):
    """What a line of a builder means."""

    line: str | None = None
    """For the log."""
    step: Step | None = None
    """A step that began, or changed."""
    error: str = ""
    """Why the build failed."""


class Progress:
    """The steps of one build, fed with the lines of its builder."""

    def __init__(self, builder: str) -> None:
        self.steps: dict[int, Step] = {}
        """By number, in the order in which they began."""
        self.total = 0
        """How many there will be, as far as it is known."""
        self.error = ""
        """What the builder says went wrong."""
        self._feed = {"classic": self._classic, "podman": self._podman}.get(builder, self._buildkit)
        self._keys: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._closing = False

    def feed(self, at: float, text: str) -> Iterator[Said]:
        """What a line says that came at this time (unix). Never raises."""
        when = _moment(at)
        for said in self._feed(when, text):
            yield said._replace(line=None if said.line is None else printable(said.line, 2000))

    @property
    def failed(self) -> Step | None:
        """The step at which it failed: the one that says so, else the last that began."""
        steps = list(self.steps.values())
        return next((step for step in steps if step.failed), steps[-1] if steps else None)

    def close(self, at: float, ok: bool) -> None:
        """The build has ended: so has the step that ran."""
        for number, step in self.steps.items():
            if step.seconds is None:
                self.steps[number] = replace(step, seconds=_seconds(step, _moment(at)))
        if not ok and (last := self.failed) is not None:
            self.steps[last.number] = replace(self.steps[last.number], failed=True)

    # ------------------------------------------------------------------------------------ steps

    def _begin(self, key: str, when: datetime, text: str, stage: str) -> Step | None:
        number = self._keys.get(key)
        if number is None:
            if len(self.steps) >= _STEPS:
                return None
            number = self._keys[key] = len(self.steps) + 1
            self.steps[number] = Step(
                number=number, text=printable(text, _TEXT), stage=printable(stage, 80), started_at=when
            )
        return self.steps[number]

    def _change(self, key: str, **changes: Any) -> Step | None:
        number = self._keys.get(key)
        if number is None:
            return None
        self.steps[number] = replace(self.steps[number], **changes)
        return self.steps[number]

    def _end_last(self, when: datetime, cached: bool = False) -> None:
        """Of builders that do one step after the other: the one before is over."""
        if self.steps:
            number, step = next(reversed(self.steps.items()))
            if step.seconds is None:
                self.steps[number] = replace(step, seconds=_seconds(step, when), cached=cached or step.cached)

    # -------------------------------------------------------------------------- classic, podman

    def _classic(self, when: datetime, text: str) -> Iterator[Said]:
        found = _object(text)
        if found is None:
            yield Said(text)
            return
        if found.get("error"):
            self.error = str(found["error"])
            yield Said(self.error, error=self.error)
            return
        for line in str(found.get("stream") or found.get("status") or "").splitlines():
            if not line.strip():
                continue
            if _PODMAN.match(line) or line.startswith("--> "):  # Podman's answer to Docker's API
                yield from self._podman(when, line)
                continue
            step = None
            if match := _CLASSIC.match(line):
                self._end_last(when)
                self.total = int(match[2])
                step = self._begin(match[1], when, match[3], f"{match[1]}/{match[2]}")
            elif line.strip() == "---> Using cache" and self.steps:
                last = next(reversed(self.steps.values()))
                step = self.steps[last.number] = replace(last, cached=True)
            yield Said(line, step)

    def _podman(self, when: datetime, text: str) -> Iterator[Said]:
        step = None
        if match := _PODMAN.match(text):
            stage, stages, number, count, words = match.groups()
            self._end_last(when)
            self._totals[stage or ""] = int(count)
            self.total = sum(self._totals.values())
            named = f"{stage}/{stages} {number}/{count}" if stage else f"{number}/{count}"
            step = self._begin(f"{stage}:{number}", when, words, named)
        elif text.startswith("--> Using cache") and self.steps:
            last = next(reversed(self.steps.values()))
            step = self.steps[last.number] = replace(last, cached=True)
        elif text.startswith("Error: "):
            self.error = text.removeprefix("Error: ")
        yield Said(text, step)

    # --------------------------------------------------------------------------------- buildkit

    def _buildkit(self, when: datetime, text: str) -> Iterator[Said]:
        if text.startswith("{") and (found := _object(text)) is not None:
            yield from self._status(when, found)
            return
        match = _PLAIN.match(text)
        if match is None:
            yield self._unnumbered(text)
            return
        key, rest = match.groups()
        if vertex := _VERTEX.match(rest):
            yield Said(text, self._vertex(key, when, vertex))
        elif rest == "CACHED":
            yield Said(text, self._change(key, cached=True, seconds=0.0))
        elif done := _DONE.fullmatch(rest):
            yield Said(text, self._change(key, seconds=float(done[1])))
        elif rest.startswith("ERROR: "):
            self.error = rest.removeprefix("ERROR: ")
            step = self.steps.get(self._keys.get(key, 0))
            yield Said(text, step and self._change(key, failed=True, seconds=_seconds(step, when)))
        elif rest.startswith("sha256:") and len(rest) == 71:
            return  # the digest of a step: nothing for people
        elif (log := _LOG.match(rest)) and self._keys.get(key) is not None:
            yield Said(log[2])
        else:
            yield Said(text)

    def _unnumbered(self, text: str) -> Said:
        """`ERROR: failed to solve: ...` at the end; blank lines between steps."""
        words = text.removeprefix("ERROR: ")
        if words.startswith(("failed to ", "executor failed ", "error: failed to ")):
            self.error = words if len(words) > len(self.error) or not self.error else self.error
            return Said(text, error=words)
        return Said(text) if text.strip() else Said()

    def _vertex(self, key: str, when: datetime, match: re.Match[str]) -> Step | None:
        stage, number, count, words = match.groups()
        self._totals[stage or ""] = int(count)
        self.total = sum(self._totals.values())
        return self._begin(key, when, words, f"{stage or ''} {number}/{count}".strip())

    def _status(self, when: datetime, found: dict[str, Any]) -> Iterator[Said]:
        for vertex in _objects(found.get("vertexes")):
            yield from self._status_vertex(when, vertex)
        for log in _objects(found.get("logs")):
            try:
                data = base64.b64decode(str(log.get("data") or ""), validate=True).decode("utf-8", "replace")
            except ValueError:
                continue
            for line in data.replace("\r", "\n").splitlines():
                yield Said(line)
        for warning in _objects(found.get("warnings")):
            try:
                short = base64.b64decode(str(warning.get("short") or "")).decode("utf-8", "replace")
            except ValueError:
                continue
            yield Said(f"warning: {short}")

    def _status_vertex(self, when: datetime, vertex: dict[str, Any]) -> Iterator[Said]:
        key, name = str(vertex.get("digest")), str(vertex.get("name") or "")
        started = _time(vertex.get("started")) or when
        first = key not in self._names and bool(vertex.get("started") or vertex.get("cached"))
        step = self.steps.get(self._keys.get(key, 0))
        if first and len(self._names) < 10 * _STEPS:
            self._names[key] = name
            match = _VERTEX.match(name)
            step = self._vertex(key, started, match) if match else None
            yield Said(name, step)
        if vertex.get("error"):
            self.error = str(vertex["error"])
            step = step and self._change(key, failed=True, seconds=_seconds(step, when))
            yield Said(self.error, step, error=self.error)
        elif step is not None and step.seconds is None and (vertex.get("completed") or vertex.get("cached")):
            seconds = _seconds(step, _time(vertex.get("completed")) or when)
            yield Said(None, self._change(key, seconds=seconds, cached=bool(vertex.get("cached"))))


def line_in(error: str) -> int:
    """The line of the Dockerfile that an error names by itself; 0 where it names none."""
    found = _ERROR_LINE.search(error) if "parse error" in error or "Dockerfile" in error else None
    return int(found[1]) if found else 0


def _moment(at: float) -> datetime:
    try:
        return datetime.fromtimestamp(at, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.now(UTC)


def _seconds(step: Step, until: datetime) -> float:
    return max(0.0, (until - step.started_at).total_seconds()) if step.started_at else 0.0


def _time(written: object) -> datetime | None:
    """RFC 3339 with nanoseconds, as Go writes it."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", str(written or "")).replace("Z", "+00:00")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _objects(found: object) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
