"""The default profiles take the same files as nine rsyncs by hand with the same rules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backend.config.schema import Folders
from backend.config.syncdefaults import built_in
from backend.sync.engine import HostSync, Wish
from backend.sync.plan import Options
from tests.backend.sshd import Sshd
from tests.backend.sync.conftest import OneHost, files, write
from tests.lab import parts

HIDDEN = "--exclude=**/.*"
CODE = ["--include=*.py", "--include=*.ipynb", "--include=*/", "--exclude=*"]
TEXTS = ["*/", "*.txt", "*.bash", "*.sh", "*.csv", "*.json", "*.md"]
TEXT = [*(f"--include={each}" for each in TEXTS), "--exclude=*"]
CHECKPOINTS = "--exclude=**/.ipynb_checkpoints/"
PUSH = [
    ("mirror/*", "mirror", [HIDDEN]),
    ("shared/*", "shared", [HIDDEN]),
    ("shared/notebook/", "shared/notebook", [HIDDEN, CHECKPOINTS, *CODE]),
    ("shared/script/", "shared/script", [HIDDEN, CHECKPOINTS, *CODE]),
    ("shared/tests/", "shared/tests", [HIDDEN, "--exclude=SAVED", "--include=*.py", *TEXT]),
    ("shared/bin/*", "shared/bin", [HIDDEN]),
    ("shared/secret/", "shared/secret", []),
    ("shared/", "shared", ["--include=*.json", "--exclude=*"]),
    ("shared/pythonenv/*", "shared/pythonenv", ["--exclude=**/__pycache__", HIDDEN]),
]
GIT = "--exclude=**/.git"
REMOVE = [
    ("mirror/*", "mirror", [HIDDEN, GIT]),
    ("shared/*", "shared", [HIDDEN, GIT]),
    ("shared/notebook/", "shared/notebook", [HIDDEN, GIT, *CODE]),
    ("shared/script/", "shared/script", [HIDDEN, GIT, *CODE]),
    ("shared/tests/", "shared/tests", [HIDDEN, "--exclude=SAVED", "--include=*.py", *TEXT]),
    ("shared/bin/", "shared/bin", [HIDDEN, GIT]),
    ("shared/secret/", "shared/secret", []),
    ("shared/", "shared", ["--include=*.json", "--exclude=*"]),
    ("shared/pythonenv/*", "shared/pythonenv", [HIDDEN, GIT]),
]
ARTEFACTS = [
    *("--include=*.py", "--exclude=**/torch_compile_debug/", HIDDEN, "--exclude=**/res_cache/", CHECKPOINTS),
    *("--exclude=**/__pycache__", "--exclude=SAVED*/", "--exclude=hwfail/", "--exclude=fail/"),
    *("--exclude=rerun/", "--exclude=uncategorized/", "--exclude=success/", "--include=*.ipynb"),
    *("--include=*/", "--include=*.png"),
]
PULL = [
    ("mirror/", "mirror", ["--exclude=/context/"]),
    ("shared/bin/*", "shared/bin", [HIDDEN]),
    ("shared/notebook/", "shared/notebook", [*ARTEFACTS, "--exclude=*"]),
    ("shared/script/", "shared/script", [*ARTEFACTS, "--exclude=*"]),
    ("shared/tests/", "shared/tests", [*ARTEFACTS, *TEXT]),
    ("shared/", "shared", ["--include=*.json", "--exclude=*"]),
    ("shared/pythonenv/*", "shared/pythonenv", ["--exclude=**/__pycache__", HIDDEN]),
]
FOLDERS = [
    "mirror",
    "shared",
    *(f"shared/{name}" for name in ("notebook", "script", "tests", "bin", "secret", "pythonenv")),
]
NAMES = [
    *(
        "a.py",
        "b.ipynb",
        "c.txt",
        "d.json",
        "e.png",
        "f.bin",
        ".hidden",
        ".hidden.py",
        "sub/g.py",
        "sub/h.csv",
    ),
    *("sub/.git/config", ".git/config", "__pycache__/x.pyc", "SAVED/i.py", "SAVED2/j.txt", "context/k.yaml"),
    *(".ipynb_checkpoints/l.ipynb", "torch_compile_debug/m.py", "fail/n.py", "sub/res_cache/o.py", "p q.md"),
]


def plant(home: Path, mark: str) -> None:
    for folder in FOLDERS:
        for name in NAMES:
            write(home / folder / name, f"{mark} {folder}/{name}", age=5000)
    write(home / "shared/large.bin", b"x" * (1024**2 + 1))
    write(home / "shared/just.bin", b"x" * 1024**2)


def by_hand(rules: list[tuple[str, str, list[str]]], source: Path, target: Path, *more: str) -> None:
    """As the scripts do it, one after the other."""
    for what, to, options in rules:
        words = " ".join(f"'{each}'" for each in ("-ur", "--max-size=1M", *more, *options))
        (target / to).mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["bash", "-c", f"cd '{source}' && rsync {words} {what} '{target}/{to}/'"],
            check=False,
            capture_output=True,
        )


@pytest.mark.parametrize(("name", "rules"), [("push", PUSH), ("pushremove", REMOVE), ("pull", PULL)])
async def test_the_same_files(
    tmp_path: Path,
    sshd: Sshd,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    rules: list[tuple[str, str, list[str]]],
) -> None:
    parts.require("rsync")
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    source, hand, ours = tmp_path / "source", tmp_path / "hand", tmp_path / "ours"
    plant(source, "source")
    for target in (hand, ours):
        for folder in FOLDERS:
            (target / folder).mkdir(parents=True, exist_ok=True)
        (target / "shared/secret").chmod(0o700)
        write(target / "shared/bin/only there.py", "x", age=9000)
        write(target / "shared/only there.txt", "x", age=9000)
        write(target / "shared/only there.json", "x", age=9000)
        write(target / "shared/notebook/sub/only there.py", "x", age=9000)
        write(target / "shared/notebook/sub/only there.bin", "x", age=9000)
        write(target / "shared/pythonenv/only there", "x", age=9000)
        write(target / "shared/secret/.only there", "x", age=9000)
        write(target / "mirror/sub/only there", "x", age=9000)
        write(target / "mirror/only there", "x", age=9000)
        write(target / "mirror/.only there", "x", age=9000)
        write(target / "shared/c.txt", "newer there", age=10)
        write(target / "shared/tests/SAVED/only there.py", "x", age=9000)
    by_hand(rules, source, hand, *(["--delete"] if name == "pushremove" else []))
    profile = next(each for each in built_in(Folders()) if each.name == name)
    here, there = (ours, source) if name == "pull" else (source, ours)
    monkeypatch.setenv("HOME", str(here))
    sshd.stop()
    sshd.options["SetEnv"] = f"HOME={there}"
    sshd.start()
    access = OneHost(sshd)
    async with HostSync(access, "box", Wish(profile, Options("pull" if name == "pull" else "push"))) as sync:  # type: ignore[arg-type]
        done = await sync.apply(await sync.plan())
    await access.close()
    assert done.failed == []
    found, expected = files(ours), files(hand)
    found = {path: text for path, text in found.items() if not path.startswith(".local/")}
    assert found == expected
    assert ("shared/bin/only there.py" in expected) == (name != "pushremove")
