"""From what a person asks to a job in a queue: the project is brought to the host, the host is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from backend.config.schema import LOCAL
from backend.errors import NoSuchTarget, Refused, UsageError
from backend.queues import asking, placement
from backend.queues.asking import Asked
from backend.queues.choose import queue_of, with_queue
from backend.queues.once import queued

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config, HostConfig
    from backend.projects import Project, Ready
    from backend.queues.base import Submission

Say = Callable[[str], None]
_SCRIPTS = (".sh", ".bash", ".py")


@dataclass(frozen=True)
class Submitted:
    """Jobs that are queued."""

    host: str
    ids: tuple[str, ...]
    name: str
    to_file: str = ""
    """The file on the host that takes the output, where there is one."""


async def submit(
    config: Config,
    access: Access,
    asked: Asked,
    *,
    host: str | None,
    folder: Path | None,
    say: Say,
    snapshot: bool = False,
    interactive: bool = False,
    key: str = "",
) -> Submitted:
    """Queue what was asked. `folder`: where to look for a project, None for none. `key`: of a submit before,
    of which nobody knows whether it came through.

    Raises `UsageError` for what makes no sense, before anything is brought anywhere.
    """
    project = _project(folder, asked)
    job = asking.read(asked, project.defaults if project else None, interactive=interactive)
    _check(asked, job, project, host=host, snapshot=snapshot, interactive=interactive, key=key)
    chosen, why = await placement.choose(config, access, host or default_host(config), job)
    if config.settings.read_only or config.host(chosen).read_only:
        raise Refused(f"run: host {chosen} is read-only.", hint="See read_only in hosts.yaml.")
    for line in why:
        say(line)
    files: list[str] = []
    if project is not None:
        _check_engine(config.host(chosen), project)
        if not why and config.host(chosen).queue != "slurm":
            await placement.ensure(config, access, chosen, job)
        job, ready = await _brought(config, access, chosen, job, project, snapshot=snapshot, say=say)
        if (asked.outfile_name or project.defaults.to_file) and not job.array and not interactive:
            files = _files(ready, asked.outfile_name or job.name, len(asking.swept(job, asked)))
    jobs = asking.swept(job, asked)
    if files:
        jobs = [replace(one, outfile=file) for one, file in zip(jobs, files, strict=True)]
    ids = await queued(lambda: queue_of(config, access, chosen), chosen, jobs, key, say)
    return Submitted(chosen, tuple(ids), job.name, files[0] if len(files) == 1 else "")


def _check(
    asked: Asked,
    job: Submission,
    project: Project | None,
    *,
    host: str | None,
    snapshot: bool,
    interactive: bool,
    key: str,
) -> None:
    """What makes no sense on any host. Raises `UsageError`, `NoSuchTarget`."""
    if not job.image and project is None:
        raise UsageError(
            "there is no project here, and no image is named.",
            hint="Make one: berth init. Or name an image of the host: berth run --image IMAGE -- COMMAND",
        )
    if not job.command and not interactive and project is not None:
        raise UsageError("nothing to run is named.", hint='For example: berth run -- hello.sh "a b"')
    _check_files(asked, project, snapshot=snapshot)
    if key and host is not None and (host == placement.ANY or host.startswith(placement.TAG)):
        raise UsageError(
            f"--key and --host {host} exclude each other: another host would know nothing of the key.",
            hint="Name the host: --host NAME.",
        )
    if project is not None and not job.workdir:
        _check_script(project, job.command)


def _check_engine(host: HostConfig, project: Project) -> None:
    if host.queue == "slurm" and host.engine == "none":
        raise UsageError(
            f"{host.name} has no engine that could build this project's image.",
            hint=f"A node can build it: berth images build {project.name} --host {host.name} --sqsh /DIR; "
            "then name it: --image /DIR/image.sqsh. "
            "Or one of a registry: --image registry.example.org/NAME:TAG.",
        )


async def _brought(
    config: Config, access: Access, host: str, job: Submission, project: Project, *, snapshot: bool, say: Say
) -> tuple[Submission, Ready]:
    """The project is on the host, with its image: the job as it runs there."""
    from backend.projects.bring import bring

    ready = await bring(project, access, host, snapshot=snapshot, say=say)
    job = asking.in_project(job, ready)
    if config.host(host).queue == "slurm":
        from backend.queues.slurm.imagefile import saved

        link, socket = await access.link(host), config.host(host).socket or ""
        job = replace(job, image_file=await saved(link, ready.folder, ready.image, socket, say))
    return job, ready


def _check_script(project: Project, command: tuple[str, ...]) -> None:
    """A slip in a script's name is told before an image is built for it. What jobs themselves make (in
    output/, .cache/ and the project's other folders) may be on the host alone."""
    path = PurePosixPath(command[0]) if command else PurePosixPath()
    if path.suffix not in _SCRIPTS or path.is_absolute():
        return
    made = {"output", ".cache", *(PurePosixPath(each).name for each in project.paths)}
    if path.parts[0] in made or ".." in path.parts or (project.folder / path).exists():
        return
    raise NoSuchTarget(
        f"there is no script {path} in {project.folder}.",
        hint="It is named as it lies in the project, not in the current folder.",
    )


def _check_files(asked: Asked, project: Project | None, *, snapshot: bool) -> None:
    """What only projects have is not left out without a word."""
    for said, option in ((asked.outfile_name, "--outfile-name"), (snapshot, "--snapshot")):
        if said and project is None:
            raise UsageError(
                f"{option} is for scripts of a project.",
                hint="With --image there is none." if asked.image else "Make one: berth init.",
            )
    if asked.outfile_name and asked.array:
        raise UsageError(
            "--outfile-name: all jobs of an array would write to one file.",
            hint="Leave it out: berth job logs shows the output of each.",
        )


def _files(ready: Ready, name: str, count: int) -> list[str]:
    """The file of each job: those of a sweep must not write to the same one."""
    from backend.projects.bring import output_file

    if count == 1:
        return [output_file(ready, name)]
    return [output_file(ready, f"{name}_{number}") for number in range(1, count + 1)]


def default_host(config: Config) -> str:
    """Where jobs go where no host is said: this machine, or the only one there is."""
    names = [host.name for host in with_queue(config)]
    if LOCAL in names:
        return LOCAL
    if len(names) == 1:
        return names[0]
    if not names:
        raise NoSuchTarget("no host has a queue.", hint="See `queue` and `engine` in hosts.yaml.")
    raise UsageError("which host?", hint=f"Say --host {'|'.join(names[:6])}, --host any or --host tag:TAG.")


def _project(folder: Path | None, asked: Asked) -> Project | None:
    if folder is None or asked.image:
        return None
    from backend.projects.rp import find

    return find(folder)
