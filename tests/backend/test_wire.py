"""Lines of agents: what is good is decoded, anything else is a WireError and nothing worse."""

from __future__ import annotations

import contextlib
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import wire
from backend.model import Container, EngineState, Hello, QueueReport
from tests.backend.fakes import ENGINE, HELLO, container, line

SECTIONS = (
    "hello",
    "host",
    "disk",
    "engine",
    "gpus",
    "processes",
    "containers",
    "usage",
    "tmux",
    "pong",
    "fault",
    "jobs",
    "reply",
)


def test_sections_become_structs() -> None:
    assert isinstance(wire.decode(line("hello", HELLO)).data, Hello)
    engine = wire.decode(line("engine", ENGINE))
    assert engine.data is not None and engine.data.state is EngineState.UP  # type: ignore[union-attr]
    (first,) = wire.decode(line("containers", [container("web", ports=[{"private": 80}])])).data  # type: ignore
    assert isinstance(first, Container)
    assert first.ports[0].private == 80
    assert wire.decode(line("pong", {"id": 7})).data == wire.Pong(7)


def test_a_queue_and_its_answers() -> None:
    job = {"id": 3, "owner": "ann", "name": "run", "spec": {"image": "x", "later": 1}, "request": {"gpus": 2}}
    report = wire.decode(line("jobs", {"jobs": [job], "waiting": 1})).data
    assert isinstance(report, QueueReport)
    assert (report.jobs[0].request.gpus, report.jobs[0].state, report.waiting) == (2, "queued", 1)
    assert wire.decode(line("jobs", {})).data == QueueReport()
    assert wire.decode(line("reply", {"id": 4, "ok": {"ids": [1]}})).data == wire.Reply(4, {"ids": [1]})
    error = {"kind": "usage", "message": "no", "hint": ""}
    assert wire.decode(line("reply", {"id": 4, "error": error})).data == wire.Reply(4, None, error)


def test_unknown_sections_and_fields_of_a_newer_agent_are_ignored() -> None:
    assert wire.decode(line("weather", {"sun": True})) == wire.Section("weather", 1_750_000_000.0, None)
    assert wire.decode(line("pong", {"id": 7, "also": 1})).data == wire.Pong(7)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"half a li",
        b'{"s":"host","t":1,"d":{"cpu_percent":',
        b'{"s":"host","t":1,"d":{"cpu_percent":101}}',
        b'{"s":"host","t":1,"d":{"cpu_percent":"high"}}',
        b'{"s":"host","t":1,"d":{"mem_used":-1}}',
        b'{"s":"host","t":1,"d":{"mem_used":1' + b"0" * 30 + b"}}",
        b'{"s":"host","t":1e999,"d":{}}',
        b'{"s":"tmux","t":1,"d":[{"id":"$1","name":"a","user":"u","socket":"","attached":0,"windows":1,'
        b'"created_at":"2026-01-01T00:00:00"}]}',
        b'{"s":"hello","t":1}',
        b'{"s":"pong","t":1,"d":null}',
        b'{"s":"reply","t":1,"d":{"ok":1}}',
        b'{"s":"reply","t":1,"d":{"id":1,"error":"no"}}',
        b'{"s":"jobs","t":1,"d":{"jobs":[{"id":-1,"owner":"","name":"","spec":{},"request":{}}]}}',
        b'{"s":"jobs","t":1,"d":{"jobs":[{"id":1,"owner":"","name":"","spec":{},"request":{"gpus":"2"}}]}}',
        b'{"s":"jobs","t":1,"d":{"jobs":[{"id":1,"owner":"","name":"","spec":{},"request":{},"after":[[1]]}]}}',
        b"[" * 100_000,
        b'{"s":"x","t":1,"d":' + b"[" * 100_000,
        b'{"s":"\xff","t":1,"d":{}}',
        b'{"s":"pong","t":1,"d":{"id":1}} trailing',
        json.dumps({"s": "fault", "t": 1, "d": {"where": "x" * 5000, "message": ""}}).encode(),
    ],
)
def test_what_no_agent_sends_is_refused(bad: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.decode(bad)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_section_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        assert isinstance(wire.decode(data), wire.Section)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    sorted(
        {
            *HELLO,
            *container("a"),
            "jobs",
            "spec",
            "request",
            "after",
            "ok",
            "error",
            "state",
            "gpus",
            "uuid",
            "index",
            "pid",
            "created_at",
        }
    )
)


@given(
    st.sampled_from(SECTIONS), JSON | st.dictionaries(NAMES, JSON) | st.lists(st.dictionaries(NAMES, JSON))
)
def test_any_json_in_a_section_gives_a_section_or_a_wire_error(section: str, data: object) -> None:
    with contextlib.suppress(wire.WireError):
        assert wire.decode(line(section, data)).name == section


@given(st.integers(0, 400), st.binary(max_size=8))
def test_a_line_cut_or_spoilt_anywhere_is_no_worse(place: int, junk: bytes) -> None:
    good = line("containers", [container("web", labels={"a": "b"})])
    with contextlib.suppress(wire.WireError):
        assert wire.decode(good[:place] + junk + good[place + 3 :]).name


def test_a_huge_line_costs_no_more_than_itself() -> None:
    data = b'{"s":"tmux","t":1,"d":' + b" " * (wire.MAX_BYTES) + b"[]}"
    tracemalloc.start()
    with pytest.raises(wire.WireError):
        wire.decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
