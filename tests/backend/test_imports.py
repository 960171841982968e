"""What is loaded when: the screen and the heavy libraries only where they are needed."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import backend

HEAVY = {"textual", "rich", "asyncssh", "docker", "plotext", "cryptography", "requests", "aiohttp"}


def loaded(script: str, folder: Path) -> set[str]:
    """The top-level modules that are loaded after `script`."""
    script += (
        "\nimport json, sys\n"
        "print('LOADED' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    environment = os.environ | {"BERTH_CONFIG_DIR": str(folder), "BERTH_STATE_DIR": str(folder / "state")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert "LOADED" in done.stdout, done.stderr
    return set(json.loads(done.stdout.rpartition("LOADED")[2]))


def verb(*words: str) -> str:
    return f"from tui.__main__ import main\nimport sys\nsys.argv = ['berth', *{words!r}]\nmain()"


@pytest.mark.parametrize("words", [("hosts", "--json"), ("hosts",)])
def test_a_list_of_this_machine_loads_neither_screen_nor_ssh_nor_docker(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    assert not loaded(verb(*words), tmp_path) & HEAVY


def test_a_list_of_remote_hosts_loads_ssh_but_no_screen(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("local: false\nhosts: {a: {host: 127.0.0.1, sshport: 1}}")
    modules = loaded(verb("hosts", "--json"), tmp_path)
    assert "asyncssh" in modules
    assert not modules & {"textual", "rich", "docker"}


def test_the_start_of_the_command_line_is_light(tmp_path: Path) -> None:
    modules = loaded("import tui.__main__, backend.cli", tmp_path)
    assert not modules & (HEAVY | {"msgspec", "yaml", "asyncio", "logging", "platformdirs"})


def test_the_configuration_needs_yaml_only_where_there_is_a_file(tmp_path: Path) -> None:
    assert "yaml" not in loaded("from backend.config import load; load()", tmp_path)


def test_no_part_of_the_backend_loads_the_screen(tmp_path: Path) -> None:
    names = [
        module.name
        for module in pkgutil.walk_packages(backend.__path__, "backend.")
        if not module.name.startswith("backend.agent") and not module.name.endswith("__main__")
    ]
    modules = loaded(f"import importlib\nfor name in {names!r}: importlib.import_module(name)", tmp_path)
    assert len(names) > 10
    assert not modules & {"textual", "tui", "plotext"}
