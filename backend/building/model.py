"""What a build is, towards lists and screens.

A build is one recipe on one host. Those that were asked for together share their `order`. The record of each
is kept in the state folder, so that every berth of this user sees every build: see `records`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace


class BuildState(StrEnum):
    """How far a build is."""

    WAITING = "waiting"
    """For its parents, for its turn on the host, or for somebody else's build of the same image."""
    SENDING = "sending"
    """Its base is fetched, or its context is on the way to the host."""
    BUILDING = "building"
    CHECKING = "checking"
    """It is built, and searched for private keys."""
    DETACHED = "detached"
    """It goes on there; the berth that began it has ended, or has lost the host."""
    FRESH = "fresh"
    """Nothing had to be done: the image is what its recipe would give."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    """Something it stands on could not be built."""
    LOST = "lost"
    """Nobody knows how it ended: the berth that began it was killed before the host took it over, or the
    host forgot it."""


ACTIVE = frozenset(
    {
        BuildState.WAITING,
        BuildState.SENDING,
        BuildState.BUILDING,
        BuildState.CHECKING,
        BuildState.DETACHED,
    }
)
"""States that are not final."""


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One instruction of the Dockerfile, as the builder names it."""

    number: int
    """From 1, over all stages, in the order in which they began."""
    text: str
    """`RUN apt-get update`; text of the host."""
    stage: str = ""
    """`builder 2/5` where the builder says so."""
    line: int = 0
    """Line in the Dockerfile that was built, from 1; 0: not known."""
    started_at: datetime | None = None
    seconds: float | None = None
    """How long it took; None while it runs."""
    cached: bool = False
    failed: bool = False


class Build(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recipe on one host."""

    id: str
    """Unique; sorts by time."""
    order: str
    """The builds that were asked for together have the same one."""
    host: str
    node: str = ""
    """Where the host is a cluster: the node whose engine has the image."""
    recipe: str
    images: tuple[str, ...] = ()
    """References it yields, the first is the one that others stand on."""
    state: BuildState = BuildState.WAITING
    why: str = ""
    """Why it is built (`its recipe changed`), or what it waits for."""
    created_at: datetime
    started_at: datetime | None = None
    """When the builder began."""
    ended_at: datetime | None = None
    step: int = 0
    """Steps that have begun."""
    steps: int = 0
    """How many there are; 0: not known (yet)."""
    done: tuple[Step, ...] = ()
    """Steps so far, those that run included, the last hundred."""
    builder: str = ""
    """`buildkit`, `classic` or `podman`."""
    sent: int | None = None
    """Bytes of the context that travelled to the host."""
    image_id: str = ""
    error: str = ""
    """What went wrong: names the step, and the line of the Dockerfile. May hold text of the host."""
    hint: str = ""
    tail: tuple[str, ...] = ()
    """The last lines of output of a build that failed."""
    run: str = ""
    """What the agent there calls it; empty until it took over."""
    pid: int = 0
    """The berth that made the record, on this machine."""
    request: Request | None = None
    """What was asked for, for a retry."""

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state in ACTIVE

    @property
    def seconds(self) -> float | None:
        """How long the builder took so far, or took; None before it began."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds())

    @property
    def current(self) -> Step | None:
        """The step that runs."""
        return next((step for step in reversed(self.done) if step.seconds is None), None)

    def to(self, state: BuildState, **changes: object) -> Build:
        """The build in another state; its end is noted where that is final."""
        if state not in ACTIVE:
            changes.setdefault("ended_at", datetime.now(UTC))
        return replace(self, state=state, **changes)


class Job(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the job of a cluster asks for that builds."""

    partition: str = ""
    time: float = 0.0
    """Seconds; 0: what the partition gives."""
    cpus: int = 1
    memory: int = 0
    """Bytes; 0: what the partition gives."""


class Request(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `berth images build` is asked for."""

    names: tuple[str, ...]
    hosts: tuple[str, ...]
    roots: tuple[str, ...] = ()
    """Folders with recipes; empty: those of the settings."""
    base: str = ""
    args: dict[str, str] = {}
    maintainer: str = ""
    name: str = ""
    tag: str = ""
    port: str = ""
    projects: tuple[str, ...] = ()
    """Local projects to stage: paths of this machine."""
    repositories: tuple[str, ...] = ()
    """Projects of git to stage: OWNER/NAME or a URL, `#REF` behind it."""
    authorized_keys: str = ""
    """File of this machine with public keys."""
    builder: str = "auto"
    """`buildkit` or `classic` where one of them has to do it."""
    no_cache: bool = False
    cached: bool = False
    """Projects of git as they were fetched last; nobody is asked."""
    force: bool = False
    """Build also what is fresh; the build cache still counts."""
    pull: bool = True
    """Fetch bases that a host lacks."""
    push: bool = False
    check: bool | None = None
    """Search what was built for private keys; None: what secrets or staged data went into."""
    jobs: int = 0
    """Builds on one host at a time; 0: what settings say."""
    up: str = ""
    """Context that is started again with what was built."""
    job: Job | None = None
    """How a cluster builds; None: by a job with what the queue gives by default, where it has no engine."""
    sqsh: str = ""
    """File or folder of the cluster that gets image.sqsh of the one image."""
    lost: str = ""
    """`go-on` or `stop`: what a build does when its berth is gone; empty: what settings say."""


_TOLD = tuple(
    name for name in Build.__struct_fields__ if name not in ("request", "run", "pid", "tail", "done")
)
"""Fields of a build that programs are told. What was asked for may hold secrets in its arguments."""


def as_data(build: Build) -> dict[str, Any]:
    """A build for programs: all fields every time, the steps and what was asked for left out."""
    current = build.current
    return {name: to_builtins(getattr(build, name)) for name in _TOLD} | {
        "active": build.active,
        "seconds": build.seconds,
        "current": "" if current is None or not build.active else current.text,
    }
