"""What shells offer while a person types: real shells, names that hosts chose, and no host is asked."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from backend.model import (
    Container,
    FleetState,
    HostSnapshot,
    HostState,
    Job,
    JobRequest,
    JobSpec,
    QueueReport,
    TunnelRow,
)
from backend.model import TmuxSession as Session
from backend.mounts import records
from backend.mounts.model import Record
from backend.tunnels import book

ODD = "$(touch${IFS}pwned)"
HOSTILE = f"odd {ODD}"


def snapshot(name: str) -> HostSnapshot:
    """A host as the dashboard saw it last."""
    containers = [
        Container(id=f"{number}" * 64, name=each, image="team/train:v2", state="running")
        for number, each in enumerate(("train", "eval", HOSTILE, "two\nlines", "\x1b[31mred"))
    ]
    return HostSnapshot(
        name=name,
        address="192.0.2.1",
        state=HostState.UP,
        seen_at=datetime.now(UTC),
        containers=tuple(containers),
        sessions=(Session(id="$0", name="build", user="a", socket="/s", attached=0, windows=1),),
        queue=QueueReport(jobs=(Job(id=12, owner="a", name="x", spec=JobSpec(), request=JobRequest()),)),
    )


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A configuration, a state that remembers a host, and `berth` on the PATH."""
    from backend import laststate

    for name in ("config/contexts", "state/builds", "bin", "here"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "config/hosts.yaml").write_text("hosts: {h1: {host: 192.0.2.1}, h2: {host: 192.0.2.2}}")
    (tmp_path / "config/contexts/work.yaml").write_text("host: h1\nimage: debian:12\n")
    (tmp_path / "state/builds/20260101-3f2a.json").write_text("{}")
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    laststate.save(FleetState(hosts={name: snapshot(name) for name in ("h1", "gone")}))
    program = tmp_path / "bin/berth"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tui "$@"\n')
    program.chmod(0o755)
    return os.environ | {
        "HOME": str(tmp_path / "here"),
        "XDG_CONFIG_HOME": str(tmp_path / "here"),
        "BERTH_CONFIG_DIR": str(tmp_path / "config"),
        "BERTH_STATE_DIR": str(tmp_path / "state"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    }


def run(shell: str, script: str, environment: dict[str, str]) -> list[str]:
    """Lines that a shell writes; nothing may be said on the side."""
    where = environment["HOME"]
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *options, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=where,
        timeout=60,
    )
    assert done.stderr == ""
    assert not (Path(where) / "pwned").exists()
    return done.stdout.split("\n")[:-1]


def in_bash(environment: dict[str, str], *lines: str) -> list[list[str]]:
    """What bash offers at the end of each line."""
    script = ". <(berth completion bash)\nCOMP_WORDBREAKS=':= '; COMP_WORDS=(berth)\n"
    for line in lines:
        script += f"COMP_LINE='{line}'; COMP_POINT={len(line)}; _berth\n"
        script += "printf '%s\\t' \"${COMPREPLY[@]}\"; echo\n"
    return [[each for each in line.split("\t") if each] for line in run("bash", script, environment)]


def test_names_that_were_seen_last_are_offered_in_bash(environment: dict[str, str]) -> None:
    found = in_bash(
        environment,
        "berth stop ",
        "berth job kill h1/",
        "berth session attach ",
        "berth push p",
        "berth images log ",
        "berth ps --host ",
        "berth image layers team/train:",
        "berth run -d --host h",
        "berth run -- h",
        "berth help que",
        "berth context show w",
        "berth sync pus",
        "berth tunnel h1",
        "berth tunnel s",
    )
    assert found[0] == ["work", "h1/train", "h1/eval", r"h1/odd\ \$\(touch\$\{IFS\}pwned\)"]
    assert found[1:3] == [["h1/12"], ["h1/build"]]
    assert found[3] == ["push", "pull", "pushremove"] or found[3][:1] == ["push"]
    assert found[4:6] == [["20260101-3f2a"], ["local", "h1", "h2"]]
    assert found[6] == ["v2"]  # what stands before the colon is a word of its own to bash
    assert found[7:] == [
        ["h1", "h2"],
        [],
        ["queue"],
        ["work"],
        ["push", "pushremove"],
        ["h1", *found[0][1:]],
        ["stop"],
    ]


def test_recipes_tunnels_and_mounts_are_offered(environment: dict[str, str], tmp_path: Path) -> None:
    roots = tmp_path / "recipes"
    for name in ("torch", "torch-dev", "flow/container"):
        (roots / name).mkdir(parents=True)
    for name in ("torch", "torch-dev"):
        (roots / name / "Dockerfile").write_text("FROM busybox\n")
    (roots / "flow/container/packages.txt").write_text("git\n")
    (tmp_path / "config/settings.yaml").write_text(f"images:\n  roots: [{roots}]\n")
    now = datetime.now(UTC)
    records.write(
        Record(id="0a1b2c", host="h1", path="", folder="/mnt/h 1", since=now, machine=platform.node())
    )
    row = TunnelRow(
        id="7f",
        host="h1",
        name="web",
        service="web",
        address="127.0.0.1:80",
        port=80,
        state="open",
        since=now,
    )
    entry = book.Entry(
        machine=platform.node(), pid=os.getpid(), began=book.began(os.getpid()), socket="/x", tunnels=(row,)
    )
    book.folder().mkdir(parents=True)
    (book.folder() / "x.json").write_bytes(msgspec.json.encode(entry))
    found = in_bash(
        environment,
        "berth images build to",
        "berth images render torch-",
        "berth workspace run ",
        "berth tunnel stop ",
        "berth umount ",
        "berth mount ",
    )
    assert found == [
        ["torch", "torch-dev"],
        ["torch-dev"],
        ["flow"],
        ["7f"],
        ["0a1b2c", r"/mnt/h\ 1"],
        ["h1", "h2", "work"],
    ]


def test_another_configuration_on_the_line_is_the_one_that_is_asked(
    environment: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "hosts.yaml").write_text("hosts: {elsewhere: {host: 192.0.2.9}}")
    [found] = in_bash(environment, f"berth --config {other} ps --host e")
    assert found == ["elsewhere"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_names_that_were_seen_last_are_offered_in_zsh(environment: dict[str, str]) -> None:
    script = """
compdef() { : }; compstate=(); typeset -A compstate; compstate[nmatches]=1
compadd() { [[ $1 == -- ]] && shift; print -rl -- "$@" }
_describe() { : }; _files() { print -r -- FILES }
. <(berth completion zsh)
words=(berth stop ''); CURRENT=3; _berth; print -r -- --
words=(berth job kill ''); CURRENT=4; _berth; print -r -- --
words=(berth image layers ''); CURRENT=4; _berth
"""
    found = "\n".join(run("zsh", script, environment)).split("\n--\n")
    assert found[0].split("\n") == ["work", "h1/train", "h1/eval", f"h1/{HOSTILE}"]
    assert found[1:] == ["h1/12", "debian:12\nteam/train:v2"]


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_names_that_were_seen_last_are_offered_in_fish(environment: dict[str, str]) -> None:
    script = "berth completion fish | source\n"
    script += "complete -C 'berth stop '; echo %%\ncomplete -C 'berth job kill h'; echo %%\n"
    script += "complete -C 'berth run -g 1 --host h'"
    found = "\n".join(run("fish", script, environment)).split("\n%%\n")
    assert found[0].split("\n") == sorted(["work", "h1/train", "h1/eval", f"h1/{HOSTILE}"])
    assert found[1] == "h1/12"
    assert [line.split("\t")[0] for line in found[2].split("\n")] == ["h1", "h2"]
