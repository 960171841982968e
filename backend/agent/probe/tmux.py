"""tmux sessions, asked from each running server.

The client runs as the owner of the socket: a tmux server may tell its client to open files or to run a
command, so root must never be the client of another user's server. Records and fields are separated by a
random word, because names, titles and folders may hold anything.
"""

from __future__ import annotations

import binascii
import os
import pwd
import signal
import socket
import stat
from functools import partial
from typing import Any, Callable

from ..loop import Loop, Timer
from ..times import rfc3339

_TIMEOUT = 3
_TRIES = 8
"""Looks for the end of a client that closed its output, half a second in all."""
_OUTPUT_LIMIT = 4 << 20
_TEXT = 1000
_FIELDS = (
    "session_id session_name session_attached session_windows session_created session_activity "
    "window_activity window_index window_name pane_id pane_index pane_current_command pane_title "
    "pane_current_path pane_pid pane_active pane_dead pane_width pane_height"
).split()


class TmuxWatch:
    """Asks each server now and then, one client at a time per server."""

    def __init__(self, loop: Loop, send: Callable[[list[dict[str, Any]]], Any]) -> None:
        self._loop = loop
        self._send = send
        self._running: dict[str, Client] = {}
        self._sessions: dict[str, list[dict[str, Any]]] = {}
        self._silent: set[str] = set()
        self.done = False
        """Whether every server was asked once."""

    def tick(self) -> None:
        """Start a client for each socket. A socket whose server is gone is no error."""
        found = sockets()
        for path in [path for path in self._sessions if path not in found]:
            del self._sessions[path]
        for path, uid in found.items():
            if path in self._running or (path in self._silent and not listens(path)):
                continue
            word = binascii.hexlify(os.urandom(8)).decode("ascii")
            layout = word + ">" + (word + "|").join(f"#{{{field}}}" for field in _FIELDS)
            done = partial(self._answer, path, uid, word)
            client = Client(self._loop, path, uid, ["list-panes", "-a", "-F", layout], done)
            client.start()
            self._running[path] = client
        self._report()

    def stop(self) -> None:
        """End clients that still run."""
        for client in list(self._running.values()):  # each takes itself out
            client.kill()

    def _answer(self, path: str, uid: int, word: str, text: str, whole: bool) -> None:
        self._running.pop(path, None)
        if whole:
            self._silent.discard(path)
            self._sessions[path] = parse(text, word, user_name(uid), path)
        else:
            self._silent.add(path)
            self._sessions.pop(path, None)
        self._report()

    def _report(self) -> None:
        if not self._running:
            self.done = True
            self._send([session for path in sorted(self._sessions) for session in self._sessions[path]])


class Client:
    """One run of a tmux client, as the owner of the socket."""

    def __init__(
        self, loop: Loop, path: str, uid: int, words: list[str], done: Callable[[str, bool], Any]
    ) -> None:
        """`done` gets what it wrote, and whether it ended well."""
        self._loop = loop
        self._path = path
        self._uid = uid
        self._words = words
        self._done = done
        self._pid = 0
        self._fd = -1
        self._timer: Timer | None = None
        self._tries = 0
        self._data = bytearray()

    def start(self) -> None:
        """Start it; `done` follows."""
        command = ["tmux", "-u", "-S", self._path, *self._words]
        self._fd, write = os.pipe()
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _become_client(command, self._uid, write)
        except BaseException:
            os.close(self._fd)
            raise
        finally:
            os.close(write)
        self._timer = self._loop.later(_TIMEOUT, self.kill)
        self._loop.watch(self._fd, read=self._read)

    def kill(self) -> None:
        """End it: it did not end well."""
        if self._pid:
            try:
                os.kill(self._pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._close()
            self._finish(os.waitpid(self._pid, 0)[1], killed=True)

    def _read(self) -> None:
        part = os.read(self._fd, 1 << 16)
        if part and len(self._data) < _OUTPUT_LIMIT:
            self._data += part
        elif part:
            self.kill()
        else:
            self._close()
            self._reap()

    def _close(self) -> None:
        if self._fd >= 0:
            self._loop.watch(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _reap(self) -> None:
        """Take its status. It closed its output: it is about to end, unless its user wants us to wait."""
        if not self._pid:
            return
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        self._tries += 1
        if pid:
            self._finish(status)
        elif self._tries > _TRIES:
            self.kill()
        else:
            self._loop.later(0.001 * 2**self._tries, self._reap)

    def _finish(self, status: int, killed: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._pid = 0
        self._done(bytes(self._data).decode("utf-8", "replace"), not killed and not status)


def _become_client(command: list[str], uid: int, output: int) -> None:
    """In the forked child: turn into the tmux client, as the socket's owner. Never returns."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for target, source in ((0, null), (1, output), (2, null)):
            os.dup2(source, target)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(_TIMEOUT + 2)  # survives exec: it ends even if this agent is killed first
        if uid != os.getuid():
            entry = pwd.getpwuid(uid)
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(uid)
        os.chdir("/")
        path = os.environ.get("PATH") or os.defpath
        environment = {
            "PATH": f"{path}:/usr/bin:/usr/local/bin",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "HOME": "/",
        }
        os.execvpe(command[0], command, environment)
    finally:
        os._exit(127)


def sockets() -> dict[str, int]:
    """Socket path -> owner's uid: of all users for root, else only our own."""
    own = os.getuid()
    out: dict[str, int] = {}
    for base in {os.environ.get("TMUX_TMPDIR") or "/tmp", "/tmp"}:  # noqa: S108 - tmux's own place
        try:
            folders = [name for name in os.listdir(base) if name.startswith("tmux-")]
        except OSError:
            continue
        for folder in folders[:1000]:
            if own and folder != f"tmux-{own}":
                continue
            try:
                names = os.listdir(f"{base}/{folder}")
            except OSError:
                continue
            for name in names[:100]:
                path = f"{base}/{folder}/{name}"
                try:
                    found = os.lstat(path)
                except OSError:
                    continue
                if stat.S_ISSOCK(found.st_mode) and (not own or found.st_uid == own):
                    out[path] = found.st_uid
    return out


def listens(path: str) -> bool:
    """Whether a server accepts connections there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(path)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        sock.close()
    return True


def parse(text: str, word: str, user: str, path: str) -> list[dict[str, Any]]:
    """The sessions in the output of list-panes; a record that is not whole is left out."""
    sessions: dict[str, dict[str, Any]] = {}
    active: dict[str, int] = {}
    for record in text.split(word + ">")[1:]:
        fields = record.rstrip("\n").split(word + "|")
        if len(fields) != len(_FIELDS):
            continue
        row = dict(zip(_FIELDS, fields))
        session = sessions.get(row["session_id"])
        if session is None:
            session = sessions[row["session_id"]] = {
                "id": row["session_id"][:_TEXT],
                "name": row["session_name"][:_TEXT],
                "user": user,
                "socket": path[:_TEXT],
                "attached": _number(row["session_attached"]) or 0,
                "windows": _number(row["session_windows"]) or 0,
                "created_at": _time(row["session_created"]),
                "activity_at": None,
                "panes": [],
            }
        session["panes"].append(_pane(row))
        # keys move the session's own time, output only that of its window
        written = _number(row["window_activity"]) or 0
        typed = _number(row["session_activity"]) or 0
        active[row["session_id"]] = max(active.get(row["session_id"], 0), written, typed)
    for identity, seconds in active.items():
        sessions[identity]["activity_at"] = rfc3339(seconds) if seconds else None
    return list(sessions.values())


def _pane(row: dict[str, str]) -> dict[str, Any]:
    return {
        "id": row["pane_id"][:_TEXT],
        "window": _number(row["window_index"]) or 0,
        "window_name": row["window_name"][:_TEXT],
        "index": _number(row["pane_index"]) or 0,
        "command": row["pane_current_command"][:_TEXT],
        "title": row["pane_title"][:_TEXT],
        "path": row["pane_current_path"][:_TEXT],
        "pid": _number(row["pane_pid"]),
        "active": row["pane_active"] == "1",
        "dead": row["pane_dead"] == "1",
        "width": _number(row["pane_width"]) or 0,
        "height": _number(row["pane_height"]) or 0,
    }


def user_name(uid: int) -> str:
    """The name of a uid, or the uid as text."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() and text.isascii() and len(text) < 16 else None


def _time(text: str) -> str | None:
    seconds = _number(text)
    return rfc3339(seconds) if seconds else None
