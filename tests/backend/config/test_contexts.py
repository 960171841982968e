"""contexts/NAME.yaml."""

from __future__ import annotations

import pytest

from backend.config import Context, RuntimeOptions, load
from backend.config.contexts import _CONTEXT, _OPTIONS
from tests.backend.config.conftest import Folder


def test_the_least_a_context_says(folder: Folder) -> None:
    (context,) = folder.context("host: local\nimage: debian:12\n").contexts
    assert context == Context(name="train", host="local", image="debian:12", container="train")
    assert (context.user, context.profile, context.gpus) == ("root", "tuned", None)


def test_every_key(folder: Folder) -> None:
    (context,) = folder.context(
        """\
host: local
image: rocm/pytorch:latest
container: bob_train
user: 1000:1000
shell: /bin/zsh -l
command: sleep "a b" $HOME
workdir: /work
ports: [22:22, "0.0.0.0:80:8080/udp", 9, "[::1]:1:2"]
mounts:
  - ~/shared:/root/shared
  - /data:/data:ro
  - cache:/cache
gpus: [0, GPU-8d3f]
cpus: 12.5
cpuset: 0-7, 16
memory: 64g
shm_size: 1.5 GiB
env: {DEBUG: yes, AT: 12:30, EMPTY: ''}
env_file: train.env
network: host
options:
  cap_add: SYS_PTRACE
  security_opt: [seccomp=unconfined]
  devices: [/dev/kfd, /dev/dri]
  ulimits: {memlock: -1, nofile: 1024:2048}
  init: true
profile: raw
sync: default
"""
    ).contexts
    assert context == Context(
        name="train",
        host="local",
        image="rocm/pytorch:latest",
        container="bob_train",
        user="1000:1000",
        shell="/bin/zsh -l",
        command=("sleep", "a b", "$HOME"),
        workdir="/work",
        ports=("127.0.0.1:22:22/tcp", "0.0.0.0:80:8080/udp", "127.0.0.1:9:9/tcp", "[::1]:1:2/tcp"),
        mounts=("~/shared:/root/shared", "/data:/data:ro", "cache:/cache"),
        gpus=("0", "GPU-8d3f"),
        cpus=12.5,
        cpuset="0-7,16",
        memory=64 * 1024**3,
        shm_size=3 * 1024**3 // 2,
        env={"DEBUG": "yes", "AT": "12:30", "EMPTY": ""},
        env_file=folder.path / "contexts" / "train.env",
        network="host",
        options=RuntimeOptions(
            cap_add=("SYS_PTRACE",),
            security_opt=("seccomp=unconfined",),
            devices=("/dev/kfd", "/dev/dri"),
            ulimits={"memlock": "-1", "nofile": "1024:2048"},
            init=True,
        ),
        profile="raw",
        sync="default",
    )


def test_no_field_lacks_its_key() -> None:
    assert set(_CONTEXT) == set(Context.__struct_fields__) - {"name"}
    assert set(_OPTIONS) == set(RuntimeOptions.__struct_fields__)


@pytest.mark.parametrize(
    ("written", "gpus"), [("all", "all"), ("2", 2), ("0", None), ("[]", None), ("[3]", ("3",))]
)
def test_gpus(folder: Folder, written: str, gpus: object) -> None:
    assert folder.context(f"host: local\nimage: x\ngpus: {written}").contexts[0].gpus == gpus


def test_editors_copies_and_hidden_files_are_passed_over(folder: Folder) -> None:
    for name in ("b.yaml", "a.yaml"):
        folder.write(f"contexts/{name}", "host: local\nimage: x\ncontainer: one")
    for name in ("a.yaml~", ".a.yaml.swp", ".b.yaml", "notes.txt", "trash/c.yaml"):
        folder.write(f"contexts/{name}", "nonsense")
    assert [context.name for context in load(folder.path).contexts] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "contexts/train.yaml: is empty. Write at least `host: NAME` and `image: NAME`."),
        ("host: local", "contexts/train.yaml:1: `image` is missing."),
        (
            "image: x\n\nhost: gpv",
            "contexts/train.yaml:3: host: no host is called 'gpv'. Did you mean 'gpu'? Hosts: local, gpu.",
        ),
        ("host: local\nimage: -x", "image: '-x' must not start with `-`."),
        (
            "host: local\nimage: x\ncontainer: a/b",
            "contexts/train.yaml:3: container: 'a/b' cannot be a container's",
        ),
        ("host: local\nimage: x\nports: ['0:1']", "ports.1: '0:1' is not a port mapping."),
        ("host: local\nimage: x\nports: ['nohost:1:1']", "ports.1: 'nohost:1:1' is not a port mapping."),
        ("host: local\nimage: x\nports: ['1:2/icmp']", "is not a port mapping."),
        ("host: local\nimage: x\nports: ['1:2:3:4']", "is not a port mapping."),
        ("host: local\nimage: x\nmounts: ['data:/x:']", "mounts.1: 'data:/x:' is not a mount."),
        ("host: local\nimage: x\nmounts: [../data:/x]", "is not a mount."),
        ("host: local\nimage: x\nmounts: [/data:x]", "is not a mount."),
        ("host: local\nimage: x\ngpus: some", "gpus: 'some' does not say which GPUs."),
        ("host: local\nimage: x\ncpus: 0", "cpus: 0 is out of range. Allowed: 0.01 to 10000."),
        ("host: local\nimage: x\ncpus: .nan", "cpus: '.nan' is not a number."),
        ("host: local\nimage: x\ncpuset: 0-", "cpuset: '0-' is no set of CPUs."),
        ("host: local\nimage: x\nmemory: lots", "memory: 'lots' is not a size."),
        ("host: local\nimage: x\nmemory: 0", "memory: '0' is not a size."),
        ("host: local\nimage: x\nmemory: 9999999999t", "is not a size."),
        ("host: local\nimage: x\nenv: [A=b]", "env: expected `key: value` lines, found a list."),
        ("host: local\nimage: x\nenv: {A: }", "env.A: a value is missing."),
        ("host: local\nimage: x\nenv: {'A=': 1}", "'A=' cannot be a name here."),
        ("host: local\nimage: x\nworkdir: work", "workdir: 'work' is not a full path."),
        ("host: local\nimage: x\nprofile: fast", "profile: 'fast' is not known. Allowed: tuned, raw."),
        (
            "host: local\nimage: x\noptions: {ulimits: {core: many}}",
            "options.ulimits.core: 'many' is no limit.",
        ),
        (
            "host: local\nimage: x\noptions: {capadd: X}",
            "options.capadd: unknown key. Did you mean 'cap_add'?",
        ),
    ],
)
def test_mistakes(folder: Folder, text: str, expected: str) -> None:
    folder.write("hosts.yaml", "hosts: {gpu: {host: x}}")
    assert expected in folder.error(lambda: folder.context(text))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b", "contexts/a b.yaml: the name 'a b' holds spaces"),
        ("-a", "the name '-a' starts with `-`"),
        ("x", "the container cannot be called 'x' like the context."),
    ],
)
def test_names(folder: Folder, name: str, expected: str) -> None:
    assert expected in folder.error(lambda: folder.context("host: local\nimage: x", name))


def test_a_context_of_this_machine_needs_this_machine(folder: Folder) -> None:
    folder.write("hosts.yaml", "local: false")
    assert "no host is called 'local'. Hosts: none." in folder.error(
        lambda: folder.context("host: local\nimage: x")
    )


def test_the_other_ending_is_not_passed_over_in_silence(folder: Folder) -> None:
    folder.write("contexts/a.yml", "host: local\nimage: x")
    assert "a.yml: would be passed over. Rename it to a.yaml." in folder.error(lambda: load(folder.path))
