"""Builds to cells: one line per build, one per step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backend.building.model import ACTIVE, Build, BuildState, Step
from backend.text import duration, printable, size
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.views.make import figures, words

STYLES = {
    BuildState.WAITING: "dim",
    BuildState.SENDING: "accent",
    BuildState.BUILDING: "accent",
    BuildState.CHECKING: "accent",
    BuildState.DETACHED: "warn",
    BuildState.FRESH: "dim",
    BuildState.DONE: "good",
    BuildState.FAILED: "bad",
    BuildState.CANCELLED: "warn",
    BuildState.SKIPPED: "warn",
    BuildState.LOST: "warn",
}
_BAR = 8
_TIME = 9


def columns() -> Sequence[Column[Any]]:
    """How a list of builds looks."""
    return (
        words("state", "STATE", 11, lambda b: b.state.value, cell=state),
        words("recipe", "RECIPE", 14, lambda b: b.recipe, grow=2),
        words("host", "HOST", 10, lambda b: b.host, grow=1),
        figures("step", "STEPS", 15, _steps, lambda b: b.step, priority=1),
        figures("took", "TIME", 8, lambda b: cells.duration(b.seconds), lambda b: b.seconds),
        words("now", "NOW", 24, said, grow=5, priority=2),
        figures("sent", "SENT", 7, lambda b: cells.size(b.sent), lambda b: b.sent, priority=4),
    )


def narrow() -> Sequence[Column[Any]]:
    """The same in a side pane."""
    return (
        words("state", "STATE", 2, lambda b: b.state.value, cell=lambda b: ((_sign(b), STYLES[b.state]),)),
        words("recipe", "RECIPE", 10, lambda b: b.recipe, grow=2),
        words("host", "HOST", 6, lambda b: b.host, grow=1),
        figures("step", "STEPS", 6, _count, lambda b: b.step),
    )


def look(build: Build) -> Look:
    """What failed carries a `!`; what is over steps back."""
    if build.state is BuildState.FAILED:
        return Look("", "bad")
    return Look("dim") if build.state in (BuildState.FRESH, BuildState.SKIPPED) else Look()


def said(build: Build) -> str:
    """The step that runs, what went wrong, or why it is built."""
    if build.error:
        return build.error
    current = build.current
    if build.active and current is not None:
        return current.text
    return build.why


def _sign(build: Build) -> str:
    signs = {BuildState.DONE: "✓", BuildState.FAILED: "!", BuildState.FRESH: "=", BuildState.WAITING: "…"}
    return signs.get(build.state, "▸" if build.state in ACTIVE else "x")


def state(build: Build) -> Cell:
    """The state, with a sign."""
    return ((f"{_sign(build)} {build.state.value}", STYLES[build.state]),)


def _count(build: Build) -> Cell:
    if build.steps:
        return ((f"{build.step}/{build.steps}", ""),)
    return ((str(build.step), ""),) if build.step else cells.EMPTY


def _steps(build: Build) -> Cell:
    count = _count(build)
    if not build.steps or not build.active:
        return count
    return (*cells.bar(100 * build.step / build.steps, _BAR), (" ", ""), *count)


def steps(build: Build, now: datetime | None = None) -> list[Cell]:
    """One line per step: number, time, instruction; what ran in no time came from the cache."""
    now = now or datetime.now(UTC)
    lines: list[Cell] = []
    for step in build.done:
        style = "bad" if step.failed else "accent" if step.seconds is None else "dim" if step.cached else ""
        lines.append(
            (
                (f"{step.number:>3}  ", "dim"),
                (_took(step, now).rjust(_TIME) + "  ", style),
                (printable(step.text, 400), style),
                (f"  {printable(step.stage, 60)}" if step.stage else "", "dim"),
                (f"  line {step.line}" if step.line else "", "dim"),
            )
        )
    if build.error:
        lines += [(), (("! ", "bad"), (printable(build.error, 1000), ""))]
        lines += [(("Try: ", "key"), (printable(build.hint, 600), ""))] if build.hint else []
    return lines


def _took(step: Step, now: datetime) -> str:
    if step.cached:
        return "cached"
    if step.seconds is not None:
        return duration(step.seconds) if step.seconds >= 1 else f"{step.seconds * 1000:.0f} ms"
    if step.started_at is None:
        return ""
    return duration((now - step.started_at).total_seconds())


def summary(builds: Sequence[Build]) -> str:
    """`2 of 6 done · 1 failed · 3 build`."""
    done = sum(each.state in (BuildState.DONE, BuildState.FRESH) for each in builds)
    failed = sum(each.state is BuildState.FAILED for each in builds)
    active = sum(each.active for each in builds)
    sent = sum(each.sent or 0 for each in builds)
    parts = [f"{done} of {len(builds)} done"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{active} go on"] if active else []
    parts += [f"{size(sent)} sent"] if sent else []
    return " · ".join(parts)
