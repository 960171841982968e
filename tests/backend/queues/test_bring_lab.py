"""A project brought to a host: odd names, no rsync there, a lost link, a full disk, private keys; freeze."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.queues.labs import Berth
from tests.lab import Host, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

RUN = ("run", "--host=q2", "--gpu=0")
THERE = "/home/alice/berth/demo"
ODD = (
    "with space",
    'it\'s "quoted"',
    "new\nline",
    "-dash",
    "ünïcode",
    "$(touch ran)",
    "#x;y|z",
    "back\\slash",
    "*",
)
LIST = "import json, os; print(json.dumps([f for _, _, fs in os.walk('odd') for f in fs]))"
LOSE = """\
#!/bin/sh
# The connection it came by is gone as soon as it is asked for anything.
head -c 1 >/dev/null
pid=$$
while [ "$(cat /proc/$pid/comm)" != sshd ]; do pid=$(awk '/^PPid:/ {print $2}' /proc/$pid/status); done
kill -9 "$pid"
"""


@pytest.fixture
def q2(cluster: Lab) -> Host:
    return cluster.hosts["q2"]


@contextlib.contextmanager
def another_rsync(host: Host, script: str = "") -> Iterator[None]:
    """The host's rsync is this script meanwhile; without one it has none."""
    host.run(["mv", "/usr/bin/rsync", "/usr/bin/rsync.kept"])
    try:
        if script:
            host.put("/usr/bin/rsync", script, mode=0o755)
        yield
    finally:
        host.run(["mv", "-f", "/usr/bin/rsync.kept", "/usr/bin/rsync"])


def count(berth: Berth) -> int:
    return len(berth.jobs("--all", "--host", "q2"))


def test_files_of_any_name_go_there_and_go_when_they_are_gone_here(
    berth: Berth, project: Path, q2: Host
) -> None:
    (project / "odd").mkdir()
    for name in ODD:
        (project / "odd" / name).write_text(name)
    berth(*RUN, "--script=hello.sh a")

    def there() -> set[str]:
        found = q2.run(["sh", "-c", f'cd {THERE} && exec python3 -c "$1"', "sh", LIST], user="alice").stdout
        return set(json.loads(found))

    assert there() == set(ODD)
    for name in ODD[1:]:
        (project / "odd" / name).unlink()
    berth(*RUN, "--script=hello.sh b")
    assert there() == {ODD[0]}
    assert not (project / "ran").exists()


def test_a_host_without_rsync_is_named_and_nothing_is_queued(berth: Berth, project: Path, q2: Host) -> None:
    before = count(berth)
    with another_rsync(q2):
        berth(*RUN, "--script=hello.sh a", code=1)
    assert "q2 has no rsync. Install it there" in berth.said
    assert count(berth) == before


def test_a_link_that_is_lost_on_the_way_queues_nothing_and_the_next_time_brings_all(
    berth: Berth, project: Path, q2: Host
) -> None:
    (project / "data").write_bytes(bytes(range(256)) * 4096)
    before = count(berth)
    with another_rsync(q2, LOSE):
        process = berth.popen(*RUN, "--script=hello.sh a")
        _, said = process.communicate(timeout=120)
    assert process.returncode in (1, 3)
    assert "q2" in said and "Traceback" not in said
    assert count(berth) == before
    assert berth(*RUN, "--script=hello.sh again").endswith("Hello again\n")
    assert (
        q2.run(["cksum", f"{THERE}/data"]).stdout.split()[:2]
        == (
            subprocess.run(
                ["cksum", project / "data"], capture_output=True, text=True, check=True
            ).stdout.split()[:2]
        )
    )


def test_a_full_disk_is_said_with_what_to_do(berth: Berth, project: Path, q2: Host) -> None:
    berth(*RUN, "--script=hello.sh a")
    (project / "data").write_bytes(bytes(range(256)) * 4096)
    before = count(berth)
    q2.fill_disk()
    try:
        berth(*RUN, "--script=hello.sh b", code=1)
    finally:
        q2.free_disk()
    assert "No space left" in berth.said and "Free some space there." in berth.said
    assert count(berth) == before
    assert berth(*RUN, "--script=hello.sh b").endswith("Hello b\n")


def test_a_disk_that_is_full_from_the_first_is_said_too(berth: Berth, project: Path, q2: Host) -> None:
    q2.fill_disk()
    try:
        berth(*RUN, "--script=hello.sh a", code=1)
    finally:
        q2.free_disk()
    assert "No space left" in berth.said and "Free some space there." in berth.said
    assert berth(*RUN, "--script=hello.sh a").endswith("Hello a\n")


def test_a_private_key_in_the_context_is_refused_and_named(berth: Berth, project: Path) -> None:
    key = project / "docker" / "deploy"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb\n-----END OPENSSH PRIVATE KEY-----\n")
    before = count(berth)
    berth(*RUN, "--script=hello.sh a", code=2)
    assert f"{key} is a private key" in berth.said
    assert count(berth) == before
    berth("freeze", "--host", "q2", code=2)
    assert f"{key} is a private key" in berth.said


def test_the_image_of_a_project_is_frozen_into_a_file(berth: Berth, project: Path) -> None:
    file = project / "frozen.tar"
    said = berth("freeze", str(file), "--host", "q1")
    assert str(file) in said
    with tarfile.open(file) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        (image,) = json.load(manifest)
    assert image["RepoTags"][0].startswith("julian_tanke/rp_demo:")
    berth("--read-only", "freeze", str(project / "other.tar"), "--host", "q1", code=5)
    assert not (project / "other.tar").exists()
