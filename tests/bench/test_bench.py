"""The bench's own tools: a bench that measures wrongly is worse than none."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from backend.config import Config, HostConfig
from backend.fleet import Fleet
from backend.model import HostState
from tests.bench.fleet import Cursor
from tests.bench.replay import opener
from tests.bench.screenshots import local_fonts
from tests.bench.table import Figure, as_json, markdown
from tests.bench.terminal import FRAME_END, Gone, Terminal
from tests.bench.usage import cpu_seconds, rss, tree


async def test_a_recording_reaches_the_fleet_like_real_agents(tmp_path):
    socket = tmp_path / "replay.sock"
    argv = [sys.executable, "-m", "tests.bench.replay", str(socket), "--hosts", "3", "--containers", "5"]
    player = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    try:
        await player.stdout.readline()
        hosts = tuple(HostConfig(name=f"host-{number:03d}", host="x") for number in range(3))
        config = Config(directory=Path("/nonexistent"), hosts=hosts)
        async with asyncio.timeout(20), Fleet(config, opener=opener(str(socket))) as fleet:
            async for state in fleet.updates():
                if all(host.state is HostState.UP and host.usage for host in state.hosts.values()):
                    break
        assert [len(host.containers) for host in state.hosts.values()] == [5, 5, 5]
        assert not any(host.warnings for host in state.hosts.values())
    finally:
        player.kill()
        await player.wait()


def test_a_key_is_timed_to_the_end_of_the_frame_that_answers_it():
    script = (
        "import sys, tty; tty.setraw(0); w = sys.stdout.write; f = sys.stdout.flush\n"
        "w('ready'); f()\n"
        "while (key := sys.stdin.read(1)) != 'q':\n"
        "    w('\\x1b[?2026h other \\x1b[?2026l'); f()\n"
        "    w('\\x1b[?2026h got ' + key + '\\x1b[?2026l'); f()\n"
    )
    with Terminal([sys.executable, "-c", script], size=(80, 24)) as terminal:
        terminal.wait_for("ready")
        assert terminal.press(b"x", lambda frame: b"got x" in frame) > 0
        assert terminal.output.count(FRAME_END) == terminal.frames == 2
        with pytest.raises(Gone):
            terminal.press(b"y", lambda frame: b"got z" in frame, timeout=0.2)
        with pytest.raises(Gone):
            terminal.press(b"q", lambda frame: False)


def _row(ground: bytes, name: bytes, spans: int = 1) -> bytes:
    """A host's row, in as many spans of one background as wanted."""
    span = b"\x1b[38;2;9;9;9;48;2;" + ground + b"m"
    return span + b"  " + name + b"   \x1b[0m" + spans * (span + b"x\x1b[0m")


def test_the_cursor_is_told_by_its_colour():
    usual, marked = b"1;1;1", b"5;5;5"
    at_rest = _row(marked, b"host-000", 30) + _row(usual, b"host-001") + _row(usual, b"host-002")
    cursor = Cursor(at_rest)
    assert not cursor.arrives(b"host-001")(_row(usual, b"host-001"))
    both = _row(usual, b"host-000") + _row(marked, b"host-001", 30)  # more of its colour than of the other
    assert not cursor.arrives(b"host-000")(both)
    assert cursor.arrives(b"host-001")(both)
    assert not cursor.arrives()(both), "it was there before"
    assert cursor.arrives()(both + _row(marked, b"host-002"))
    with pytest.raises(AssertionError):
        Cursor(_row(usual, b"host-001") + _row(usual, b"host-002"))


def test_costs_are_read_from_proc():
    assert os.getpid() in tree(os.getppid())
    assert cpu_seconds([os.getpid()]) > 0
    assert rss([os.getpid()]) > 1_000_000
    assert rss([2**22 + 1]) == 0


def test_the_table_marks_what_is_over_its_limit():
    figures = [
        Figure("fast", 10.0, "ms", 60.0, {"peer": 99.0}),
        Figure("slow", 61.0, "ms", 60.0),
        Figure("free", 1.0, "s"),
    ]
    lines = markdown(figures).splitlines()
    assert "✓" in lines[2] and "peer 99.0 ms" in lines[2]
    assert "✗" in lines[3]
    assert "✓" not in lines[4] and "✗" not in lines[4]
    assert [entry["ok"] for entry in as_json(figures)] == [True, False, None]


def test_pictures_call_nobody_and_keep_their_cells():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg"><!-- https://example.com --><style>'
        '@font-face { font-family: "Fira"; src: url("https://cdn.example.com/x.woff2"); }'
        ".m { font-family: Fira Code; }</style>"
        '<text class="r1" x="12.2" y="1" textLength="61" clip-path="url(#a)">&#160;&#160;ab&#160;</text>'
        '<text class="r1" x="0" y="1" textLength="24.4" clip-path="url(#a)">&#160;&#160;</text></svg>'
    )
    local = local_fonts(svg)
    assert "example.com" not in local and "DejaVu Sans Mono" in local
    assert 'x="36.6"' in local and 'textLength="24.4"' in local and ">ab</text>" in local
    assert local.count("<text") == 1
