"""Terminals in a job's allocation: srun --overlap --pty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.actions.context import Terminal
from backend.errors import NoSuchTarget
from backend.queues.slurm import script
from backend.terminal.scripts import DETACH_KEYS

if TYPE_CHECKING:
    from backend.queues.slurm.engine import SlurmQueue

_SHELL = "if command -v bash >/dev/null; then exec bash; fi; exec sh"
# a job runs some moments before its container does
_INSIDE = """name=$1; shift
d=$(command -v docker || command -v podman) || exit 127
for n in $(seq 300); do
    [ "$("$d" inspect --format "{{.State.Running}}" "$name" 2>/dev/null)" = true ] && break
    sleep 0.2
done
exec "$d" "$@" """
_THEN_END = 'srun "$@"; code=$?; scancel "$0"; exit "$code"'
"""A job that is but a shell's allocation ends with the shell."""


async def terminal(queue: SlurmQueue, job: str) -> Terminal:
    """To the job's own terminal where it has one, else a shell beside it. Raises `NoSuchTarget`."""
    found = await queue.one(job)
    row = found.row
    if row.state != "running":
        raise NoSuchTarget(
            f"job {job} on {queue.host} does not run: it is {row.state}.", hint=row.reason or ""
        )
    asked = await queue.submission(found)
    place = [f"--jobid={found.raw}", "--overlap", "--ntasks=1", "--nodes=1", "--pty", "--quiet"]
    before = [f"In job {job} ({row.name}) on {row.node or queue.host}."]
    again = f"berth job attach {queue.host}/{job}"
    lost = f"The job goes on. Back to it: {again}"
    ends = False
    if found.meta.kind == "docker" and row.interactive:
        inside = ["attach", f"--detach-keys={DETACH_KEYS}", row.container]
        words = ["sh", "-c", _INSIDE, "sh", row.container, *inside]
        before.append("Ctrl+P Ctrl+Q leaves it running.")
    elif found.meta.kind == "docker":
        inside = ["exec", "-it", row.container, "sh", "-c", _SHELL]
        words = ["sh", "-c", _INSIDE, "sh", row.container, *inside]
    else:
        if asked is not None and found.meta.kind in ("pyxis", "edf"):
            place += script.pyxis(asked) if found.meta.kind == "pyxis" else script.edf(asked)
        words = ["sh", "-c", _SHELL]
        if asked is not None and asked.tty:
            words, ends = list(asked.command) or words, True
            before.append("The job ends with this shell.")
            lost = "The shell is lost with the connection, and the job ends."
    argv = ["srun", *place, "--", *words]
    if ends:
        argv = ["sh", "-c", _THEN_END, found.raw, *argv[1:]]
    return Terminal(
        host=queue.host,
        argv=argv,
        title=f"job {job} on {queue.host}",
        before=before,
        lost=lost,
        verb=tuple(again.split()),
    )
