"""hosts.yaml: what is accepted, and what each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.config import HostConfig, load
from backend.config.hosts import _HOST
from backend.errors import NoSuchTarget
from tests.backend.config.conftest import Folder


def test_without_a_folder_this_machine_is_the_only_host(tmp_path: Path) -> None:
    config = load(tmp_path / "nowhere")
    assert [(host.name, host.local) for host in config.hosts] == [("local", True)]
    assert config.contexts == ()
    assert config.directory == tmp_path / "nowhere"


def test_container_juggles_own_file_is_read_unchanged(folder: Folder) -> None:
    config = folder.hosts(
        """\
username: YOUR-USERNAME
hosts:
    mi200:
      host: "host.ip.address" # put ip address here
      type: MI200
      arch: gfx90a
      comment: the old mi200
      sshport: 22
    mi200-2:
      host: "host.ip.address" # put ip address here
      username: someone
      skip: True
      type: MI200
      arch: gfx942
      sshport: 2222
    # add more hosts as needed ..
"""
    )
    assert [host.name for host in config.hosts] == ["local", "mi200", "mi200-2"]
    assert config.hosts[1] == HostConfig(
        name="mi200",
        host="host.ip.address",
        sshport=22,
        username="YOUR-USERNAME",
        type="MI200",
        arch="gfx90a",
        comment="the old mi200",
    )
    assert (config.hosts[2].username, config.hosts[2].skip, config.hosts[2].sshport) == (
        "someone",
        True,
        2222,
    )


def test_every_key(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    config = folder.hosts(
        """\
identity_file: ~/.ssh/id_ed25519
known_hosts: known
read_only: true
local: false
hosts:
  gpu:
    host: fe80::1
    sshport: 22
    username: bob
    identity_file: /keys/other
    type: H100
    arch: sm_90
    comment: |
      the new
      one
    tags: [nvidia, prod]
    proxy_jump: bob@gate:2222
    engine: podman
    socket: unix:///run/podman/podman.sock
    queue: slurm
    read_only: no
"""
    )
    assert config.hosts == (
        HostConfig(
            name="gpu",
            host="fe80::1",
            sshport=22,
            username="bob",
            identity_file=Path("/keys/other"),
            known_hosts=folder.path / "known",
            type="H100",
            arch="sm_90",
            comment="the new one",
            tags=("nvidia", "prod"),
            proxy_jump="bob@gate:2222",
            engine="podman",
            socket="/run/podman/podman.sock",
            queue="slurm",
        ),
    )


def test_no_field_of_a_host_lacks_its_key() -> None:
    assert set(_HOST) == set(HostConfig.__struct_fields__) - {"name", "local"}


def test_yaml_types_that_surprise_people(folder: Folder) -> None:
    config = folder.hosts(
        """\
username: 1000
hosts:
  no: {host: 10.1, sshport: "22", arch: 942, comment: off, tags: gpu, skip: "yes"}
  12: {host: "[::1]", type: 2024-01-01, sshport: null, comment: }
"""
    )
    no, twelve = config.hosts[1:]
    assert (no.name, no.host, no.sshport, no.arch, no.comment, no.tags, no.skip, no.username) == (
        *("no", "10.1", 22, "942", "off", ("gpu",), True),
        "1000",
    )
    assert (twelve.name, twelve.host, twelve.type, twelve.sshport, twelve.comment) == (
        *("12", "::1", "2024-01-01", None),
        "",
    )


def test_read_only_at_the_top_holds_for_this_machine_too(folder: Folder) -> None:
    assert folder.hosts("read_only: true").hosts[0].read_only


def test_anchors_and_merges(folder: Folder) -> None:
    config = folder.hosts(
        "hosts:\n  a: &a {host: one, tags: [x], sshport: 1}\n  b: {<<: *a, host: two}\n"
        "  c: {host: three, <<: [{sshport: 3}, *a]}\n"
    )
    assert [(host.host, host.sshport, host.tags) for host in config.hosts[1:]] == [
        ("one", 1, ("x",)),
        ("two", 1, ("x",)),
        ("three", 3, ("x",)),
    ]


def test_empty_files_and_sections(folder: Folder) -> None:
    for text in ("", "# nothing\n", "---\n", "~", "hosts:\n", "hosts: {}", b"\xef\xbb\xbfhosts: {}"):
        assert [host.name for host in folder.hosts(text).hosts] == ["local"], text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "hosts:\n  a:\n    host: x\n    sshprt: 22",
            "hosts.yaml:4: hosts.a.sshprt: unknown key. Did you mean 'sshport'? Known keys: host, sshport,",
        ),
        ("user: x", "hosts.yaml:1: user: unknown key. Did you mean 'username'?"),
        (
            "hosts:\n  a: {host: x}\n  a: {host: y}",
            "hosts.yaml:3: hosts.a: stands here for the second time, first",
        ),
        (
            "local: true\nlocal: true",
            "hosts.yaml:2: local: stands here for the second time, first in line 1.",
        ),
        (
            "hosts:\n  a:\n    host: x\n    sshport: 70000",
            "4: hosts.a.sshport: '70000' is not a port. Ports are 1-",
        ),
        ("hosts: {a: {host: x, sshport: 0}}", "'0' is not a port"),
        ("hosts: {a: {host: x, sshport: -1}}", "'-1' is not a port"),
        ("hosts: {a: {host: x, sshport: 22.5}}", "'22.5' is not a port"),
        ("hosts: {a: {host: x, sshport: ٢٢}}", "is not a port"),
        ("hosts: {a: {host: x, sshport: [22]}}", "hosts.a.sshport: expected one value, found a list."),
        ("hosts: {a: {host: x, skip: maybe}}", "hosts.a.skip: 'maybe' is neither true nor false."),
        (
            "hosts: {a: {host: x, engine: dokcer}}",
            "hosts.a.engine: 'dokcer' is not known. Did you mean 'docker'? Allowed: auto, docker,",
        ),
        ("hosts: {a: {host: x, tags: {b: c}}}", "hosts.a.tags: expected a list, found a mapping."),
        ("hosts: {a: {host: x, tags: [b, [c]]}}", "hosts.a.tags.2: expected one value, found a list."),
        (
            "hosts: {a: {host: x, tags: [b, ]}, b: {host: y, tags: [~]}}",
            "hosts.b.tags.1: a value is missing.",
        ),
        ("hosts: {a: {sshport: 22}}", "hosts.yaml:1: hosts.a: `host` is missing."),
        ("hosts:\n  a:\n", "hosts.yaml:2: hosts.a: nothing is said about this host."),
        ("hosts:\n  a: 10.1.2.3\n", "hosts.yaml:2: hosts.a: expected `key: value` lines, found text."),
        ("hosts: [a, b]", "hosts.yaml:1: hosts: expected `key: value` lines, found a list."),
        ("just text", "hosts.yaml:1: expected `key: value` lines, found text."),
        ("hosts: {local: {host: x}}", "the nick 'local' is this machine"),
        ("hosts: {'': {host: x}}", "the nick '' is empty"),
        ("hosts: {'a b': {host: x}}", "the nick 'a b' holds spaces"),
        ("hosts: {a/b: {host: x}}", "the nick 'a/b' holds a `/`"),
        ("hosts: {-a: {host: x}}", "the nick '-a' starts with `-`"),
        ('hosts: {"a\\e[31m": {host: x}}', "the nick 'a\\x1b[31m' holds spaces or control characters"),
        ("hosts: {[a]: {host: x}}", "hosts: a key has to be text, found a list."),
        ("hosts: {a: {host: ''}}", "hosts.a.host: is empty."),
        ("hosts: {a: {host: -oProxyCommand=x}}", "hosts.a.host: '-oProxyCommand=x' must not start with `-`."),
        ("hosts: {a: {host: x y}}", "hosts.a.host: 'x y' holds spaces"),
        ("hosts: {a: {host: bob@x}}", "'bob@x' holds a user. Write `host: x` and `username: bob`."),
        ("hosts: {a: {host: 'x:22'}}", "'x:22' holds a port. Write `host: x` and `sshport: 22`."),
        ("hosts: {a: {host: 'ssh://x'}}", "'ssh://x' is not an address."),
        ("username: -l", "username: '-l' must not start with `-`."),
        ("hosts: {a: {host: x, proxy_jump: '-x'}}", "proxy_jump: '-x' must not start with `-`."),
        ("hosts: {a: {host: x, socket: docker.sock}}", "'docker.sock' is not a path."),
        ("identity_file: [a]", "identity_file: expected one value, found a list."),
        ('hosts: {a: {host: x, comment: "\\e]0;x"}}', "comment: '\\x1b]0;x' holds control characters."),
    ],
)
def test_mistakes(folder: Folder, text: str, expected: str) -> None:
    assert expected in folder.error(lambda: folder.hosts(text))


def test_unknown_names_are_answered_with_the_known_ones(folder: Folder) -> None:
    config = folder.hosts("hosts: {gpu: {host: x}}")
    assert config.host("gpu").host == "x"
    with pytest.raises(NoSuchTarget, match=r"no host is called 'gpv'\. Hosts: local, gpu\."):
        config.host("gpv")
    with pytest.raises(NoSuchTarget, match=r"Contexts: none\."):
        config.context("gpv")
