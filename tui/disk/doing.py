"""What the disk page does: prune, remove, tell users. Each is an action with a preview and a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual.content import Content

from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.runs import Run
    from tui.disk.screen import DiskScreen
    from tui.disk.state import Looking, TreeLine

PRUNES: dict[str, tuple[str, str, Mapping[str, Any]]] = {
    "images": ("image", "images that lost their name", {"images": True}),
    "images-30": ("image", "images that nobody used for 30 days", {"images_unused": "30d"}),
    "containers": ("container", "containers that have ended", {"containers": True}),
    "containers-7": (
        "container",
        "containers that ended 7 days ago or longer",
        {"containers": True, "stopped_for": "7d"},
    ),
    "volumes": ("volume", "volumes without a name that no container uses", {"volumes": True}),
    "named": ("volume", "all volumes that no container uses", {"named_volumes": True}),
    "cache": ("cache", "build cache that no build uses", {"cache": True}),
    "cache-14": ("cache", "build cache not used for 14 days", {"cache": True, "cache_unused": "14d"}),
}
"""What can be pruned: its kind, its name, and the action's options."""


def refused(screen: DiskScreen, host: str, *, quiet: bool = False) -> bool:
    """Whether nothing may be changed on a host; says so unless `quiet`."""
    config = screen.berth.config
    why = ""
    if screen.berth.desk.read_only or config.settings.read_only:
        why = "berth is read-only."
    elif config.host(host).read_only:
        why = f"host {host} is read-only."
    if why and not quiet:
        screen.notify(why, markup=False, timeout=4)
    return bool(why)


def removable(row: TreeLine) -> bool:
    """Whether a row is something that can be removed at all."""
    return row.kind in ("folder", "file", "link", "other")


def prune(screen: DiskScreen, looking: Looking, kind: str = "") -> None:
    """Choose what goes; the preview is a page, and asks. `kind`: only what is of that kind."""
    from tui.dialogs import Choose

    options = [(key, Content(text)) for key, (of, text, _) in PRUNES.items() if not kind or of == kind]

    def chosen(key: Any) -> None:
        if key is not None:
            _begin(screen, looking, "disk-prune", {"host": (looking.host,), **PRUNES[key][2]})

    screen.app.push_screen(Choose(f"Prune on {printable(looking.host, 60)}", options), chosen)


def remove(screen: DiskScreen, looking: Looking, rows: Sequence[TreeLine]) -> None:
    """Remove these; what goes with them is weighed and asked about first."""
    paths = tuple(f"{looking.host}:{looking.whole_path(row)}" for row in rows if removable(row))
    if paths:
        _begin(screen, looking, "disk-remove", {"folder": paths, "sudo": looking.sudo})


def notify(screen: DiskScreen, looking: Looking, users: Sequence[str]) -> None:
    """Choose by which way users are told; what they are told is shown before it is sent."""
    from tui.dialogs import Choose

    options = [
        ("write", Content("write to their terminals")),
        ("file", Content("leave a file on the host for each")),
        ("wall", Content("write to everybody's terminals")),
    ]
    if screen.berth.config.settings.disk.notify:
        program = printable(screen.berth.config.settings.disk.notify[0], 60)
        options.append(("command", Content(f"run {program} for each")))

    def chosen(way: Any) -> None:
        if way is not None:
            given = {"host": f"{looking.host}:{looking.path}", "way": way, "sudo": looking.sudo}
            _begin(screen, looking, "disk-notify", {**given, **({"user": tuple(users)} if users else {})})

    whom = ", ".join(users) or "who holds the most"
    screen.app.push_screen(Choose(printable(f"Tell {whom}", 80), options), chosen)


def _begin(screen: DiskScreen, looking: Looking, name: str, options: Mapping[str, Any]) -> None:
    """Do it on a page of its own; look again at its end."""
    from tui.output import OutputScreen

    doing = screen.berth.doing
    if doing is None or refused(screen, looking.host):
        return
    run = doing.begin(name, options)
    screen.app.push_screen(OutputScreen(run))
    if run.task is not None:
        run.task.add_done_callback(lambda _: _ended(screen, looking, name, run))


def _ended(screen: DiskScreen, looking: Looking, name: str, run: Run) -> None:
    if screen.looking is not looking or not screen.is_attached or name == "disk-notify":
        return
    if run.result is None or run.result.cancelled:
        return
    looking.disks_again()
    if name == "disk-prune":
        looking.count()
        return
    screen.entries.clear_marks()
    looking.walk(looking.path, fresh=True)
