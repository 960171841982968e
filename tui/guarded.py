"""An app in which what goes wrong becomes a notification, and the same one is not said twice."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.notifications import Notify

from backend.errors import BerthError
from tui.toasts import Folding


class GuardedApp(App[int]):
    """Goes on whatever happens in an action or a worker."""

    def __init__(self) -> None:
        super().__init__()
        self._toasts = Folding()

    def report(self, error: BaseException) -> None:
        """Show an error to people; one that is a bug of berth goes to the log as well."""
        from backend.text import printable
        from tui.reports import describe

        title, message = describe(error)
        self.notify(printable(message), title=title, severity="error", markup=False, timeout=10)

    def on_notify(self, event: Notify) -> None:
        """A toast that is still there and says the same is counted up instead of repeated."""
        if self._toasts.fold(event.notification, self._notifications):
            event.prevent_default()
            for screen in self.screen_stack:
                for toast in screen.query("Toast"):
                    toast.refresh(layout=True)

    async def _guard(self, work: Any) -> None:
        """Do some work; what goes wrong becomes a notification."""
        try:
            await work
        except Exception as error:
            self.report(error)

    async def run_action(self, *args: Any, **kwargs: Any) -> bool:
        """Run an action; what goes wrong in it becomes a notification."""
        try:
            return await super().run_action(*args, **kwargs)
        except Exception as error:
            self.report(error)
            return True

    def _fatal_error(self) -> None:
        """A bug outside of any action: leave with one line instead of a traceback over the terminal."""
        from backend.text import printable
        from tui.reports import describe

        error = self._exception or BerthError("berth had to close.")
        self.panic(printable(" ".join(describe(error))))
