"""The folder of the queue: where it is, whom it belongs to, and whether it can be trusted.

Whoever may use the engine may use the queue, so the folder has the group of the engine's socket. What it
holds decides what runs on the machine as whom: a folder that somebody else could have laid out for us is
refused. It is opened once and checked through the open descriptor; what is in it is reached from there.
"""

from __future__ import annotations

import errno
import os
import socket as net
import stat
import struct
import time
from typing import List, Optional, Tuple

from .. import discovery
from .errors import FailedError, MissingError, QueueError, RefusedError
from .people import gid_of, group, member, user

ENVIRONMENT = "BERTH_QUEUE_DIR"
SYSTEM = "/var/lib/berth"
SHARED = "/var/tmp/berth"  # noqa: S108  # kept over a boot, and checked before it is used
FOLDER_MODE = 0o2770
FILE_MODE = 0o660
DATABASE = "queue.db"
_UNFINISHED = 0o700
"""Mode of a folder that is being made."""
_PATIENCE = 60
_LISTENS = 5.0
"""Seconds in which an engine takes a connection."""
_CREDENTIALS = struct.Struct("iII")
"""pid, uid, gid."""
_GROUPS = ("docker", "podman")
"""Groups that may own a folder while the engine's socket, which would tell, is away."""


class Place:
    """An open folder that was found trustworthy."""

    def __init__(self, path: str, descriptor: int, gid: int, socket: str) -> None:
        self.path = path
        self.gid = gid
        """The group that shares it."""
        self.socket = socket
        """The engine's socket; empty while there is none."""
        self._descriptor = descriptor
        self.database = os.path.join(path, DATABASE)
        self.lock = os.path.join(path, "keeper.lock")
        self.doorbell = os.path.join(path, "doorbell")
        self.logs = os.path.join(path, "logs")

    def close(self) -> None:
        """Let go of the folder."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, name: str, flags: int = os.O_RDWR | os.O_CREAT, mode: int = FILE_MODE) -> int:
        """A descriptor of a file right in the folder. Raises OSError; a link is never followed."""
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags | os.O_EXCL, mode, dir_fd=self._descriptor)
        except FileExistsError:
            return os.open(name, flags & ~os.O_CREAT, dir_fd=self._descriptor)
        if flags & os.O_CREAT:
            os.fchmod(descriptor, mode)  # whatever the umask is
        return descriptor

    def stat(self, name: str) -> Optional[os.stat_result]:
        """What is there under this name, a link as itself; None for nothing."""
        try:
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def rename(self, old: str, new: str) -> bool:
        """Rename within the folder; False where there is no `old`."""
        try:
            os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove a file; it may be gone."""
        try:
            os.unlink(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            pass

    def chmod(self, name: str, mode: int) -> None:
        """Change the mode of what we have just made there."""
        os.chmod(name, mode, dir_fd=self._descriptor)

    def fileno(self) -> int:
        """The open folder."""
        return self._descriptor

    def names(self) -> List[str]:
        """What is in the folder."""
        return os.listdir(self._descriptor)

    def check(self) -> None:
        """Raise RefusedError if the path leads somewhere else by now."""
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except OSError:
            found = None
        held = os.fstat(self._descriptor)
        if found is None or (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino):
            raise RefusedError(f"{self.path} was replaced while it was in use.", "Try again.")

    def make_logs(self) -> str:
        """The folder of the logs, made if need be."""
        try:
            os.mkdir("logs", FOLDER_MODE, dir_fd=self._descriptor)
            os.chmod("logs", FOLDER_MODE, dir_fd=self._descriptor)
        except FileExistsError:
            pass
        found = self.stat("logs")
        if found is None or not stat.S_ISDIR(found.st_mode):
            raise RefusedError(f"{self.logs} is no folder.", "Move it away.")
        return self.logs


def any_exists() -> bool:
    """Whether there is any folder that could be a queue's: two or three lookups of a name."""
    return os.path.lexists(_wanted(None)) or os.path.lexists(_own())


def wanted(socket: str = "", engine: str = "auto") -> str:
    """Where the queue of this engine is, or would be."""
    return _wanted(engine_socket(socket, engine)[1])


def find(socket: str = "", engine: str = "auto", create: bool = True) -> Place:
    """The queue of this machine. `socket` and `engine` say which engine, as for the agent.

    Raises MissingError where there is none and `create` is false, RefusedError for one that cannot be
    trusted or that we have no right to, FailedError where the disk does not let us.
    """
    socket, owner = engine_socket(socket, engine)
    path = _wanted(owner)
    gid = owner.st_gid if owner is not None else None
    descriptor = _opened(path)
    if descriptor is None:
        if not create:
            raise MissingError("there is no queue here yet.", "Submit a job: berth run")
        if gid is None:
            raise MissingError(
                "there is no container engine here that could run jobs.",
                "Start Docker or Podman; berth doctor says what is missing.",
            )
        descriptor = _make(path, gid)
    try:
        gid = _trusted(path, os.fstat(descriptor), gid)
        place = Place(path, descriptor, gid, socket)
        place.check()
    except BaseException:
        os.close(descriptor)
        raise
    return place


def engine_socket(explicit: str = "", kind: str = "auto") -> Tuple[str, Optional[os.stat_result]]:
    """The engine's socket and what it is, first of all one that we may use; the path and None without any."""
    barred: Tuple[str, Optional[os.stat_result]] = (explicit, None)
    for path in discovery.candidates(kind, explicit):
        try:
            found = os.stat(path)
        except OSError:
            continue
        if stat.S_ISSOCK(found.st_mode):
            if os.access(path, os.R_OK | os.W_OK):
                return path, found
            barred = barred if barred[1] is not None else (path, found)
    return barred


def _wanted(engine: Optional[os.stat_result]) -> str:
    chosen = os.environ.get(ENVIRONMENT, "")
    if chosen:
        return os.path.abspath(chosen)
    if engine is not None and _is_own(engine):
        return _own()
    return SYSTEM if os.path.lexists(SYSTEM) else SHARED


def _is_own(engine: os.stat_result) -> bool:
    return engine.st_uid not in (0, -1) and engine.st_uid == os.getuid()


def has_own_engine(path: str) -> bool:
    """Whether the engine at that socket is this person's alone, without rights of root: root inside its
    containers is that person, and everybody else inside is a stranger to the person's files.

    Who listens counts too: the socket of root's engine may have been given to a person.
    """
    try:
        return bool(path) and _is_own(os.stat(path)) and _listener(path) == os.getuid()
    except OSError:
        return False


def _listener(path: str) -> int:
    """The uid of who listens at a socket: unix(7), SO_PEERCRED. Raises OSError."""
    with net.socket(net.AF_UNIX) as connection:
        connection.settimeout(_LISTENS)
        connection.connect(path)
        told = connection.getsockopt(net.SOL_SOCKET, net.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(told)[1])


def _own() -> str:
    """The folder of a person whose engine is theirs alone (rootless): it must not bar others' shared one."""
    return f"{SHARED}-{os.getuid()}"


def _open(path: str) -> Optional[int]:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            what = "a link" if os.path.islink(path) else "no folder"
            raise RefusedError(f"{path} is {what}: it is not used.", "Move it away.") from None
        if isinstance(error, PermissionError):
            raise _no_right(path) from None
        raise _failed(path, error) from None


def _make(path: str, gid: int) -> int:
    """Make the folder. Nobody else may look into it before it is what it has to be."""
    if os.getuid() != 0 and gid not in (os.getgid(), *os.getgroups()):
        raise RefusedError(
            f"{user()} may not use the container engine here: not in group {group(gid)}.",
            f"Ask for: sudo usermod -aG {group(gid)} {user()}, then log in again.",
        )
    try:
        os.mkdir(path, _UNFINISHED)
        descriptor = _open(path)
        if descriptor is not None:
            os.fchown(descriptor, -1, gid)
            os.fchmod(descriptor, FOLDER_MODE)
    except FileExistsError:  # somebody else was as quick
        descriptor = _opened(path)
    except OSError as error:
        raise _failed(path, error) from None
    if descriptor is None:
        raise FailedError(f"{path} was removed as soon as it was made.", "Try again.")
    return descriptor


def _opened(path: str) -> Optional[int]:
    """The folder, once whoever makes it just now is done."""
    _await(path)
    try:
        return _open(path)
    except RefusedError:
        _await(path)  # it came while we looked
        return _open(path)


def _await(path: str) -> None:
    """Wait a moment if somebody makes the folder just now."""
    for _ in range(_PATIENCE):
        try:
            found = os.stat(path, follow_symlinks=False)
        except OSError:
            return
        new = -1.0 < time.time() - found.st_ctime < 1.0
        if not new or stat.S_IMODE(found.st_mode) & 0o777 != _UNFINISHED:
            return
        time.sleep(0.02)


def _trusted(path: str, found: os.stat_result, gid: Optional[int]) -> int:
    """The folder's group, if the folder can be used at all; see `find` for what is raised."""
    me = os.getuid()
    if found.st_mode & 0o002:
        raise RefusedError(
            f"{path} can be written by everybody: it is not used.",
            f"sudo chmod 2770 {path}, or move it away.",
        )
    shared = [gid] if gid is not None else [gid_of(name) for name in _GROUPS]
    if found.st_uid not in (0, me) and not any(member(found.st_uid, one) for one in shared):
        raise RefusedError(
            f"{path} belongs to {user(found.st_uid)}, who has no right to the engine: it is not used.",
            f"sudo mv {path} {path}.old",
        )
    unfinished = stat.S_IMODE(found.st_mode) & 0o777 == _UNFINISHED
    wrong = gid is not None and (found.st_gid != gid or unfinished)
    if gid is not None and wrong and found.st_uid == me and not os.environ.get(ENVIRONMENT):
        found = _repair(path, found, gid)
    if me not in (0, found.st_uid) and found.st_gid not in (os.getgid(), *os.getgroups()):
        raise _no_right(path)
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise FailedError(f"{path} is on a file system that is read-only.", "Mount it writable.")
    if me != 0 and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise _no_right(path)
    return found.st_gid


def _repair(path: str, found: os.stat_result, gid: int) -> os.stat_result:
    """Give a folder of ours the group of the engine: it was made by hand, or for another engine."""
    try:
        os.chown(path, -1, gid, follow_symlinks=False)
        os.chmod(path, FOLDER_MODE)
        return os.stat(path, follow_symlinks=False)
    except OSError:
        return found  # whoever lacks rights because of that is told so


def _no_right(path: str) -> QueueError:
    try:
        name = group(os.stat(path).st_gid)
    except OSError:
        name = ""
    hint = f"Ask for: sudo usermod -aG {name} {user()}, then log in again." if name else "Ask its owner."
    return RefusedError(f"{user()} may not use the queue in {path}.", hint)


def _failed(path: str, error: OSError) -> QueueError:
    if error.errno == errno.ENOSPC:
        return FailedError(f"no room for the queue in {path}: the disk is full.", "Free some space there.")
    if error.errno == errno.EROFS:
        return FailedError(f"{path} is on a file system that is read-only.", "Mount it writable.")
    return FailedError(f"{path}: {error.strerror or error}.", f"Is {os.path.dirname(path)} writable?")
