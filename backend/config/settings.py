"""`settings.yaml`: how the dashboard looks and behaves. The one file that berth also writes by itself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from backend.config.schema import DiskSettings, Folders, ImageSettings, Notify, Settings
from backend.config.values import (
    Value,
    choice,
    content,
    flag,
    line,
    list_of,
    local_path,
    mapping_of,
    name,
    number,
    open_file,
    quoted,
    word,
)
from backend.errors import ConfigError

FILE = "settings.yaml"
_HEADER = "# Settings of berth. What is not written here has its default.\n"


def read_settings(path: Path) -> Settings:
    """The settings of that file; all defaults when it is missing or empty."""
    value = open_file(path)
    return Settings() if value is None else Settings(**value.fields(_SETTINGS))


def save_settings(directory: Path, settings: Settings) -> None:
    """Write what differs from the defaults to settings.yaml in `directory`, in one step, mode 0600.

    A file that cannot be read as settings now (somebody is in the middle of editing it) is left alone and the
    `ConfigError` about it is raised. A link is followed: the file it points to is the one replaced.
    """
    from backend import atomic

    path = directory / FILE
    read_settings(path)
    defaults = msgspec.to_builtins(Settings())
    changed = {key: value for key, value in msgspec.to_builtins(settings).items() if value != defaults[key]}
    try:
        atomic.write(Path(os.path.realpath(path)), _HEADER + _dump(changed))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}.") from None


def change_settings(directory: Path, **changes: Any) -> Settings:
    """Change these settings and keep what the file says of the others; the settings as they are then.

    For a dashboard that runs while somebody edits the file: only what was changed here is written.
    """
    settings = msgspec.structs.replace(read_settings(directory / FILE), **changes)
    save_settings(directory, settings)
    return settings


def _dump(values: dict[str, Any]) -> str:
    import yaml

    if not values:
        return ""
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return text


def _keys(value: Value) -> tuple[str, ...]:
    """Keys of one action: a list, or one text with commas as Textual writes them."""
    written = list_of(word)(value) if value.node.text is None else value.text.replace(" ", "").split(",")
    if not all(key.isprintable() for key in written):
        raise value.fail(f"{quoted(value.text)} holds control characters.", hint="Write names: `ctrl+k`.")
    return tuple(key for key in written if key)


def _sort(value: Value) -> str:
    """A column, or `-column` for descending."""
    text = value.text
    if not text.lstrip("-") or text.startswith("--") or not text.isprintable() or " " in text:
        raise value.fail(f"{quoted(text)} is no column.", hint="Write `column`, or `-column` for descending.")
    return text


def package(value: Value) -> str:
    """A package's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,99}", value.text, re.ASCII):
        raise value.fail(f"{quoted(value.text)} cannot be a package's name.")
    return value.text


def _git(value: Value) -> dict[str, str]:
    """Keys of git with their values: `pull.rebase: true`."""
    found = mapping_of(line)(value)
    for key in found:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*(\..+)?\.[A-Za-z][A-Za-z0-9-]*", key, re.ASCII):
            raise value.fail(f"{quoted(key)} is no key of git.", hint="Write `section.key: value`.")
    return found


_FOLDERS: dict[str, Callable[[Value], Any]] = {"mirror": name, "shared": name, "sharedump": name}


def _folders(value: Value) -> Folders:
    found = Folders(**value.fields(_FOLDERS))
    if len({found.mirror, found.shared, found.sharedump}) < 3:
        raise value.fail("two of the folders have one name.")
    return found


def _maintainer(value: Value) -> str:
    """The first part of an image's name."""
    if not re.fullmatch(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*", value.text) or len(value.text) > 100:
        hint = "Lower case letters and digits are, with . _ and - between them."
        raise value.fail(f"{quoted(value.text)} cannot be part of an image's name.", hint=hint)
    return value.text


_IMAGES: dict[str, Callable[[Value], Any]] = {
    "roots": list_of(lambda value: str(local_path(value))),
    "maintainer": _maintainer,
    "jobs": lambda value: int(number(1, 64)(value)),
    "stop_when_lost": flag,
}
_NOTIFY: dict[str, Callable[[Value], Any]] = {
    "jobs": choice("mine", "all", "none"),
    "states": list_of(choice("running", "completed", "failed", "timeout", "cancelled")),
    "ways": list_of(choice("toast", "terminal", "tmux")),
    "command": list_of(content),
}


def _notify(value: Value) -> Notify:
    found = Notify(**value.fields(_NOTIFY))
    if found.command and not found.command[0].strip():
        raise value.fail("command: names no program.", hint="Write a list: [notify-me, --from, berth].")
    return found


def _commands(value: Value) -> Any:
    from backend.config.commands import read_commands  # few have any: no start waits for it

    return read_commands(value)


def _message_file(value: Value) -> str:
    text = line(value)
    if not text.startswith("/") or "{user}" not in text:
        raise value.fail(
            f"{quoted(text)} cannot be where messages are left.", hint="Write a whole path with {user} in it."
        )
    return text


_DISK: dict[str, Callable[[Value], Any]] = {"notify": list_of(content), "file": _message_file}


_SETTINGS: dict[str, Callable[[Value], Any]] = {
    "theme": word,
    "keys": mapping_of(_keys),
    "interval": number(0.5, 60),
    "columns": mapping_of(list_of(word)),
    "sort": mapping_of(_sort),
    "read_only": flag,
    "notifications": flag,
    "notify": _notify,
    "terminal": choice("auto", "here", "window", "pane", "popup"),
    "images": lambda value: ImageSettings(**value.fields(_IMAGES)),
    "folders": _folders,
    "packages": list_of(package),
    "git": _git,
    "tools": list_of(package),
    "disk": lambda value: DiskSettings(**value.fields(_DISK)),
    "commands": _commands,
}
