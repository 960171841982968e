"""`agent queue VERB [--wait] [--engine KIND] [--socket PATH]`.

One JSON object comes in on stdin (nothing is an empty one), one goes out: `{"ok": ...}` or
`{"error": {"kind", "message", "hint"}}`; the exit status is 0 or 1. `--wait` answers only once the jobs of
`submit`, `cancel` or `retry` have ended, and adds them as `jobs`.

`batch` answers many, one line each: `{"verb": ..., "body": {...}}`. `follow` writes what happens to one job,
see `output`. `keeper` is the verb `wake`, without anything on stdin: for boot scripts.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any, Callable, Dict, List, Tuple

from . import api
from . import place as places
from .desk import Answer, Listed
from .errors import FailedError, MissingError, QueueError, UsageError
from .fields import Fields
from .jobs import ENDED
from .place import Place
from .store import Store

USAGE = "usage: agent queue VERB [--wait] [--engine auto|docker|podman] [--socket PATH]"
_LONGEST = 64 * 1024 * 1024
"""Bytes of one question."""
_LOOK = 0.2
"""Seconds between two looks at jobs that are waited for."""
_MAKE = frozenset({"submit", "estimate", "pause", "drain", "settings"})
"""Verbs that make a queue where there is none."""


class Options:
    """The words behind `agent queue`."""

    def __init__(self, words: List[str]) -> None:
        """Raises ValueError."""
        self.engine = "auto"
        self.socket = ""
        self.wait = False
        self.verb = ""
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--wait":
                self.wait = True
            elif word in ("--engine", "--socket") and rest:
                setattr(self, word[2:], rest.pop(0))
            elif word.startswith("-") or self.verb:
                raise ValueError(f"{word}: unknown, or its value is missing")
            else:
                self.verb = word
        if not self.verb:
            raise ValueError("a verb is missing")
        if self.engine not in ("auto", "docker", "podman"):
            raise ValueError(f"--engine {self.engine}: not one of auto, docker, podman")


def main(words: List[str]) -> int:
    """Do one thing; the exit status."""
    try:
        options = Options(words)
    except ValueError as error:
        sys.stderr.write(f"{error}\n{USAGE}\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if options.verb == "batch":
        return batch(options)
    if options.verb == "follow":
        return follow(options)
    if options.verb == "keeper":
        return _keeper(options)
    failed, text = answer(options.verb, sys.stdin.buffer.read(_LONGEST + 1), options)
    return _say(text) or int(failed)


def answer(verb: str, data: bytes, options: Options) -> Tuple[bool, str]:
    """Whether it failed, and the answer as one line of JSON. Never raises."""
    return _told(lambda: _answer(verb, _object(data), options, options.wait))


def batch(options: Options) -> int:
    """One answer for each line, until there are no more."""
    stream = sys.stdin.buffer
    while True:
        line = stream.readline(_LONGEST + 1)
        if not line:
            return 0
        if not line.strip():
            continue

        def one(line: bytes = line) -> Answer:
            fields = Fields(_object(line), "question", ("verb", "body", "wait"))
            verb, body = fields.text("verb", longest=64), fields.data.get("body")
            return _answer(verb, body, options, fields.flag("wait"))

        if _say(_told(one)[1]):
            return 1
        if len(line) > _LONGEST:
            return 1  # what follows belongs to the same question


def follow(options: Options) -> int:
    """`{"id", "to_the_end", "output", "tail", "first"}` on the first line: what happens to that job."""
    from .follower import Follower

    failed = 0

    def write(line: Dict[str, Any]) -> None:
        if _say(json.dumps(line, separators=(",", ":"))):
            os._exit(0)  # nobody listens

    try:
        asked = _object(sys.stdin.buffer.readline(65536))
        fields = Fields(asked, "follow", ("id", "to_the_end", "output", "tail", "first"))
        number, tail = fields.job(), fields.whole("tail", 0, 0, 10**9)
        first = fields.whole("first", 0, 0, 10**6)
        to_the_end = fields.flag("to_the_end") or not fields.has("to_the_end")
        output = fields.flag("output") or not fields.has("output")
        with _place(options, create=False) as place:
            api.handle("list", {"limit": 1}, place)  # starts a keeper where one is missing
            with Store.open(place, create=False) as store:
                if store.get(number) is None:
                    raise MissingError(f"there is no job {number}.", "See: berth jobs")
                Follower(store.get, store.events, place.socket, number, write).run(
                    to_the_end=to_the_end, output=output, tail=tail, first=first
                )
    except QueueError as error:
        write({"error": error.wire()})
        failed = 1
    return failed


def _keeper(options: Options) -> int:
    """Start a keeper where there is none: for boot scripts."""
    failed, text = _told(lambda: _answer("wake", {}, options))
    return _say(text) or int(failed)


def _answer(verb: str, body: Any, options: Options, wait: bool = False) -> Answer:
    if verb not in api.VERBS:
        raise UsageError(f"{verb!r} is no verb of the queue.", f"Known: {', '.join(api.VERBS)}.")
    try:
        place = _place(options, create=verb in _MAKE)
    except MissingError:
        if verb not in _NOTHING:
            raise
        return _NOTHING[verb]()
    with place:
        done = api.handle(verb, body, place)
        if wait:
            _await(place, done)
        return done


def _place(options: Options, create: bool) -> Place:
    return places.find(options.socket, options.engine, create)


def _empty() -> Answer:
    return {
        "waiting": 0,
        "active": 0,
        "counts": {},
        "keeper": False,
        "paused": "",
        "draining": "",
        "notes": [],
    }


_NOTHING: Dict[str, Callable[[], Answer]] = {
    "list": lambda: {"jobs": Listed(), "waiting": 0, "active": 0},
    "status": _empty,
    "resume": _empty,
    "wake": _empty,
    "events": lambda: {"events": []},
    "forget": lambda: {"jobs": Listed(), "ids": []},
}
"""What there is to say of a queue that nobody has used yet."""


def _await(place: Place, done: Answer) -> None:
    """Come back when the jobs that the answer names have ended, and add them to it."""
    named = done.get("ids") or done.get("results") or [done[key] for key in ("id",) if key in done]
    numbers = [int(one) for one in named]
    while True:
        with Store.open(place) as store:
            states = store.owners(numbers)
            if all(state in ENDED for _, state in states.values()):
                done["jobs"] = Listed(store.listing(numbers=numbers))
                return
        api.keep(place)
        time.sleep(_LOOK)


def _object(data: bytes) -> Any:
    if len(data) > _LONGEST:
        raise UsageError(f"a question of more than {_LONGEST} bytes.")
    if not data.strip():
        return {}
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError("what came in is not JSON.") from None
    if not isinstance(found, dict):
        raise UsageError("what came in is no JSON object.")
    return found


def _told(call: Callable[[], Answer]) -> Tuple[bool, str]:
    """Whether it failed, and what to say."""
    try:
        return False, f'{{"ok":{api.dump(call())}}}'
    except QueueError as error:
        found = error
    except OSError as error:
        found = FailedError(str(error))
    except Exception as error:
        found = FailedError(f"a bug in berth: {type(error).__name__}: {error}", "Please report it.")
    return True, json.dumps({"error": found.wire()}, separators=(",", ":"))


def _say(text: str) -> int:
    """Write a line; 1 where nobody reads."""
    try:
        data = text.encode("ascii", "backslashreplace") + b"\n"
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:
        return 1
    return 0
