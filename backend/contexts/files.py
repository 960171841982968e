"""The files of contexts: made, changed, thrown away and brought back. Nothing is ever lost by a mistake.

What is written is read first, by the same code that reads it later; a file that would be an error never
takes the place of one that is not. Every version that was replaced stays in the state directory, every
removed one in the folder `.trash` beside the contexts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from backend import atomic
from backend.config import Config, Context, state_dir
from backend.config.contexts import read_contexts
from backend.config.values import name_problem
from backend.errors import ActionFailed, ConfigError, NoSuchTarget, UsageError
from backend.lastcontext import FILE, last_context

FOLDER = "contexts"
TRASH = ".trash"
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_OLD_VERSIONS = 50
"""Replaced versions that are kept of one context."""

TEMPLATE = """\
# A context: a host, an image, a container, and how to run it. Every key: docs/configuration.md.
host: {host}
image: {image}
# container: {name}        # its name; default: the name of this file
# user: root               # who shells inside run as
# gpus: all                # all, how many, or which: [0, 1] or UUIDs
# cpuset: auto             # the CPUs beside its GPUs
# shm_size: 16G
# workdir: /root
# mounts:                  # ~ is the home on the host
#   - ~/shared:/root/shared
# ports:                   # bound to 127.0.0.1 of the host unless an address is given
#   - "9999:9999"
# env:
#   HF_HOME: /root/shared/hf
"""


class Version(Struct, frozen=True, kw_only=True):
    """One entry of a context's history."""

    at: datetime
    kind: Literal["replaced", "removed", "created"]
    """`replaced` and `removed`: a file as it was; `created`: a container was made by this command."""
    path: str
    summary: str = ""


def path_of(config: Config, name: str) -> Path:
    """Where the context of that name is, or would be. Raises `UsageError` for what cannot be a name."""
    if problem := name_problem(name):
        raise UsageError(f"the name {name[:40]!r} {problem}")
    if name.startswith("."):
        raise UsageError(f"the name {name[:40]!r} starts with a dot: the file would be hidden.")
    return config.directory / FOLDER / f"{name}.yaml"


def check(config: Config, name: str, text: str) -> Context:
    """What this text would be as a context. Raises `ConfigError` with the path it is meant for."""
    target = path_of(config, name)
    with tempfile.TemporaryDirectory(prefix="berth-") as folder:
        draft = Path(folder) / target.name
        draft.write_text(text, encoding="utf-8")
        try:
            (context,) = read_contexts(Path(folder), config.hosts)
        except ConfigError as error:
            message = error.message.replace(str(draft), str(target))
            raise ConfigError(message, hint=error.hint) from None
    return context


def render(values: Mapping[str, Any]) -> str:
    """The text of a context with these values, in the order of the template."""
    import yaml

    kept = {key: value for key, value in values.items() if value not in (None, (), [], {}, "")}
    text: str = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, default_flow_style=False)
    return text


def new(config: Config, name: str, text: str) -> Context:
    """Write a context that is not there yet. Raises `ActionFailed` where it is."""
    target = path_of(config, name)
    context = check(config, name, text)
    if target.exists():
        raise ActionFailed(f"a context {name} exists already.", hint=f"See: berth context show {name}")
    with _on_disk():
        atomic.write(target, text)
    return context


def change(config: Config, name: str, text: str) -> Context:
    """Put another text in the place of a context's; the old one goes to its history."""
    target = existing(config, name)
    context = check(config, name, text)
    before = text_of(config, name)
    if before != text:
        with _on_disk():
            _keep(name, "replaced", before)
            atomic.write(target, text)
    return context


def existing(config: Config, name: str) -> Path:
    """The file of a context. Raises `NoSuchTarget` where there is none."""
    target = path_of(config, name)
    if not target.is_file():
        config.context(name)  # raises, naming the ones there are
        raise NoSuchTarget(f"the context {name} has no file {target}.")
    return target


def text_of(config: Config, name: str) -> str:
    """What is written in the file of a context. Raises `NoSuchTarget`; `ConfigError` for no text."""
    file = existing(config, name)
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ConfigError(f"{file}: is no UTF-8 text.") from None


def remove(config: Config, name: str) -> Path:
    """Move a context's file to the trash; where it is now."""
    source = existing(config, name)
    trash = source.parent / TRASH
    target = trash / f"{name}@{datetime.now(UTC):{_STAMP}}.yaml"
    with _on_disk():
        trash.mkdir(mode=0o700, exist_ok=True)
        source.replace(target)
    if last_context() == name:
        forget()
    return target


def trashed(config: Config, name: str | None = None) -> list[Path]:
    """Files in the trash, newest first; of one context or of all."""
    found = (config.directory / FOLDER / TRASH).glob("*@*.yaml")
    wanted = [path for path in found if name is None or path.name.rpartition("@")[0] == name]
    return sorted(wanted, key=lambda path: path.name.rpartition("@")[2], reverse=True)


def restore(config: Config, name: str) -> Path:
    """Bring the last removed file of that name back; an error where there is none, or a new one instead."""
    target = path_of(config, name)
    versions = trashed(config, name)
    if not versions:
        there = ", ".join(names(trashed(config))) or "none"
        raise NoSuchTarget(f"no removed context is called {name}.", hint=f"In the trash: {there}.")
    if target.exists():
        raise ActionFailed(f"a context {name} exists again.", hint="Remove or rename that one first.")
    with _on_disk():
        check(config, name, versions[0].read_text(encoding="utf-8", errors="replace"))
        versions[0].replace(target)
    return target


# -------------------------------------------------------------------------------------------- history


def created(name: str, command: str) -> None:
    """Put on record which command made the context's container. It is made: a full disk is no failure."""
    with suppress(OSError):
        _keep(name, "created", command + "\n")


def history(config: Config, name: str) -> list[Version]:
    """What happened to a context, newest first."""
    versions = [_version(path) for path in _folder(name).glob("*.yaml")]
    for path in trashed(config, name):
        at = datetime.strptime(path.stem.rpartition("@")[2], _STAMP).replace(tzinfo=UTC)
        versions.append(Version(at=at, kind="removed", path=str(path)))
    return sorted((each for each in versions if each), key=lambda each: each.at, reverse=True)


def _version(path: Path) -> Version | None:
    stamp, _, kind = path.stem.rpartition("-")
    with suppress(ValueError, OSError):
        at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
        if kind == "created":
            return Version(at=at, kind="created", path=str(path), summary=path.read_text().strip()[:2000])
        return Version(at=at, kind="replaced", path=str(path))
    return None


@contextmanager
def _on_disk() -> Iterator[None]:
    """A disk that is full or read-only is no bug."""
    try:
        yield
    except OSError as error:
        raise ActionFailed(f"{error.filename or 'the disk'}: {error.strerror or error}.") from None


def _folder(name: str) -> Path:
    return state_dir() / "contexts" / name


def _keep(name: str, kind: str, text: str) -> None:
    folder = _folder(name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    atomic.write(folder / f"{datetime.now(UTC):{_STAMP}}-{kind}.yaml", text)
    for path in sorted(folder.glob("*.yaml"))[:-_OLD_VERSIONS]:
        path.unlink(missing_ok=True)


# ----------------------------------------------------------------------------------------------- last


def use(name: str) -> None:
    """Remember a context as the one used last. A state directory that cannot be written is no error."""
    with suppress(OSError):
        state_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic.write(state_dir() / FILE, name + "\n")


def forget() -> None:
    """No context was used last."""
    (state_dir() / FILE).unlink(missing_ok=True)


def names(paths: Sequence[Path]) -> list[str]:
    """Names of the contexts whose removed files these are."""
    return list(dict.fromkeys(path.name.rpartition("@")[0] for path in paths))
