"""`commands` in settings.yaml, read and written."""

from __future__ import annotations

import pytest

from backend.config import change_settings
from backend.config.schema import OwnCommand, OwnParam
from tests.backend.config.conftest import Folder

FULL = """\
commands:
  restart:
    command: systemctl restart {service}
    key: ctrl+t
    description: Restart a service
    danger: true
    params:
      service: {default: nginx}
      many: {type: int, default: 2}
      how: {choices: [soft, hard]}
      token: {type: secret}
  shell-as:
    on: container
    command: [su, -, "{who}"]
    show: terminal
    params: {who: {}}
  report: {on: gpu, runs: laptop, command: 'report {uuid}', show: background, reads: true}
"""


def test_every_key_is_read_and_written_back(folder: Folder) -> None:
    got = folder.settings(FULL).settings.commands
    assert got["restart"] == OwnCommand(
        command="systemctl restart {service}",
        runs="host",
        key="ctrl+t",
        description="Restart a service",
        danger=True,
        params={
            "service": OwnParam(default="nginx"),
            "many": OwnParam(type="int", default="2"),
            "how": OwnParam(type="choice", choices=("soft", "hard")),
            "token": OwnParam(type="secret"),
        },
    )
    assert got["shell-as"].command == ("su", "-", "{who}") and got["shell-as"].runs == "container"
    assert got["report"].runs == "laptop" and got["report"].reads
    assert change_settings(folder.path, theme="nord").commands == got
    assert folder.settings((folder.path / "settings.yaml").read_bytes()).settings.commands == got


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("a b: {command: x}", "cannot be a command's name"),
        ("Reboot: {command: x}", "cannot be a command's name"),
        ("x: {on: host}", "`command` is missing"),
        ("x: {command: []}", "names no program"),
        ('x: {command: "a\\nb"}', "several lines"),
        ("x: {command: y, on: fleet}", "'fleet' is not known"),
        ("x: {command: y, runs: container}", "host has no container"),
        ("x: {command: y, on: everywhere, show: terminal}", "one terminal"),
        ("x: {command: y, key: '#!'}", "is no key"),
        ("x: {command: 'echo {hosts}'}", "Did you mean {host}?"),
        ("x: {command: \"echo '{host}'\"}", "single quotes"),
        ("x: {command: y, params: {host: {}}}", "has a meaning already"),
        ("x: {command: y, params: {A-b: {}}}", "cannot be a parameter's name"),
        ("x: {command: y, params: {a: {type: float}}}", "'float' is not known"),
        ("x: {command: y, params: {a: {type: choice}}}", "belong together"),
        ("x: {command: y, params: {a: {choices: [b], default: c}}}", "none of the choices"),
        ("x: {command: y, params: {a: {type: int, default: z}}}", "not a whole number"),
        ("x: {command: y, params: {a: {type: secret, default: z}}}", "a secret has none"),
        ("x: {command: [y, '{a}'], params: {a: {type: secret}}}", "BERTH_A"),
        ("x: {command: y, show: terminal, params: {a: {type: secret}}}", "arguments of a terminal"),
        ("{x: {command: y, key: t}, z: {command: y, key: t}}", "both 'x' and 'z'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(folder: Folder, entry: str, said: str) -> None:
    text = f"commands: {entry}\n" if entry.startswith("{") else f"commands:\n  {entry}\n"
    error = folder.error(lambda: folder.settings(text))
    assert said in error and "settings.yaml:" in error and "commands" in error


def test_words_in_braces_that_are_no_placeholders_are_left_alone(folder: Folder) -> None:
    text = "commands: {x: {command: \"docker ps --format '{{.Names}}' | awk '{print $1}'\"}}\n"
    assert "x" in folder.settings(text).settings.commands
