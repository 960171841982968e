"""The queue's verbs, for people: one JSON object in, one out.

Who asks is the unix user of this process. Everybody of the engine's group may see everything and submit;
each may change only what is theirs, root anything. That is politeness, not security: whoever may use the
engine is as good as root on the machine, and could write into the database.

Errors are `errors.QueueError`. Each change is followed by `doorbell.ring` and, while jobs are unfinished, by
starting a keeper where there is none.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Optional

from . import doorbell, jobverbs, queueverbs
from .desk import Answer, Caller, Desk, Listed, ReadMachine, caller, read_machine
from .errors import QueueError, UsageError
from .fields import shown
from .place import Place
from .store import Store

VERBS: Dict[str, Callable[[Desk, Any], Answer]] = {
    "submit": jobverbs.submit,
    "submitted": jobverbs.submitted,
    "list": jobverbs.listing,
    "show": jobverbs.show,
    "cancel": jobverbs.cancel,
    "hold": jobverbs.hold,
    "release": jobverbs.release,
    "move": jobverbs.move,
    "edit": jobverbs.edit,
    "retry": jobverbs.retry,
    "status": queueverbs.status,
    "estimate": queueverbs.estimate,
    "pause": queueverbs.pause,
    "resume": queueverbs.resume,
    "wake": queueverbs.wake,
    "drain": queueverbs.drain,
    "settings": queueverbs.settings,
    "events": queueverbs.events,
    "log": jobverbs.log,
    "forget": queueverbs.forget,
}
"""What can be asked."""


def handle(
    verb: str,
    body: Any,
    place: Place,
    *,
    who: Optional[Caller] = None,
    machine: ReadMachine = read_machine,
    ensure: Optional[Callable[[Place], Any]] = None,
) -> Answer:
    """Do what `verb` says. Raises QueueError. `machine` and `ensure` (start a keeper) are for tests."""
    call = VERBS.get(verb)
    if call is None:
        raise UsageError(f"{shown(verb)} is no verb of the queue.", f"Known: {', '.join(VERBS)}.")
    who = caller() if who is None else who
    with Store.open(place) as store:
        desk = Desk(store, place, who, machine)
        answer: Answer = call(desk, {} if body is None else body)
        working = desk.working()
    if desk.changed:
        doorbell.ring(place)
    if working:
        # after the database was closed: the keeper may then be a fork of this process
        trouble = keep(place, ensure)
        if trouble:
            answer.setdefault("notes", []).append(trouble)
        elif answer.get("keeper") is False:
            answer["keeper"] = True  # from now on
    return answer


def dump(answer: Answer) -> str:
    """One line of JSON; lists of jobs are not taken apart."""
    parts = []
    for key, value in answer.items():
        text = (
            f"[{','.join(value)}]" if isinstance(value, Listed) else json.dumps(value, separators=(",", ":"))
        )
        parts.append(f"{json.dumps(key)}:{text}")
    return "{" + ",".join(parts) + "}"


def keep(place: Place, ensure: Optional[Callable[[Place], Any]] = None) -> str:
    """Start a keeper where there is none; why that failed, or nothing."""
    try:
        if ensure is None:
            from .lock import ensure as start

            ensure = start
        ensure(place)
    except (OSError, QueueError) as error:
        return f"nobody keeps the queue moving, and it could not be started: {error}"
    return ""
