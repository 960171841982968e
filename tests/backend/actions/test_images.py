"""Layers, names, removal and pruning of images in real engines: nothing that is needed goes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend import actions
from backend.actions.context import ActionContext
from backend.actions.runner import Result, run_one
from backend.config import Config, Context
from backend.engine import EngineClient
from backend.engine.images import PullProgress
from backend.errors import EngineError, NoSuchTarget, Refused, UsageError
from backend.imagerows import bare
from backend.images import look, prune
from backend.images.look import instruction, steps
from backend.imagetargets import images
from backend.model import ImageRow
from tests.backend.actions.conftest import Answers, OneEngine, host_of, new
from tests.backend.actions.test_image_copy import grow
from tests.backend.engined import IMAGE, Engined

Act = Callable[..., Awaitable[Result]]


@pytest.fixture
def do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Act:
    """Run an action on an image that is named as on the command line, or on the fleet."""

    async def no_queue(*_: Any) -> None:
        return None

    monkeypatch.setattr(look, "_add_jobs", no_queue)

    async def go(
        engine: EngineClient,
        name: str,
        image: str | ImageRow | None,
        voice: Answers | None = None,
        /,
        *,
        contexts: tuple[Context, ...] = (),
        yes: bool = False,
        **options: Any,
    ) -> Result:
        config = Config(
            directory=tmp_path,
            hosts=(host_of(SimpleNamespace(socket=engine.socket)),),  # type: ignore[arg-type]
            contexts=contexts,
        )
        access = OneEngine(engine)
        row = (await images(image, config, access, ("h1",)))[0] if isinstance(image, str) else image
        ctx = ActionContext(config, access, voice or Answers(), assume_yes=yes)
        return await run_one(actions.load()[name], row, options, ctx)

    return go


def local(engine: EngineClient, name: str) -> str:
    return f"localhost/{name}" if engine.kind == "podman" else name


async def tags(engine: EngineClient) -> set[str]:
    return {tag for each in await look.list_images(engine) for tag in each.tags if not tag.endswith(IMAGE)}


# ------------------------------------------------------------------------------------------ looking


async def test_layers_are_shown_with_bytes_and_commands(engine: EngineClient, do: Act):
    name = local(engine, "test/a:1")
    await grow(engine, IMAGE, name, "head -c 300000 /dev/urandom >/big", message="hello")
    voice = Answers()
    result = await do(engine, "image-layers", "test/a:1", voice)
    assert result.ok and "2 layers" in result.message, result
    assert any(re.search(r"(29|30)\d K", line) for line in voice.lines)
    assert any(f"<- {name}" in line for line in voice.lines)


def test_a_step_reads_as_in_a_dockerfile():
    assert instruction('/bin/sh -c #(nop)  CMD ["sh"]') == 'CMD ["sh"]'
    assert instruction("/bin/sh -c apt-get update") == "RUN apt-get update"
    assert instruction("|1 a=b /bin/sh -c make") == "RUN make"
    assert instruction("RUN /bin/sh -c make # buildkit") == "RUN make"
    assert instruction("COPY /a /b # buildkit") == "COPY /a /b"


def test_layers_are_found_for_the_steps_that_made_them():
    history = [
        {"CreatedBy": "RUN /bin/sh -c b # buildkit", "Size": 7},
        {"CreatedBy": "ENV A=1", "Size": 0},
        {"CreatedBy": "WORKDIR /work", "Size": 0},
        {"CreatedBy": "/bin/sh -c #(nop) ADD file:1 in / ", "Size": 5, "Created": 1_700_000_000},
        "junk",
    ]
    made = steps(history, ("one", "two", "three"))
    assert [(step.command.split()[0], step.layer) for step in made] == [
        ("ADD", "one"),
        ("WORKDIR", "two"),
        ("ENV", ""),
        ("RUN", "three"),
    ]


async def test_what_an_image_runs_is_known(docker: EngineClient):
    changes = ["ENV A=b", "USER nobody", "WORKDIR /tmp", "EXPOSE 80", 'CMD ["sleep", "1"]', "LABEL k=v"]
    await grow(docker, IMAGE, "test/a:1", "echo x >/x", changes=changes)
    facts = await look.facts(docker, "test/a:1")
    assert facts.user == "nobody" and facts.workdir == "/tmp" and facts.command == ("sleep", "1")
    assert "A=b" in facts.env and facts.ports == ("80/tcp",) and facts.labels == {"k": "v"}
    assert facts.tagged_at is not None


# ----------------------------------------------------------------------------------------- naming


async def test_an_image_is_named_by_tag_id_or_pattern(engine: EngineClient, tmp_path: Path):
    one = await grow(engine, IMAGE, local(engine, "test/a:1"), "echo 1 >/x")
    await grow(engine, IMAGE, local(engine, "test/b:1"), "echo 2 >/x")
    config = Config(directory=tmp_path, hosts=(host_of(SimpleNamespace(socket=engine.socket)),))  # type: ignore[arg-type]
    access = OneEngine(engine)
    digits = bare(one["Id"])

    async def named(word: str, *hosts: str) -> list[str]:
        return [row.id for row in await images(word, config, access, hosts)]

    assert await named("test/a:1") == await named("h1/test/a:1") == await named(digits[:12], "h1") == [digits]
    assert len(await named("test/*", "h1")) == 2
    for word in ("test/none", "deadbeefdead"):
        with pytest.raises(NoSuchTarget):
            await named(word, "h1")
    await new(engine, "web")
    (row,) = await images(IMAGE, config, access, ("h1",))
    assert row.used_by == ("container web",)


async def test_a_name_that_moved_meanwhile_is_not_acted_on(engine: EngineClient, do: Act):
    name = local(engine, "test/a:1")
    one = await grow(engine, IMAGE, name, "echo 1 >/x")
    row = ImageRow(host="h1", id=bare(one["Id"]), name=name, tags=(name,))
    await grow(engine, IMAGE, name, "echo 2 >/x")
    for action, options in (("image-rm", {}), ("image-tag", {"reference": "x:1"}), ("image-layers", {})):
        result = await do(engine, action, row, **options)
        assert isinstance(result.error, NoSuchTarget) and "another image now" in str(result.error), action
    assert name in await tags(engine)


async def test_another_name_is_given(engine: EngineClient, do: Act):
    await grow(engine, IMAGE, local(engine, "test/a:1"), "echo 1 >/x")
    assert (await do(engine, "image-tag", "test/a:1", reference=local(engine, "test/b:2"))).ok
    assert await tags(engine) == {local(engine, "test/a:1"), local(engine, "test/b:2")}
    bad = await do(engine, "image-tag", "test/a:1", reference="UPPER CASE")
    assert isinstance(bad.error, UsageError)


async def test_a_name_is_taken_from_another_image_only_after_asking(engine: EngineClient, do: Act):
    a, b = local(engine, "test/a:1"), local(engine, "test/b:1")
    one = bare((await grow(engine, IMAGE, a, "echo 1 >/x"))["Id"])
    two = bare((await grow(engine, IMAGE, b, "echo 2 >/x"))["Id"])
    voice = Answers()
    refused = await do(engine, "image-tag", "test/a:1", voice, reference=b)
    assert isinstance(refused.error, Refused)
    assert two[:12] in voice.asked[0] and "no name left" in voice.asked[0]
    assert bare((await engine.inspect_image(b))["Id"]) == two
    same = Answers()
    assert (await do(engine, "image-tag", "test/b:1", same, reference=b)).ok and not same.asked
    assert (await do(engine, "image-tag", "test/a:1", Answers("lose that name"), reference=b)).ok
    assert bare((await engine.inspect_image(b))["Id"]) == one


# ---------------------------------------------------------------------------------------- removing


async def test_one_name_goes_first_the_image_with_its_last(engine: EngineClient, do: Act):
    a, b = local(engine, "test/a:1"), local(engine, "test/b:1")
    await grow(engine, IMAGE, a, "echo 1 >/x")
    await engine.tag(a, b)
    first = await do(engine, "image-rm", "test/a:1")
    assert first.ok and "any more" in first.message and await tags(engine) == {b}
    second = await do(engine, "image-rm", "test/b:1")
    assert second.ok and "removed" in second.message and await tags(engine) == set()


async def test_all_names_go_where_that_is_said(engine: EngineClient, do: Act):
    await grow(engine, IMAGE, local(engine, "test/a:1"), "echo 1 >/x")
    await engine.tag(local(engine, "test/a:1"), local(engine, "test/b:1"))
    assert (await do(engine, "image-rm", "test/a:1", all_names=True)).ok
    assert await tags(engine) == set()


async def test_what_runs_keeps_its_image(engine: EngineClient, do: Act):
    name = local(engine, "test/a:1")
    await grow(engine, IMAGE, name, "echo 1 >/x")
    body = {"Image": name, "Cmd": ["sleep", "100"], "HostConfig": {"NetworkMode": "host"}}
    await engine.start(await engine.create(body, "web"))
    result = await do(engine, "image-rm", "test/a:1", Answers("force"), force=True)
    assert isinstance(result.error, Refused) and "container web" in str(result.error)
    assert name in await tags(engine)


async def test_a_stopped_container_needs_force_and_a_yes(engine: EngineClient, do: Act):
    name = local(engine, "test/a:1")
    await grow(engine, IMAGE, name, "echo 1 >/x")
    await engine.create({"Image": name, "Cmd": ["true"], "HostConfig": {"NetworkMode": "host"}}, "old")
    voice = Answers()
    assert isinstance((await do(engine, "image-rm", "test/a:1", voice)).error, Refused)
    assert "container old" in voice.asked[0]
    assert isinstance((await do(engine, "image-rm", "test/a:1", yes=True)).error, Refused), (
        "--yes is no --force"
    )
    assert name in await tags(engine)
    assert (await do(engine, "image-rm", "test/a:1", Answers("by force"))).ok
    assert name not in await tags(engine)


# ----------------------------------------------------------------------------------------- pruning


async def leftovers(engine: EngineClient) -> None:
    """`test/a:1` with a second image that took the name of a first one, and `test/b:1` on top."""
    name = local(engine, "test/a:1")
    await grow(engine, IMAGE, name, "head -c 500000 /dev/urandom >/x")
    await grow(engine, IMAGE, name, "head -c 400000 /dev/urandom >/x")
    await grow(engine, name, local(engine, "test/b:1"), "head -c 300000 /dev/urandom >/y")


async def test_what_lost_its_name_goes_and_what_that_frees_is_told(engine: EngineClient, do: Act):
    await leftovers(engine)
    voice = Answers("Remove 1 image ")
    preview = await do(engine, "images-prune", None, voice, dry_run=True)
    assert "1 image would go" in preview.message and not voice.asked
    assert any(re.search(r"frees 4[89]\d K", line) for line in voice.lines), voice.lines
    assert len(await look.list_images(engine)) == 4
    done = await do(engine, "images-prune", None, voice)
    assert done.ok and re.search(r"1 image, 4[89]\d K", done.message), done
    assert len(await look.list_images(engine)) == 3


async def test_a_no_removes_nothing(engine: EngineClient, do: Act):
    await leftovers(engine)
    assert isinstance((await do(engine, "images-prune", None, Answers())).error, Refused)
    assert len(await look.list_images(engine)) == 4


async def test_layers_that_stay_are_not_counted(engine: EngineClient, do: Act):
    """`b` stands on `a`: `a`'s layer goes only if both do."""
    await leftovers(engine)
    context = Context(name="box", host="h1", image=local(engine, "test/a:1"), container="c")
    busybox = Context(name="base", host="h1", image=IMAGE, container="d")
    voice = Answers()
    await do(engine, "images-prune", None, voice, unused=True, dry_run=True, contexts=(context, busybox))
    told = "\n".join(voice.lines)
    assert (
        "test/b:1  " in told
        and re.search(r"frees (29|30)\d K", told)
        and "test/a:1" not in told.replace("test/a:1 stays", "")
    )


async def test_young_images_are_not_unused_for_long(engine: EngineClient, do: Act):
    await leftovers(engine)
    result = await do(engine, "images-prune", None, unused_for=1.0, dry_run=True)
    assert result.message == "nothing to remove on h1"
    busybox = Context(name="base", host="h1", image=IMAGE, container="d")
    voice = Answers()
    every = await do(engine, "images-prune", None, voice, unused_for=0.0, dry_run=True, contexts=(busybox,))
    assert "3 images would go" in every.message, voice.lines


async def test_what_is_used_or_renamed_since_the_preview_stays(
    engine: EngineClient, do: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    a, b = local(engine, "test/a:1"), local(engine, "test/b:1")
    await grow(engine, IMAGE, a, "echo 1 >/x")
    await grow(engine, IMAGE, b, "echo 2 >/x")
    busybox = Context(name="base", host="h1", image=IMAGE, container="d")

    class Meanwhile(Answers):
        async def confirm(self, question: str) -> bool:
            body = {"Image": a, "Cmd": ["true"], "HostConfig": {"NetworkMode": "host"}}
            await engine.create(body, "new")
            await engine.tag(b, local(engine, "test/c:1"))
            return await super().confirm(question)

    voice = Meanwhile("Remove 2")
    result = await do(engine, "images-prune", None, voice, unused=True, contexts=(busybox,))
    assert "removed 0 images" in result.message and "2 stayed" in result.message, (result, voice.lines)
    assert await tags(engine) == {a, b, local(engine, "test/c:1")}


async def test_jobs_that_wait_keep_their_image_even_without_its_name(
    docker: EngineClient, do: Act, monkeypatch: pytest.MonkeyPatch
):
    await leftovers(docker)
    (nameless,) = (each for each in await look.list_images(docker) if not each.tags)

    async def waits(found: Any, *_: Any) -> None:
        found.add("job 7", "test/a:1", nameless.id)

    monkeypatch.setattr(look, "_add_jobs", waits)
    assert (await do(docker, "images-prune", None)).message == "nothing to remove on h1"
    result = await do(docker, "image-rm", bare(nameless.id)[:12])
    assert isinstance(result.error, Refused) and "job 7" in str(result.error)


def test_a_rule_says_which_images_are_meant():
    assert prune.Rule().unused_for is None
    assert prune.Rule(unused_for=timedelta(days=1)) != prune.Rule()


# ----------------------------------------------------------------------------------------- pulling


class Registry:
    """An engine whose pulls say what a test tells them to."""

    host = "h1"

    def __init__(self, *lines: PullProgress | Exception) -> None:
        self.lines = lines
        self.closed = False

    async def pull(self, reference: str):
        try:
            for line in self.lines:
                await asyncio.sleep(0)
                if isinstance(line, Exception):
                    raise line
                yield line
        finally:
            self.closed = True

    async def inspect_image(self, image: str) -> dict[str, Any]:
        return {"Size": 1000}


async def pulled(tmp_path: Path, voice: Answers, **engines: Registry) -> Result:
    from backend.config import HostConfig

    async def engine(host: str) -> Any:
        return engines[host]

    config = Config(directory=tmp_path, hosts=tuple(HostConfig(name=name, host=name) for name in engines))
    ctx = ActionContext(config, SimpleNamespace(engine=engine, state=None), voice)  # type: ignore[arg-type]
    options = {"image": "a/b:1", "host": tuple(engines)}
    return await run_one(actions.load()["image-pull"], None, options, ctx)


async def test_a_pull_tells_of_each_layer_and_all_together(tmp_path: Path):
    voice = Answers()
    result = await pulled(
        tmp_path,
        voice,
        h1=Registry(
            PullProgress("Downloading", "l1", 10, 100),
            PullProgress("Downloading", "l1", 60, 100),
            PullProgress("Downloading", "l2", 5, 50),
            PullProgress("Pull complete", "l1"),
            PullProgress("Status: Downloaded newer image"),
        ),
    )
    assert result.message == "pulled a/b:1: h1: 1.0 K"
    assert voice.moves[-1] == (105, 150)
    assert [line for line in voice.lines if "l1" in line] == ["l1: Downloading, 100 B", "l1: Pull complete"]


async def test_one_host_that_fails_does_not_hide_the_others(tmp_path: Path):
    voice = Answers()
    bad = Registry(EngineError("h2: no space left on device", hint="The host's disk is full."))
    result = await pulled(tmp_path, voice, h1=Registry(PullProgress("x", "l")), h2=bad)
    assert "on 1 of 2 hosts" in str(result.error) and "disk is full" in str(result.error)
    assert any("no space left" in line for line in voice.lines)


async def test_a_cancelled_pull_ends_at_the_engine(tmp_path: Path):
    slow = Registry(*[PullProgress("Downloading", "l", n, 100_000) for n in range(100_000)])
    voice = Answers()
    begun = asyncio.Event()
    voice.on_move = lambda done: begun.set()
    task = asyncio.create_task(pulled(tmp_path, voice, h1=slow))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.closed


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("pull access denied for x, repository does not exist", "docker login"),
        ("manifest unknown: manifest unknown", "correct the tag"),
        ("Get https://r/v2/: dial tcp: lookup r: no such host", "DNS"),
        ("write /var/lib/docker/tmp/x: no space left on device", "disk is full"),
        ("unauthorized: authentication required", "docker login"),
        ("dial tcp 10.0.0.1:443: connect: connection refused", "Nothing answers"),
    ],
)
def test_what_a_registry_refuses_has_a_way_out(said: str, hint: str):
    from backend.engine import faults

    assert hint in faults.hint(said)


async def test_a_registry_that_is_not_there_is_an_error_with_a_hint(
    dockerd: Engined, docker: EngineClient, do: Act
):
    result = await do(docker, "image-pull", None, image="127.0.0.1:1/no/such:1", host=("h1",))
    assert isinstance(result.error, EngineError)
    assert "Nothing answers at that registry" in result.error.hint
