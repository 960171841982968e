"""`contexts/NAME.yaml`: a host, an image, a container, and how to run it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backend.config.schema import Context, HostConfig, RuntimeOptions
from backend.config.services import services, tunnel
from backend.config.values import (
    Value,
    choice,
    content,
    did_you_mean,
    flag,
    line,
    list_of,
    local_path,
    mapping_of,
    name,
    name_problem,
    number,
    open_file,
    port,
    quoted,
    size,
    word,
)
from backend.errors import ConfigError

_CONTAINER = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
_CPUSET = r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*"
_ULIMIT = r"-?[0-9]+(:-?[0-9]+)?"


def read_contexts(folder: Path, hosts: Sequence[HostConfig]) -> tuple[Context, ...]:
    """All contexts of the folder, by name. Hidden files and editors' copies are passed over."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be listed: {error.strerror or error}.") from None
    for path in paths:
        if path.suffix == ".yml":
            raise ConfigError(f"{path}: would be passed over.", hint=f"Rename it to {path.stem}.yaml.")
    return tuple(_read(path, hosts) for path in paths if path.suffix == ".yaml")


def _read(path: Path, hosts: Sequence[HostConfig]) -> Context:
    if problem := name_problem(path.stem):
        raise ConfigError(f"{path}: the name {quoted(path.stem)} {problem}", hint="Rename the file.")
    value = open_file(path)
    if value is None:
        raise ConfigError(f"{path}: is empty.", hint="Write at least `host: NAME` and `image: NAME`.")
    got = value.fields(_CONTEXT)
    for key in ("host", "image"):
        if key not in got:
            raise value.fail(f"`{key}` is missing.", hint=f"Write `{key}: NAME`.")
    known = [host.name for host in hosts]
    if got["host"] not in known:
        raise value.mapping()["host"].fail(
            f"no host is called {quoted(got['host'])}.",
            hint=f"{did_you_mean(got['host'], known)}Hosts: {', '.join(known) or 'none'}.",
        )
    if "container" not in got and not re.fullmatch(_CONTAINER, path.stem, re.ASCII):
        raise value.fail(
            f"the container cannot be called {quoted(path.stem)} like the context.",
            hint="Write `container: NAME`: two or more letters, digits, `_`, `.` and `-`.",
        )
    return Context(name=path.stem, **{"container": path.stem, **got})


def _container(value: Value) -> str:
    text = word(value)
    if not re.fullmatch(_CONTAINER, text, re.ASCII):
        raise value.fail(
            f"{quoted(text)} cannot be a container's name.",
            hint="Two or more letters, digits, `_`, `.` and `-`, the first a letter or a digit.",
        )
    return text


def _command(value: Value) -> tuple[str, ...]:
    """A list of words, or one text that is split as a shell splits words (and expanded as none does)."""
    if value.node.text is None:
        return list_of(content)(value)
    try:
        return tuple(shlex.split(content(value)))
    except ValueError as error:
        raise value.fail(f"{quoted(value.text)} cannot be split into words: {error}.") from None


def _port(value: Value) -> str:
    """`[address:]port[:port][/protocol]` with everything that was left out filled in."""
    from ipaddress import ip_address

    text, slash, protocol = value.text.partition("/")
    protocol = protocol if slash else "tcp"
    bracketed = re.fullmatch(r"\[([^\]]*)\]:(.*)", text)
    address, ports = bracketed.groups() if bracketed else ("127.0.0.1", text)
    if not bracketed and text.count(":") == 2:
        address, _, ports = text.partition(":")
    outer, _, inner = ports.partition(":")
    try:
        ip_address(address)
        numbers = [
            port(Value(value.source, value.key, value.node.scalar(part))) for part in (outer, inner or outer)
        ]
        if protocol not in ("tcp", "udp", "sctp"):
            raise ValueError
    except (ValueError, ConfigError):
        raise value.fail(
            f"{quoted(value.text)} is not a port mapping.",
            hint='Write "8888", "8888:80", "0.0.0.0:8888:80" or "8888:80/udp"; ports are 1-65535.',
        ) from None
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{numbers[0]}:{numbers[1]}/{protocol}"


def _mount(value: Value) -> str:
    text = line(value)
    source, _, rest = text.partition(":")
    target, colon, options = rest.partition(":")
    named = re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", source, re.ASCII)
    if (
        not (named or source.startswith(("/", "~")))
        or not target.startswith("/")
        or (colon and not re.fullmatch("[A-Za-z]+(,[A-Za-z]+)*", options, re.ASCII))
    ):
        raise value.fail(
            f"{quoted(text)} is not a mount.",
            hint="Write `/path/on/host:/path/inside`, `volume:/path/inside`, and `:ro` for read-only.",
        )
    return text


def _gpus(value: Value) -> str | int | tuple[str, ...] | None:
    if value.node.items is not None:
        return list_of(word)(value) or None
    text = value.text
    if text == "all":
        return text
    if not re.fullmatch("[0-9]{1,3}", text, re.ASCII):
        raise value.fail(
            f"{quoted(text)} does not say which GPUs.",
            hint="Write `all`, how many (`2`), or a list of indices or UUIDs (`[0, 3]`).",
        )
    return int(text) or None


def _cpuset(value: Value) -> str:
    text = value.text.replace(" ", "")
    if text != "auto" and not re.fullmatch(_CPUSET, text, re.ASCII):
        raise value.fail(f"{quoted(text)} is no set of CPUs.", hint="Write `auto`, or numbers like `0-7,16`.")
    return text


def _ulimit(value: Value) -> str:
    if not re.fullmatch(_ULIMIT, value.text, re.ASCII):
        raise value.fail(
            f"{quoted(value.text)} is no limit.", hint="Write `soft` or `soft:hard`, -1 for none."
        )
    return value.text


def _absolute(value: Value) -> str:
    if not line(value).startswith("/"):
        raise value.fail(f"{quoted(value.text)} is not a full path.", hint="Start it with `/`.")
    return value.text


_OPTIONS: dict[str, Callable[[Value], Any]] = {
    "runtime": word,
    "ipc": word,
    "pid": word,
    "hostname": word,
    "restart": word,
    "privileged": flag,
    "init": flag,
    "cap_add": list_of(word),
    "cap_drop": list_of(word),
    "security_opt": list_of(word),
    "devices": list_of(_absolute),
    "group_add": list_of(word),
    "ulimits": mapping_of(_ulimit),
    "labels": mapping_of(content),
    "sysctls": mapping_of(line),
}

_CONTEXT: dict[str, Callable[[Value], Any]] = {
    "host": name,
    "image": word,
    "container": _container,
    "user": word,
    "shell": line,
    "command": _command,
    "workdir": _absolute,
    "ports": list_of(_port),
    "mounts": list_of(_mount),
    "gpus": _gpus,
    "cpus": number(0.01, 10_000),
    "cpuset": _cpuset,
    "memory": size,
    "shm_size": size,
    "env": mapping_of(content),
    "env_file": local_path,
    "network": word,
    "options": lambda value: RuntimeOptions(**value.fields(_OPTIONS)),
    "profile": choice("tuned", "raw"),
    "sync": name,
    "services": services,
    "tunnels": list_of(tunnel),
}
