"""The container that an image is exported from, and what is left of it where a process was killed."""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.parse import quote

from ..queue.output import EngineHttp

LABEL = "berth.output"
"""Of the container that is exported: pid and start of the process that made it."""


class FailedError(Exception):
    """It cannot be done: a message, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def ask(socket: str, method: str, target: str, missing: str, body: Any = None) -> Any:
    """One request; `missing` is said where there is no such thing. Raises FailedError, OSError."""
    connection = EngineHttp(socket, timeout=120)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, target, body=data, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status == 404:
            raise FailedError(missing)
        if answer.status >= 400:
            raise FailedError(f"the engine refuses ({answer.status}): {_message(text)}")
        return json.loads(text) if text else None
    finally:
        connection.close()


def _message(text: bytes) -> str:
    try:
        found = json.loads(text)
        return str(found.get("message") or found.get("cause") or "")[:300]
    except (ValueError, AttributeError):
        return text[:300].decode("utf-8", "replace")


def create(socket: str, image: str) -> str:
    """A container that never runs: only its files are wanted."""
    body = {"Image": image, "Cmd": ["/"], "Labels": {LABEL: me()}}
    found = ask(socket, "POST", f"/containers/create?name=berth-output-{me()}", "the image is gone", body)
    return str(found["Id"])


def remove(socket: str, container: str) -> None:
    """Remove it; what cannot be removed now is swept later."""
    try:
        ask(socket, "DELETE", f"/containers/{quote(container)}?force=1&v=1", "")
    except (FailedError, OSError):
        pass  # the next one sweeps it


def sweep(socket: str, folder: str) -> None:
    """What processes left that were killed."""
    filters = quote(json.dumps({"label": [LABEL]}))
    for each in ask(socket, "GET", f"/containers/json?all=1&filters={filters}", "") or []:
        if not _lives(str((each.get("Labels") or {}).get(LABEL))):
            remove(socket, str(each.get("Id")))
    for name in os.listdir(folder):
        found = re.match(r"\..*\.(\d+-\d+)\.part$", name)
        if found and not _lives(found.group(1)):
            os.unlink(os.path.join(folder, name))


def me() -> str:
    """This process, unlike any other of this machine since it was started."""
    return f"{os.getpid()}-{_started(os.getpid())}"


def _lives(who: str) -> bool:
    pid, _, started = who.partition("-")
    return pid.isdigit() and _started(int(pid)) == started


def _started(pid: int) -> str:
    """When a process began, in ticks since the machine did; empty: there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""
