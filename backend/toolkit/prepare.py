"""The host's side of `berth prepare`: changes files in one transaction, runs the rest step by step.

`prepare_look.py` stands before it in the same namespace. Reads one JSON object from standard input,
`{"verb": "look" | "do", ...}`, and prints JSON objects, one per line. Decides nothing: what is changed was
decided and shown to a person by berth. Paths are below the home. A file is only replaced if it is still what
`look` saw, and always as a whole; if one file or folder of a request fails, all those before it are put back.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:  # there they share one namespace, see backend/prepare/host.py
    from backend.toolkit.prepare_look import (
        MANIFEST,
        content,
        digest,
        home,
        look,
        made,
        named,
        run,
        say,
        setting,
        why,
    )


class Failed(Exception):
    """A step cannot be done; says why."""


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
