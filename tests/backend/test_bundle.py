"""The agent's zipapp is kept in the cache, and made anew where what is kept is not whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from backend import bundle


def test_what_is_kept_is_used_while_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_CACHE_DIR", str(tmp_path))
    made: list[int] = []
    pack = bundle._packed
    monkeypatch.setattr(bundle, "_packed", lambda files: made.append(len(files)) or pack(files))
    bundle.agent_zipapp.cache_clear()
    first = bundle.agent_zipapp()
    (kept,) = (tmp_path / "agent").iterdir()
    for name, age in (("older", 20), ("before", 10), ("oldest", 30)):
        other = tmp_path / "agent" / name
        other.write_bytes(b"of another version")
        os.utime(other, (kept.stat().st_mtime - age,) * 2)
    bundle.agent_zipapp.cache_clear()
    assert bundle.agent_zipapp() == first and len(made) == 1
    for damage in (b"", kept.read_bytes()[:-1], b"x" + kept.read_bytes()[1:]):
        kept.write_bytes(damage)
        bundle.agent_zipapp.cache_clear()
        assert bundle.agent_zipapp() == first
    assert len(made) == 4
    assert {each.name for each in (tmp_path / "agent").iterdir()} == {kept.name, "before"}


@pytest.mark.skipif(os.getuid() != 0, reason="gives a file to another person")
@pytest.mark.parametrize("mine", [True, False])
def test_what_others_could_have_written_is_not_used(
    mine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTH_CACHE_DIR", str(tmp_path))
    bundle.agent_zipapp.cache_clear()
    first = bundle.agent_zipapp()
    (kept,) = (tmp_path / "agent").iterdir()
    theirs = b"#!/bin/sh\n"
    kept.write_bytes(hashlib.sha256(theirs).digest() + theirs)
    if mine:
        kept.chmod(0o666)
    else:
        os.chown(kept, 12345, 12345)
    bundle.agent_zipapp.cache_clear()
    assert bundle.agent_zipapp() == first
    assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (0, 0o600), "it is ours now"


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("BERTH_CACHE_DIR", str(tmp_path / "file"))
    bundle.agent_zipapp.cache_clear()
    data, digest = bundle.agent_zipapp()
    assert data.startswith(b"#!") and len(digest) == 16
