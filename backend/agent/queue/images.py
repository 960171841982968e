"""An image's name -> its id, asked of the engine once for each name."""

from __future__ import annotations

import json
import re
from typing import Dict, List
from urllib.parse import quote

from ..http_unix import Client, Reply
from ..loop import Loop
from .errors import FailedError, MissingError

_TIMEOUT = 15.0
"""Seconds: an engine that builds or pulls may be slow."""
_HEX = re.compile(r"[0-9a-f]{64}\Z")


class Images:
    """Resolves names; remembers them for as long as one submit takes."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._known: Dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """`sha256:...`. Raises MissingError for an image that is not there, FailedError without an answer."""
        if name not in self._known:
            self._known[name] = self._ask(name)
        return self._known[name]

    def _ask(self, name: str) -> str:
        reply = get(self._socket, f"/images/{quote(name, safe='/:@')}/json", _TIMEOUT)
        if reply.error is not None or reply.status in (0, 500):
            why = reply.error or f"it answered {reply.status}"
            raise FailedError(f"the engine ({self._socket}) does not answer: {why}.", "Is it running?")
        if reply.status in (400, 404):
            raise MissingError(
                f"this host has no image {name}.", f"Build or pull it there: docker pull {name}"
            )
        try:
            found = str(json.loads(reply.body)["Id"])
        except (ValueError, KeyError, TypeError):
            raise FailedError(f"the engine answered {reply.status} about image {name}.") from None
        return f"sha256:{found}" if _HEX.match(found) else found


def get(path: str, target: str, timeout: float) -> Reply:
    """The answer to one request to the engine."""
    faults: List[BaseException] = []
    loop = Loop(lambda where, error: faults.append(error))
    client = Client(loop, path)
    answers: List[Reply] = []
    try:
        client.get(target, answers.append, timeout)
        while not answers and not faults:
            loop.turn(timeout)
    finally:
        client.close()
        loop.close()
    return answers[0] if answers else Reply(error=RuntimeError(str(faults[0])))
