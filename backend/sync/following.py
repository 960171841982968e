"""What a terminal, or a program, sees of `berth push --watch`: a line for each time something went over."""

from __future__ import annotations

import json as json_
from datetime import datetime
from typing import TYPE_CHECKING

from backend.sync.engine import Done, Wish
from backend.sync.model import Plan
from backend.sync.show import Terminal, say
from backend.sync.watch import news
from backend.text import printable

if TYPE_CHECKING:
    from backend.talk import Talk


class Follower(Terminal):
    """A person at a terminal, or a script, for as long as it is watched."""

    def __init__(self, wish: Wish, talk: Talk, *, json: bool) -> None:
        super().__init__(wish, talk)
        self._json = json

    def say(self, text: str, host: str = "") -> None:
        """Talk."""
        say(text if not host or text.startswith(f"{host}:") else f"{host}: {text}")

    async def confirm(self, question: str) -> bool:
        """A question in the terminal."""
        return await self.talk.confirm(question)

    def went(self, plan: Plan, done: Done, *, full: bool) -> None:
        """A line of data."""
        if self._json:
            found = {
                "host": plan.host,
                "at": datetime.now().astimezone().isoformat(timespec="milliseconds"),
                "new": done.new,
                "changed": done.changed,
                "deleted": done.deleted,
                "bytes": done.size,
                "run": done.run,
                "notes": [*done.failed, *done.notes],
            }
            print(json_.dumps(found, ensure_ascii=False), flush=True)
            return
        text = f"{datetime.now():%H:%M:%S} {plan.host}: {news(plan, done, self.wish)}"
        print(printable(text, 500), flush=True)
        for note in (*done.failed, *done.notes):
            say(f"  {plan.host}: {note}")
