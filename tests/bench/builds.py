"""What building images costs beside the same by hand: `docker -H ssh://...` from the same machine."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import yaml

from tests.bench.table import Figure
from tests.lab import HostSpec, Lab

LAYERS = 10
LEAVES = 4
SLEEP = 6
"""Seconds that each leaf does nothing for: the machine's CPUs do not decide."""
FILES, FILE = 30, 10 * 1024 * 1024
"""A context of 300 MB."""


def figures(*, quick: bool = False) -> list[Figure]:
    """All of them."""
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        place = Path(folder)
        with Lab(place / "lab", [HostSpec("h1")]) as lab:
            bench = _Bench(lab, place)
            return [
                bench.nothing_changed(3 if quick else 9),
                bench.siblings(1 if quick else 3),
                *bench.one_file_changed(3 if quick else 7),
            ]


class _Bench:
    """A lab with one host, and recipes in a folder."""

    def __init__(self, lab: Lab, place: Path) -> None:
        self._place = place
        self._recipes = place / "recipes"
        self._env = {
            **os.environ,
            "BERTH_CONFIG_DIR": str(lab.config_dir),
            "BERTH_STATE_DIR": str(place / "state"),
            "BERTH_CACHE_DIR": str(place / "cache"),
        }
        self._by_hand = self._ssh(lab)

    def _ssh(self, lab: Lab) -> dict[str, str]:
        """The environment in which docker's command reaches the host by ssh, as one keeps it in ~/.ssh."""
        hosts = yaml.safe_load((lab.config_dir / "hosts.yaml").read_text())
        programs = self._place / "bin"
        programs.mkdir()
        options = (
            f"-i {hosts['identity_file']} -o UserKnownHostsFile={hosts['known_hosts']} -o IdentitiesOnly=yes"
        )
        (programs / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh {options} "$@"\n')
        (programs / "ssh").chmod(0o755)
        host = hosts["hosts"]["h1"]
        return {
            **self._env,
            "PATH": f"{programs}:/usr/bin:{os.environ['PATH']}",
            "DOCKER_HOST": f"ssh://{hosts['username']}@{host['host']}:{host['sshport']}",
            "DOCKER_BUILDKIT": "0",
        }

    def _recipe(self, root: str, name: str, dockerfile: str, base: str) -> Path:
        folder = self._recipes / root / "images" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Dockerfile").write_text(f"ARG baseimage\nFROM ${{baseimage}}\n{dockerfile}\n")
        (folder / "berth.yaml").write_text(f"base: {base}\nmaintainer: bench\n")
        return folder

    def _build(self, root: str, *words: str) -> float:
        argv = [sys.executable, "-m", "tui", "images", "build", *words, "--root", str(self._recipes / root)]
        return _timed([*argv, "--host", "h1"], self._env)

    def nothing_changed(self, runs: int) -> Figure:
        """A stack of ten images, all fresh, beside `docker build` of its leaf alone with all of it cached."""
        base = "busybox"
        for number in range(LAYERS):
            folder = self._recipe("stack", f"l{number}", f"RUN echo {number} > /l{number}", base)
            base = f"l{number}"
        self._build("stack", base)
        images = [each["images"][0] for each in self._records() if each["recipe"] == f"l{LAYERS - 2}"]
        hand = ["docker", "build", "-q", "-t", "hand", "--build-arg", f"baseimage={images[0]}", str(folder)]
        _timed(hand, self._by_hand)
        ours, theirs = [], []
        for _ in range(runs):
            ours.append(self._build("stack", base))
            theirs.append(_timed(hand, self._by_hand))
        mine, other = statistics.median(ours), statistics.median(theirs)
        note = f"{mine:.2f} s; docker -H ssh:// build {other:.2f} s"
        return Figure(
            "ten images, nothing changed, beside docker build of the leaf", mine / other, "x", 1.2, note=note
        )

    def siblings(self, runs: int) -> Figure:
        """One base with four leaves that sleep: side by side, beside one after the other."""
        together, alone = [], []
        for run in range(runs):
            for jobs, found in ((LEAVES, together), (1, alone)):
                root = f"tree{run}-{jobs}"
                self._recipe(root, "ground", f"RUN echo {root}", "busybox")
                for leaf in range(LEAVES):
                    self._recipe(root, f"leaf{leaf}", f"RUN sleep {SLEEP} && echo {root} {leaf}", "ground")
                names = [f"leaf{leaf}" for leaf in range(LEAVES)]
                found.append(self._build(root, *names, "--jobs", str(jobs)))
        mine, other = statistics.median(together), statistics.median(alone)
        note = f"{mine:.1f} s : {other:.1f} s"
        return Figure(
            "a base and four leaves, beside one after the other", mine / other, "x", 0.45, note=note
        )

    def one_file_changed(self, runs: int) -> list[Figure]:
        """The second build of a context of 300 MB in which one file has changed."""
        folder = self._recipe("big", "big", "COPY data /data", "busybox")
        (folder / "data").mkdir()
        for number in range(FILES):
            (folder / "data" / str(number)).write_bytes(os.urandom(FILE))
        self._build("big", "big")
        sent, starts = [], []
        for number in range(runs):
            (folder / "data" / "small").write_text(f"{number}\n")
            began = time.time()
            self._build("big", "big")
            build = next(each for each in self._records() if each["recipe"] == "big")
            sent.append(build["sent"] / 1e6)
            first = min(step["started_at"] for step in build["done"])
            starts.append(datetime.fromisoformat(first).timestamp() - began)
        return [
            Figure("300 MB context, one file changed: sent", statistics.median(sent), "MB", 2.0),
            Figure("the same: from exec to the builder's first step", statistics.median(starts), "s", 1.0),
        ]

    def _records(self) -> list[dict]:
        files = sorted((self._place / "state" / "builds").glob("*.json"), reverse=True)
        return [json.loads(file.read_text()) for file in files]


def _timed(argv: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.decode(errors='replace')[-2000:]}")
    return time.perf_counter() - began
