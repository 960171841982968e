"""Our reading of rsync's patterns against rsync's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.sync.host.walk import Rule, Tree, decoded, look
from tests.lab import parts

NAMES = ["a", "b", ".a", "a.py", "b.txt", "A", "a b", "[x]", "x-y", "ab", "*", "\\", "-n"]
PIECES = st.sampled_from(
    [
        *"ab.*?/-",
        "**",
        "***",
        "**/",
        "*.py",
        "[ab]",
        "[!a]",
        "[^b]",
        "[a-c]",
        "[[:alpha:]]",
        "\\",
        "\\*",
        "a b",
        "[",
        "]",
    ]
)
PATTERN = st.builds("".join, st.lists(PIECES, min_size=1, max_size=5)).filter(
    lambda text: text.strip("/") and "//" not in text
)
FILTERS = st.lists(st.tuples(st.sampled_from("+-"), PATTERN), max_size=4)
TREE = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join), min_size=1, max_size=12
)


def rsyncs(root: Path, filters: list[str]) -> set[str]:
    """What rsync itself would send."""
    argv = ["rsync", "-rn", "-8", "--out-format=%n", *(f"--filter={text}" for text in filters)]
    done = subprocess.run(
        [*argv, f"{root}/", f"{root.parent}/empty/"], capture_output=True, text=True, check=True
    )
    return {line.rstrip("/") for line in done.stdout.splitlines() if line not in ("./", "")}


def ours(root: Path, filters: list[str]) -> set[str]:
    return {decoded(path) for path in look(os.fsencode(root), Tree([Rule(b"", filters)]), True).entries}


def plant(root: Path, paths: list[str]) -> None:
    for path in paths:
        file = root / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                file.write_text("x")
        except (FileExistsError, NotADirectoryError):
            continue


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(FILTERS, TREE)
def test_the_same_files_as_rsync(tmp_path_factory: pytest.TempPathFactory, filters, paths) -> None:  # type: ignore[no-untyped-def]
    parts.require("rsync")
    root = tmp_path_factory.mktemp("tree") / "from"
    root.mkdir()
    (root.parent / "empty").mkdir()
    plant(root, paths)
    lines = [f"{sign} {pattern}" for sign, pattern in filters]
    assert ours(root, lines) == rsyncs(root, lines)


@pytest.mark.parametrize(
    "filters",
    [
        ["- **/.*"],
        ["- **/.*", "- **/.ipynb_checkpoints/", "+ *.py", "+ *.ipynb", "+ */", "- *"],
        ["+ *.py", "- **/torch_compile_debug/", "- **/.*", "+ */", "- *"],
        ["- /context/"],
        ["- SAVED*/"],
        ["- sub/***"],
        ["- a/b"],
        ["- **/x/**"],
        ["+ [[:upper:]]*", "- *"],
        ["- [!a]*"],
    ],
)
def test_the_patterns_people_write(tmp_path: Path, filters: list[str]) -> None:
    parts.require("rsync")
    root = tmp_path / "from"
    (tmp_path / "empty").mkdir()
    plant(
        root,
        [
            *("a.py", ".hidden.py", "n/a.ipynb", "n/.ipynb_checkpoints/a.py", "n/torch_compile_debug/a.py"),
            *("context/c.yaml", "n/context/d.yaml", "SAVED1/x.py", "SAVEDfile", "n/SAVED/y.txt", "Upper.txt"),
            *("sub/a/b", "sub/a/c", "a/b", "n/x/y/z", "x/k", "n/x", ".git/config", "a/.x/y"),
        ],
    )
    assert ours(root, filters) == rsyncs(root, filters)
