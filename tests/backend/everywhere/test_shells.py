"""A line runs in any login shell, read by a shell of its kind once."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from backend import link
from backend.everywhere import channel
from backend.link import Link
from backend.text import printable
from tests.backend.sshd import Sshd

SHELLS = ("sh", "bash", "zsh", "ksh", "mksh", "fish", "tcsh", "busybox sh")


async def said(box: Link, kind: str, *argv: str, environment: bytes = b"\n") -> tuple[str, int | None]:
    """What a command said, and its exit code."""
    started = await channel.start(box, kind, argv, environment)
    out = b""
    while piece := await started.read():
        out += piece
    await started.close()
    assert started.began, printable(await started.why())
    return out.decode(), started.code


@pytest.mark.parametrize("shell", SHELLS)
async def test_any_login_shell_runs_lines_and_words(tmp_path: Path, shell: str) -> None:
    program, *more = shell.split()
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    name = tmp_path / "login"
    name.write_text(f'#!/bin/sh\nexec {shlex.join([path, *more])} "$@"\n')  # SHELL is one word
    name.chmod(0o755)
    forced = f'env -i HOME={tmp_path} PATH="$PATH" SHELL={name} {name} -c "$SSH_ORIGINAL_COMMAND"'
    server = Sshd(tmp_path / "sshd", ForceCommand=forced).start()
    try:
        box = await link.open(server.host())
        words = ["it's", '"$HOME"', "a b", "*", "", "\\\\", "\\'", "!x", "new\nline", "héé"]
        assert await said(box, "words", "printf", "%s|", *words) == ("|".join(words) + "|", 0)
        assert await said(box, "words", "sh", "-c", "exit 9") == ("", 9)
        line = 'printf "%s/" "$BERTH_A" b; sh -c "echo nested; exit 5"'
        assert await said(box, "line", line, environment=b"BERTH_A=x y\n\n") == ("x y/b/nested\n", 5)
        assert await said(box, "line", "cat; echo 'wait!' \"it's\"; exit 4") == ("wait! it's\n", 4)
        await box.close()
    finally:
        server.stop()


async def test_what_the_login_shell_reads_is_read_once_and_there_for_the_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_text(
        f"echo read >>{home}/log; code=mine; greet() {{ echo hello $code; exit 3; }}\n"
    )
    forced = f'env -u SHLVL HOME={home} SHELL=/bin/bash /bin/bash -c "$SSH_ORIGINAL_COMMAND"'
    server = Sshd(tmp_path / "sshd", ForceCommand=forced, SetEnv=f"HOME={tmp_path}").start()
    try:
        box = await link.open(server.host())
        # whether a shell without a terminal reads it at all is up to how bash was built
        assert await said(box, "line", f'[ -e {home}/log ] && greet "$@"') in (("hello mine\n", 3), ("", 1))
        if (home / "log").exists():
            assert (home / "log").read_text() == "read\n"
        await box.close()
    finally:
        server.stop()


@pytest.mark.parametrize("shell", ["bash", "zsh", "ksh"])
async def test_a_shell_that_ends_at_the_first_error_says_how_a_line_ended(tmp_path: Path, shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    server = Sshd(tmp_path / "sshd", ForceCommand=f'{path} -e -c "$SSH_ORIGINAL_COMMAND"').start()
    try:
        box = await link.open(server.host())
        assert await said(box, "line", "echo one; false; echo two") == ("one\n", 1)
        assert await said(box, "words", "sh", "-c", "exit 9") == ("", 9)
        await box.close()
    finally:
        server.stop()
