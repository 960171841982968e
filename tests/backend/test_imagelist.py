"""Images as rows, lines and trees: who uses what, what differs, what is fresh."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backend import imagelines
from backend.agent import images as wire
from backend.agent.commands import parse
from backend.agent.imagewatch import is_image_event
from backend.building import fresh
from backend.config import Context
from backend.imagelines import NAMELESS, Lines
from backend.imagerows import Expected, RecipeBook, RecipeFacts, image_rows, missing_rows
from backend.model import FleetState, ImageRow
from backend.recipes.model import Kind, Rendered
from backend.rows import RowBuilder
from tests.tui.fakes import NOW, container, host, image, images, job

DOCKERFILE = "FROM busybox\n"


def rendered(recipe: str, digest: str = "1", **more: object) -> Rendered:
    values = {
        "recipe": recipe,
        "kind": Kind.DOCKERFILE,
        "folder": Path("/"),
        "dockerfile": Path("/Dockerfile"),
        "tags": (f"{recipe}:latest",),
        "digest": digest * 64,
    }
    return Rendered(**{**values, **more})  # type: ignore[arg-type]


def facts(name: str, base: str = "", **more: object) -> RecipeFacts:
    expected = {None: Expected(rendered(name), DOCKERFILE)}
    return RecipeFacts(name=name, images=(f"{name}:latest",), base=base, expected=expected, **more)  # type: ignore[arg-type]


def built(name: str, digest: str = "1", bases: dict[str, str] | None = None, **more: object):
    return image(
        f"{name}:latest", labels=fresh.labels(rendered(name, digest), DOCKERFILE, bases or {}), **more
    )


def rows_of(*hosts, book: RecipeBook | None = None, contexts=()) -> list[ImageRow]:
    builder = RowBuilder(contexts)
    if book is not None:
        builder.use_recipes(book)
    return builder.images(FleetState(hosts={each.name: each for each in hosts}))


# ------------------------------------------------------------------------------------------ the wire


def test_what_an_engine_lists_becomes_an_image():
    found = wire.listed(
        {
            "Id": "sha256:12",
            "RepoTags": ["a:1", "<none>:<none>"],
            "RepoDigests": None,
            "Created": 1_700_000_000,
            "Size": 5,
            "SharedSize": -1,
            "Labels": {"k": "v"},
        }
    )
    assert found == {
        "id": "sha256:12",
        "tags": ["a:1"],
        "size": 5,
        "created_at": "2023-11-14T22:13:20Z",
        "labels": {"k": "v"},
    }


def test_podman_does_not_know_what_images_share():
    assert "shared_size" not in (wire.listed({"Id": "1", "SharedSize": 0}, True) or {})
    assert (wire.listed({"Id": "1", "SharedSize": 0}) or {})["shared_size"] == 0


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["Id", "RepoTags", "RepoDigests", "Created", "Size", "SharedSize", "Labels"])


@given(st.lists(junk | st.dictionaries(keys, junk), max_size=4) | junk)
def test_whatever_an_engine_says_can_be_told(data: object):
    import msgspec

    from backend.model import Image

    listed = wire.wire(data)
    told = [msgspec.convert(json.loads(json.dumps(each)), Image) for each in listed]
    assert [each.id for each in told] == [each["id"] for each in listed]


def test_events_that_change_images_are_told_from_others():
    assert is_image_event({"Type": "image", "Action": "tag"})
    assert is_image_event({"Type": "container", "Action": "commit"})
    assert not is_image_event({"Type": "container", "Action": "start"})
    assert not is_image_event(["image"])
    assert parse(b'{"cmd": "images"}') == ("images", None)


# ---------------------------------------------------------------------------------------------- rows


def test_who_uses_an_image_is_told_by_its_id_not_by_a_name_that_moved():
    old, new = image(number=1), image("torch:1", number=2)
    runs = container("web", image="torch:1", image_id=old.id)
    rows = rows_of(host("h1", [runs], **images(new, old)))
    assert [row.used_by for row in rows] == [(), ("container web",)]


def test_contexts_and_waiting_jobs_use_images():
    from backend.model import JobSpec, QueueReport

    here = image("docker.io/library/busybox:latest")
    waits = job(7, "x", spec=JobSpec(image=here.id, image_name="other:name"))
    ended = job(6, "y", state="completed", spec=JobSpec(image=here.id))
    context = Context(name="box", host="h1", image="busybox", container="c")
    queued = host("h1", **images(here), queue=QueueReport(jobs=(waits, ended)))
    assert rows_of(queued, contexts=(context,))[0].used_by == ("job 7", "context box")
    elsewhere = replace(context, host="h2")
    assert rows_of(host("h1", **images(here)), contexts=(elsewhere,))[0].used_by == ()


def test_rows_that_did_not_change_stay_the_same_objects():
    builder = RowBuilder()
    first = host("h1", **images(image("a:1"), image("b:1", number=1)))
    one = builder.images(FleetState(hosts={"h1": first}))
    again = replace(
        first, images=replace(first.images, images=(*first.images.images, image("c:1", number=2)))
    )
    two = builder.images(FleetState(hosts={"h1": again}))
    assert len(two) == 3 and all(a is b for a, b in zip(one, two, strict=False))


def test_a_question_before_the_end_of_an_image_names_its_other_names_and_users():
    row = ImageRow(host="h", id="1", name="a:1", tags=("a:1", "b:2"), used_by=("container web",))
    assert row.besides == " It keeps its other name b:2. It is used by container web."


# --------------------------------------------------------------------------------------------- fresh


def test_an_image_is_fresh_while_its_recipe_would_give_the_same():
    book = RecipeBook.of([facts("base"), facts("torch", "base")])
    base = built("base")
    torch = built("torch", bases={"base:latest": base.id}, number=3)
    here = host("h1", **images(base, torch))
    assert [(row.recipe, row.state) for row in rows_of(here, book=book)] == [
        ("base", "fresh"),
        ("torch", "fresh"),
    ]


def test_why_an_image_is_stale_is_said():
    book = RecipeBook.of([facts("base"), facts("torch", "base")])
    other = built("torch", "2")
    moved = built("torch", bases={"base:latest": "sha256:" + "0" * 64})
    foreign = image("torch:latest")
    nameless = replace(built("torch"), tags=())
    reasons = {}
    for name, each in (("other", other), ("moved", moved), ("foreign", foreign), ("nameless", nameless)):
        row = next(
            r for r in rows_of(host("h1", **images(built("base"), each)), book=book) if r.recipe == "torch"
        )
        assert row.state == "stale"
        reasons[name] = row.reason
    assert "changed" in reasons["other"]
    assert "base:latest is another image now" in reasons["moved"]
    assert "not built from a recipe" in reasons["foreign"]
    assert "newer" in reasons["nameless"]


def test_what_was_built_on_an_image_by_hand_is_not_its_recipe_s():
    book = RecipeBook.of([facts("base")])
    inherited = replace(image("mine:1", number=4), labels=built("base", "2").labels)
    rows = rows_of(host("h1", **images(inherited)), book=book)
    assert [(row.recipe, row.state) for row in rows] == [(None, None)]
    assert [row.name for row in missing_rows(rows, book)] == ["base:latest"]


def test_a_podman_id_and_a_docker_id_of_one_image_are_the_same():
    book = RecipeBook.of([facts("base"), facts("torch", "base")])
    base = built("base")
    torch = built("torch", bases={"localhost/base:latest": base.id.removeprefix("sha256:")})
    assert rows_of(host("h1", **images(base, torch)), book=book)[1].state == "fresh"


def test_what_is_built_and_what_nobody_built_are_said():
    book = RecipeBook.of([facts("base"), facts("torch")], {("h1", "base"): "3/12"})
    rows = rows_of(host("h1", **images(built("base", "2"))), book=book)
    assert (rows[0].state, rows[0].reason) == ("building", "3/12")
    (missing,) = missing_rows(rows, book)
    assert (missing.host, missing.name, missing.state) == ("", "torch:latest", "missing")


def test_what_recipes_would_give_is_not_known_at_first():
    book = RecipeBook.of([RecipeFacts(name="base", images=("base:latest",))])
    assert rows_of(host("h1", **images(built("base"))), book=book)[0].state is None


def test_a_recipe_of_ones_own_is_another_for_each_owner():
    mine = facts("work", personal=True)
    mine = replace(mine, expected={(7, 7): mine.expected[None]})
    here = host("h1", **images(built("work")))
    assert rows_of(here, book=RecipeBook.of([mine], owners={"h1": (7, 7)}))[0].state == "fresh"
    assert rows_of(here, book=RecipeBook.of([mine], owners={"h1": (8, 8)}))[0].state is None


# --------------------------------------------------------------------------------------------- lines


def test_one_line_per_image_with_the_hosts_that_have_it():
    same = image("a:1")
    lines = imagelines.lines(rows_of(host("h1", **images(same)), host("h2", **images(same))))
    assert [(line.name, line.hosts, line.differs) for line in lines] == [("a:1", ("h1", "h2"), False)]


def test_another_image_under_the_same_name_is_flagged():
    one, two = image("a:1"), image("a:1", number=1)
    lines = imagelines.lines(rows_of(host("h1", **images(one)), host("h2", **images(two))))
    assert [(line.hosts, line.differs) for line in lines] == [(("h1",), True), (("h2",), True)]


def test_two_builds_of_the_same_recipe_do_not_differ():
    one, two = built("base"), built("base", number=1)
    lines = imagelines.lines(rows_of(host("h1", **images(one)), host("h2", **images(two))))
    assert [line.differs for line in lines] == [False, False]


def test_podmans_names_are_the_same_names():
    same = image("busybox:latest")
    podman = replace(same, id=same.id.removeprefix("sha256:"), tags=("docker.io/library/busybox:latest",))
    (line,) = imagelines.lines(rows_of(host("h1", **images(same)), host("h2", **images(podman))))
    assert line.hosts == ("h1", "h2")
    assert [place.name for place in line.places] == ["busybox:latest", "docker.io/library/busybox:latest"]


def test_images_without_a_name_come_last_each_for_itself():
    lines = imagelines.lines(rows_of(host("h1", **images(image(number=1), image("z:1"), image(number=2)))))
    assert [line.name for line in lines] == ["z:1", NAMELESS, NAMELESS]


def test_lines_are_kept_while_nothing_changed():
    builder, kept = RowBuilder(), Lines()
    state = FleetState(hosts={"h1": host("h1", **images(image("a:1")))})
    one = kept.of(builder.images(state), builder.book)
    assert kept.of(builder.images(state), builder.book) is one


def test_the_stack_is_a_tree_with_what_is_missing():
    book = RecipeBook.of(
        [facts("base", "busybox"), facts("torch", "base"), facts("eval", "torch"), facts("tools", "base")]
    )
    here = host("h1", **images(image("busybox:latest"), built("base"), built("torch"), image("z:1")))
    there = host("h2", **images(built("base", number=4)))
    rows = rows_of(here, there, book=book)
    found = imagelines.tree(imagelines.lines([*rows, *missing_rows(rows, book)]), book, ["h1", "h2"])
    drawn = [(line.branch + line.name, line.hosts, line.lacking) for line in found]
    assert drawn == [
        ("busybox:latest", ("h1",), ()),
        ("└─ base:latest", ("h1", "h2"), ()),
        ("   ├─ torch:latest", ("h1",), ("h2",)),
        ("   │  └─ eval:latest", (), ()),
        ("   └─ tools:latest", (), ()),
        ("z:1", ("h1",), ()),
    ]


def test_recipes_that_stand_on_each_other_are_still_shown():
    book = RecipeBook.of([facts("a", "b"), facts("b", "a"), facts("c", "c")])
    rows = missing_rows([], book)
    found = imagelines.tree(imagelines.lines(rows), book)
    assert sorted(line.name for line in found) == ["a:latest", "b:latest", "c:latest"]


def test_a_chain_of_thousands_is_a_tree():
    book = RecipeBook.of([facts("r0"), *(facts(f"r{n}", f"r{n - 1}") for n in range(1, 3000))])
    found = imagelines.tree(imagelines.lines(missing_rows([], book)), book)
    assert len(found) == 3000


def test_ages_come_from_the_image_not_from_when_it_came():
    old = image("a:1", created_at=NOW - timedelta(days=9))
    (line,) = imagelines.lines(rows_of(host("h1", **images(old))))
    assert line.created_at == NOW - timedelta(days=9)


def test_rows_need_no_host_that_told():
    assert image_rows(host("h1")) == []
