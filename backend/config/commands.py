"""`commands` in settings.yaml: actions of the user's own. `docs/everywhere.md` describes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from backend import placeholders
from backend.config.schema import OwnCommand, OwnParam
from backend.config.values import Value, choice, content, flag, line, list_of, prose, quoted
from backend.errors import UsageError

PLACES: dict[str, tuple[str, ...]] = {
    "host": placeholders.HOST,
    "container": (*placeholders.HOST, "container", "id", "image", "context"),
    "context": (*placeholders.HOST, "context", "container", "image"),
    "gpu": (*placeholders.HOST, "gpu", "uuid"),
    "job": (*placeholders.HOST, "job", "name", "container"),
    "image": (*placeholders.HOST, "image", "id"),
    "session": (*placeholders.HOST, "session"),
    "everywhere": placeholders.HOST,
}
"""What a command can be for, and the placeholders that it has then."""
INSIDE = ("container", "context", "job")
"""What has a container that a command can run in."""
_RESERVED = frozenset(
    {
        *(name for names in PLACES.values() for name in names),
        *("yes", "json", "config", "read_only", "help", "tag", "only", "targets", "action"),
        *("config_dir", "state_dir", "cache_dir"),
    }
)
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_WORD = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_KEY = re.compile(r"[A-Za-z0-9_]+(\+[A-Za-z0-9_]+)*")
_NEAR = 0.8
"""How alike a word in braces and a placeholder are where one was meant to be the other."""


def read_commands(value: Value) -> dict[str, OwnCommand]:
    """All commands by name."""
    found: dict[str, OwnCommand] = {}
    keys: dict[tuple[str, str], str] = {}
    for key, item in value.mapping().items():
        if not _NAME.fullmatch(key) or len(key) > 40:
            raise item.fail(
                f"{quoted(key)} cannot be a command's name.", hint="Lower case letters, digits and `-` can."
            )
        own = found[key] = _command(item)
        if own.key and (other := keys.setdefault((own.on, own.key), key)) != key:
            raise item.fail(f"{own.key!r} is the key of both {other!r} and {key!r}.")
    return found


def _command(value: Value) -> OwnCommand:
    got = value.fields(_COMMAND)
    if not got.get("command"):
        raise value.fail("`command` is missing.", hint="Write `command: uptime`.")
    on = got.setdefault("on", "host")
    got.setdefault("runs", "container" if on in ("container", "context") else "host")
    own = OwnCommand(**got)
    _check(value, own)
    return own


def _check(value: Value, own: OwnCommand) -> None:
    if own.runs == "container" and own.on not in INSIDE:
        raise value.fail(
            f"runs: {own.on} has no container to run in.", hint="Write `runs: host` or `runs: laptop`."
        )
    if own.show == "terminal" and own.on == "everywhere":
        raise value.fail("show: there is one terminal, and many hosts.", hint="Write `show: page`.")
    secrets = [name for name, param in own.params.items() if param.type == "secret"]
    if secrets and own.show == "terminal" and own.runs != "laptop":
        raise value.fail(
            f"params: the secret {secrets[0]!r} would stand among the arguments of a terminal's command.",
            hint="Let the command ask for it.",
        )
    texts = own.texts
    names = {*PLACES[own.on], *own.params}
    for word in (match[1] for text in texts for match in _WORD.finditer(text)):
        near = get_close_matches(word, names, n=1, cutoff=_NEAR)
        if word not in names and near:
            raise value.fail(
                f"command: {{{word}}} is no placeholder.",
                hint=f"Did you mean {{{near[0]}}}? Write {{{{{near[0]}}}}} for the word itself.",
            )
    if secrets and not isinstance(own.command, str) and placeholders.used(texts, secrets):
        raise value.fail(
            f"command: the secret {secrets[0]!r} would stand among the arguments of a program.",
            hint=f"Let it read {placeholders.variable(secrets[0])} from its environment.",
        )
    if isinstance(own.command, str):
        try:
            placeholders.line(own.command, names)
        except UsageError as error:
            raise value.fail(f"command: {error.message}", hint=error.hint) from None


def _words(value: Value) -> str | tuple[str, ...]:
    """One text is a line for a shell, a list a program and its arguments."""
    if value.node.text is not None:
        text = content(value).strip()
        if "\n" in text:
            raise value.fail("holds several lines.", hint="Join them with `;`, or with `&&`.")
        return text
    words = list_of(content)(value)
    if not words or not words[0].strip():
        raise value.fail("names no program.")
    return words


def _key(value: Value) -> str:
    text = value.text
    if not _KEY.fullmatch(text) or len(text) > 40:
        raise value.fail(f"{quoted(text)} is no key.", hint="Write a letter, or a name: ctrl+t, f5, at.")
    return text


def _params(value: Value) -> Mapping[str, OwnParam]:
    found = {}
    for key, item in value.mapping().items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", key) or key in _RESERVED:
            why = "has a meaning already." if key in _RESERVED else "cannot be a parameter's name."
            raise item.fail(f"{quoted(key)} {why}", hint="Lower case letters, digits and `_` can be.")
        found[key] = _param(item)
    return found


def _param(value: Value) -> OwnParam:
    got = value.fields(_PARAM)
    if got.get("choices"):
        got.setdefault("type", "choice")
    param = OwnParam(**got)
    if (param.type == "choice") != bool(param.choices):
        raise value.fail("`type: choice` and `choices` belong together.")
    if param.default is not None:
        if param.type == "secret":
            raise value.fail("default: a secret has none.", hint="It is asked for each time.")
        if param.type == "int" and not re.fullmatch(r"-?[0-9]{1,18}", param.default, re.ASCII):
            raise value.fail(f"default: {quoted(param.default)} is not a whole number.")
        if param.choices and param.default not in param.choices:
            raise value.fail(f"default: {quoted(param.default)} is none of the choices.")
    return param


_PARAM: dict[str, Callable[[Value], Any]] = {
    "type": choice("text", "int", "choice", "path", "secret"),
    "default": lambda value: value.text if not value.text else line(value),
    "choices": list_of(line),
    "description": prose,
}
_COMMAND: dict[str, Callable[[Value], Any]] = {
    "command": _words,
    "on": choice(*PLACES),
    "runs": choice("laptop", "host", "container"),
    "show": choice("page", "background", "terminal"),
    "key": _key,
    "description": prose,
    "danger": flag,
    "reads": flag,
    "params": _params,
}
