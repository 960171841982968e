"""Argparse with berth's own help and with errors that say what to do."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any, NoReturn

from backend.text import printable


class Parser(argparse.ArgumentParser):
    """A parser of berth or of one verb."""

    groups: list[tuple[str, str, str]] = []  # noqa: RUF012  # set anew on the one that has some
    """Group, name and one line of each verb; for berth itself."""
    end = ""
    """What stands at the end of its help; `{directory}` is that of the configuration."""

    def format_help(self) -> str:
        """The help; that of `berth` itself looks up where the configuration is."""
        from backend import helptext
        from backend.examples import EXAMPLES, GENERAL
        from backend.manual import chapters, page

        found = page(self)
        if found.words:
            return helptext.verb(found, EXAMPLES.get(" ".join(found.words), ()), helptext.width())
        from backend.config import config_dir

        end = self.end.format(directory=config_dir())
        return helptext.root(found, chapters(self.groups), GENERAL, end, helptext.width())

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        """A verb names what it does not know itself: the way out is its own help, not that of all."""
        found, unknown = super().parse_known_args(*args, **kwargs)
        if unknown and self._subparsers is None:
            near = nearest(unknown[0].partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}.{_meant(near)}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            near = nearest(value, action.choices)
            self.error(f"{self.prog} has no verb {value!r}.{_meant(near)}")
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        """Usage errors end with 2, like errors of the configuration."""
        if message.endswith(" required: VERB") and self._subparsers is not None:
            below = self._subparsers._group_actions[0].choices or ()
            message = f"{self.prog} needs a verb: {', '.join(map(str, below))}"
        if "arguments are required" in message and any(isinstance(each, Listed) for each in self._actions):
            message += ". They stand before --host: what follows it are hosts"
        self.exit(2, f"berth: {printable(message)}\nTry: {self.prog} --help\n")


REPEATED = "several with spaces or commas, or repeatedly"
"""How `Listed` takes several."""


class Listed(argparse.Action):
    """`--host a b`, `--host a,b`, `--host a --host b`: one list, whichever way it is said."""

    def __init__(self, option_strings: list[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, nargs="+", **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, *_: Any) -> None:
        """Add what was said this time."""
        before = getattr(namespace, self.dest, None) or []
        said = [word.strip() for value in values for word in str(value).split(",")]
        setattr(namespace, self.dest, [*before, *(word for word in said if word)])


def nearest(word: str, known: Iterable[str]) -> str:
    """The one that was probably meant; empty: none is near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def _meant(near: str) -> str:
    return f" Did you mean {near!r}?" if near else ""


class Version(argparse.Action):
    """--version, looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it and end."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("berth")
        except PackageNotFoundError:
            number = "(not installed)"
        print(f"berth {number}")
        parser.exit()
