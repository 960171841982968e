"""Other tools' files, as they are: read, never executed, and what is left out is said."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend import imports
from backend.config import load
from backend.errors import ConfigError
from backend.imports.apply import apply

SCAFFOLD = """#!/bin/bash
export contextname=
export username= ## ditto
export container_name=  ## the name of the container
export image_id= ## name of the docker image
export hostname= ## name of your remote host
export hostnick= ## host nickname
export sshport=22 ## port for ssh connections
## set terminal title
echo -e "\\033]0;"$contextname"\\007"
export PRINCIPAL_DIR="/path/to/your/project"
"""
HOSTS = """username: alice
hosts:
    mi200:
      host: "10.0.0.5" # put ip address here
      type: MI200
      arch: gfx90a
      comment: the old mi200
      sshport: 22
    mi300:
      host: "10.0.0.6"
      sshport: 2222
      skip: true
"""


def filled(name: str, **values: str) -> str:
    text = SCAFFOLD
    for key, value in ({"contextname": name} | values).items():
        text = "\n".join(
            f"export {key}={value} ## filled" if line.startswith(f"export {key}=") else line
            for line in text.splitlines()
        )
    return text + "\n"


@pytest.fixture
def juggle(tmp_path):
    folder = tmp_path / "mirror" / "context"
    folder.mkdir(parents=True)
    (folder / "hosts.yaml").write_text(HOSTS)
    (folder / "ctx_scaffold.bash").write_text(SCAFFOLD)
    (folder / "play1.bash").write_text(
        filled("play1", username="alice", container_name="alice-play", image_id="rocm/pytorch:latest",
               hostname="10.0.0.5", hostnick="mi200")
    )  # fmt: skip
    (folder / "other.bash").write_text(
        filled("other", username="bob", image_id="'img with space'", hostname="gpu.example", sshport="2200")
    )
    return tmp_path


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    return lambda: load(tmp_path / "config")


def test_contexts_of_container_juggle_with_their_hosts(juggle):
    found = imports.read("container-juggle", juggle)
    by_name = {draft.name: draft.values for draft in found.contexts}
    assert by_name["play1"]["host"] == "mi200"
    assert by_name["play1"]["container"] == "alice-play"
    assert by_name["play1"]["env"] == {"JUPYTER_PORT": "9999", "PRINCIPAL_DIR": "/path/to/your/project"}
    assert by_name["other"]["image"] == "img with space"
    hosts = {draft.name: draft.values for draft in found.hosts}
    assert hosts["gpu.example"] == {"host": "gpu.example", "sshport": 2200, "username": "bob"}
    assert hosts["mi300"]["skip"] is True and hosts["mi200"]["username"] == "alice"
    assert any("scaffold" in note for note in found.notes)


def test_scripts_are_never_executed(juggle, tmp_path):
    proof = tmp_path / "executed"
    evil = (
        filled("evil", image_id=f"$(touch {proof})", hostname="h")
        + f"touch {proof}\nexport X=`touch {proof}`\n"
    )
    (juggle / "mirror" / "context" / "evil.bash").write_text(evil)
    found = imports.read("container-juggle", juggle)
    assert not proof.exists()
    assert not any(draft.name == "evil" for draft in found.contexts)
    assert sum("evil.bash" in note for note in found.notes) >= 4


def test_what_was_imported_is_written_once_and_read_back(juggle, config):
    done = apply(config(), imports.read("container-juggle", juggle))
    assert set(done.hosts) == {"mi200", "mi300", "gpu.example"}
    assert done.contexts == ("play1",)  # `img with space` is no image
    assert any("other.bash" in note and "not written" in note for note in done.notes)
    context = config().context("play1")
    assert (context.network, context.shm_size, context.command) == (
        "host",
        64 * 2**30,
        ("tail", "-f", "/dev/null"),
    )
    again = apply(config(), imports.read("container-juggle", juggle))
    assert again.hosts == () and again.contexts == ()
    assert any("exists already" in note for note in again.notes)


def test_hosts_are_added_without_touching_what_is_there(tmp_path, config, juggle):
    file = tmp_path / "config" / "hosts.yaml"
    file.parent.mkdir()
    mine = (
        "# mine\nusername: me   # kept\nhosts:\n    old: {host: 1.2.3.4}   # kept too\n# end\nlocal: false\n"
    )
    file.write_text(mine)
    apply(config(), imports.read("container-juggle", juggle))
    assert [host.name for host in config().hosts] == ["old", "mi200", "mi300", "gpu.example"]
    text = file.read_text()
    assert all(line in text for line in mine.splitlines())


def test_a_file_that_cannot_be_added_to_is_left_alone(tmp_path, config, juggle):
    file = tmp_path / "config" / "hosts.yaml"
    file.parent.mkdir()
    file.write_text("hosts: {old: {host: 1.2.3.4}}\n")
    with pytest.raises(ConfigError, match="cannot be added") as caught:
        apply(config(), imports.read("container-juggle", juggle))
    assert "mi200:" in caught.value.hint
    assert file.read_text() == "hosts: {old: {host: 1.2.3.4}}\n"


def test_docker_contexts_over_ssh_become_hosts(tmp_path):
    for number, (name, host) in enumerate(
        [
            ("box", "ssh://bob@box.example:2222"),
            ("here", "unix:///run/docker.sock"),
            ("tls", "tcp://1.2.3.4:2376"),
        ]
    ):
        folder = tmp_path / "contexts" / "meta" / str(number)
        folder.mkdir(parents=True)
        (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    (tmp_path / "contexts" / "meta" / "9").mkdir()
    (tmp_path / "contexts" / "meta" / "9" / "meta.json").write_text("{")
    found = imports.read("docker", tmp_path)
    (host,) = found.hosts
    assert (host.name, host.values) == ("box", {"host": "box.example", "sshport": 2222, "username": "bob"})
    assert len(found.notes) == 3


def test_another_ssh_config_than_the_one_that_is_read_is_refused(tmp_path):
    (tmp_path / "config").write_text("Host a\n  HostName 1.2.3.4\n")
    with pytest.raises(ConfigError, match="is not the file") as caught:
        imports.read("ssh", tmp_path / "config")
    assert "Include" in caught.value.hint


def test_hosts_of_ssh_config(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    tmp_path = tmp_path / ".ssh"
    tmp_path.mkdir()
    (tmp_path / "more").write_text("Host inner\n")
    (tmp_path / "config").write_text(
        "Host *\n  User x\nHost a b *.example\n  HostName 1.2.3.4\nhost = c\nHost github.com\n"
        f"Include {tmp_path}/mo*\n"
    )
    found = imports.read("ssh", tmp_path)
    assert [(draft.name, draft.values) for draft in found.hosts] == [
        (name, {"host": name}) for name in ("a", "b", "c", "inner")
    ]
    assert len(found.notes) == 1


DOK = """
build:
  images:
    one: {name: x}
    one: {name: twice}
run:
  environments:
    -e "TORCH_HOME=/home/weights/torch"
    -e "XDG_CACHE_HOME=/home/weights"
  images:
    deepseek:
      image: 'xvdp/torch'
      user: 1001
      gpus: 1
      volumes:
        -v "/home/z/Deep Seek:/home/z/DeepSeek"
        -v "/home/weights:/home/z/weights"
      wipvolumes:
        -v "/a:/b"
    broken: {user: 1}
"""


def test_dok_entries_become_contexts(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "config.yaml").write_text(DOK)
    found = imports.read("dok", tmp_path, host="h1")
    (draft,) = found.contexts
    assert draft.values == {
        "host": "h1", "image": "xvdp/torch", "network": "host", "shm_size": "10G", "user": "1001",
        "gpus": ["1"],
        "mounts": ["/home/z/Deep Seek:/home/z/DeepSeek", "/home/weights:/home/z/weights"],
        "env": {"TORCH_HOME": "/home/weights/torch", "XDG_CACHE_HOME": "/home/weights"},
    }  # fmt: skip
    assert any("wipvolumes" in note for note in found.notes) and any("broken" in note for note in found.notes)


def test_an_rp_project_becomes_a_context(tmp_path, config):
    project = tmp_path / "demo"
    (project / ".rp").mkdir(parents=True)
    info = {
        "cpu": 4, "docker_shm": "64g", "gpus": 1, "memory": 8, "name": "demo", "rp_version": "0.0.1",
        "stdout_to_file": False, "tag": "julian_tanke/rp_demo", "username": "julian_tanke",
    }  # fmt: skip
    (project / ".rp" / "info.json").write_text(json.dumps(info))
    (project / ".rp" / "paths.json").write_text(json.dumps(["/data/sets", "/other/sets", "relative"]))
    found = imports.read("rp", project)
    assert len(found.notes) == 2
    assert apply(config(), found).contexts == ("demo",)
    context = config().context("demo")
    assert (context.cpus, context.memory, context.gpus) == (4.0, 8 * 2**30, 1)
    assert context.mounts == (f"{project}:/home/user/demo", "/data/sets:/home/user/sets")


@pytest.mark.parametrize("kind", imports.KINDS)
def test_nothing_there_is_a_clear_error(kind, tmp_path):
    with pytest.raises(ConfigError):
        imports.read(kind, tmp_path / "missing")
    with pytest.raises(ConfigError):
        imports.read(kind, tmp_path)


# ------------------------------------------------------------------------------------ any content

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("ab='\"$#\n-", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)
reused = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def read_or_refused(kind: str, path: Path) -> bool:
    """Whether that gives what can be written down, or an error that names the file."""
    try:
        found = imports.read(kind, path)
    except ConfigError as error:
        return str(path) in str(error)
    drafts = (*found.hosts, *found.contexts)
    return all(isinstance(draft.name, str) and yaml.safe_dump(draft.values) for draft in drafts)


@reused
@given(
    st.dictionaries(st.sampled_from(["name", "tag", "gpus", "cpu", "memory", "docker_shm"]), ANYTHING),
    ANYTHING,
)
def test_rp_with_any_values(tmp_path: Path, info: dict[str, Any], paths: Any) -> None:
    (tmp_path / ".rp").mkdir(exist_ok=True)
    (tmp_path / ".rp" / "info.json").write_text(json.dumps(info))
    (tmp_path / ".rp" / "paths.json").write_text(json.dumps(paths))
    assert read_or_refused("rp", tmp_path)


@reused
@given(
    ANYTHING | st.dictionaries(st.text("ab"), st.fixed_dictionaries({"image": ANYTHING, "volumes": ANYTHING,
        "environments": ANYTHING, "gpus": ANYTHING, "cpuset": ANYTHING})),
    ANYTHING,
)  # fmt: skip
def test_dok_with_any_values(tmp_path: Path, images: Any, common: Any) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"run": {"images": images, "environments": common}}))
    assert read_or_refused("dok", tmp_path)


@reused
@given(ANYTHING, ANYTHING)
def test_docker_with_any_values(tmp_path: Path, meta: Any, endpoint: Any) -> None:
    folder = tmp_path / "contexts" / "meta" / "x"
    folder.mkdir(parents=True, exist_ok=True)
    for content in (meta, {"Name": meta, "Endpoints": {"docker": {"Host": endpoint}}}):
        (folder / "meta.json").write_text(json.dumps(content))
        assert read_or_refused("docker", tmp_path)


@reused
@given(
    ANYTHING, st.dictionaries(st.sampled_from(["hostname", "image_id", "sshport", "x"]), st.text("a1²$ '"))
)
def test_container_juggle_with_any_values(tmp_path: Path, hosts: Any, values: dict[str, str]) -> None:
    (tmp_path / "hosts.yaml").write_text(yaml.safe_dump({"hosts": hosts}))
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    (tmp_path / "a.bash").write_text("".join(lines))
    assert read_or_refused("container-juggle", tmp_path)


def test_ssh_files_that_include_each_other_are_read_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".ssh" / "config.d"
    folder.mkdir(parents=True)
    (tmp_path / ".ssh" / "config").write_text("Include config.d/*\nInclude a**b ~nobody-of-this-name/* [\n")
    for number in range(12):
        (folder / f"{number}").write_text(f"Host h{number}\nInclude config.d/* ../config config\n")
    found = imports.read("ssh")
    assert sorted(host.name for host in found.hosts) == sorted(f"h{number}" for number in range(12))


def test_a_context_file_that_cannot_be_read_is_said(tmp_path):
    (tmp_path / "a.bash").mkdir()
    found = imports.read("container-juggle", tmp_path)
    assert "cannot be read" in found.notes[0]
