"""`berth prepare` and its undo on real hosts: what is there afterwards, and what is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.prepare.conftest import Berth
from tests.lab import Host, HostSpec, Lab, parts

pytestmark = pytest.mark.lab

HOME = "/home/alice"
LISTING = f"cd {HOME} && find . -printf '%p %y %m %l\\n' | sort && find . -type f | sort | xargs sha256sum"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("git")
    specs = [HostSpec("h1", engine="none"), HostSpec("h2", engine="none", python=False)]
    with Lab(tmp_path_factory.mktemp("prepare") / "lab", specs) as lab:
        yield lab


@pytest.fixture
def h1(lab: Lab, berth: Berth) -> Iterator[Host]:
    """The host, left as it was found."""
    host = lab.host("h1")
    host.run(["cp", "-a", HOME, "/root/kept"])
    yield host
    host.run(["sh", "-c", f"umount {HOME} 2>/dev/null; rm -rf {HOME}; mv /root/kept {HOME}"])


@pytest.fixture
def settings(lab: Lab, tmp_path: Path) -> Path:
    """A configuration of the test's own; write settings.yaml there."""
    return Path(shutil.copytree(lab.config_dir, tmp_path / "config"))


def home(host: Host) -> str:
    return host.run(["sh", "-c", LISTING]).stdout


def data(done: object) -> dict:
    (found,) = json.loads(done.stdout)  # type: ignore[attr-defined]
    return found


def test_a_bare_host_is_prepared_again_nothing_changes_and_undone_nothing_is_left(h1: Host, berth: Berth):
    before = home(h1)
    shown = berth("prepare", "h1", "--dry-run").stdout
    assert "make ~/shared/secret/ with mode 700" in shown and "+# >>> berth >>>" in shown
    assert home(h1) == before

    berth("prepare", "h1", code=5)  # nobody said yes
    assert home(h1) == before
    berth("--read-only", "prepare", "h1", "--yes", code=5)

    assert data(berth("prepare", "h1", "--yes", "--json"))["data"]["changes"]
    assert h1.run(["stat", "-c", "%a", f"{HOME}/shared/secret"]).stdout.strip() == "700"
    shell = h1.run(["bash", "-lic", "printf '%s\n' $PATH; git config user.name"], user="alice").stdout
    assert f"{HOME}/shared/bin:{HOME}/mirror:" in shell
    assert "Ann O'Neil" in shell
    options = ["tmux", "-L", "x", "start-server", ";", "show-options", "-gv", "history-limit"]
    assert h1.run(options, user="alice").stdout.strip() == "50000"

    after = home(h1)
    again = data(berth("prepare", "h1", "--json"))
    assert again["data"]["changes"] == [] and "already" in again["message"]
    assert berth("prepare", "h1", "--yes").stderr == "h1 is prepared already, nothing was changed\n"
    assert home(h1) == after

    assert "h1" in berth("unprepare", "h1", "--yes").stderr
    assert home(h1) == before
    assert berth("unprepare", "h1", "--yes").stderr == "nothing on h1 was made by berth prepare\n"
    assert "nothing on h1" in data(berth("unprepare", "h1", "--json"))["message"]


def test_undo_leaves_what_people_changed_since_and_says_so(h1: Host, berth: Berth):
    berth("prepare", "h1", "--yes")
    h1.put(f"{HOME}/mirror/mine", "mine", user="alice")
    h1.run(["sh", "-c", f"echo alias l=ls >>{HOME}/.bashrc; echo set -g mouse off >>{HOME}/.tmux.conf"])
    h1.run(["sh", "-c", f"echo '# mine' >>{HOME}/.local/share/berth/shell.sh"])
    h1.run(["git", "config", "--global", "user.email", "other@example.org"], user="alice")
    found = data(berth("prepare", "h1", "--undo", "--yes", "--json"))["data"]
    listed = home(h1)
    assert "./mirror/mine" in listed and "./shared " not in listed
    assert h1.run(["tail", "-n1", f"{HOME}/.bashrc"]).stdout == "alias l=ls\n"
    assert h1.run(["cat", f"{HOME}/.tmux.conf"]).stdout == "set -g mouse off\n"
    notes = " ".join(found["notes"])
    assert "shell.sh was changed since" in notes and "user.email was changed since" in notes
    assert h1.run(["git", "config", "user.email"], user="alice").stdout.strip() == "other@example.org"
    assert any("there is something in it" in said for said in found["said"])


def test_a_bashrc_that_is_a_link_is_left_and_the_line_is_told(h1: Host, berth: Berth):
    h1.run(["sh", "-c", f"mkdir {HOME}/dots && mv {HOME}/.bashrc {HOME}/dots && ln -s dots/.bashrc {HOME}/"])
    before = h1.run(["cat", f"{HOME}/.bashrc"]).stdout
    notes = data(berth("prepare", "h1", "--yes", "--json"))["data"]["notes"]
    (note,) = [note for note in notes if ".bashrc" in note]
    assert "is a link to dots/.bashrc" in note and ".local/share/berth/shell.sh" in note
    assert h1.run(["cat", f"{HOME}/.bashrc"]).stdout == before


def test_a_home_that_cannot_be_changed_is_said_before_anything_is_done(h1: Host, berth: Berth):
    h1.run(["mount", "--bind", HOME, HOME])
    h1.run(["mount", "-o", "remount,bind,ro", HOME])
    assert "read-only file system. Nothing was done" in berth("prepare", "h1", "--yes", code=1).stderr
    h1.run(["umount", HOME])
    h1.run(["chown", "root", HOME])
    assert "you may not write there" in berth("prepare", "h1", "--yes", code=1).stderr


def test_a_disk_that_fills_up_half_way_leaves_nothing_half_done(h1: Host, berth: Berth):
    uid = h1.run(["id", "-u", "alice"]).stdout.strip()
    h1.run(["mount", "-t", "tmpfs", "-o", f"nr_inodes=18,mode=755,uid={uid}", "none", HOME])
    h1.run(["sh", "-c", f"cp -a /root/kept/.ssh {HOME}/ && echo PS1=x >{HOME}/.bashrc"])
    h1.run(["chown", "-R", "alice:", HOME])
    before = home(h1)
    failed = berth("prepare", "h1", "--yes", code=1).stderr
    assert "the disk is full" in failed and "All files are as they were" in failed
    assert home(h1) == before


def test_a_full_disk_is_said_before_anything_is_done(h1: Host, berth: Berth):
    before = home(h1)
    h1.fill_disk()
    try:
        assert "its disk is full" in berth("prepare", "h1", "--yes", code=1).stderr
    finally:
        h1.free_disk()
    assert home(h1) == before


def test_a_host_without_python_says_what_is_needed(berth: Berth):
    assert "python3" in berth("prepare", "h2", "--yes", code=3).stderr


def test_packages_come_with_sudo_where_it_works_and_are_named_where_not(
    h1: Host, berth: Berth, settings: Path
):
    (settings / "settings.yaml").write_text("packages: [berth-nothing]\n")
    named = data(berth("prepare", "h1", "--yes", "--json", config=settings))["data"]["notes"]
    assert any("sudo apt-get install" in note and "berth-nothing" in note for note in named)

    apt = '#!/bin/sh\necho "apt-get $*" >>/tmp/apt\n[ "$1" = update ] && exit 100\necho Setting up\n'
    h1.put("/usr/local/bin/sudo", '#!/bin/sh\n[ "$1" = -n ] && shift && exec "$@"\n', mode=0o755)
    h1.put("/usr/local/bin/apt-get", apt, mode=0o755)
    try:
        said = berth("prepare", "h1", "--yes", config=settings)
        assert "Setting up" in said.stdout
        calls = h1.run(["cat", "/tmp/apt"]).stdout.splitlines()
        assert calls[-1] == "apt-get install -y -q --no-install-recommends berth-nothing"
        kept = data(berth("unprepare", "h1", "--dry-run", "--json", config=settings))["data"]["notes"]
        assert any("packages stay" in note for note in kept)
        berth("unprepare", "h1", "--packages", "--yes", config=settings)
        assert h1.run(["tail", "-n1", "/tmp/apt"]).stdout == "apt-get remove -y -q berth-nothing\n"
    finally:
        h1.run(["rm", "-f", "/usr/local/bin/sudo", "/usr/local/bin/apt-get", "/tmp/apt"])


def test_a_lost_link_ends_no_package_manager_half_way(h1: Host, berth: Berth, settings: Path):
    (settings / "settings.yaml").write_text("packages: [berth-nothing]\n")
    sudo = "#!/bin/sh\n[ $2 = true ] || { touch /tmp/began; until [ -e /tmp/go ]; do sleep 0.1; done; }\n"
    h1.put("/usr/local/bin/sudo", sudo, mode=0o755)
    begun = "until [ -e /tmp/began ]; do sleep 0.1; done; pgrep -u alice -f sshd: | xargs kill"
    killer = h1.popen(["sh", "-c", begun])
    try:
        failed = berth("prepare", "h1", "--yes", config=settings, code=1).stderr
        assert "ended early" in failed or "lost" in failed, failed
        assert "./.bashrc" in home(h1)
        h1.run(["touch", "/tmp/go"])
        manifest = f"{HOME}/.local/share/berth/prepared.json"
        wait = f"until grep -q berth-nothing {manifest}; do sleep 0.1; done"
        h1.run(["timeout", "60", "sh", "-c", wait])
    finally:
        killer.kill()
        killer.communicate()
        h1.run(["rm", "-f", "/usr/local/bin/sudo", "/tmp/began", "/tmp/go"])


def test_a_package_manager_that_fails_is_an_error_and_the_files_are_there(
    h1: Host, berth: Berth, settings: Path
):
    (settings / "settings.yaml").write_text("packages: [berth-nothing]\n")
    h1.put(
        "/usr/local/bin/sudo", '#!/bin/sh\n[ "$2" = true ] || { echo no candidate; exit 100; }\n', mode=0o755
    )
    try:
        failed = berth("prepare", "h1", "--yes", config=settings, code=1).stderr
    finally:
        h1.run(["rm", "-f", "/usr/local/bin/sudo"])
    assert "no candidate" in failed and "1 of" in failed
    assert "./mirror " in home(h1)


def test_a_deploy_key_is_made_once_shown_and_taken_away(h1: Host, berth: Berth):
    made = data(berth("prepare", "h1", "--deploy-key", "--yes", "--json"))["data"]
    assert any(said.startswith("ssh-ed25519 ") for said in made["said"])
    listed = h1.run(["sh", "-c", f"stat -c '%a %U' {HOME}/.ssh/berth_deploy; cat {HOME}/.ssh/berth_deploy"])
    assert listed.stdout.startswith("600 alice")
    again = data(berth("prepare", "h1", "--deploy-key", "--json"))["data"]
    assert not again["changes"] and any("ssh-ed25519" in note for note in again["notes"])
    assert h1.run(["cat", f"{HOME}/.ssh/berth_deploy"]).stdout in listed.stdout
    berth("unprepare", "h1", "--yes")
    assert "berth_deploy" not in home(h1)


def test_folders_have_the_names_that_settings_give_them(h1: Host, berth: Berth, settings: Path):
    (settings / "settings.yaml").write_text("folders: {mirror: spiegel, shared: teil, sharedump: halde}\n")
    berth("prepare", "h1", "--yes", config=settings)
    listed = home(h1)
    assert "./spiegel d" in listed and "./teil/secret d 700" in listed and "./halde d" in listed
    path = h1.run(["bash", "-lic", "printf '%s\n' $PATH"], user="alice").stdout
    assert f"{HOME}/teil/bin:{HOME}/spiegel:" in path
