"""Scripts that go to hosts and containers: they stand alone, and say what they find."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from backend import toolkit

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"


def run(name: str, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-I", "-c", toolkit.source(name), *words],
        capture_output=True,
        text=True,
        env=env or dict(os.environ),
        check=False,
    )


def test_the_environment_is_shown_without_secrets():
    env = {"PATH": os.environ["PATH"], "HF_TOKEN": "hunter2", "NCCL_DEBUG": "INFO", "OTHER": "x"}
    said = run("showenvs.py", env=env).stdout
    assert f"python: {sys.version.split()[0]}" in said
    assert "NCCL_DEBUG: INFO" in said and "HF_TOKEN: (set)" in said
    assert "hunter2" not in said and "OTHER" not in said


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def engine_that_says(folder: Path, data: bytes, code: int = 0) -> list[str]:
    """A stand-in for `docker -H unix:///socket save|export -- NAME`."""
    (folder / "data").write_bytes(data)
    program = folder / "engine"
    program.write_text(f'#!/bin/sh\n[ "$1$4" = -H-- ] || exit 9\ncat {folder}/data\nexit {code}\n')
    program.chmod(0o755)
    return [str(program), "-H", "unix:///socket"]


@pytest.mark.parametrize("layout", ["abc/layer.tar", "blobs/sha256/abc", "abc.tar"])
def test_keys_are_found_in_layers_with_path_and_layer(tmp_path: Path, layout: str):
    inner = tar_of(
        {"root/.ssh/id": KEY, "usr/lib/python3/test/key.pem": KEY, "root/.netrc": b"x", "etc/motd": b"hi"}
    )
    image = tar_of({"manifest.json": b"[]", layout: inner, "blobs/sha256/config": b"{}"})
    lines = [
        json.loads(line)
        for line in run("find_keys.py", "save", "x", *engine_that_says(tmp_path, image)).stdout.splitlines()
    ]
    found = {line["found"]["path"]: line["found"] for line in lines if "found" in line}
    assert found["/root/.ssh/id"] == {
        "layer": "abc",
        "path": "/root/.ssh/id",
        "kind": "private key",
        "blocking": True,
    }
    assert found["/usr/lib/python3/test/key.pem"]["blocking"] is False
    assert found["/root/.netrc"]["kind"] == "credentials" and len(found) == 3
    assert lines[-1]["done"]["files"] == 4


def test_a_failing_engine_proves_nothing(tmp_path: Path):
    done = run("find_keys.py", "export", "x", *engine_that_says(tmp_path, b"", code=3))
    assert done.returncode == 1 and "done" not in done.stdout


def test_an_image_of_a_form_that_is_not_known_proves_nothing(tmp_path: Path):
    image = tar_of({"manifest.json": b"[]", "layers/abc": tar_of({"root/.ssh/id": KEY})})
    done = run("find_keys.py", "save", "x", *engine_that_says(tmp_path, image))
    assert done.returncode == 1 and "no layer" in done.stderr and "done" not in done.stdout


SCRIPTS = sorted(Path(toolkit.__file__).parent.glob("*.sh"))


def test_shell_scripts_are_plain_sh_and_shellcheck_finds_nothing():
    assert len(SCRIPTS) > 5
    for script in SCRIPTS:
        subprocess.run(["sh", "-n", script], check=True)
    if shutil.which("shellcheck") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("shellcheck is not installed")
    found = subprocess.run(["shellcheck", *SCRIPTS], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_every_tool_is_a_file_that_can_be_run_and_names_nobodys_home():
    for file in toolkit.TOOLS.values():
        text = toolkit.source(file)
        assert text.startswith(("#!/bin/sh\n", "#!/usr/bin/env python3\n")), file
        assert "/home/" not in text.replace("/home/*", ""), file


def test_remprivate_shows_what_it_would_do_and_refuses_what_it_does_not_know():
    script = toolkit.source("remprivate.sh")
    assert subprocess.run(["sh", "-c", script, "remprivate", "--dry-run"], check=False).returncode == 0
    assert (
        subprocess.run(
            ["sh", "-c", script, "remprivate", "--what"], capture_output=True, check=False
        ).returncode
        == 2
    )


def test_what_asks_for_the_frameworks_ends_also_when_nobody_waits_any_more():
    from backend.actions.environment import _bounded

    done = subprocess.run([sys.executable, "-c", _bounded("import time; time.sleep(600)", 0.5)], check=False)
    assert done.returncode == -signal.SIGALRM
