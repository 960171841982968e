"""A dashboard of one line, with open connections and a screen that keeps changing: `HOST CONTAINER`.

`e` enters, `E` opens a plain shell, `q` quits. All about the terminal is what berth's dashboard has.
"""

from __future__ import annotations

import sys
from typing import Any

from textual.app import App, ComposeResult
from textual.driver import Driver
from textual.widgets import Static

from backend.access import StandaloneAccess
from backend.actions import ActionContext, load
from backend.config import load as load_config
from backend.errors import BerthError
from backend.terminal.visits import container_row
from tui.driver import prompt
from tui.handover import hand_over_in


class Silent:
    """Says nothing."""

    def report(self, line: str) -> None:
        pass

    def progress(self, done: int, total: int | None) -> None:
        pass

    async def confirm(self, question: str) -> bool:
        return False


class Small(App[None]):
    def __init__(self, host: str, container: str) -> None:
        super().__init__()
        self.place = (host, container)
        self.config = load_config()
        self.access = StandaloneAccess(self.config)
        self.said = "-"
        self.ticks = 0

    def get_driver_class(self) -> type[Driver]:
        return prompt(super().get_driver_class())

    def compose(self) -> ComposeResult:
        yield Static(id="line", markup=False)

    async def on_mount(self) -> None:
        await self.access.link(self.place[0])
        self.actions = load()
        self.set_interval(0.05, self.tick)

    def tick(self) -> None:
        self.ticks += 1
        self.query_one("#line", Static).update(f"frame {self.ticks}\nREADY\nlast: {self.said}.")

    def on_key(self, event: Any) -> None:
        if event.key in ("e", "E"):
            self.run_worker(self.visit("enter" if event.key == "e" else "shell"))
        elif event.key == "q":
            self.exit()

    async def visit(self, name: str) -> None:
        ctx = ActionContext(self.config, self.access, Silent())
        try:
            terminal: Any = await self.actions[name].call(ctx, container_row(*self.place))
            self.said = str(await hand_over_in(self, terminal, self.access, self.config))
        except BerthError as error:
            self.said = str(error)


if __name__ == "__main__":
    Small(*sys.argv[1:3]).run()
