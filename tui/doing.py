"""Actions in the dashboard: which apply to a row, what is asked before, and what is said after.

Everything comes from `backend.actions`: keys, menu, forms, questions, read-only. An action that ended is a
toast and a line in Activity; one that takes the terminal gets it; one that prints opens a page, logs theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen

from backend.actions.runner import Result, label, run_one
from backend.actions.runs import Run, Runs
from backend.errors import UsageError
from backend.model import ContainerRow
from backend.text import printable
from tui.keys import NO_KEY
from tui.pages import BY_ACTION, make
from tui.typed import Typed

if TYPE_CHECKING:
    from backend.actions import Action
    from backend.config import Config
    from tui.access import FleetAccess
    from tui.app import BerthApp
    from tui.menu import Entry

_NAMED = 12
"""Targets that a question names one by one."""


@cache
def declared() -> dict[str, Action]:
    """All actions; imported after the first frame, or earlier where settings name some.

    Asked on every key: that nothing is left to import is looked up once.
    """
    from backend.actions import load

    return load()


def of_kind(kind: type | None) -> list[Action]:
    """The actions on rows of that type; None: those on the fleet as a whole."""
    return [action for action in declared().values() if action.on is kind]


def bindings(kind: type | None) -> list[Binding]:
    """The keys of a row type's actions. What does not apply to the row is hidden by `check_action`.

    Those without a key are among them: settings can give them one.
    """
    return [
        Binding(
            action.key or NO_KEY + action.name,
            f"screen.do('{action.name}')",
            action.title,
            show=action.footer,
            id=action.name,
        )
        for action in of_kind(kind)
    ]


def refused(action: Action, targets: Sequence[Any], config: Config, *, read_only: bool) -> bool:
    """Whether read-only forbids it for all of these. What has no target asks for its host itself."""
    if not action.changes:
        return False
    if read_only or config.settings.read_only:
        return True
    if action.on is None:
        return False
    held = {host.name for host in config.hosts if host.read_only}
    return bool(targets) and all(
        (getattr(row, "host", None) or getattr(row, "name", "")) in held for row in targets
    )


class Doing:
    """The dashboard's side of actions: one for the whole app, made once the fleet is open."""

    def __init__(self, app: BerthApp, access: FleetAccess, config: Config) -> None:
        self._app = app
        self._access = access
        self._config = config
        self.runs = Runs(config, access)
        self._typed = Typed()

    def config_changed(self, config: Config) -> None:
        """Contexts were written: what is done from now on sees them."""
        self._config = config
        self.runs.config = config

    # ------------------------------------------------------------------------------ the person (runs.Person)

    async def confirm(self, question: str) -> bool:
        """Ask in a dialog that stands on No."""
        return await self._ask("Are you sure?", [question])

    async def ask(self, title: str, body: Sequence[str], *, yes: str) -> bool:
        """Ask something longer, in the same dialog."""
        return await self._ask(title, body, yes)

    async def _ask(self, title: str, body: Sequence[str | Content], yes: str = "Yes") -> bool:
        from tui.dialogs import Confirm

        return bool(await self._answer(Confirm(title, body, yes=yes)))

    async def _answer(self, screen: Screen[Any]) -> Any:
        """What a dialog answers. Works in any task; a cancel takes the dialog away."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(value: Any) -> None:
            if not answer.done():
                answer.set_result(value)

        # Not awaited: a cancel that comes while it is being mounted has to take it away as well.
        self._app.push_screen(screen, answered)
        try:
            return await answer
        except asyncio.CancelledError:
            if self._app.screen_stack[-1:] == [screen]:  # `is_current` also holds below another dialog
                screen.dismiss(None)
            raise

    @asynccontextmanager
    async def lend_terminal(self) -> AsyncIterator[None]:
        """The whole terminal, for an editor; the dashboard comes back whatever happens."""
        from textual.app import SuspendNotSupported

        failed: BaseException | None = None
        try:
            with self._app.suspend(), self._app.batch_update():
                try:
                    yield
                except BaseException as error:
                    failed = error  # raised inside, it would leave the dashboard asleep
        except SuspendNotSupported:
            raise UsageError(
                "an editor cannot be opened in a browser.", hint="Use: berth context set"
            ) from None
        self._app.refresh(layout=True)
        if failed is not None:
            raise failed

    # ---------------------------------------------------------------------------------------------- doing

    async def do(
        self, action: Action, rows: Sequence[Any], given: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Ask what has to be asked, then do it to all of `rows`. Errors come out as `BerthError`.

        `given`: what the form is filled with.
        """
        targets = self._targets(action, rows)
        if action.name == "each":
            from tui.everywhere.open import open_everywhere

            open_everywhere(self._app, rows)
            return
        options = await self._options(action, targets, given)
        if options is None or not await self._agreed(action, targets):
            return
        if action.terminal:
            await self._terminal(action, targets[0], options)
            return
        if action.streams and action.on is ContainerRow:  # what else streams in a shell is a run here
            from tui.logs import open_logs

            open_logs(self._app, targets, self._access.log_engine)
            return
        if action.name in BY_ACTION:
            self._app.push_screen(make(BY_ACTION[action.name]))
            return
        if action.on is None and action.page and action.group == OWN:
            from tui.everywhere.open import open_own

            open_own(self._app, action, options)
            return
        if action.group == "Sync" and action.name in SYNC_SCREEN:
            from tui.sync.open import open_sync

            open_sync(self._app, action, targets, options, self._config, self._access)
            return
        if action.name == "job-logs":
            from tui.logs import open_job_logs

            open_job_logs(self._app, targets, self._config, self._access)
            return
        runs = [
            self.runs.start(action, target, options, ask=self, changed=self._changed) for target in targets
        ]
        if options:
            self._typed.keep(action, targets, runs)
        shown = (action.prints or action.page) and len(runs) == 1
        if shown:
            self._app.push_screen(_page(action, runs[0]))
        if not (shown and action.prints) and (action.changes or not action.prints):
            self._app.run_worker(self._tell(action, runs), group="actions", exit_on_error=False)

    def _targets(self, action: Action, rows: Sequence[Any]) -> list[Any]:
        if action.on is None:
            return [None]
        if len(rows) > 1 and not action.bulk:
            raise UsageError(
                f"{action.title} is for one at a time, {len(rows)} are marked.", hint="esc clears marks."
            )
        targets = [row for row in rows if action.applies(row)]
        if not targets:
            raise UsageError(f"{action.title} does not apply here.")
        return targets

    async def _options(
        self, action: Action, targets: Sequence[Any], given: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """What the form says; the defaults where there is nothing to ask; None: left."""
        if not any(param.required or param.option.ask for param in action.params):
            return {}
        from tui.forms import Form

        if action.name in CHOOSERS and not given:
            from tui.tunnels import choose

            found = await self._answer(choose.menu(action, targets[0], self._config))
            if found != choose.OTHER:
                return None if found is None else {"services": tuple(found.split())}
        what = label(targets[0]) if len(targets) == 1 else f"{len(targets)} marked"
        title = action.title.capitalize() if targets[0] is None else f"{action.title.capitalize()} {what}"
        given = given or self._typed.take(action, targets)
        options: dict[str, Any] | None = await self._answer(Form(title, action, given))
        return options

    async def _agreed(self, action: Action, targets: Sequence[Any]) -> bool:
        if not action.danger:
            return True
        questions = [action.question(target) for target in targets]
        if len(questions) == 1:
            return await self._ask(action.title.capitalize(), questions, yes=action.title.capitalize())
        body = questions[:_NAMED]
        if len(questions) > _NAMED:
            body.append(f"and {len(questions) - _NAMED} more")
        heading = f"{action.title.capitalize()} {len(questions)}"
        return await self._ask(heading, body, yes=f"{action.title.capitalize()} all {len(questions)}")

    async def _terminal(self, action: Action, target: Any, options: Mapping[str, Any]) -> None:
        from backend.actions.context import ActionContext
        from tui.ahead import Ahead
        from tui.handover import hand_over_in

        run = Run(action, target, options, self)
        ctx = ActionContext(config=self._config, access=self._access, voice=run)
        with Ahead(self._app, self._app.keyboard, f"{action.title} {label(target)}") as ahead:
            result = await run_one(action, target, options, ctx)
            if result.error is not None:
                raise result.error
            if result.terminal is not None:
                await hand_over_in(self._app, result.terminal, self._access, self._config, ahead)

    def begin(self, name: str, options: Mapping[str, Any], target: Any = None) -> Run:
        """Do something to the fleet, or a row, whose options are all known: no form, a toast at its end."""
        action = declared()[name]
        run = self.runs.start(action, target, options, ask=self, changed=self._changed)
        self._app.run_worker(self._tell(action, [run]), group="actions", exit_on_error=False)
        return run

    def begin_as(self, action: Action, options: Mapping[str, Any]) -> Run:
        """Do something to the fleet that has a screen of its own, which says how it ends."""
        return self.runs.start(action, None, options, ask=self, changed=self._changed)

    def tell_later(self, run: Run) -> None:
        """A toast at the end of what nobody looks at any more."""
        self._app.run_worker(self._tell(run.action, [run]), group="actions", exit_on_error=False)

    def _changed(self, run: Run) -> None:
        self._app.post_message(_message(run))

    async def _tell(self, action: Action, runs: Sequence[Run]) -> None:
        """One toast when all have ended."""
        tasks = [run.task for run in runs if run.task is not None]
        if tasks:
            await asyncio.wait(tasks)  # `await task` would cancel it when the app closes
        results = [task.result() for task in tasks]
        bad = [result for result in results if result.error is not None]
        if len(results) == 1:
            self._one(action, results[0])
            return
        done = sum(result.ok for result in results)
        lines = [f"{done} of {len(results)} done"]
        lines += [f"{label(result.target)}: {result.error}" for result in bad[:3]]
        severity = "error" if bad else "information"
        self._toast("\n".join(lines), action.title.capitalize(), severity)

    def _one(self, action: Action, result: Result) -> None:
        if result.error is not None:
            self._toast(str(result.error), f"{action.title.capitalize()}: {result.error.title}", "error")
        elif result.cancelled:
            self._toast(f"{label(result.target)}: {result.message}", action.title.capitalize(), "warning")
        elif self._config.settings.notifications:
            self._toast(result.message, action.title.capitalize(), "information")

    def _toast(self, text: str, title: str, severity: Any) -> None:
        lines = [printable(line, 300) for line in text.splitlines()]
        self._app.notify("\n".join(lines), title=title, severity=severity, markup=False)

    async def close(self) -> None:
        """Cancel what runs, wait for its clean-up."""
        await self.runs.close()


OWN = "Your commands"
"""The group of what stands in settings.yaml; those for all hosts have a screen of their own."""
CHOOSERS = frozenset({"tunnel-context", "tunnel-container"})
"""Actions whose options are chosen from a list."""
SYNC_SCREEN = frozenset(
    {"sync-host", "sync-context", "push-files", "pull-files", "sync-files", "pushdir", "pulldir"}
)
"""Actions that the sync screen is for."""
_BUILDS = ("images-build", "images-retry", "images-follow")
"""Actions whose page is the screen of builds."""


def _page(action: Action, run: Run) -> Screen[Any]:
    """Where what an action says is shown while it runs."""
    if action.name in _BUILDS:
        from tui.builds.screen import BuildScreen

        return BuildScreen(run)
    from tui.output import OutputScreen

    return OutputScreen(run)


def _message(run: Run) -> Any:
    from tui.views.activity import RunChanged

    return RunChanged(run)


def menu(actions: Sequence[Action], rows: Sequence[Any], key: Callable[[Action], str]) -> list[Entry]:
    """The lines of the `x` menu: what applies to these rows. `key` writes an action's key, if it has one.

    What has the title of one that is done to the row is left out: it would only ask which row is meant.
    """
    from tui.menu import Entry

    usable = [
        action
        for action in actions
        if action.on is None or (any(map(action.applies, rows)) and (len(rows) == 1 or action.bulk))
    ]
    own = {action.title for action in usable if action.on is not None}
    return [
        Entry(
            action.name,
            action.title,
            key(action),
            action.summary,
            danger=bool(action.danger),
            common=action.footer,
            own=action.on is not None,
        )
        for action in usable
        if action.on is not None or action.title not in own
    ]
