"""Projects of git that are staged: cached, fetched again only for what is new."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backend.errors import ActionFailed, UsageError
from backend.recipes import gitcache
from tests.backend.recipes.conftest import Repo, names


class Origin:
    """A repository that somebody else works on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        subprocess.run(["git", "init", "-q", "-b", "main", str(path)], check=True)

    def git(self, *argv: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        ran = subprocess.run(
            ["git", *who, "-C", str(self.path), *argv], check=True, capture_output=True, text=True
        )
        return ran.stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            (self.path / name).write_text(text)
        self.git("add", ".")
        self.git("commit", "-q", "-m", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def origin(repo: Repo) -> Origin:
    return Origin(repo.path.parent / "origin")


async def export(
    origin: Origin, into: Path, ref: str = "", mode: gitcache.Mode = "fetch"
) -> tuple[str, list[str]]:
    said: list[str] = []
    commit = await gitcache.export(str(origin.path), ref, into, mode=mode, say=said.append)
    return commit, said


async def test_the_default_branch_and_each_ref(origin: Origin, into: Path) -> None:
    first = origin.commit(a="1")
    origin.git("tag", "v1")
    origin.git("checkout", "-q", "-b", "work")
    second = origin.commit(a="2", b="2")
    for ref, commit, text in (
        ("", second, "2"),
        ("main", first, "1"),
        ("v1", first, "1"),
        (first, first, "1"),
    ):
        found, _ = await export(origin, into / (ref or "head"), ref)
        assert found == commit
        assert (into / (ref or "head") / "a").read_text() == text
    assert names(into / "head") == ["a", "b"]  # no history
    assert (into / "v1/a").stat().st_mtime == int(origin.git("show", "-s", "--format=%ct", "v1"))
    with pytest.raises(UsageError, match="has no branch, tag or commit 'nope'"):
        await export(origin, into / "x", "nope")
    with pytest.raises(UsageError):
        await export(origin, into / "x", "--upload-pack=touch /tmp/x")


async def test_only_what_is_new_is_fetched(origin: Origin, into: Path) -> None:
    (origin.path / "big").write_bytes(os.urandom(300_000))
    first = origin.commit(a="1")
    await export(origin, into / "1")
    packs = set((gitcache.place(str(origin.path)) / "objects").rglob("*"))
    second = origin.commit(a="2")
    found, said = await export(origin, into / "2")
    assert (found, said) == (second, [f"fetching {origin.path}"])
    new = [path for path in (gitcache.place(str(origin.path)) / "objects").rglob("*") if path not in packs]
    assert sum(path.stat().st_size for path in new if path.is_file()) < 50_000
    assert (await export(origin, into / "3", first))[1] == []  # a commit that is there is asked of nobody


async def test_a_branch_that_was_rewritten_or_is_gone(origin: Origin, into: Path) -> None:
    origin.commit(a="1")
    origin.git("branch", "old")
    await export(origin, into / "1")
    origin.git("commit", "-q", "--amend", "-m", "other")
    origin.git("branch", "-D", "old")
    assert (await export(origin, into / "2"))[0] == origin.git("rev-parse", "HEAD")
    with pytest.raises(UsageError):
        await export(origin, into / "3", "old")


async def test_an_unreachable_one_says_so_and_the_cache_is_used_only_when_asked(
    origin: Origin, into: Path
) -> None:
    with pytest.raises(ActionFailed, match="was never fetched"):
        await export(origin, into / "0", mode="cached")
    first = origin.commit(a="1")
    await export(origin, into / "1")
    origin.path.rename(origin.path.with_name("moved"))
    with pytest.raises(ActionFailed) as caught:
        await export(origin, into / "2")
    assert str(origin.path) in caught.value.message
    assert "cannot be fetched" in caught.value.message
    assert "--cached" in caught.value.hint
    assert (await export(origin, into / "3", mode="cached"))[0] == first


async def test_a_password_in_an_address_is_told_to_nobody(into: Path) -> None:
    said: list[str] = []
    url = "http://someone:s3cret@127.0.0.1:9/repo.git"
    with pytest.raises(ActionFailed) as failed:
        await gitcache.export(url, "", into / "one", mode="fetch", say=said.append)
    assert said == ["fetching http://127.0.0.1:9/repo.git"]
    assert "127.0.0.1:9/repo.git cannot be fetched" in str(failed.value)
    assert "s3cret" not in str(failed.value)


async def test_what_a_killed_fetch_left_is_no_obstacle(origin: Origin, into: Path) -> None:
    origin.commit(a="1")
    await export(origin, into / "1")
    cache = gitcache.place(str(origin.path))
    second = origin.commit(a="2")
    for name in ("packed-refs.lock", "config.lock", "HEAD.lock", "refs/heads/main.lock"):
        (cache / name).write_text("")
    (cache / "objects/pack/tmp_pack_abc").write_text("half")
    assert (await export(origin, into / "2"))[0] == second
    assert not list(cache.rglob("*.lock"))
    assert not list(cache.rglob("tmp_pack*"))


async def test_two_at_once_do_not_disturb_each_other(origin: Origin, into: Path) -> None:
    commit = origin.commit(a="1")
    found = await asyncio.gather(*(export(origin, into / str(number)) for number in range(4)))
    assert {each[0] for each in found} == {commit}
    assert all(names(into / str(number)) == ["a"] for number in range(4))


async def test_hooks_and_settings_of_the_person_are_not_run(
    origin: Origin, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.commit(a="1")
    home = into / "home"
    hooks = home / "template/hooks"
    hooks.mkdir(parents=True)
    hook = hooks / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {home}/ran\n")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(f"[init]\n\ttemplateDir = {home}/template\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(home))  # as inside a hook of somebody's own repository
    await export(origin, into / "1")
    assert not (home / "ran").exists()


async def test_it_is_staged_into_the_context(repo: Repo, origin: Origin, into: Path) -> None:
    commit = origin.commit(setup="x")
    repo.write("it/Dockerfile", "FROM debian\nADD origin /src\n")
    repo.write("it/berth.yaml", f"staged: [{{git: {origin.path}}}]\n")
    made = await repo.render("it", into)
    assert names(made.folder) == ["Dockerfile", "berth.yaml", "origin/setup"]
    told = {each.what: each.value for each in made.origins}
    assert told["staged origin"] == f"{origin.path} at {commit[:12]}"
    digest = made.digest
    assert (await repo.render("it", into)).digest == digest
    origin.commit(setup="y")
    assert (await repo.render("it", into)).digest != digest


async def test_a_token_in_an_address_reaches_the_server_and_no_argument(origin: Origin, into: Path) -> None:
    origin.commit(a="1")
    origin.git("update-server-info")
    heard: list[tuple[str, bool]] = []

    class Server(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            seen = any(b"t0ken" in argv for argv in arguments())
            heard.append((self.headers.get("Authorization", ""), seen))
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Server, directory=str(origin.path / ".git"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = f"http://alice:t0ken@127.0.0.1:{server.server_port}/"
            await gitcache.export(url, "", into / "one", mode="fetch", say=lambda line: None)
        finally:
            await asyncio.to_thread(server.shutdown)
    assert (into / "one/a").read_text() == "1"
    assert set(heard) == {(f"Basic {base64.b64encode(b'alice:t0ken').decode()}", False)}
    config = next(Path(os.environ["BERTH_CACHE_DIR"]).glob("git/*/config"))
    assert "t0ken" not in config.read_text()


def arguments() -> Iterator[bytes]:
    """The words of all processes of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()
