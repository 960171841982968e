"""Mounting a folder of a host: looked at over berth's own connection first, then left to sshfs.

sshfs has a connection of its own, by OpenSSH and with berth's settings: so a mount stays when berth ends, and
comes back after a lost link without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import secrets
import shutil
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from backend.errors import ActionFailed, BerthError
from backend.link.openssh import configuration
from backend.link.threads import in_thread
from backend.mounts import mountinfo, places, records
from backend.mounts.model import STALE, MountRow, MountState, Record
from backend.mounts.places import Source
from backend.mounts.unmounting import fusermount, unmount
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config
    from backend.link import Link

P = ParamSpec("P")
T = TypeVar("T")

_LIMIT = 40.0
"""Seconds for the login, the first answer, and the mount."""
_LOOK = 10.0
_DISK = 5.0
"""Seconds that looking at a folder of this machine may take."""
_SERVERS = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/sftp-server",
)
"""Where systems have it; used where sshd does not offer it."""


async def mount(
    config: Config, access: Access, source: Source, folder: str = "", *, read_only: bool = False
) -> tuple[Record, bool]:
    """Mount it; what was written down, and whether it was so already. Raises `BerthError`s."""
    program = places.able(shutil.which("sshfs"))
    fusermount()
    target = await _on_disk(places.folder, folder, source)
    found = await records.rows()
    for row in found:
        if row.folder != target:
            continue
        same = row.host == source.host and row.path in (source.path, mountinfo.clean(source.path))
        if same and row.state not in STALE:
            return _as_record(row), True
        if same or row.state is MountState.BROKEN:
            await unmount(row)
        else:
            raise ActionFailed(f"{row.name} is mounted on {target}.", hint=f"End it: berth umount {row.id}")
    link = await access.link(source.host)
    await _look(link, source)
    read_only = read_only or config.settings.read_only or config.host(source.host).read_only
    mounts = await asyncio.to_thread(mountinfo.read)
    made = await _on_disk(places.prepared, target, mounts)
    record = Record(
        id=secrets.token_hex(3),
        host=source.host,
        path=source.path,
        folder=target,
        context=source.context,
        read_only=read_only,
        made=made,
        since=datetime.now(UTC),
        machine=platform.node(),
    )
    try:
        await _mount(program, config, link, record)
        with _own_files():
            records.write(record)
    except BaseException:
        await asyncio.shield(_undo(record))
        raise
    return record, False


def _as_record(row: MountRow) -> Record:
    return Record(
        id=row.id,
        host=row.host,
        path=row.path,
        folder=row.folder,
        read_only=row.read_only,
        since=row.since or datetime.now(UTC),
    )


async def _on_disk(function: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
    """In a thread that nobody waits for longer than is sensible: a folder above may be a dead mount."""
    try:
        return await asyncio.wait_for(in_thread(function, *arguments, **more), _DISK)
    except TimeoutError:
        raise ActionFailed(
            "the file system of that folder does not answer.", hint="See: berth mounts"
        ) from None


async def _look(link: Link, source: Source) -> None:
    """Whether the folder is there. Raises `ActionFailed`."""
    with contextlib.suppress(TimeoutError):
        for test, wrong in (("-e", "is not there"), ("-d", "is no folder"), ("-x", "may not be entered")):
            done = await link.run(["test", test, source.path or "."], timeout=_LOOK)
            if done.returncode == 1:  # anything else: a login that only serves files, sshfs will say
                raise ActionFailed(f"{source.host}: {printable(source.path or '~', 300)} {wrong}.")


async def _mount(program: str, config: Config, link: Link, record: Record) -> None:
    alias = f"berth-{record.id}"
    place = records.place(record.id)
    with _own_files():
        place.mkdir(parents=True, mode=0o700)
    written = await configuration(config.host(record.host), alias, place / "known_hosts")
    with _own_files():
        _write(place / "ssh_config", written.text)
        _write(place / "known_hosts", written.known_hosts)
    said = await _sshfs(program, alias, record)
    if said and "subsystem request failed" in said and (server := await _server(link)):
        said = await _sshfs(program, alias, record, server)
    if said:
        raise _explained(record, said)


@contextlib.contextmanager
def _own_files() -> Iterator[None]:
    """What cannot be written there is said as what it is. Raises `ActionFailed`."""
    try:
        yield
    except OSError as error:
        raise ActionFailed(
            f"what belongs to a mount cannot be written: {error.filename}: {error.strerror}.",
            hint="Free that folder, or name another one with BERTH_STATE_DIR.",
        ) from None


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")


async def _server(link: Link) -> str:
    """Where the host has the program that serves files; empty: nowhere."""
    for path in _SERVERS:
        if (await link.run(["test", "-x", path], timeout=_LOOK)).returncode == 0:
            return path
    return ""


async def _sshfs(program: str, alias: str, record: Record, server: str = "") -> str:
    """Start it; what went wrong, or nothing once it is mounted: it goes on by itself then."""
    options = [
        f"fsname={mountinfo.name(record.id, record.host, record.path)}",
        "reconnect",
        "idmap=user",
        "default_permissions",
        *(["ro"] if record.read_only else []),
        *([f"sftp_server={server}"] if server else []),
    ]
    argv = [program, "-v", "-F", str(records.place(record.id) / "ssh_config"), "-o", ",".join(options)]
    # No pipe: its ssh would hold the other end for as long as it runs. -v: else ssh's own words are lost.
    with tempfile.TemporaryFile() as output:
        child = await asyncio.create_subprocess_exec(
            *argv,
            *(f"{alias}:{record.path}", record.folder),
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
        )
        try:
            await asyncio.wait_for(child.wait(), _LIMIT)
        except TimeoutError:
            raise ActionFailed(
                f"{record.host} did not answer sshfs within {_LIMIT:.0f} s.", hint="Try: berth doctor"
            ) from None
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, 9)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(child.wait(), 2.0)
        output.seek(0)
        said = output.read(4000).decode(errors="replace")
    if child.returncode == 0 and mountinfo.at(record.folder, await asyncio.to_thread(mountinfo.read)):
        return ""
    return said.strip() or f"sshfs ended with exit code {child.returncode}"


def _explained(record: Record, said: str) -> BerthError:
    lines = [line for line in said.splitlines() if line.strip()]
    why = printable("; ".join(lines[-3:]), 300)
    where = f"{record.host}:{record.path or '~'}"
    if "subsystem request failed" in said:
        return ActionFailed(
            f"{record.host} serves no files: its sshd has no sftp subsystem.",
            hint="Its administrator adds to sshd_config: Subsystem sftp internal-sftp",
        )
    if "Permission denied (" in said or "Host key verification failed" in said:
        return ActionFailed(
            f"{record.host}: ssh was refused where berth is let in: {why}.",
            hint="A key with a passphrase has to be in an SSH agent: ssh-add",
        )
    if "No such file" in said:
        return ActionFailed(f"{where}: there is no such folder.")
    if "allow" in said and "fuse.conf" in said:
        return ActionFailed(f"this machine does not let you mount: {why}.", hint="See /etc/fuse.conf.")
    if "fusermount" in said or "fuse:" in said:
        return ActionFailed(f"this machine does not let you mount: {why}.", hint="Look at: ls -l /dev/fuse")
    return ActionFailed(f"{where} cannot be mounted: {why}.")


async def _undo(record: Record) -> None:
    """As if it had never been tried."""
    mounts = await asyncio.to_thread(mountinfo.read)
    for each in mounts:
        name = mountinfo.ours(each, os.getuid())
        if name is not None and name.id == record.id:
            row = MountRow(
                id=record.id,
                host=record.host,
                path=record.path,
                folder=record.folder,
                state=MountState.BROKEN,
            )
            with contextlib.suppress(BerthError):
                await unmount(row)
    await asyncio.to_thread(records.forget, record, await asyncio.to_thread(mountinfo.read))
