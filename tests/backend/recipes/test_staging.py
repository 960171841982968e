"""Staged data: gone afterwards, also after a kill at any point, and the sources never touched."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.recipes import staging
from tests.backend.recipes.conftest import Repo, tree_hash

RENDERER = """
import asyncio, sys
from pathlib import Path
from backend.config.schema import Config, ImageSettings, Settings
from backend.recipes.discover import read
from backend.recipes.render import render
from backend.recipes.staging import staging

async def main():
    root = sys.argv[1]
    graph = read(Config(directory=Path(root), settings=Settings(images=ImageSettings(roots=(root,)))))
    print("ready", flush=True)
    while True:
        async with staging() as into:
            made = await render(graph.find("it"), graph=graph, into=into)
            print(made.digest, flush=True)

asyncio.run(main())
"""


def staged() -> int:
    """How many files lie in contexts now; they come and go meanwhile."""
    return sum(len(files) for here, _, files in os.walk(staging.folder()) if "/context" in here)


def recipe(repo: Repo) -> None:
    """One whose render takes a while: files, a staged project and a repository of git."""
    repo.write("it/Dockerfile", "FROM debian\n")
    for number in range(60):
        repo.write(f"it/data/{number % 7}/{number}", os.urandom(20_000))
    repo.write("lib/setup.py", "x")
    origin = repo.path.parent / "origin"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q", str(origin)], check=True)
    (origin / "code.py").write_text("x")
    subprocess.run([*git, "-C", str(origin), "add", "."], check=True)
    subprocess.run([*git, "-C", str(origin), "commit", "-q", "-m", "one"], check=True)
    repo.write("it/berth.yaml", f"staged: [{{project: ../lib}}, {{git: {origin}, to: code}}]\n")


async def test_it_is_gone_at_the_end_and_after_an_error(repo: Repo) -> None:
    async with staging.staging() as into:
        (into / "read-only").mkdir()
        (into / "read-only/x").write_text("x")
        (into / "read-only").chmod(0o555)
        (into / "link").symlink_to(repo.path)
        assert into.stat().st_mode & 0o777 == 0o700
    with pytest.raises(RuntimeError):
        async with staging.staging() as into:
            (into / "x").write_text("x")
            raise RuntimeError
    assert list(staging.folder().iterdir()) == []
    assert repo.path.is_dir()


async def test_a_living_one_is_left_alone(repo: Repo) -> None:
    async with staging.staging() as one:
        (one / "x").write_text("x")
        async with staging.staging() as two:
            assert one != two
        assert staging.clean() == []
        assert (one / "x").exists()


async def test_a_cancelled_render_stops_and_leaves_nothing(repo: Repo) -> None:
    from backend.recipes.render import render

    recipe(repo)
    graph = repo.graph()

    async def work() -> None:
        async with staging.staging() as into:
            while True:
                await render(graph.find("it"), graph=graph, into=into)

    for turns in range(1, 60, 7):
        task = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        while not any(staging.folder().glob("*/it*")):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(staging.folder().iterdir()) == []


def test_a_kill_at_any_point_leaves_sources_whole_and_is_cleaned_up_after(repo: Repo) -> None:
    recipe(repo)
    before = tree_hash(repo.path)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    rounds = random.Random(5)
    left = 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", RENDERER, str(repo.path)],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        digests = {process.stdout.readline() for _ in range(rounds.randrange(2))}
        # A point in the next render: by the number of files that are there, which no clock decides.
        wanted = rounds.randrange(1, 60)
        while staged() < wanted and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert len(digests) <= 1
        left += any(path.is_dir() for path in staging.folder().iterdir())
        assert tree_hash(repo.path) == before
    assert left  # or nothing was tested
    staging.clean()
    assert list(staging.folder().iterdir()) == []
