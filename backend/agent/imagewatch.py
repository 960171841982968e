"""The images of the host: listed when somebody asks, and from then on after each event that changed them.

In between nothing is asked: a dashboard that shows no images costs the engine nothing for them.
"""

from __future__ import annotations

import json
import time
from typing import Any

from . import images
from .emit import Outbox
from .http_unix import Client, Reply
from .loop import Loop, Timer

EVENTS = ("tag", "untag", "delete", "import", "load", "loadfromarchive", "pull", "build", "prune")
"""Docker's words and Podman's for what changes images; Podman's `remove` is a container's word as well."""
_TIMEOUT = 60.0
"""Seconds: an engine that counts what images share takes its time, and hangs for nobody else meanwhile."""
_DEBOUNCE = 0.2
_RESTLESS = 2.0
"""Seconds between two lists while images change all the time (a build, a prune)."""
_RETRY = 30.0


class ImageWatch:
    """Keeps section `images` true for as long as it is wanted."""

    def __init__(self, loop: Loop, outbox: Outbox) -> None:
        self._loop = loop
        self._outbox = outbox
        self._path = ""
        self._podman = False
        self._client: Client | None = None
        self._due: Timer | None = None
        self._listed_at = 0.0
        self._asking = False
        self._again = False
        self._last: list[dict[str, Any]] = []
        self.wanted = False

    def want(self) -> None:
        """Somebody looks at them: list now, and keep it true."""
        self.wanted = True
        self._look()

    def engine_up(self, path: str, podman: bool) -> None:
        """There is an engine: what it has may be anything."""
        self._path, self._podman = path, podman
        self.changed()

    def engine_gone(self) -> None:
        """Forget what was asked; what was told stays until it is told anew."""
        self._path = ""
        self._asking = self._again = False
        self._cancel()
        if self._client is not None:
            self._client.close()
            self._client = None

    def changed(self) -> None:
        """An event says so: list soon, once for many events."""
        if not self.wanted or not self._path or self._due is not None:
            return
        recent = time.monotonic() - self._listed_at < _RESTLESS
        self._due = self._loop.later(_RESTLESS if recent else _DEBOUNCE, self._look)

    def _cancel(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _look(self) -> None:
        self._cancel()
        if not self._path:
            return
        if self._asking:
            self._again = True  # what is on its way may be older than the change
            return
        if self._client is None:
            self._client = Client(self._loop, self._path)
        self._asking, self._again = True, False
        self._listed_at = time.monotonic()
        self._client.get("/images/json?shared-size=1", self._on_list, _TIMEOUT)

    def _on_list(self, reply: Reply) -> None:
        self._asking = False
        error, found = "", None
        if reply.error is not None:
            error = f"the engine does not list its images: {reply.error}"
        elif reply.status != 200:
            error = f"the engine answered {reply.status} when asked for its images"
        else:
            try:
                found = json.loads(reply.body)
            except (ValueError, RecursionError):
                error = "the engine's list of images is no JSON"
        if isinstance(found, list):
            self._last = images.wire(found, self._podman)
            self._outbox.section("images", {"images": self._last})
        else:
            error = (error or "the engine's list of images is none")[:500]
            self._outbox.section("images", {"images": self._last, "error": error})
            self._due = self._loop.later(_RETRY, self._look)
        if self._again:
            self._look()


def is_image_event(event: Any) -> bool:
    """Whether an event says that images are others now."""
    if not isinstance(event, dict):
        return False
    return event.get("Type") == "image" or event.get("Action") == "commit"
