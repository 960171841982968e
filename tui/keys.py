"""Keys can be remapped: settings name an action, Textual's keymap wants a checked binding id. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from textual.binding import Binding
from textual.keys import _normalize_key_list

from backend.errors import ConfigError

NO_KEY = "no-key-"
"""What an action without any key is bound to: no terminal sends it."""


def bindings_of(owner: type[Any]) -> list[Binding]:
    """The bindings that a class declares itself, one per key."""
    return list(Binding.make_bindings(vars(owner).get("BINDINGS", ())))


Owner = type[Any] | Sequence[Binding]
"""A class that declares bindings, or bindings that come from elsewhere (what can be done to rows)."""


_BERTHS = frozenset({"ctrl+c", "ctrl+q", "ctrl+p"})
"""Keys that mean the same on every screen."""


def keymap(
    keys: Mapping[str, Sequence[str]], scopes: Iterable[Sequence[Owner]], *, own: Collection[str] = ()
) -> dict[str, str]:
    """Textual's keymap for the `keys` of settings.yaml: binding id to its keys, joined by commas.

    Each of `scopes` lists whose bindings are active at the same time. `ConfigError` names an id that is none,
    and both actions where a changed key, or one of the user's `own` actions, is already taken.
    """
    declared = [
        [binding for owner in scope for binding in (bindings_of(owner) if isinstance(owner, type) else owner)]
        for scope in scopes
    ]
    known = {binding.id for scope in declared for binding in scope if binding.id}
    for name in keys:
        if name not in known:
            raise ConfigError(
                f"settings.yaml: keys: no action is called {name!r}.",
                hint="Actions: " + ", ".join(sorted(known)) + ".",
            )
    chosen = {
        name: _normalize_key_list(",".join(given)) if given else NO_KEY + name for name, given in keys.items()
    }
    for scope in declared:
        _check(scope, chosen, own)
    return chosen


def _check(scope: Sequence[Binding], chosen: Mapping[str, str], own: Collection[str]) -> None:
    """Refuse a key that two actions of one scope have, if settings brought it there."""
    taken: dict[str, str] = {}
    for binding in scope:
        name = binding.id or binding.action
        keys = chosen.get(name, _normalize_key_list(binding.key)).split(",")
        for key in keys:
            other = taken.setdefault(key, name)
            if other != name and {other, name} & (chosen.keys() | own):
                raise ConfigError(
                    f"settings.yaml: keys: {key!r} is the key of both {other!r} and {name!r}.",
                    hint="Give one of them another key, or none: `[]`.",
                )
            if name in own and key in _BERTHS:
                raise ConfigError(
                    f"settings.yaml: keys: {key!r} of {name!r} means something else everywhere.",
                    hint="Give it another key.",
                )


def is_shown(key: str) -> bool:
    """Whether a key exists on keyboards: actions without any key are bound to names that do not."""
    return not key.startswith(NO_KEY)
