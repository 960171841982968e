"""The host's side of `berth prepare`: looks, changes files in one transaction, runs the rest step by step.

Reads one JSON object from standard input, `{"verb": "look" | "do", ...}`, and prints JSON objects, one per
line. Decides nothing: what is changed was decided and shown to a person by berth. Paths are below the home.
A file is only replaced if it is still what `look` saw, and always as a whole; if one file or folder of a
request fails, all those before it are put back.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

LIMIT = 1 << 20
"""Bytes of a file that is looked at; larger ones are nobody's configuration."""
MANIFEST = ".local/share/berth/prepared.json"
"""What berth made here: a list of entries, each with a kind and a path or key."""
MANAGERS = ("apt-get", "dnf", "yum", "zypper")
PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT = 20


class Failed(Exception):
    """A step cannot be done; says why."""


def say(**what: Any) -> None:
    """One line; nobody may be listening any more, and the work goes on to its end all the same."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(what).encode() + b"\n")


def home() -> Path:
    """The user's home, as the system knows it where the environment does not say."""
    return Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def why(error: OSError) -> str:
    """In words for people."""
    known = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
    return known.get(error.errno or 0, (error.strerror or type(error).__name__).lower())


def run(argv: list[str], timeout: int = TIMEOUT) -> tuple[int, str]:
    """A program's exit code and output; 127 where it is not there or hangs."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 127, ""
    return done.returncode, done.stdout.decode("utf-8", "replace")


# ------------------------------------------------------------------------------------------ looking


def look(request: dict[str, Any]) -> None:
    """Say how things are: the user, their home, what is in files, what is installed."""
    user = pwd.getpwuid(os.getuid())
    base = home()
    found: dict[str, Any] = {"user": user.pw_name, "home": str(base), "shell": user.pw_shell}
    found["problem"] = problem(base)
    found["made"] = made(base)
    wanted = list(request["files"])
    for entry in made(base):
        wanted += (
            [entry["path"], entry["path"] + ".pub"] if entry["kind"] == "key" else [entry.get("path", "")]
        )
    found["files"] = {path: content(base / path) for path in dict.fromkeys(wanted) if path}
    for entry in made(base):
        if entry["kind"] == "key":
            found["files"].get(entry["path"], {}).pop("text", None)  # a private key goes nowhere
    found["programs"] = [name for name in request["programs"] if which(name)]
    manager = next((name for name in MANAGERS if which(name)), "")
    found["manager"] = manager
    found["missing"] = [name for name in request["packages"] if not (which(name) or installed(manager, name))]
    found["root"] = os.getuid() == 0
    found["sudo"] = bool(which("sudo")) and run(["sudo", "-n", "true"])[0] == 0
    keys = [*request["git"], *(entry["key"] for entry in made(base) if entry["kind"] == "git")]
    found["git"] = {key: setting(key) for key in keys} if which("git") else {}
    say(look=found)


def problem(base: Path) -> str:
    """Why nothing can be written in the home; empty where it can."""
    if not base.is_dir():
        return "it is not there"
    try:
        status = os.statvfs(base)
    except OSError as error:
        return why(error)
    if status.f_flag & os.ST_RDONLY:
        return "it is on a read-only file system"
    if not os.access(base, os.W_OK | os.X_OK):
        return "you may not write there"
    return "its disk is full" if status.f_blocks and not status.f_bavail else ""


def content(path: Path) -> dict[str, Any]:
    """What is at a path: kind, and of a file its text, mode and hash."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return {"kind": "missing"}
    except OSError as error:
        return {"kind": "unknown", "error": why(error)}
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return {
            "kind": "link",
            "target": os.readlink(path),
            "mode": mode,
            "folder": path.is_dir(),
        }  # Path's is 3.9
    if stat.S_ISDIR(status.st_mode):
        return {"kind": "folder", "mode": mode}
    if not stat.S_ISREG(status.st_mode) or status.st_size > LIMIT:
        return {"kind": "unknown", "error": "it is no plain file"}
    try:
        data = path.read_bytes()
    except OSError as error:
        return {"kind": "unknown", "error": why(error)}
    mine = status.st_uid == os.getuid() and os.access(path, os.W_OK)
    text = data.decode("utf-8", "surrogateescape")
    return {"kind": "file", "mode": mode, "text": text, "sha": digest(data), "writable": mine}


def made(base: Path) -> list[dict[str, Any]]:
    """The entries of the manifest that can be understood."""
    try:
        entries = json.loads(content(base / MANIFEST).get("text") or "[]")
    except ValueError:
        return []
    return [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("kind"), str) and isinstance(named(entry), str)
    ]


def named(entry: dict[str, Any]) -> Any:
    """What tells it from others of its kind."""
    return entry.get("path", entry.get("key", entry.get("names")))


def digest(data: bytes) -> str:
    """By which a file is known again."""
    return hashlib.sha256(data).hexdigest()


def which(name: str) -> str | None:
    """Where a program is, also in the system's folders that are not on everybody's path."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + PLACES)


def installed(manager: str, name: str) -> bool:
    """Whether the package manager has it."""
    if manager == "apt-get":
        code, said = run(["dpkg-query", "-W", "-f", "${db:Status-Status}", "--", name])
        return code == 0 and said.strip() == "installed"
    return bool(manager) and run(["rpm", "-q", "--whatprovides", "--", name])[0] == 0


def setting(key: str) -> str | None:
    """A value of the user's git configuration."""
    code, said = run(["git", "config", "--global", "--get", key])
    return said.rstrip("\n") if code == 0 else None


# ------------------------------------------------------------------------------- files and folders


class Files:
    """Changes of files and folders that are all made, or none of them."""

    def __init__(self, base: Path, entries: list[dict[str, Any]]) -> None:
        self.base = base
        self.entries = entries
        self.back: list[Callable[[], None]] = []
        self.aside = base / f".berth-old-{os.getpid()}"
        """What was there; not beside it, as a folder that has to go must be empty."""

    def apply(self, step: dict[str, Any]) -> str:
        """Do one; a word about what was left alone, else nothing. Raises Failed."""
        path = self.base / step["path"]
        try:
            left = str(getattr(self, step["do"])(path, step) or "")
        except OSError as error:
            raise Failed(f"{path}: {why(error)}") from None
        note(self.entries, step)
        return left

    def folder(self, path: Path, step: dict[str, Any]) -> None:
        """Make a folder; its parents are steps of their own."""
        path.mkdir(mode=step["mode"])
        self.back.append(path.rmdir)
        path.chmod(step["mode"])  # whatever the umask

    def write(self, path: Path, step: dict[str, Any]) -> None:
        """Replace a file, or make it."""
        self.unchanged(path, step)
        part = path.with_name(f".{path.name[:100]}.berth-{os.getpid()}")
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(step["text"].encode("utf-8", "surrogateescape"))
                file.flush()
                os.fsync(file.fileno())
            part.chmod(step["mode"])
            self.keep(path)
            part.replace(path)
        except BaseException:
            if part.exists():
                part.unlink()
            raise

    def remove(self, path: Path, step: dict[str, Any]) -> None:
        """Remove a file."""
        self.unchanged(path, step)
        self.keep(path)
        if path.exists():
            path.unlink()

    def chmod(self, path: Path, step: dict[str, Any]) -> None:
        """Change a folder's mode."""
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(step["mode"])
        self.back.append(lambda: path.chmod(before))

    def nothing(self, path: Path, step: dict[str, Any]) -> None:
        """What is left as it is, and no more written down."""

    def rmdir(self, path: Path, step: dict[str, Any]) -> str:
        """Remove a folder if nothing is in it."""
        mode = stat.S_IMODE(path.stat().st_mode)
        try:
            path.rmdir()
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return "left, there is something in it"
            raise
        self.back.append(lambda: path.mkdir(mode=mode))
        return ""

    def manifest(self, path: Path, step: dict[str, Any]) -> None:
        """Write down what berth made; nothing where that is no more than the folders of this file."""
        step = {
            "was": content(path).get("sha", ""),
            "mode": 0o600,
            "text": json.dumps(self.entries, indent=1),
        }
        if all(
            entry["kind"] == "folder" and self.base / entry["path"] in path.parents for entry in self.entries
        ):
            self.remove(path, step)
        else:
            self.write(path, step)

    def unchanged(self, path: Path, step: dict[str, Any]) -> None:
        """Raise Failed where it is not what was looked at."""
        now = content(path)
        if now.get("sha", "") != step["was"] or now["kind"] not in ("file", "missing"):
            raise Failed(f"{path} was changed meanwhile")

    def keep(self, path: Path) -> None:
        """Have what is there for a way back that needs no room on the disk."""
        if not path.exists():
            self.back.append(path.unlink)
            return
        if not self.aside.is_dir():
            self.aside.mkdir(mode=0o700)
        old = self.aside / str(len(self.back))
        try:
            os.link(path, old)
        except OSError:  # a file system without hard links
            shutil.copy2(path, old)
        self.back.append(lambda: None if not old.exists() else (old.replace(path), None)[1])

    def undo(self) -> None:
        """Put everything back."""
        for step in reversed(self.back):
            try:
                step()
            except OSError as error:
                say(warn="not put back: " + why(error))

    def close(self) -> None:
        """Remove what was kept for the way back."""
        shutil.rmtree(self.aside, ignore_errors=True)


def note(entries: list[dict[str, Any]], step: dict[str, Any]) -> None:
    """Remember what a step made, or that it is gone."""
    for entry in filter(None, (step.get("forget"), step.get("record"))):
        same = [each for each in entries if (each["kind"], named(each)) == (entry["kind"], named(entry))]
        for each in same:
            entries.remove(each)
    if step.get("record"):
        entries.append(step["record"])


def files(request: dict[str, Any], entries: list[dict[str, Any]]) -> bool:
    """All changes of files and folders, the manifest among them."""
    work = Files(home(), entries)
    told = []
    try:
        for step in request["files"]:
            told.append({"step": step["id"], "ok": True, "left": work.apply(step)})
    except BaseException as error:
        work.undo()
        say(failed=str(error) if isinstance(error, Failed) else type(error).__name__)
        if not isinstance(error, Failed):
            raise
        return False
    finally:
        work.close()
    for line in told:
        say(**line)
    return True


# ---------------------------------------------------------------------------------------- the rest


def git_set(step: dict[str, Any]) -> tuple[bool, str]:
    """Set a value that is not set."""
    if setting(step["key"]) is not None:
        return False, "it is set by now"
    code, said = run(["git", "config", "--global", step["key"], step["value"]])
    return code == 0, said.strip()


def git_unset(step: dict[str, Any]) -> tuple[bool, str]:
    """Take a value out if it is still that one."""
    if setting(step["key"]) != step["value"]:
        return False, "it was changed meanwhile"
    code, said = run(["git", "config", "--global", "--unset", step["key"]])
    config = home() / ".gitconfig"
    section = step["key"].rpartition(".")[0]
    pattern = "^" + re.escape(section) + r"\."
    if code == 0 and run(["git", "config", "--global", "--get-regexp", pattern])[0] == 1:
        run(["git", "config", "--global", "--remove-section", section])  # older git leaves its heading
    if code == 0 and step.get("empty") and config.is_file() and not config.read_bytes().strip():
        config.unlink()
    return code == 0, said.strip()


def key_make(step: dict[str, Any]) -> tuple[bool, str]:
    """Make a key pair beside its place, and give it its name only if nothing has that."""
    path = home() / step["path"]
    public = path.with_name(path.name + ".pub")
    folder = path.with_name(f".berth-key-{os.getpid()}")
    folder.mkdir(mode=0o700)
    made = folder / "key"
    try:
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", step["comment"], "-f", str(made)]
        code, said = run(argv)
        if code:
            return False, said.strip() or "ssh-keygen is not there"
        if path.exists() or path.is_symlink() or public.exists() or public.is_symlink():
            return False, f"{path} is there already"
        step["record"]["sha"] = digest(made.read_bytes())
        os.link(made, path)
        os.link(folder / "key.pub", public)
        return True, public.read_text().strip()
    except OSError as error:
        return False, why(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def command(step: dict[str, Any]) -> tuple[bool, str]:
    """A package manager at work, its output told as it comes; it is never ended half way."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    last = ""
    for argv in step["argv"]:
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return False, f"{argv[0]}: {why(error)}"
        assert child.stdout is not None
        for line in child.stdout:
            last = line.decode("utf-8", "replace").rstrip()[:500] or last
            say(line=last)
        code = child.wait()
    return code == 0, "" if code == 0 else last


STEPS = {"git_set": git_set, "git_unset": git_unset, "key_make": key_make, "command": command}


class Rest:
    """Steps that are no files of ours: each for itself, one that fails keeps no other back."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.entries = entries
        self.failed = False
        self.stopped = False
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self.stop)

    def stop(self, *_: Any) -> None:
        """Begin no other step."""
        self.stopped = True

    def work(self, steps: list[dict[str, Any]], *, save: bool) -> None:
        """Do them; `save`: write each down at once."""
        for step in steps:
            done, said = (False, "cancelled") if self.stopped else STEPS[step["do"]](step)
            self.failed = self.failed or not done
            if done:
                note(self.entries, step)
                if save:
                    self.save()
            say(step=step["id"], ok=done, left=said)

    def save(self) -> None:
        """Write down what was made."""
        keeper = Files(home(), self.entries)
        try:
            keeper.apply({"do": "manifest", "path": MANIFEST})
        except Failed as error:
            say(warn=f"not written down: {error}")
        keeper.close()


def do(request: dict[str, Any]) -> int:
    """Carry out a plan: `before` the files, the `files`, and what comes `after` them."""
    entries = made(home())
    rest = Rest(entries)
    rest.work(request["before"], save=False)
    if not files(request, entries):
        return 1
    rest.work(request["after"], save=True)
    return int(rest.failed)


def main() -> int:
    """Do what is asked."""
    request = json.loads(sys.stdin.readline())
    if request["verb"] == "look":
        look(request)
        return 0
    return do(request)


if __name__ == "__main__":
    sys.exit(main())
