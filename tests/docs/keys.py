"""The tables of docs/keys.md, from the declared actions and from every widget that binds keys."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from textual.binding import Binding, BindingsMap
from textual.keys import format_key

import tui
from tui import doing
from tui.help import TEXTUALS
from tui.keys import bindings_of, is_shown
from tui.views import LISTED, view_class
from tui.views.base import ListView

_EVERYWHERE = ("Everywhere", "Lists")
"""Groups that hold in all views: the first table."""


def block(name: str) -> str:
    """One block of the page: `everywhere`, `views`, `screens`."""
    return {"everywhere": _everywhere, "views": _views, "screens": _screens}[name]()


def _everywhere() -> str:
    found = _groups()
    own = [binding for title in _EVERYWHERE for binding in found[title]]
    return _table([*own, *(each for each in doing.bindings(None) if is_shown(each.key))])


def _views() -> str:
    parts = []
    for listed in LISTED:
        kind = view_class(listed.name)
        parts += [f"### {listed.title} (`{listed.number}`)", "", _table(_of_view(kind)), ""]
    return "\n".join(parts).rstrip()


def _of_view(kind: type[ListView]) -> list[Binding]:
    """What the view binds itself, and what can be done to its rows, as the view arranges it."""
    view = object.__new__(kind)  # a real one wants an app and a fleet
    view._bindings = BindingsMap(bindings_of(kind))
    view.take_keys(doing.bindings(kind.ROW) if kind.ROW is not None else ())
    return [each for keys in view._bindings.key_to_bindings.values() for each in keys]


def _screens() -> str:
    parts = []
    for title, bindings in sorted(_groups().items()):
        if title not in _EVERYWHERE:
            parts += [f"### {title}", "", _table(bindings), ""]
    return "\n".join(parts).rstrip()


def _groups() -> dict[str, list[Binding]]:
    """Heading to the keys of all widgets and screens that have it, but those of list views."""
    found: dict[str, list[Binding]] = {}
    for kind in _classes():
        if "BINDINGS" in vars(kind) and not issubclass(kind, ListView):
            title = kind.BINDING_GROUP_TITLE
            if title is not None:
                found.setdefault(title, []).extend(bindings_of(kind))
    return found


def _classes() -> list[type[Any]]:
    """All classes of the screen that have a heading for their keys, in a fixed order."""
    found: dict[str, type[Any]] = {}
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(import_module(module.name)).values():
            if not isinstance(value, type) or value.__module__ != module.name:
                continue
            if getattr(value, "BINDING_GROUP_TITLE", None) or issubclass(value, ListView):
                found[f"{module.name}.{value.__qualname__}"] = value
    return [found[name] for name in sorted(found)]


def _table(bindings: Iterable[Binding]) -> str:
    return "\n".join(["| key | what | name | verb |", "|---|---|---|---|", *_rows(bindings)])


def _rows(bindings: Iterable[Binding]) -> Iterator[str]:
    """A row for each action, those with a key first; several keys of one stand together."""
    rows: dict[tuple[str, str], list[str]] = {}
    abouts: dict[tuple[str, str], str] = {}
    for binding in bindings:
        for each in Binding.make_bindings([binding]):
            name = each.id or each.action
            rows.setdefault((name, each.action), [])
            abouts[name, each.action] = each.description or TEXTUALS.get(each.action, "")
            if is_shown(each.key):
                rows[name, each.action].append(_key(each.key))
    for (name, action), keys in sorted(rows.items(), key=lambda row: not row[1]):
        found = doing.declared().get(name) if action.startswith("screen.do(") else None
        what = abouts[name, action] if found is None else found.summary.rstrip(".").replace("|", "\\|")
        verb = f"`berth {' '.join(found.verb)}`" if found is not None and found.verb else ""
        shown = " ".join(f"`{key}`" for key in keys)
        yield f"| {shown} | {what[:1].upper()}{what[1:]} | `{name}` | {verb} |".replace("``", "")


def _key(key: str) -> str:
    """As it is written in settings.yaml where that is readable, else the character."""
    shown = format_key(key)
    return key if len(shown) > 1 or not shown.isascii() else "\\|" if shown == "|" else shown
