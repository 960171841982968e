"""`hosts.yaml`: which machines there are and how to reach them. A superset of container-juggle's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backend.config.schema import LOCAL, HostConfig
from backend.config.values import (
    Value,
    choice,
    flag,
    line,
    list_of,
    local_path,
    name_problem,
    number,
    open_file,
    port,
    prose,
    quoted,
    word,
)


def read_hosts(path: Path) -> tuple[HostConfig, ...]:
    """All hosts, this machine first unless the file leaves it out. Without a file: this machine alone."""
    value = open_file(path)
    top = {} if value is None else value.fields(_TOP)
    entries: Value | None = top.pop("hosts", None)
    here = _local(top) if top.pop("local", True) else ()
    if entries is None:
        return here
    return (*here, *(_host(nick, entry, top) for nick, entry in entries.mapping().items()))


def _local(top: Mapping[str, Any]) -> tuple[HostConfig, ...]:
    own = {key: top[key] for key in ("read_only", "disk_full", "disk_folders") if key in top}
    return (HostConfig(name=LOCAL, host=LOCAL, local=True, **own),)


def _host(nick: str, entry: Value, defaults: Mapping[str, Any]) -> HostConfig:
    if problem := name_problem(nick):
        raise entry.fail(f"the nick {quoted(nick)} {problem}")
    if nick == LOCAL:
        raise entry.fail(
            f"the nick {LOCAL!r} is this machine, no other host can have it.",
            hint="Choose another nick; `local: false` leaves this machine out.",
        )
    if entry.node.null:
        raise entry.fail("nothing is said about this host.", hint="Write at least `host: ADDRESS` below it.")
    own = entry.fields(_HOST)
    if "host" not in own:
        raise entry.fail("`host` is missing.", hint="Write `host: ADDRESS`, or a Host of ~/.ssh/config.")
    return HostConfig(name=nick, **{**defaults, **own})


def _address(value: Value) -> str:
    text = word(value)
    user, at, rest = text.rpartition("@")
    if at:
        raise value.fail(
            f"{quoted(text)} holds a user.", hint=f"Write `host: {rest}` and `username: {user}`."
        )
    if "/" in text:
        raise value.fail(f"{quoted(text)} is not an address.", hint="Write a name or an IP address alone.")
    if text.startswith("[") and text.endswith("]"):
        return text[1:-1]
    if text.count(":") == 1:
        host, _, number = text.partition(":")
        raise value.fail(
            f"{quoted(text)} holds a port.", hint=f"Write `host: {host}` and `sshport: {number}`."
        )
    return text


def _socket(value: Value) -> str:
    text = line(value).removeprefix("unix://")
    if not text.startswith("/"):
        raise value.fail(f"{quoted(text)} is not a path.", hint="Write the socket's full path on the host.")
    return text


def _folder(value: Value) -> str:
    text = line(value)
    if not text.startswith("/"):
        raise value.fail(f"{quoted(text)} is not a whole path.", hint="Write it from / on.")
    return text


_SHARED: dict[str, Callable[[Value], Any]] = {
    "username": word,
    "identity_file": local_path,
    "known_hosts": local_path,
    "read_only": flag,
    "disk_full": number(50, 100),
    "disk_folders": list_of(_folder),
}
"""Keys that stand at the top for all hosts, and in a host for itself."""

_TOP: dict[str, Callable[[Value], Any]] = {
    **_SHARED,
    "hosts": lambda value: value,
    "local": flag,
}

_HOST: dict[str, Callable[[Value], Any]] = {
    "host": _address,
    "sshport": port,
    **_SHARED,
    "type": prose,
    "arch": prose,
    "comment": prose,
    "skip": flag,
    "tags": list_of(word),
    "proxy_jump": word,
    "engine": choice("auto", "docker", "podman", "none"),
    "socket": _socket,
    "queue": choice("docker", "slurm", "none"),
}
