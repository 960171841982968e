"""What is to be run, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from backend import placeholders
from backend.errors import NoSuchTarget, Refused, UsageError

if TYPE_CHECKING:
    from backend.config import Config, HostConfig

LOCAL_AT_ONCE = 8
"""Commands of this machine at a time where nothing else is said: they share it."""


@dataclass(frozen=True)
class Wish:
    """One command for some hosts."""

    command: tuple[str, ...]
    """One word is a line for the shell; several are a program and its arguments, taken as they are."""
    hosts: tuple[str, ...]
    """In the order of the configuration."""
    local: bool = False
    """It runs on this machine, once for each host."""
    parallel: int = 0
    """How many at a time; 0: all."""
    timeout: float | None = None
    """Seconds that it may run on a host, without the connecting."""
    values: dict[str, str] = field(default_factory=dict)
    """Values of more placeholders, the same for all hosts."""
    left_out: tuple[str, ...] = ()
    """Hosts that are left out because they are read-only."""
    as_words: bool = False
    """One word is a program too, not a line."""

    def __post_init__(self) -> None:
        if not self.command or not any(word.strip() for word in self.command):
            raise UsageError("no command was given.", hint="berth each -- uptime")
        if any("\0" in word for word in self.command):
            raise UsageError("the command holds a NUL character.")
        if self.parallel < 0:
            raise UsageError(f"--parallel {self.parallel} is no number of hosts.", hint="0 is all at once.")
        if self.timeout is not None and self.timeout <= 0:
            raise UsageError(f"--timeout {self.timeout:g} leaves no time.")
        if self.kind == "line":
            placeholders.line(self.command[0], self.names)  # says what is wrong before anything runs

    @property
    def kind(self) -> str:
        """`line` or `words`."""
        return "words" if self.as_words or len(self.command) > 1 else "line"

    @property
    def names(self) -> frozenset[str]:
        """All placeholders."""
        return frozenset({*placeholders.HOST, *self.values})

    @property
    def shown(self) -> str:
        """The command as somebody would type it."""
        import shlex

        return self.command[0] if self.kind == "line" else shlex.join(self.command)

    @property
    def at_once(self) -> int:
        """How many at a time."""
        return self.parallel or (LOCAL_AT_ONCE if self.local else len(self.hosts)) or 1

    async def on(self, host: HostConfig) -> tuple[list[str], bytes]:
        """The words to start on a host, and the lines of its environment. Raises `HostError`."""
        values = self.values | await placeholders.of_host(host, placeholders.used(self.command, self.names))
        if self.kind == "line":
            return [placeholders.line(self.command[0], self.names)], placeholders.environment(values)
        return placeholders.words(self.command, values), placeholders.environment(values)


def choose(
    config: Config,
    *,
    hosts: Sequence[str] = (),
    tags: Sequence[str] = (),
    only: str = "",
    changes: bool = True,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hosts that are meant, and those left out because they are read-only.

    Without any word: all that are contacted, but not this machine. A host that is named has to be usable:
    `Refused` where it is read-only and the command `changes` something, `NoSuchTarget` where there is none.
    """
    for name in hosts:
        _check(config.host(name), changes)
    known = {tag for host in config.hosts for tag in host.tags}
    for tag in tags:
        if tag not in known:
            raise NoSuchTarget(f"no host has the tag {tag!r}.", hint=_known("Tags", known))
    said = bool(hosts or tags)
    found = [
        host
        for host in config.hosts
        if (
            host.name in hosts
            or any(tag in host.tags for tag in tags)
            or (not said and (not host.local or fits(host, only)))
        )
        and (not only or fits(host, only))
        and (not host.skip or host.name in hosts)
    ]
    if not found and not said and not only:  # nothing but this machine is configured
        found = [host for host in config.hosts if not host.skip]
    if not found:
        words = f"fits {only!r}" if only else "can be asked"
        raise NoSuchTarget(f"no host {words}.", hint=_known("Hosts", [host.name for host in config.hosts]))
    held = tuple(host.name for host in found if changes and host.read_only)
    left = tuple(host.name for host in found if host.name not in held)
    if not left:
        raise Refused(f"{', '.join(held)}: read-only.", hint="See read_only in hosts.yaml.")
    return left, held


def fits(host: HostConfig, only: str) -> bool:
    """Whether a host's name fits a pattern."""
    return bool(only) and fnmatchcase(host.name, only)


def _check(host: HostConfig, changes: bool) -> None:
    if host.skip:
        raise Refused(f"{host.name} is skipped.", hint="`skip: true` says so in hosts.yaml.")
    if changes and host.read_only:
        raise Refused(f"host {host.name} is read-only.", hint="See read_only in hosts.yaml.")


def _known(title: str, names: Iterable[str]) -> str:
    return f"{title}: {', '.join(sorted(names)) or 'none'}."
