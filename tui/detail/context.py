"""Details of a context: every value of it, and what there is of it on its host."""

from __future__ import annotations

from backend import text as words
from backend.config import Context
from backend.containerrows import find, session_context
from backend.dockerwords import status
from backend.errors import NoSuchTarget
from backend.imagenames import whole
from backend.model import Container, ContextRow, HostSnapshot
from tui import cells
from tui.columns import Cell
from tui.detail.page import Page, Sheet, View

_STATES = {"running": "good", "stopped": "warn", "missing": "dim", "unknown": "dim"}


def page(target: ContextRow, view: View) -> Page:
    """The page of a context."""
    host = view.host(target.host)
    sheet = Sheet()
    container = find(host.containers, target.container) if host else None
    _container(sheet, target, container, host, view)
    try:
        _values(sheet, view.config.context(target.name))
    except NoSuchTarget:
        sheet.text((("Its file is gone.", "warn"),))
    if host is not None:
        _others(sheet, target, container, host, view)
        _sessions(sheet, target, host, view)
    state: Cell = ((target.state, _STATES.get(target.state, "")),)
    title = cells.join(cells.plain(target.name), (("on", "dim"),), cells.plain(target.host), state)
    return Page(("context", target.name), title, sheet)


def _container(
    sheet: Sheet, target: ContextRow, container: Container | None, host: HostSnapshot | None, view: View
) -> None:
    sheet.heading("Container")
    sheet.field("name", cells.plain(target.container))
    if host is not None and host.stale and host.error is not None:
        sheet.problem(host.error, "bad")
    if container is None:
        note = "not known: its host has not told yet" if target.state == "unknown" else "there is none"
        sheet.field("state", ((note, "dim"),))
        return
    sheet.field("state", cells.plain(status(container, view.now)))
    if whole(container.image) != whole(target.image):
        sheet.field("made from", cells.plain(container.image, "warn"), (("not the context's image", "warn"),))
    sheet.field("created", view.clock(container.created_at))
    sheet.field("id", cells.plain(container.id[:12], "dim"))


def _values(sheet: Sheet, context: Context) -> None:
    """What the file says; what it leaves to the engine is left out here too."""
    sheet.heading("Context", cells.plain(f"contexts/{context.name}.yaml", "dim"))
    for name in ("host", "image", "user", "shell", "workdir", "network", "cpuset", "profile", "sync"):
        value = getattr(context, name)
        if value is not None:
            sheet.field(name, cells.plain(str(value)))
    if context.gpus is not None:
        gpus = context.gpus
        sheet.field("gpus", cells.plain(", ".join(gpus) if isinstance(gpus, tuple) else str(gpus)))
    if context.cpus is not None:
        sheet.field("cpus", ((f"{context.cpus:g}", ""),))
    for name, size in (("memory", context.memory), ("shm_size", context.shm_size)):
        if size is not None:
            sheet.field(name, ((words.size(size), ""),))
    for port in context.ports:
        sheet.field("port", cells.plain(port))
    for mount in context.mounts:
        sheet.field("mount", cells.plain(mount))
    if context.env_file is not None:
        sheet.field("env_file", cells.plain(str(context.env_file)))
    for name in sorted(context.env):
        # Values may be secrets, and screens are shared.
        sheet.field("env", cells.plain(name), (("(value hidden)", "dim"),))
    options = context.options
    for name in options.__struct_fields__:
        value = getattr(options, name)
        if value:
            sheet.field(name, cells.plain(_written(value)))


def _written(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "yes" if value is True else str(value)


def _others(sheet: Sheet, target: ContextRow, own: Container | None, host: HostSnapshot, view: View) -> None:
    image = whole(target.image)
    others = [c for c in host.containers or () if whole(c.image) == image and c is not own]
    if not others:
        return
    sheet.heading("Other containers of this image", cells.plain(f"on {host.name}", "dim"))
    sheet.table(
        ("NAME", "OWNER", "STATE"),
        [(cells.plain(c.name), cells.plain(c.owner), cells.plain(status(c, view.now))) for c in others],
    )


def _sessions(sheet: Sheet, target: ContextRow, host: HostSnapshot, view: View) -> None:
    own = [s for s in host.sessions if session_context(s.name, [target.name])]
    sheet.heading("Sessions", cells.EMPTY if own else view.none(host, "tmux"))
    sheet.table(
        ("NAME", "ATTACHED", "ACTIVE", "RUNS"),
        [
            (
                cells.plain(session.name),
                cells.number(session.attached),
                cells.bare(cells.age(session.activity_at, view.now)),
                cells.plain(", ".join(dict.fromkeys(pane.command for pane in session.panes))),
            )
            for session in own
        ],
        ("left", "right", "right"),
    )
