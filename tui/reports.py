"""Errors for people, and bugs for the log: never a traceback on the screen."""

from __future__ import annotations

import logging

from textual.worker import WorkerFailed

from backend import log
from backend.errors import BerthError

_LOG = logging.getLogger("berth.tui")


def describe(error: BaseException) -> tuple[str, str]:
    """Title and message of an error. One that is not ours is a bug: it goes to the log, which is named."""
    if isinstance(error, WorkerFailed):
        error = error.error
    if isinstance(error, BerthError):
        return error.title, f"{error.message} {error.hint}".strip()
    _LOG.error("bug", exc_info=error)
    return "Bug in berth", f"{type(error).__name__}: {error}. Details are in {log.path()}."
