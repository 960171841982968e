"""`agent output`: see the package."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any, Dict

from ..queue import place
from . import texts
from .source import FailedError
from .squash import squash

_ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Ended(BaseException):
    """Nobody asks any more."""


def main() -> int:
    """Do what the first line of input asks for; the exit status."""
    for number in _ENDS:
        signal.signal(number, _end)
    try:
        asked = json.loads(sys.stdin.buffer.readline())
        threading.Thread(target=_watch, daemon=True).start()
        done = _do(asked)
        _deaf()  # it is done: who leaves now does not undo it
        _say({"done": done})
    except Ended:
        return 1
    except FailedError as error:
        _say({"failed": {"message": str(error), "hint": error.hint}})
        return 1
    except (OSError, ValueError, LookupError) as error:
        _say({"failed": {"message": str(error) or type(error).__name__, "hint": ""}})
        return 1
    return 0


def _do(asked: Dict[str, Any]) -> Dict[str, Any]:
    what = asked["do"]
    if what == "squash":
        socket, found = place.engine_socket(
            str(asked.get("socket") or ""), str(asked.get("engine") or "auto")
        )
        if found is None or not socket:
            raise FailedError("there is no engine that we may use here")
        return squash(socket, asked["image"], asked["into"], asked["compression"], _say)
    if what == "there":
        return texts.there(asked["path"])
    if what == "read":
        return texts.read(asked["path"])
    if what == "edf":
        return texts.edf(asked["name"], asked.get("folder") or "")
    if what == "write":
        return texts.write(asked["path"], asked["text"], asked["was"])
    raise LookupError(f"no such thing to do: {what}")


def _watch() -> None:
    """The end of input ends all.

    Not through `sys.stdin`: Python aborts where a thread waits in it when the program ends.
    """
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGUSR1)


def _end(number: int, frame: Any) -> None:
    """Once: a lost connection is told by several signals, and the second would end what cleans up."""
    _deaf()
    raise Ended


def _deaf() -> None:
    for each in _ENDS:
        signal.signal(each, signal.SIG_IGN)


def _say(line: Dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
