"""What enroot reads in the root of an image: run by a real shell, whatever the image says."""

from __future__ import annotations

import subprocess

from hypothesis import given
from hypothesis import strategies as st

from backend.agent.outputs import layout


def run(config: dict, *words: str) -> str:
    """Standard output of /etc/rc; it makes folders, which is why they lie below /tmp in tests."""
    script = layout.files("x", config)["etc/rc"].decode()
    done = subprocess.run(["sh", "-c", script, "rc", *words], capture_output=True, text=True, check=True)
    return done.stdout


def test_command_entrypoint_and_working_folder(tmp_path):
    folder = f"{tmp_path}/a b'c"
    config = {"Entrypoint": ["printf", "%s|"], "Cmd": ["it's", "$HOME", "a b"], "WorkingDir": folder}
    assert run(config) == "it's|$HOME|a b|"
    assert run(config, "x y", "z") == "x y|z|"
    assert run({"Cmd": ["pwd"], "WorkingDir": folder}) == f"{folder}\n"
    assert run({"Cmd": ["pwd"]}, "echo", "other") == "other\n"


def test_an_image_that_says_nothing_starts_a_shell():
    assert b"exec  /bin/sh" in layout.files("x", {})["etc/rc"]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(TEXT, min_size=1, max_size=4), st.dictionaries(TEXT, TEXT, max_size=3), TEXT)
def test_nothing_that_an_image_says_is_run_by_the_script(words, labels, name):
    config = {"Entrypoint": ["printf", "%s\\0"], "Cmd": words, "Labels": labels}
    script = layout.files(name, config)["etc/rc"]
    done = subprocess.run(["sh", "-c", script.decode(), "rc"], capture_output=True, check=True)
    assert done.stdout == b"".join(word.encode() + b"\0" for word in words)
    assert done.stderr == b""


def test_variables_and_volumes():
    config = {"Env": ["A=1", "B=x y", "C=a\nb", "D="], "Volumes": {"/data": {}, "/a b": {}}}
    files = layout.files("x", config)
    assert files["etc/environment"] == b"A=1\nB=x y\nD=\n"
    assert layout.left_out(config) == ["C"]
    assert [line.split(b" ")[:2] for line in files["etc/fstab"].splitlines()] == [
        [b"${ENROOT_ROOTFS}/a\\040b", b"/a\\040b"],
        [b"${ENROOT_ROOTFS}/data", b"/data"],
    ]
