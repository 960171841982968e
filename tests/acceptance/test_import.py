"""container-juggle's own files, as they are: contexts in bash, and its hosts.yaml as berth's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from backend.config import load

HOSTS = """username: alice
hosts:
    gpu1:
      host: "127.0.0.1" # address
      type: MI250
      arch: gfx90a
      comment: in the corner
      sshport: 2201
      skip: true
    gpu2:
      host: "gpu2.example"
      skip: true
"""
CONTEXT = """#!/bin/bash
export contextname=play
export username=alice ## user on the host
export container_name=alice-play ## the container
export image_id=rocm/pytorch:latest ## its image
export hostname=127.0.0.1 ## address of the host
export hostnick=gpu1 ## its nick
export sshport=2201
echo -e "\\033]0;"$contextname"\\007"
touch "$JUGGLE_PROOF"
"""


def test_its_files_are_taken_without_edits_and_without_being_run(tmp_path: Path) -> None:
    folder = tmp_path / "mirror" / "context"
    folder.mkdir(parents=True)
    (folder / "hosts.yaml").write_text(HOSTS)
    (folder / "play.bash").write_text(CONTEXT)
    proof = tmp_path / "was-run"

    def berth(config: Path, *words: str) -> str:
        env = os.environ | {
            "BERTH_CONFIG_DIR": str(config),
            "BERTH_STATE_DIR": str(tmp_path / "state"),
            "JUGGLE_PROOF": str(proof),
        }
        argv = [sys.executable, "-m", "tui", *words]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True, timeout=60).stdout

    berth(tmp_path / "imported", "import", "container-juggle", str(tmp_path / "mirror"))
    found = load(tmp_path / "imported").context("play")
    assert (found.host, found.container, found.image) == ("gpu1", "alice-play", "rocm/pytorch:latest")

    own = tmp_path / "own"
    own.mkdir()
    (own / "hosts.yaml").write_text(HOSTS)
    for config in (own, tmp_path / "imported"):
        listed = json.loads(berth(config, "hosts", "--json"))
        states = {each["name"]: each["state"] for each in listed if each["name"] != "local"}
        assert states == {"gpu1": "skipped", "gpu2": "skipped"}
    host = load(own).host("gpu1")
    assert (host.host, host.sshport, host.username, host.arch) == ("127.0.0.1", 2201, "alice", "gfx90a")

    assert (folder / "hosts.yaml").read_text() == HOSTS and (folder / "play.bash").read_text() == CONTEXT
    assert not proof.exists()
