"""What engines say of what they hold: read, added up, kept; and what of it may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.actions.disk_prune import _lines
from backend.config import Config, HostConfig
from backend.disk import engine, prune
from backend.disk.model import FileSystem, Owner
from backend.disk.notice import choose, messages
from backend.disk.words import amount, place, span
from backend.errors import NoSuchTarget, UsageError

GIB = 1 << 30
DOCKER: dict[str, Any] = {
    "LayersSize": 5 * GIB,
    "Images": [
        {
            "Id": "sha256:aa",
            "RepoTags": ["team/torch:1", "team/torch:latest"],
            "Size": 4 * GIB,
            "SharedSize": GIB,
            "Containers": 1,
            "Created": 1_700_000_000,
        },
        {
            "Id": "sha256:bb",
            "RepoTags": None,
            "Size": 2 * GIB,
            "SharedSize": GIB,
            "Containers": 0,
            "Created": 1,
        },
    ],
    "Containers": [
        {
            "Id": "c1",
            "Names": ["/train"],
            "SizeRw": 700,
            "State": "running",
            "Labels": {"berth.owner": "alice"},
            "Mounts": [],
            "Created": 1_700_000_000,
        },
        {
            "Id": "c2",
            "Names": ["/old"],
            "SizeRw": 300,
            "State": "exited",
            "Labels": None,
            "Mounts": [{"Type": "bind", "Source": "/home/bob/work"}],
            "Created": 1_700_000_000,
        },
        {"Id": "c3", "Names": ["/none"], "State": "created", "Labels": {}, "Mounts": None, "Created": 0},
    ],
    "Volumes": [
        {"Name": "data", "UsageData": {"RefCount": 0, "Size": 50}, "CreatedAt": "2026-01-01T00:00:00Z"},
        {"Name": "a" * 64, "UsageData": {"RefCount": 0, "Size": 60}, "Labels": None},
        {"Name": "used", "UsageData": {"RefCount": 2, "Size": 70}},
        {"Name": "unknown", "UsageData": None},
    ],
    "BuildCache": [
        {"ID": "base", "Type": "regular", "Size": 10, "InUse": False, "Shared": False},
        {"ID": "leaf", "Parent": "base", "Type": "regular", "Size": 20, "LastUsedAt": "2020-01-01T00:00:00Z"},
        {"ID": "lent", "Type": "regular", "Size": 30, "Shared": True, "Parents": ["under"]},
        {"ID": "under", "Type": "regular", "Size": 40},
        {"ID": "own", "Type": "internal", "Size": 50},
        {"ID": "busy", "Type": "regular", "Size": 60, "InUse": True},
    ],
}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_CACHE_DIR", str(tmp_path / "cache"))


def test_what_docker_says() -> None:
    use = engine.read("h1", "docker", DOCKER)
    sums = {each.kind: (each.count, each.active, each.size, each.reclaimable) for each in engine.sums(use)}
    assert sums == {
        "image": (2, 1, 5 * GIB, GIB),
        "container": (3, 1, 1000, 300),
        "volume": (4, 2, 180, 110),
        "cache": (6, 1, 210, 70),
    }
    assert engine.by_owner(use.items) == {"alice": (700, 1), "bob": (300, 1), "": (0, 1)}
    assert engine.by_owner(use.items, {"c3": "carol"})["carol"] == (0, 1)
    names = {each.id: each.name for each in use.items if each.kind == "image"}
    assert names == {"aa": "team/torch:1, team/torch:latest", "bb": "<none>"}
    assert [each.name for each in use.items if each.anonymous] == ["a" * 64]


def test_podman_tells_owners_elsewhere() -> None:
    use = engine.read("h1", "podman", {"Containers": [{"ContainerID": "c9", "SizeRw": 5, "State": "exited"}]})
    assert engine.by_owner(use.items) == {"": (5, 1)}
    use = engine.owned(use, [{"Id": "c9", "Labels": {"berth.owner": "alice"}}, "garbage", {"Id": 3}])
    assert engine.by_owner(use.items) == {"alice": (5, 1)}


def test_what_was_said_is_kept_with_its_time() -> None:
    assert engine.kept("h1") is None
    use = engine.read("h1", "docker", DOCKER, seconds=3.5, now=datetime(2026, 1, 1, tzinfo=UTC))
    engine.keep(use)
    assert engine.kept("h1") == use
    engine._place("h1").write_bytes(b'{"host": 3}')
    assert engine.kept("h1") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
FIELDS = sorted({key for some in DOCKER.values() if isinstance(some, list) for each in some for key in each})


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(DOCKER)),
        JSON | st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), max_size=4),
    )
)
def test_whatever_an_engine_says_does_no_harm(found: Any) -> None:
    use = engine.read("h1", "docker", found)
    assert all(each.size >= 0 for each in use.items)
    assert all(each.reclaimable >= 0 for each in engine.sums(use))


def test_cache_goes_from_the_leaves_and_what_is_needed_stays() -> None:
    items = engine.read("h1", "docker", DOCKER).items
    gone = [each.id for each in prune._cache(items, datetime.now(UTC))]
    assert gone == ["leaf", "base"], "not what an image shares, nor what that stands on"
    young = prune._cache(items, datetime(2019, 1, 1, tzinfo=UTC))
    assert [each.id for each in young] == ["base"] or not young


def test_volumes_with_a_name_go_only_when_that_is_said() -> None:
    items = engine.read("h1", "docker", DOCKER).items
    stays: list[str] = []
    assert [each.name for each in prune._volumes(items, False, stays)] == ["a" * 64]
    assert stays == ["volume data: somebody named it (--named-volumes removes it too)"]
    assert {each.name for each in prune._volumes(items, True, stays)} == {"a" * 64, "data"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("2w", timedelta(days=14)),
        ("0", timedelta(0)),
    ],
)
def test_spans(text: str, wanted: timedelta) -> None:
    assert span(text, "x") == wanted
    for wrong in ("", "d", "-1", "1.5d", "9" * 30):
        with pytest.raises(UsageError):
            span(wrong, "x")


def test_amounts() -> None:
    assert amount("100G", "x") == 100 * GIB and amount("1.5k", "x") == 1536 and amount("7", "x") == 7
    with pytest.raises(UsageError):
        amount("much", "x")


def test_places(tmp_path) -> None:
    hosts = (HostConfig(name="local", host="local", local=True), HostConfig(name="h1", host="x"))
    config = Config(directory=tmp_path, hosts=hosts)
    assert place(config, "h1:/data") == ("h1", "/data")
    assert place(config, "h1") == ("h1", "/")
    assert place(config, "/data:x") == ("local", "/data:x")
    assert place(config, "h1:~/x") == ("h1", "~/x")
    with pytest.raises(NoSuchTarget):
        place(config, "h2:/data")
    with pytest.raises(UsageError):
        place(config, "h1:data")


def test_who_is_told_and_what() -> None:
    found = [
        Owner(host="h1", owner="root", bytes=900 * GIB),
        Owner(
            host="h1", owner="alice", bytes=5 * GIB, guess=GIB, holdings=(("/home/alice/\x1b[2Jx", 4 * GIB),)
        ),
        Owner(host="h1", owner="bob", bytes=2 * GIB),
        Owner(host="h1", owner="1234", bytes=90 * GIB),
    ]
    assert [each.owner for each in choose(found, (), GIB, 5)] == ["alice", "bob"]
    assert [each.owner for each in choose(found, ("root",), GIB, 5)] == ["root"]
    with pytest.raises(UsageError):
        choose(found, ("carol",), 0, 5)
    disk = FileSystem(host="h1", mount="/home", total=100 * GIB, used=97 * GIB, free=3 * GIB)
    (note,) = messages("h1", "/home", found[1:2], disk, said="Please clean up.", way="write")
    assert note.user == "alice" and "97 % of /home" in note.text and "about 6.0 G" in note.text
    assert "\x1b" not in note.text and note.text.endswith("Please clean up.")
    (wall,) = messages("h1", "/home", found[1:3], disk, said="", way="wall")
    assert not wall.user and "alice 6.0 G, bob 2.0 G" in wall.text


def test_what_would_be_pruned_is_counted_as_people_say_it() -> None:
    items = [prune.Item("container", name, name, GIB) for name in ("a", "b")]
    assert list(_lines(prune.Plan("h1", items[:1])))[-1] == "1 thing goes, 1.0 G free"
    assert list(_lines(prune.Plan("h1", items)))[-1] == "2 things go, 2.0 G free"
