"""Write what an importer found: new contexts as files, new hosts into hosts.yaml, nothing replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from backend import atomic
from backend.config import LOCAL, Config, load
from backend.config.values import name_problem
from backend.contexts import files
from backend.errors import BerthError, ConfigError
from backend.imports.draft import HostDraft, Imported

HOSTS = "hosts.yaml"


class Applied(Struct, frozen=True, kw_only=True):
    """What was written, and what was not."""

    hosts: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def apply(config: Config, found: Imported) -> Applied:
    """Write all of it that is new. What exists already stays as it is and is named in the notes."""
    notes = list(found.notes)
    hosts = [draft for draft in found.hosts if _is_new(config, draft, notes)]
    if hosts:
        add_hosts(config.directory / HOSTS, hosts)
        config = load(config.directory)
    contexts: list[str] = []
    for draft in found.contexts:
        if any(context.name == draft.name for context in config.contexts):
            notes.append(f"{draft.source}: a context {draft.name} exists already, left as it is.")
            continue
        try:
            files.new(config, draft.name, f"# from {draft.source}\n{files.render(draft.values)}")
            contexts.append(draft.name)
        except BerthError as error:
            notes.append(f"{draft.source}: not written: {error}")
    return Applied(hosts=tuple(each.name for each in hosts), contexts=tuple(contexts), notes=tuple(notes))


def _is_new(config: Config, draft: HostDraft, notes: list[str]) -> bool:
    if draft.name == LOCAL or name_problem(draft.name):
        notes.append(f"{draft.source}: {draft.name[:60]!r} cannot be the name of a host, left out.")
        return False
    if any(host.name == draft.name for host in config.hosts):
        notes.append(f"{draft.source}: a host {draft.name} exists already, left as it is.")
        return False
    return True


def add_hosts(file: Path, drafts: list[HostDraft]) -> None:
    """Add hosts to a hosts.yaml, comments and all else untouched.

    Raises `ConfigError` with the lines to add by hand where the file is written in a way that cannot be added
    to safely (flow style); it is left as it was then.
    """
    try:
        before = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        before = ""
    after = _with(before, {draft.name: draft.values for draft in drafts})
    if after is None:
        wanted = _dump({draft.name: draft.values for draft in drafts}, 2)
        raise ConfigError(
            f"{file}: hosts cannot be added to it by berth.", hint=f"Add below `hosts:`\n{wanted}"
        )
    atomic.write(file, after)
    try:
        load(file.parent)
    except ConfigError:
        if before:
            atomic.write(file, before)
        else:
            file.unlink()
        raise


def _with(text: str, entries: dict[str, dict[str, Any]]) -> str | None:
    """`text` with entries at the end of its `hosts` mapping; None where that is not safe."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader) if text.strip() else None
    except (yaml.YAMLError, RecursionError):
        return None
    if root is None:
        return f"{text}hosts:\n{_dump(entries, 2)}"
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return None
    for key, value in root.value:
        if key.value != "hosts":
            continue
        if not isinstance(value, yaml.MappingNode) or value.flow_style or not value.value:
            return None
        lines = text.splitlines(keepends=True)
        last = value.value[-1][1]
        at = _line_after(last, lines)
        if lines and not lines[at - 1].endswith("\n"):
            lines[at - 1] += "\n"
        lines.insert(at, _dump(entries, value.value[0][0].start_mark.column))
        return "".join(lines)
    return f"{text if text.endswith(chr(10)) else text + chr(10)}hosts:\n{_dump(entries, 2)}"


def _line_after(node: Any, lines: list[str]) -> int:
    """Index of the line after a node, comments and empty lines behind it not counted to it."""
    at = min(int(node.end_mark.line) + (1 if node.end_mark.column else 0), len(lines))
    while at > 1 and (not lines[at - 1].strip() or lines[at - 1].lstrip().startswith("#")):
        at -= 1
    return at


def _dump(entries: dict[str, dict[str, Any]], indent: int) -> str:
    import yaml

    text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
    return "".join(" " * indent + line for line in text.splitlines(keepends=True))
