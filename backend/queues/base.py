"""What every queue can do, whoever runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from backend.errors import HostError

if TYPE_CHECKING:
    from backend.actions.context import ActionContext, Terminal
    from backend.model import JobRow

Which = Literal["unfinished", "ended", "all"]


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job as a person asks for it, before a host has said anything to it."""

    command: tuple[str, ...] = ()
    """Empty: the image's own."""
    image: str = ""
    """Name or id of an image that the host has; for a cluster also a `.sqsh` file or the name of an EDF."""
    image_file: str = ""
    """A file that all nodes of a cluster find, with the image for those that lack it."""
    name: str = ""
    """Empty: made of the script's name."""
    script: str = ""
    """What people call it; shown."""
    project: str = ""
    """Its folder on the host; empty without one."""
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    mounts: tuple[tuple[str, str, bool], ...] = ()
    """(source on the host, target in the container, read only)."""
    user: str | None = None
    """`UID:GID`; "" is the image's own user; None is whoever submits."""
    groups: tuple[str, ...] = ()
    """Further group ids."""
    gpus: int = 0
    gpu_ids: tuple[str, ...] = ()
    cpus: int = 1
    memory: int = 0
    """Bytes; 0 is neither limited nor booked."""
    shm: int = 0
    network: str = ""
    devices: tuple[str, ...] = ()
    time_limit: float | None = None
    """Seconds."""
    priority: int = 0
    """-100 to 100."""
    begin_at: datetime | None = None
    after: tuple[tuple[str, str], ...] = ()
    """(job, `ok` or `any`). A number below zero counts from the first of the same submit: -1 is that one."""
    retries: int = 0
    hold: bool = False
    array: tuple[int, ...] = ()
    """Indices; the job is submitted once for each."""
    array_limit: int = 0
    tty: bool = False
    idle_limit: float | None = None
    warn_signal: str = ""
    warn_before: float = 60.0
    outfile: str = ""
    """A file on the host that takes the output; empty: the queue keeps it."""
    partition: str = ""
    """Of a cluster; empty is its default."""
    runtime: str = ""
    """How a cluster runs it: `docker`, `pyxis`, `edf`; empty: by what `image` is."""


class Unanswered(HostError):
    """The jobs were handed over, and no answer came: they may be queued, or not."""

    title = "No answer"


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job."""

    at: datetime
    text: str
    by: str = ""


@dataclass(frozen=True)
class Detail:
    """Everything that a queue knows of a job."""

    row: JobRow
    spec: Mapping[str, Any]
    """As the engine keeps it: for people and for `--json`."""
    events: Sequence[Event] = ()


@dataclass(frozen=True)
class QueueStatus:
    """A queue as a whole."""

    host: str
    engine: str
    running: int
    waiting: int
    paused: str = ""
    """Who paused it and why."""
    draining: str = ""
    keeper: bool | None = None
    """Whether somebody keeps it moving; None where the engine does that by itself."""
    gpus_free: int | None = None
    gpus_total: int | None = None
    cpus_free: int | None = None
    cpus_total: int | None = None
    memory_free: int | None = None
    memory_total: int | None = None
    notes: Sequence[str] = ()
    """What people should know: a database that was set aside, a full disk."""


@dataclass(frozen=True)
class Estimate:
    """When a job would start."""

    host: str
    start: float | None
    """Seconds from now; None: nobody knows."""
    possible: bool
    why: str
    """`2 of 8 GPUs are free`, `asks for 9 GPUs; this host has 8`."""


class QueueEngine(Protocol):
    """The queue of one host or cluster. Numbers of jobs are strings, as the engine writes them.

    Raises `HostError` where the host is not to be had, `NoSuchTarget` for an unknown job, `Refused` for what
    the person may not do, `UsageError` for what makes no sense, `ActionFailed` for the rest.
    """

    host: str
    kind: str
    """`docker` or `slurm`."""

    async def submit(self, jobs: Sequence[Submission], *, key: str = "", again: bool = False) -> list[str]:
        """Queue all of them or none; their numbers (of an array all numbers, in order).

        `key`: made up by who submits. The same key `again` makes no further jobs, and gives the numbers of
        those that are there. Raises `Unanswered` where it is not known whether they are. A cancel is raised
        once nothing more can come through: `submitted` then knows what did.
        """

    async def submitted(self, key: str) -> list[str]:
        """The jobs of this person that were submitted by this key and have not ended."""

    async def jobs(self, which: Which = "unfinished", *, owner: str = "", limit: int = 0) -> list[JobRow]:
        """In the order of their turn, ended ones last, newest first. `limit` 0 is all."""

    async def detail(self, job: str) -> Detail:
        """One job with its history."""

    async def cancel(self, jobs: Sequence[str]) -> list[str]:
        """End them, waiting or running; a line for each that says what was done."""

    async def hold(self, jobs: Sequence[str]) -> None:
        """Let them wait until they are released."""

    async def release(self, jobs: Sequence[str]) -> None:
        """The reverse of `hold`."""

    async def move(self, job: str, where: str) -> None:
        """Change its turn: `first`, `last`, `before N`, `after N`, among the person's own jobs."""

    async def edit(self, job: str, changes: Mapping[str, Any]) -> None:
        """Change a waiting job: fields of `Submission` that are not what it runs."""

    async def retry(self, job: str) -> str:
        """Queue an ended job once more, as it was; the new number."""

    async def status(self) -> QueueStatus:
        """The queue as a whole."""

    async def pause(self, reason: str) -> None:
        """Start nothing more."""

    async def drain(self, reason: str) -> None:
        """Take nothing more; what is queued still runs."""

    async def resume(self) -> None:
        """The reverse of both; also starts whoever keeps the queue moving."""

    def follow(
        self, job: str, *, to_the_end: bool = True, output: bool = True, tail: int = 0, first: int = 0
    ) -> AsyncIterator[JobRow | bytes | str]:
        """What happens to it until it has ended: its row whenever that changed, pieces of its output, and
        sentences that people should know. Not `to_the_end`: what there is now. `first`: the attempt whose
        output comes first; 0 is the present one."""

    async def terminal(self, ctx: ActionContext, job: str) -> Terminal:
        """A terminal to the running job: its own where it has one, else a shell beside it."""

    async def estimate(self, job: Submission) -> Estimate:
        """When it would start, were it submitted now. Changes nothing."""

    async def close(self) -> None:
        """Let go of what it holds. Never raises."""
