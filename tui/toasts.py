"""Toasts that say the same while one of them is still there are one toast that counts."""

from __future__ import annotations

from collections.abc import Iterable

from textual.notifications import Notification


class Folding:
    """Remembers how often the toasts that are on the screen were told."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, int]] = {}
        """Identity of a toast to its own title and how often it was told."""

    def fold(self, new: Notification, shown: Iterable[Notification]) -> bool:
        """Count `new` in the one of `shown` that says the same; False: there is none, it has to be shown."""
        alive = {each.identity: each for each in shown if not each.has_expired}
        self._told = {identity: told for identity, told in self._told.items() if identity in alive}
        for identity, each in alive.items():
            title, count = self._told.get(identity, (each.title, 1))
            if (title, each.message, each.severity) == (new.title, new.message, new.severity):
                self._told[identity] = title, count + 1
                each.title = f"{title} ({count + 1} times)".lstrip()
                return True
        return False
