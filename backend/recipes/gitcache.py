"""Repositories of git in the cache: each fetched once, then only what is new; their files without history.

A fetch that was killed leaves locks of git and half packs. The next one holds our lock, and so knows that
nobody else is at it, and removes them. Git itself holds our lock too: it may live on after berth.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from backend.config.paths import cache_dir
from backend.errors import ActionFailed, UsageError
from backend.recipes.berthfile import last_part, source
from backend.text import printable

Mode = Literal["fetch", "cached"]
Say = Callable[[str], None]
_FETCH_TIME = 1800.0
_QUICK_TIME = 120.0
_LOCK_PAUSE = 0.1
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_USER = re.compile(r"(?<=://)[^/\s'\"]*@")
_SAFE = (
    *("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never"),
    *("-c", "gc.auto=0", "-c", "core.fsmonitor=false"),
)


def shown(text: str) -> str:
    """A repository's address, or what git says of it, without a password or token that an address holds."""
    return printable(_USER.sub("", text), 300)


def place(url: str) -> Path:
    """The bare repository in the cache."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", last_part(url)) or "repository"
    return cache_dir() / "git" / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:16]}.git"


async def export(url: str, ref: str, into: Path, *, mode: Mode, say: Say) -> str:
    """Write the files of a repository at `ref` (empty: its default branch) into a new folder; the commit.

    `mode` "cached" asks nobody and takes what was fetched last. Raises `ActionFailed` where git cannot reach
    it or is not there, `UsageError` for a ref that it does not have.
    """
    url = source(url)
    if url.startswith("-") or ref.startswith("-") or "\0" in url + ref:
        raise UsageError(f"{shown(url)} {printable(ref, 100)} is no repository.")
    cache = place(url)
    async with _locked(cache) as lock:
        if mode == "cached":
            if not (cache / "HEAD").exists():
                raise ActionFailed(f"{shown(url)} was never fetched.", hint="Do it once with the network.")
        elif not (_COMMIT.fullmatch(ref) and await _commit(cache, ref)):
            say(f"fetching {shown(url)}")
            await _fetch(cache, url, lock)
        commit = await _commit(cache, ref)
        if not commit:
            raise UsageError(
                f"{shown(url)} has no branch, tag or commit {printable(ref or 'HEAD', 100)!r}.",
                hint="Say another with `ref:`.",
            )
        await _check_out(cache, commit, into, say)
    return commit


@asynccontextmanager
async def _locked(cache: Path) -> AsyncIterator[int]:
    """Nobody else touches the repository meanwhile; the descriptor that holds the lock."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(cache.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ActionFailed(f"{cache.parent} cannot be used: {error.strerror}.") from None
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_PAUSE)
        yield lock
    finally:
        os.close(lock)


def without_login(url: str) -> tuple[str, dict[str, str]]:
    """An address of the web without the name and password (or token) that it holds, and git's environment
    that holds them instead: arguments of a program can be seen by everybody on the machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, {}
    login, at, host = parts.netloc.rpartition("@")
    if not at or parts.scheme not in ("http", "https"):
        return url, {}
    name, _, password = login.partition(":")
    known = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{host}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {known}",
    }


async def _fetch(cache: Path, url: str, lock: int) -> None:
    """All branches and tags, and which one is the default."""
    if not (cache / "HEAD").exists():
        await _git(["init", "--quiet", "--bare", str(cache)], hint="")
    await asyncio.to_thread(_tidy, cache)
    at = f"--git-dir={cache}"
    url, private = without_login(url)
    refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    hint = "Is the network there, and the address right?"
    if (cache / "packed-refs").exists() or any((cache / "refs/heads").iterdir()):
        hint += " --cached takes the state that was fetched last."
    await _git(
        [at, "fetch", "--quiet", "--prune", "--force", "--", url, *refs],
        wait=_FETCH_TIME,
        what=f"{shown(url)} cannot be fetched",
        hint=hint,
        keep=(lock,),
        more=private,
    )
    words = [at, "ls-remote", "--symref", "--", url, "HEAD"]
    told = await _git(words, what=shown(url), hint=hint, more=private)
    if match := re.match(rb"ref: (refs/heads/[^\t\n]+)\tHEAD", told):
        await _git([at, "symbolic-ref", "HEAD", os.fsdecode(match[1])], hint="")


def _tidy(cache: Path) -> None:
    """What a fetch left that was killed."""
    for pattern in (
        "*.lock",
        "refs/**/*.lock",
        "objects/pack/tmp_*",
        "objects/pack/*.lock",
        "objects/*/tmp_*",
    ):
        for path in cache.glob(pattern):
            with suppress(OSError):
                path.unlink()
    for path in (cache / "objects").glob("tmp_objdir-*"):
        from backend.recipes.staging import remove

        with suppress(OSError):
            remove(path)


async def _commit(cache: Path, ref: str) -> str:
    """The commit that a ref means; empty where there is none."""
    if not (cache / "HEAD").exists():
        return ""
    for name in (f"refs/heads/{ref}", f"refs/tags/{ref}", ref) if ref else ("HEAD",):
        argv = [
            f"--git-dir={cache}",
            "rev-parse",
            "--verify",
            "--quiet",
            f"{name}^{{commit}}",
        ]
        with suppress(ActionFailed):
            return (await _git(argv, hint="")).decode().strip()
    return ""


async def _check_out(cache: Path, commit: str, into: Path, say: Say) -> None:
    """The files of a commit, all with its time: the same commit is the same context."""
    await asyncio.to_thread(into.mkdir, parents=True)
    index = into.with_name(f".{into.name}.index")
    at = [f"--git-dir={cache}", f"--work-tree={into}"]
    try:
        await _git([*at, "read-tree", commit], hint="", index=index)
        await _git([*at, "checkout-index", "--all", "--force"], hint="", index=index, wait=_FETCH_TIME)
        if b"160000 " in await _git([*at, "ls-files", "--stage"], hint="", index=index):
            say(f"{into.name}: its submodules are not staged")
        told = await _git([*at, "show", "--no-patch", "--format=%ct", commit], hint="")
    finally:
        await asyncio.to_thread(index.unlink, missing_ok=True)
    await asyncio.to_thread(_set_times, into, int(told.split()[-1]))


def _set_times(folder: Path, moment: int) -> None:
    for here, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            os.utime(Path(here, name), (moment, moment), follow_symlinks=False)


async def _git(
    argv: list[str],
    *,
    hint: str,
    what: str = "git failed",
    wait: float = _QUICK_TIME,
    index: Path | None = None,
    keep: tuple[int, ...] = (),
    more: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """What git writes. It asks nothing, and a cancel ends it. Raises `ActionFailed` with its complaint.

    `keep`: descriptors that it holds while it lives. `more`: variables of its environment.
    """
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20"),
        "LC_ALL": "C",
        **({"GIT_INDEX_FILE": str(index)} if index else {}),
        **more,
    }
    try:
        process = await asyncio.create_subprocess_exec(
            *("git", *_SAFE, *argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            pass_fds=keep,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise ActionFailed(
            "git is not installed on this machine.", hint="Staged projects of git need it."
        ) from None
    try:
        async with asyncio.timeout(wait):
            out, said = await process.communicate()
    except TimeoutError:
        raise ActionFailed(f"{what}: no end within {wait:.0f} s.", hint=hint) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)  # git's own children (ssh, index-pack) too
            await process.wait()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
        why = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1])
        raise ActionFailed(f"{what}: {shown(why)}.".replace("..", "."), hint=hint)
    return out
