"""What was typed in forms whose action came to nothing: the next form of the same starts with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.actions.runner import label

if TYPE_CHECKING:
    from backend.actions.registry import Action
    from backend.actions.runs import Run


class Typed:
    """The latest runs that began with a form, by what was done to which targets."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, ...], list[Run]] = {}

    def keep(self, action: Action, targets: Sequence[Any], runs: Sequence[Run]) -> None:
        """These runs were begun with what a form said."""
        self._runs[_key(action, targets)] = list(runs)

    def take(self, action: Action, targets: Sequence[Any]) -> dict[str, Any]:
        """What the form said, once, where one of its runs came to nothing. Secrets are typed anew."""
        runs = self._runs.get(_key(action, targets), [])
        results = [run.result for run in runs]
        if None in results:
            return {}  # how it ends is not known yet
        self._runs.pop(_key(action, targets), None)
        if all(result is None or result.ok for result in results):
            return {}
        secret = {param.name for param in action.params if param.option.secret or param.option.masked}
        return {name: value for name, value in runs[0].options.items() if name not in secret}


def _key(action: Action, targets: Sequence[Any]) -> tuple[str, ...]:
    return (action.name, *map(label, targets))
