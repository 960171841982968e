"""The errors people see. Each has a title, a message, a hint and an exit code.

    BerthError
    ├── UsageError            2  the command line asks for something that cannot be
    ├── ConfigError           2  a configuration file is wrong: names file, line and key
    ├── HostError             3  a host cannot be used now
    │   ├── Unreachable          it does not answer, or refuses
    │   ├── LoginRefused         it answers, but does not let us in
    │   ├── HostKeyUnknown       its key was never seen
    │   ├── HostKeyChanged       its key is not the one on record
    │   └── AgentFailed          logged in, but the agent does not run there
    ├── EngineError           1  Docker or Podman refused or did not answer
    ├── NoSuchTarget          4  no host, container or context of that name
    ├── Refused               5  read-only, or not confirmed
    │   └── NotConfirmed         the person said no to what it asked
    └── ActionFailed          1  it was tried and did not work

Foreign exceptions are translated at one boundary each (link.py, engine.py, config); nothing above
those files catches an asyncssh, docker or yaml exception.
"""

from __future__ import annotations


class BerthError(Exception):
    """Base of all errors that are shown to people: what happened, where, and what to do next."""

    title = "Something went wrong"
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        """One or two sentences: what happened and where. May hold host text: pass through printable()."""
        self.hint = hint
        """What to do next, or an empty string."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(BerthError):
    """The command line asks for something that cannot be."""

    title = "Wrong usage"
    exit_code = 2


class ConfigError(BerthError):
    """A configuration file is wrong. The message starts with `file:line: key:` where they are known."""

    title = "Configuration"
    exit_code = 2


class HostError(BerthError):
    """A host cannot be used now."""

    title = "Host"
    exit_code = 3


class Unreachable(HostError):
    """The host does not answer, refuses the connection, or its name does not resolve."""

    title = "Unreachable"


class LoginRefused(HostError):
    """The host answers but does not accept any key or user we offered."""

    title = "Login refused"


class HostKeyUnknown(HostError):
    """The host's key is in no known_hosts file."""

    title = "Unknown host key"

    def __init__(self, message: str, *, hint: str = "", key: str = "", fingerprint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key
        """The key as one OpenSSH public key line: what goes into known_hosts once it is accepted."""
        self.fingerprint = fingerprint
        """`SHA256:...`, to be compared with what the host's administrator says."""


class HostKeyChanged(HostError):
    """The host shows another key than the one on record. Never accepted from inside berth."""

    title = "Host key changed"


class AgentFailed(HostError):
    """Logged in, but the agent does not run there (no python3, no room, killed)."""

    title = "Agent failed"


class EngineError(BerthError):
    """Docker or Podman refused or did not answer."""

    title = "Engine"


class NoSuchTarget(BerthError):
    """No host, container or context of that name."""

    title = "Not found"
    exit_code = 4


class Refused(BerthError):
    """Not done: read-only, or not confirmed."""

    title = "Refused"
    exit_code = 5


class NotConfirmed(Refused):
    """The person said no to what it asked."""


class ActionFailed(BerthError):
    """It was tried and did not work."""

    title = "Failed"


def exit_code_for(error: BaseException) -> int:
    """The exit code of DESIGN's command line for any exception: 130 for a cancel, 1 for a bug."""
    if isinstance(error, BerthError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 1
