"""Run an action on one or many targets: side by side, each with an outcome of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.actions.context import ActionContext, Terminal
from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused
from backend.model import JobRow

if TYPE_CHECKING:
    from backend.actions.registry import Action
    from backend.config import Config

PER_HOST = 20
"""Runs on one host at a time. Most of them wait, as a stop does for its container's last ten seconds."""


@dataclass(frozen=True)
class Result:
    """How a run on one target ended."""

    target: Any
    message: str = ""
    error: BerthError | None = None
    terminal: Terminal | None = None
    cancelled: bool = False
    hint: str = ""
    """What goes with the message of one that the person said no to."""

    @property
    def ok(self) -> bool:
        """Whether it did what it says."""
        return self.error is None and not self.cancelled


def label(target: Any) -> str:
    """`host/name` of a target, for messages and logs."""
    if target is None:
        return "fleet"
    if isinstance(target, JobRow):
        return f"{target.host}/{target.id}"
    host, name = getattr(target, "host", None), getattr(target, "name", None) or getattr(target, "uuid", "")
    return f"{host}/{name}" if host else str(name)


def refuse_read_only(
    action: Action, target: Any, config: Config, options: Mapping[str, Any] | None = None
) -> None:
    """Raise `Refused` where settings, the target's host or a host that an option names forbid changes.

    What is only to be shown (`--dry-run`) is never refused; a text that somebody calls so is no such flag.
    """
    if not action.changes or (options or {}).get("dry_run") is True:
        return
    if config.settings.read_only:
        raise Refused(
            f"{action.title}: berth is read-only.",
            hint="Leave out --read-only, or read_only in settings.yaml.",
        )
    said = [(options or {}).get(param.name) for param in action.params if param.option.host]
    named = [name for each in said for name in (each if isinstance(each, (tuple, list)) else (each,))]
    held = {each.name for each in config.hosts if each.read_only}
    for host in (host for host in (host_of(target), *named) if host in held):
        raise Refused(f"{action.title}: host {host} is read-only.", hint="See read_only in hosts.yaml.")


def host_of(target: Any) -> str | None:
    """Name of the host a target lives on (a `HostRow` is its own host)."""
    if target is None:
        return None
    found = getattr(target, "host", None)
    return found if isinstance(found, str) else getattr(target, "name", None)


async def run_one(action: Action, target: Any, options: Mapping[str, Any], ctx: ActionContext) -> Result:
    """Run it on one target. Only a cancel comes out as an exception."""
    try:
        refuse_read_only(action, target, ctx.config, options)
        if not action.applies(target):
            raise NoSuchTarget(
                f"{label(target)}: {action.title} does not apply to it now.",
                hint=f"It is {target.state}." if getattr(target, "state", None) else "",
            )
        outcome = await action.call(ctx, target, **options)
    except BerthError as error:
        return Result(target, error=error)
    except Exception as bug:
        if not isinstance(bug, TimeoutError):
            logging.getLogger("berth").exception("action %s", action.name)
            message = f"{label(target)}: {action.title}: {type(bug).__name__}: {bug}"
            return Result(target, error=ActionFailed(message, hint="This is a bug in berth; see berth.log."))
        return Result(
            target, error=ActionFailed(f"{label(target)}: {action.title} took too long and was given up.")
        )
    if isinstance(outcome, Terminal):
        return Result(target, terminal=outcome)
    return Result(target, message=outcome or f"{action.title}: {label(target)}")
