"""What `berth serve` starts for a tab, without a browser: packets, the terminal that is lent, links."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from backend.workspaces import kept
from tui.web.channel import _overlap
from tui.web.links import PageBrowser

LENDS = """
import sys, os
from tui.web.channel import Channel
channel = Channel(90, 30)
print("before", flush=True)
print(os.get_terminal_size(), os.isatty(0), flush=True)
channel.take_back()
print("unseen", flush=True)
channel.lend()
os.system("stty size; printf 'a\\033]berth;no-mark\\007b' >&2; tty -s && echo terminal")
channel.resize(70, 20)
print(os.get_terminal_size(), flush=True)
channel.close()
"""
"""A tab that lends its terminal, takes it back, and lends it again."""


def packets(said: bytes) -> list[tuple[str, bytes]]:
    """What a tab said, after the line that it begins with."""
    line, _, said = said.partition(b"\n")
    assert line == b"__GANGLION__"
    found = []
    while said:
        size = int.from_bytes(said[1:5], "big")
        found.append((said[:1].decode(), said[5 : 5 + size]))
        said = said[5 + size :]
    return found


def run(argv: list[str], folder: Path) -> tuple[str, list[tuple[str, bytes]], int]:
    """What it drew, its packets, its exit code."""
    environment = os.environ | {"BERTH_CONFIG_DIR": str(folder), "BERTH_STATE_DIR": str(folder)}
    done = subprocess.run(argv, env=environment, input=b"", capture_output=True, timeout=60, check=False)
    found = packets(done.stdout)
    return b"".join(data for kind, data in found if kind == "D").decode(), found, done.returncode


def test_what_is_printed_is_drawn_while_the_terminal_is_lent_and_no_longer(tmp_path: Path) -> None:
    drawn, found, code = run([sys.executable, "-c", LENDS], tmp_path)
    size = "os.terminal_size(columns={}, lines={})"
    seen = [
        "before",
        f"{size.format(90, 30)} True",
        "30 90",
        "a\x1b]berth;no-mark\x07bterminal",
        size.format(70, 20),
    ]
    assert drawn.splitlines() == seen
    assert json.loads(found[-1][1]) == {"type": "exit"}
    assert found[-1][0] == "M"
    assert code == 0


def test_why_a_dashboard_does_not_start_stands_in_its_page(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("hosts: [\n")
    drawn, found, code = run([sys.executable, "-m", "tui.web", "--size", "80x24"], tmp_path)
    assert "hosts.yaml" in drawn
    assert json.loads(found[-1][1]) == {"type": "exit"}
    assert code == 2


@pytest.mark.parametrize(
    ("data", "size"), [(b"", 0), (b"xyz", 0), (b"x<", 1), (b"x<ma", 3), (b"<mark", 5), (b"<mark<", 1)]
)
def test_a_mark_that_has_only_begun_is_waited_for(data: bytes, size: int) -> None:
    assert _overlap(data, b"<mark>") == size


def test_links_go_to_the_page_and_only_where_pages_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    opened: list[str] = []
    browser = PageBrowser(opened.append)
    assert browser.open("https://example.org/a?b=c&d")
    leads_on = kept.page(SimpleNamespace(host="h1", name="lab"), "jupyter", "http://127.0.0.1:1/?a&b")  # type: ignore[arg-type]
    assert browser.open(leads_on)
    assert opened == ["https://example.org/a?b=c&d", "http://127.0.0.1:1/?a&b"]
    outside = tmp_path / "outside.html"
    outside.write_bytes(Path(urlsplit(leads_on).path).read_bytes())
    for refused in ("javascript:alert(1)", "file:///etc/passwd", outside.as_uri(), "data:text/html,x", ""):
        assert not browser.open(refused)
    assert len(opened) == 2
