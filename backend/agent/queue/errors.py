"""What goes wrong with a queue, as people see it.

QueueError(kind, message, hint)
├── UsageError      usage    what was asked for cannot be: names the field and what is allowed
├── MissingError    missing  no such job, image, file
├── RefusedError    refused  not yours, not allowed, not trusted
└── FailedError     failed   it was tried and did not work; also an OSError: try again
"""

from __future__ import annotations

from typing import Dict


class QueueError(Exception):
    """Base of all errors that are told to people."""

    kind = "failed"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def wire(self) -> Dict[str, str]:
        """`{"kind", "message", "hint"}`."""
        return {"kind": self.kind, "message": self.message, "hint": self.hint}


class UsageError(QueueError):
    """What was asked for cannot be."""

    kind = "usage"


class MissingError(QueueError):
    """There is no such thing."""

    kind = "missing"


class RefusedError(QueueError):
    """Not done, because it may not be."""

    kind = "refused"


class FailedError(QueueError, OSError):
    """It was tried and did not work: a full disk, a database that somebody else holds."""

    kind = "failed"
