"""Linked contexts as builds send them: without rsync, as a tar."""

from __future__ import annotations

import os
import tarfile
from io import BytesIO
from pathlib import Path

from backend.building import stage
from tests.backend.recipes.conftest import Repo


async def test_a_tar_holds_what_links_lead_to(repo: Repo, into: Path) -> None:
    repo.write("it/Dockerfile", "FROM debian\n")
    repo.write("it/a/b/c", "1", mode=0o755)
    (repo.path / "it/a/inside").symlink_to("b")
    (repo.path / "it/self").symlink_to("a")
    repo.write("it/part/x", "2")
    repo.write("it/part/y", "3")
    repo.write("it/.dockerignore", "part/y\n")
    made = await repo.render("it", into, linked=True)
    assert made.linked
    data = b"".join([piece async for piece in stage._packed(made.folder, made.linked)])
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        found = {os.path.normpath(each.name): each for each in archive}
    assert set(found) == {".", "Dockerfile", "a", "a/b", "a/b/c", "a/inside", "self", "part", "part/x"}
    assert found["a/b/c"].isreg()
    assert found["a/b/c"].mode & 0o777 == 0o755
    assert (found["a/inside"].linkname, found["self"].linkname) == ("b", "a")
    assert found["a"].isdir()
    assert stage._large(made.folder, made.linked) == ([], 0)
