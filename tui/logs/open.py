"""Opening the log screen. Light: what it takes is imported when a log is opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App

    from backend.actions.context import Access
    from backend.config import Config
    from backend.logs.plain import LogEngine
    from backend.model import ContainerRow, JobRow


def open_logs(
    app: App[Any], rows: Sequence[ContainerRow], engine: Callable[[str], Awaitable[LogEngine]]
) -> None:
    """Show the logs of `rows` over what is shown now; leaving it leaves that as it was.

    `engine` gives a host's engine each time it is needed, as `Access.engine` and `FleetAccess.log_engine` do.
    """
    from backend.logs.follower import Follower, Target, Wants
    from tui.logs.screen import LogScreen

    targets = [Target(row.host, row.id or row.name, row.name) for row in rows]

    def reader(wants: Wants) -> Follower:
        return Follower(targets, engine, wants)

    if targets:
        app.push_screen(LogScreen(targets, reader))


def open_job_logs(app: App[Any], rows: Sequence[JobRow], config: Config, access: Access) -> None:
    """Show the output of jobs in the same way."""
    from backend.logs.follower import Target, Wants
    from backend.queues.describe import called
    from backend.queues.joblog import JobLog
    from tui.logs.screen import LogScreen

    targets = [Target(row.host, row.id, f"{row.id} {called(row)}") for row in rows]

    def reader(wants: Wants) -> JobLog:
        return JobLog(targets, config, access, wants)

    if targets:
        app.push_screen(LogScreen(targets, reader, of="job"))
