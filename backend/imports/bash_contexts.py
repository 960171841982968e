"""container-juggle's `mirror/context/*.bash` and hosts.yaml. The scripts are parsed, never executed.

A context file is a list of `export name=value` lines: contextname, username, container_name, image_id,
hostname, hostnick, sshport. How a container is created stands in its start.bash for all contexts alike;
those defaults (mounts, shared memory, ptrace, host network, a command that keeps it alive) come along.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from backend.errors import ConfigError
from backend.imports.draft import ContextDraft, HostDraft, Imported

DEFAULTS: dict[str, Any] = {
    "gpus": "all",
    "shm_size": "64G",
    "network": "host",
    "mounts": ["~/shared:/root/shared", "~/sharedump:/root/sharedump"],
    "env": {"JUPYTER_PORT": "9999"},
    "command": ["tail", "-f", "/dev/null"],
    "options": {"cap_add": ["SYS_PTRACE"], "security_opt": ["seccomp=unconfined"]},
}
_EXPORT = re.compile(r"\s*(?:export|declare\s+-x)\s+([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_KNOWN = {"contextname", "username", "container_name", "image_id", "hostname", "hostnick", "sshport"}
_HARMLESS = re.compile(r"\s*(#.*|echo\b.*|)$")


def read(path: Path, host: str | None = None) -> Imported:
    """Read one context file, or a folder of them (`mirror`, `mirror/context` or what holds `mirror`).

    `host` is not used: every context names its own. Raises `ConfigError` where there is nothing to read.
    """
    folder = next(
        (each for each in (path / "mirror" / "context", path / "context", path) if each.is_dir()), path.parent
    )
    files = [path] if path.is_file() else sorted(folder.glob("*.bash"))
    if not files:
        raise ConfigError(f"{path}: no context files (*.bash) here.", hint="Name the folder mirror/context.")
    hosts, notes = _hosts(folder / "hosts.yaml")
    contexts: list[ContextDraft] = []
    for file in files:
        values, problems = parse(file)
        notes += problems
        if not values.get("contextname") and not values.get("image_id"):
            notes.append(f"{file}: is a scaffold (it names no context and no image), passed over.")
            continue
        draft, problems = _context(file, values, hosts)
        notes += problems
        if draft is not None:
            contexts.append(draft)
    return Imported(hosts=tuple(hosts.values()), contexts=tuple(contexts), notes=tuple(notes))


def parse(file: Path) -> tuple[dict[str, str], list[str]]:
    """The exported names of a script that are plain values, and notes on all other lines."""
    values: dict[str, str] = {}
    notes: list[str] = []
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return {}, [f"{file}: cannot be read: {error.strerror}."]
    for number, line in enumerate(text.splitlines(), 1):
        match = _EXPORT.match(line)
        if match is None:
            if not _HARMLESS.match(line):
                notes.append(f"{file}:{number}: is no `export name=value`, left out: {line.strip()[:60]}")
            continue
        name, written = match.groups()
        try:
            words = shlex.split(written, comments=True)
        except ValueError as error:
            notes.append(f"{file}:{number}: {name}: {error}, left out.")
            continue
        value = words[0] if words else ""
        quoted = written.lstrip().startswith("'")
        if not quoted and re.search(r"[$`]", value.replace("$HOME", "")):
            notes.append(f"{file}:{number}: {name}: would have to be executed to be known, left out.")
            continue
        values[name] = value if quoted else value.replace("$HOME", "~")
        if len(words) > 1:
            notes.append(f"{file}:{number}: {name}: only the first word is its value, as in bash.")
    return values, notes


def _context(
    file: Path, values: dict[str, str], hosts: dict[str, HostDraft]
) -> tuple[ContextDraft | None, list[str]]:
    name = values.get("contextname") or file.stem
    notes = []
    if name != file.stem:
        notes.append(f"{file}: contextname is {name}, the file is {file.stem}: the file's name is taken.")
        name = file.stem
    missing = [key for key in ("image_id", "hostname") if not values.get(key)]
    if missing:
        return None, [*notes, f"{file}: {' and '.join(missing)} not set, passed over."]
    host = _host_of(file, values, hosts)
    extra = {key: value for key, value in values.items() if key not in _KNOWN}
    env = DEFAULTS["env"] | {key: value for key, value in extra.items() if value}
    fresh = {
        "host": host,
        "image": values["image_id"],
        "container": values.get("container_name") or name,
        **DEFAULTS,
        "env": env,
    }
    return ContextDraft(name=name, values=fresh, source=str(file)), notes


def _host_of(file: Path, values: dict[str, str], hosts: dict[str, HostDraft]) -> str:
    """The nick of the context's host: the one hosts.yaml has for it, or a new one."""
    address, nick = values["hostname"], values.get("hostnick") or ""
    port = int(values["sshport"]) if re.fullmatch("[0-9]{1,5}", values.get("sshport", "")) else 22
    for name, draft in hosts.items():
        same = draft.values.get("host") == address and draft.values.get("sshport", 22) == port
        if same or (nick and name == nick and draft.values.get("host") == address):
            return name
    name = nick or address
    while name in hosts:
        name = f"{name}-2"
    fresh: dict[str, Any] = {"host": address, "sshport": port}
    if values.get("username"):
        fresh["username"] = values["username"]
    hosts[name] = HostDraft(name=name, values=fresh, source=str(file))
    return name


def _hosts(file: Path) -> tuple[dict[str, HostDraft], list[str]]:
    import yaml

    if not file.is_file():
        return {}, []
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        user, entries = found.get("username"), found.get("hosts") or {}
        drafts = {}
        for name, values in entries.items():
            fresh = dict(values)
            if user and "username" not in fresh:
                fresh["username"] = user
            drafts[str(name)] = HostDraft(name=str(name), values=fresh, source=str(file))
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, OSError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        return {}, [f"{file}: cannot be read as hosts ({said}), passed over."]
    return drafts, []
