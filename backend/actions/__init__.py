"""Everything that can be done, each thing declared once. See `registry` for what a declaration gives."""

from __future__ import annotations

from importlib import import_module

from backend.actions.context import Access, ActionContext, Outcome, Terminal, Voice
from backend.actions.registry import ACTIONS, Action, Option, Param, action
from backend.actions.runner import Result

MODULES: tuple[str, ...] = (
    "containers",
    "container_look",
    "container_files",
    "container_change",
    "logs",
    "enter",
    "sessions",
    "contexts",
    "context_files",
    "images",
    "image_change",
    "image_look",
    "image_prune",
    "building",
    "recipes",
    "workspaces",
    "outputs",
    "repository",
    "private",
    "ports",
    "tunnels",
    "environment",
    "prepare",
    "mounts",
    "ownership",
    "run",
    "projects",
    "jobs",
    "queues",
    "sync",
    "disk",
    "disk_prune",
    "everywhere",
)
"""The files that declare actions, one per kind of target."""


ALONE: dict[str, str] = {
    "attach": "enter",
    "disk show": "disk",
    "disk top": "disk",
    "disk tree": "disk",
    "do": "commands",
    "each": "everywhere",
    "enter": "enter",
    "images build": "building",
    "killses": "enter",
    "login": "enter",
    "logs": "logs",
    "pull": "sync",
    "pulldir": "sync",
    "push": "sync",
    "pushdir": "sync",
    "root-shell": "enter",
    "run": "run",
    "sh": "enter",
    "shell": "run",
    "sync": "sync",
    "tunnel hold": "tunnels",
    "tunnel open": "tunnels",
    "tunnel stop": "tunnels",
}
"""Verbs that people wait for, by one word or two, and the one file that declares each: the command line then
loads no other. A test holds it against what is declared."""


def load(verb: str | None = None) -> dict[str, Action]:
    """All actions by name; of a `verb` that stands in `ALONE` only those of its file.

    Cheap: what an action needs is imported when it runs.
    """
    for module in (ALONE[verb],) if verb in ALONE else MODULES:
        import_module(f"backend.actions.{module}")
    return ACTIONS


__all__ = [
    "ACTIONS",
    "ALONE",
    "Access",
    "Action",
    "ActionContext",
    "Option",
    "Outcome",
    "Param",
    "Result",
    "Terminal",
    "Voice",
    "action",
    "load",
]
