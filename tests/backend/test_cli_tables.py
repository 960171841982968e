"""Tables: columns that line up and fit, whatever hosts are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from backend.model import ContainerRow, GpuRow, HostRow, HostState, ProcessRow
from backend.tables import BY_ROW, GPUS, HOSTS, PS, lines, table


def container(**changes) -> ContainerRow:
    fields = dict.fromkeys(ContainerRow.__struct_fields__)
    fields |= {
        "host": "h1",
        "id": "f" * 64,
        "name": "train",
        "image": "pytorch",
        "state": "running",
        "status": "Up",
    }
    fields |= {"gpus": (), "ports": (), "labels": {}, "command": "", "stale": False}
    return ContainerRow(**(fields | changes))


def gpu(**changes) -> GpuRow:
    fields = dict.fromkeys(GpuRow.__struct_fields__)
    fields |= {"host": "h1", "index": 0, "uuid": "G0", "vendor": "nvidia", "name": "H100", "free": False}
    fields |= {"processes": (), "containers": (), "owners": (), "stale": False}
    return GpuRow(**(fields | changes))


def test_a_free_gpu_says_so_and_a_used_one_says_by_whom() -> None:
    process = ProcessRow(pid=1, user="bob", command="python train.py", mem_used=1, container=None, job=None)
    rows = [
        gpu(free=True),
        gpu(index=1, owners=("bob",), processes=(process,)),
        gpu(index=2, error="Unknown Error"),
    ]
    shown = [line.split("\t") for line in lines(rows, GPUS).splitlines()]
    who, what = shown[0].index("WHO"), shown[0].index("WHAT")
    assert [line[who] for line in shown[1:]] == ["free", "bob", "Unknown Error"]
    assert shown[2][what] == "python train.py"


def test_a_look_does_not_pretend_to_have_watched() -> None:
    at = datetime.now(UTC)
    rows = [gpu(index=n, idle_since=at + timedelta(minutes=ahead)) for n, ahead in enumerate((5, 3, -125))]
    shown = [line.split("\t") for line in lines([*rows, gpu(index=3)], GPUS).splitlines()]
    idle = shown[0].index("IDLE")
    assert [line[idle] for line in shown[1:]] == ["now", "now", "2 h", "-"]


def test_columns_that_say_nothing_are_left_out_of_tables_but_not_of_lines() -> None:
    row = HostRow(name="h1", address="a", state=HostState.DOWN)
    assert table([row], HOSTS, 200, colour=False).split("\n")[0].split() == [
        "HOST",
        "STATE",
        "CPU",
        "MEMORY",
        "GPUS",
        "FREE",
    ]
    assert len(lines([row], HOSTS).split("\n")[1].split("\t")) == len(HOSTS)


def test_narrow_tables_lose_what_matters_least_first() -> None:
    rows = [
        container(name="a-very-long-name-of-a-container", owner="alice", context="ctx", ports=("1->1/tcp",))
    ]
    wide = table(rows, PS, 200, colour=False)
    assert "1->1/tcp" in wide and "alice" in wide
    narrow = table(rows, PS, 60, colour=False)
    assert "1->1/tcp" not in narrow and "…" not in narrow.split()[0]
    assert all(cell_len(line) <= 60 for line in narrow.splitlines())
    assert "a-very-…" in table(rows, PS, 30, colour=False)


HOSTILE = [
    "\x1b[2Jx",
    "a\nb",
    "a\tb",
    "\u202eevil",
    "[bold]x[/]",
    "界" * 30,
    "e\u0301" * 40,
    "👩‍👩‍👧‍👦" * 5,
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_cannot_break_lines_or_columns(text: str) -> None:
    rows = [
        container(name=text, image=text, owner=text, host="h"),
        container(name="plain", owner="bob", host="h"),
    ]
    out = table(rows, PS, 80, colour=False)
    assert len(out.splitlines()) == 3
    assert "\x1b" not in out and "\u202e" not in out
    assert all(cell_len(line) <= 80 for line in out.splitlines())
    titles, _, second = out.splitlines()
    start = titles.index("STATUS")
    assert second[start:].startswith("Up")
    assert len(lines(rows, PS).splitlines()) == 3
    assert all(line.count("\t") == len(PS) - 1 for line in lines(rows, PS).splitlines())


@given(st.text(max_size=60), st.text(max_size=60), st.integers(20, 200))
def test_any_text_at_any_width(name: str, image: str, width: int) -> None:
    least = 8 + 2 + 8 + 2 + 8 + 2 + 3 + 2 + 6  # what is always shown
    out = table([container(name=name, image=image)], PS, width, colour=False).split("\n")
    assert len(out) == 3
    assert all(cell_len(line) <= max(width, least) for line in out)


def test_every_kind_of_row_has_columns_with_names_of_their_own() -> None:
    for columns in BY_ROW.values():
        titles = [column.title for column in columns]
        assert len(set(titles)) == len(titles) > 5
        assert not columns[0].rank
