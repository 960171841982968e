"""Files that are no YAML, no text, or no files at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.config import Config, load
from backend.errors import ConfigError
from tests.backend.config.conftest import Folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hosts:\n\ta:\n", "hosts.yaml:2: a tab stands where YAML wants spaces. Indent with spaces."),
        ("local: true\n\thosts: 2\n", "hosts.yaml:2: a tab stands where YAML wants spaces."),
        ("hosts: a: b", "hosts.yaml:1: not valid YAML at column 9: mapping values are not allowed"),
        ("hosts: {a: {\n\n", "hosts.yaml:3: not valid YAML at column 1:"),
        ("\nusername: 'x\n", "(started in line 2)."),
        ("local: true\n---\nlocal: false\n", "hosts.yaml:2: a second document starts here."),
        (b"local: true\nusername: \xff\n", "hosts.yaml:2: not UTF-8 text."),
        ("local: true".encode("utf-16"), "hosts.yaml:1: not UTF-8 text."),
        (b"local: true\nusername: a\x00b\n", "hosts.yaml:2: not valid YAML: control characters"),
        ("hosts: *nobody", "hosts.yaml:1: no anchor is called &nobody above."),
        ("hosts: &a {x: *a}", "hosts.yaml:1: *a stands inside itself."),
        ("username: !!python/object/apply:os.system [id]", "hosts.yaml:1: the tag"),
        ("username: !secret x", "hosts.yaml:1: the tag '!secret' is not used here."),
        ("[" * 100_000, "hosts.yaml:1: nested too deeply"),
        ("- " * 100_000, "hosts.yaml:1: nested too deeply"),
        ("x" * 1_000_001, "larger than 1 MB"),
        ("- x\n" * 200_001, "more than 200000 values"),
        ("? [a]\n: b", "a key has to be text, found a list."),
    ],
)
def test_broken_files(folder: Folder, text: str | bytes, expected: str) -> None:
    assert expected in folder.error(lambda: folder.hosts(text))


def test_aliases_that_multiply_are_stopped(folder: Folder) -> None:
    tags = ", ".join(f"t{number}" for number in range(2000))
    hosts = "\n".join(f"  h{number}: *a" for number in range(2000))
    text = f"hosts:\n  a: &a {{host: x, tags: [{tags}]}}\n{hosts}"
    assert "more than 200000 values" in folder.error(lambda: folder.hosts(text))


def test_merges_that_multiply_are_stopped(folder: Folder) -> None:
    lines = ["hosts:", "  h0: &h0 {host: x}"]
    lines += [f"  h{n}: &h{n} {{<<: [*h{n - 1}, *h{n - 1}]}}" for n in range(1, 19)]
    assert "more than 200000 values" in folder.error(lambda: folder.hosts("\n".join(lines)))


def test_merges_without_end_are_stopped(folder: Folder) -> None:
    lines = ["hosts:", "  h0: &h0 {host: x}"]
    lines += [f"  h{n}: &h{n} {{<<: *h{n - 1}}}" for n in range(1, 2000)]
    assert "`<<` is nested too deeply" in folder.error(lambda: folder.hosts("\n".join(lines)))


def test_a_folder_in_place_of_a_file(folder: Folder) -> None:
    (folder.path / "hosts.yaml").mkdir()
    assert "hosts.yaml: this is a folder" in folder.error(lambda: load(folder.path))


def test_a_pipe_in_place_of_a_file_does_not_hang(folder: Folder) -> None:
    os.mkfifo(folder.path / "settings.yaml")
    assert "settings.yaml: this is not a file" in folder.error(lambda: load(folder.path))


def test_a_file_in_place_of_the_folder(folder: Folder) -> None:
    file = folder.write("file", "")
    assert "cannot be read: Not a directory." in folder.error(lambda: load(file))


def test_a_file_in_place_of_the_folder_of_contexts(folder: Folder) -> None:
    folder.write("contexts", "")
    assert "contexts: cannot be listed: Not a directory." in folder.error(lambda: load(folder.path))


def test_a_link_that_leads_in_circles(folder: Folder) -> None:
    (folder.path / "hosts.yaml").symlink_to("hosts.yaml")
    assert "cannot be read" in folder.error(lambda: load(folder.path))


def test_a_file_nobody_may_read(folder: Folder) -> None:
    folder.write("hosts.yaml", "local: true").chmod(0)
    folder.path.chmod(0o755)
    for parent in folder.path.parents:  # pytest's own folders are closed to others
        if parent.owner() == "root" and parent != Path("/") and not parent.stat().st_mode & 0o001:
            parent.chmod(0o711)
    script = (
        "import os, sys; from backend.config import load; from backend.errors import ConfigError\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from pathlib import Path\n"
        "try: load(Path(sys.argv[1]))\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, folder.path], capture_output=True, text=True, check=True
    )
    assert "hosts.yaml: cannot be read: Permission denied." in done.stdout


def test_the_other_ending_is_not_passed_over_in_silence(folder: Folder) -> None:
    folder.write("hosts.yml", "local: false")
    assert "hosts.yml: would be passed over. Rename it to hosts.yaml." in folder.error(
        lambda: load(folder.path)
    )


KEYS = [
    "hosts",
    "local",
    "username",
    "a",
    "host",
    "sshport",
    "tags",
    "skip",
    "<<",
    "image",
    "ports",
    "gpus",
    "env",
]
KEYS += ["keys", "interval", "columns", "sort", "memory", "mounts", "options", "comment"]
SCALARS = st.one_of(
    st.sampled_from(
        [*KEYS, "22", "true", "~", "local", "*x", "&x 1", "!!int 3", "1e400", ".nan", "0x1", "22:22"]
    ),
    st.text(max_size=8).map(lambda text: '"' + text.replace("\\", "").replace('"', "") + '"'),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=5).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=15,
)
FILES = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
    VALUES.map(lambda text: text.encode("utf-8", "replace")),
    st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=4).map(
        lambda pairs: "\n".join(f"{key}: {value}" for key, value in pairs).encode("utf-8", "replace")
    ),
)


def encode(value: object) -> str:
    return str(value)


def decode(kind: type, value: object) -> object:
    return kind(value)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hosts=FILES, context=FILES, options=FILES)
def test_whatever_the_files_hold_it_is_a_config_or_a_config_error(
    tmp_path: Path, hosts: bytes, context: bytes, options: bytes
) -> None:
    folder = Folder(tmp_path)
    for name, data in (("hosts.yaml", hosts), ("contexts/c.yaml", context), ("settings.yaml", options)):
        others = {"hosts.yaml", "contexts/c.yaml", "settings.yaml"} - {name}
        for other in others:
            (tmp_path / other).unlink(missing_ok=True)
        folder.write(name, data)
        try:
            config = load(tmp_path)
        except ConfigError as error:
            assert str(tmp_path) in error.message
        else:
            # Every value has the type its struct declares.
            plain = msgspec.to_builtins(config, enc_hook=encode)
            assert msgspec.convert(plain, Config, dec_hook=decode) == config
