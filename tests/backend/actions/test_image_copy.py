"""An image from one engine to another: layers that are there stay where they are."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backend import actions
from backend.actions.context import ActionContext
from backend.actions.runner import Result, run_one
from backend.building.bases import Bases
from backend.config import Config
from backend.engine import EngineClient
from backend.errors import EngineError, NoSuchTarget, Refused
from backend.imagerows import bare
from backend.images import missing
from backend.model import ImageRow
from backend.toolkit import save_layers
from tests.backend import engined
from tests.backend.actions.conftest import Answers, _client, children
from tests.backend.engined import IMAGE, Engined

BIG = 3_000_000
SMALL = 60_000
"""More than everything but the layers of these images."""
Copy = Callable[..., Awaitable[Result]]


@pytest.fixture(scope="module")
def second_dockerd(dockerd: Engined):
    with engined.dockerd() as running:
        yield running


@pytest.fixture
async def target(second_dockerd: Engined) -> AsyncIterator[EngineClient]:
    async for client in _client(second_dockerd):
        yield client


@pytest.fixture
async def podman_target(podman: Engined) -> AsyncIterator[EngineClient]:
    async for client in _client(podman):
        yield client


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    async def go(
        source: EngineClient, target: EngineClient, image: str, voice: Answers, **options: Any
    ) -> Result:
        engines = {"here": source, "there": target}

        async def engine(host: str) -> EngineClient:
            return engines[host]

        access: Any = SimpleNamespace(engine=engine, state=None)
        ctx = ActionContext(Config(directory=tmp_path), access, voice)
        row = ImageRow(host="here", id="", name=image, tags=(image,))
        row = replace(row, id=bare((await source.inspect_image(image))["Id"]))
        return await run_one(actions.load()["image-copy"], row, {"to": "there", **options}, ctx)

    return go


async def grow(engine: EngineClient, image: str, name: str, script: str, **changes: Any) -> dict[str, Any]:
    """An image with one layer more, and its inspect."""
    body = {"Image": image, "Cmd": ["sh", "-c", script], "HostConfig": {"NetworkMode": "host"}}
    made = await engine.create(body, "layer")
    await engine.start(made)
    assert await engine.wait(made, timeout=20) == 0
    await engine.commit(made, name, **changes)
    await engine.remove(made)
    return await engine.inspect_image(name)


async def output(engine: EngineClient, image: str, script: str) -> list[str]:
    body = {"Image": image, "Cmd": ["sleep", "100"], "HostConfig": {"NetworkMode": "host"}}
    made = await engine.create(body, "look")
    await engine.start(made)
    done = await engine.exec(made, ["sh", "-c", script])
    await engine.remove(made, force=True)
    return done.stdout.decode().split()


async def test_only_layers_that_are_not_there_are_sent(
    engine: EngineClient, target: EngineClient, copy: Copy
):
    """From Docker and from Podman to Docker."""
    front = "localhost/" if engine.kind == "podman" else ""
    one, two, three = (f"{front}test/a:{number}" for number in (1, 2, 3))
    await grow(engine, IMAGE, one, f"head -c {BIG} /dev/urandom >/big; echo x >/x")
    wanted = await grow(engine, one, two, "echo new >/new", changes=["ENV ODD=<b>&\u00e9"])
    whole, part, name = Answers(), Answers(), Answers()
    assert (await copy(engine, target, one, whole)).ok
    assert whole.moves[-1][0] > BIG
    result = await copy(engine, target, two, part)
    assert result.ok and result.message.endswith("the rest was there"), result
    assert 0 < part.moves[-1][0] < SMALL
    assert (await target.inspect_image(two))["RootFS"] == wanted["RootFS"]
    script = "wc -c </big; cat /x /new; echo $ODD"
    assert await output(target, two, script) == [str(BIG), "x", "new", "<b>&\u00e9"]
    await engine.tag(two, three)
    assert (await copy(engine, target, three, name)).ok
    assert name.moves[-1][0] < SMALL  # nothing but another name
    assert "has the same" in (await copy(engine, target, three, name)).message


async def test_a_layer_that_comes_twice_is_sent_if_it_is_needed_again(
    docker: EngineClient, target: EngineClient, copy: Copy
):
    """The same content above another chain is another layer to the engine, and one file in the archive."""
    one = "echo one >/tmp/f; touch -d '2020-01-01 00:00:00' /tmp/f"
    await grow(docker, IMAGE, "test/a:0", "echo zero >/tmp/f")
    await grow(docker, "test/a:0", "test/a:1", one)
    await grow(docker, "test/a:1", "test/a:2", "echo two >/tmp/f")
    wanted = await grow(docker, "test/a:2", "test/a:3", one)
    layers = missing.layers(wanted)
    assert len(layers) == 5 and layers[2] == layers[4]
    assert (await copy(docker, target, "test/a:1", Answers())).ok
    voice = Answers()
    result = await copy(docker, target, "test/a:3", voice)
    assert result.ok and voice.moves[-1][0] < SMALL, result
    assert (await target.inspect_image("test/a:3"))["RootFS"] == wanted["RootFS"]


@pytest.mark.parametrize("to", ["docker", "podman"])
async def test_an_engine_that_does_not_take_a_part_is_given_the_whole(
    docker: EngineClient,
    target: EngineClient,
    podman_target: EngineClient,
    copy: Copy,
    monkeypatch: pytest.MonkeyPatch,
    to: str,
):
    """As when the image that had those layers is removed there meanwhile, and as Podman always does."""
    other = {"docker": target, "podman": podman_target}[to]
    wanted = await grow(docker, IMAGE, "test/a:1", "echo x >/x")

    async def all_of_them(target: EngineClient, layers: list[str]) -> int:
        return len(layers)

    monkeypatch.setattr(missing, "known", all_of_them)
    voice, before = Answers(), len(await other.images())
    result = await copy(docker, other, "test/a:1", voice)
    assert result.ok, result
    assert any("Sending all of it" in line for line in voice.lines)
    made = await other.inspect_image("test/a:1")
    assert made["RootFS"]["Layers"] == wanted["RootFS"]["Layers"] and len(await other.images()) == before + 1
    assert await output(other, "test/a:1", "cat /x") == ["x"]


async def test_what_an_engine_has(docker: EngineClient, podman_target: EngineClient):
    first = missing.layers(await grow(docker, IMAGE, "test/a:1", "echo x >/x"))
    assert await missing.known(docker, first) == 2
    assert await missing.known(docker, [*first, "sha256:more"]) == 2
    assert await missing.known(docker, [first[0], "sha256:other", first[1]]) == 1
    assert await missing.known(docker, ["sha256:other", *first]) == 0
    assert await missing.known(docker, []) == 0
    own = missing.layers(await podman_target.inspect_image(IMAGE))
    assert own and await missing.known(podman_target, own) == 0  # it wants all of them


async def test_a_containerd_store_wants_all_layers(docker: EngineClient, monkeypatch: pytest.MonkeyPatch):
    layers = missing.layers(await docker.inspect_image(IMAGE))
    assert await missing.known(docker, layers) == 1

    async def info() -> dict[str, Any]:
        return {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}

    monkeypatch.setattr(docker, "info", info)
    assert await missing.known(docker, layers) == 0


KEY = "printf -- '-----%s OPENSSH PRIVATE KEY-----\\nb3BlbnNza\\n' BEGIN >/root-key"


async def test_an_image_with_a_private_key_is_not_copied_to_another_host(
    docker: EngineClient, target: EngineClient, copy: Copy, tmp_path: Path
):
    await grow(docker, IMAGE, "test/key:1", KEY)
    await grow(docker, "test/key:1", "test/key:2", "rm /root-key")  # it stays in its layer
    result = await copy(docker, target, "test/key:2", Answers())
    assert isinstance(result.error, Refused) and "private key: /root-key in layer" in result.error.message
    with pytest.raises(NoSuchTarget):
        await target.inspect_image("test/key:2")

    async def engine(host: str) -> EngineClient:
        return docker

    async def who_has(reference: str, but: str) -> list[str]:
        return ["here"]

    async def yes(question: str) -> bool:
        return True

    access: Any = SimpleNamespace(engine=engine)
    said = list[str]()
    for check in (True, False):
        bases = Bases(Config(directory=tmp_path), access, yes, pull=False, check=check)
        bases._who_has = who_has  # type: ignore[method-assign]
        if check:
            with pytest.raises(Refused, match="private key: /root-key"):
                await bases.have(target, "test/key:2", said.append)
        else:
            assert await bases.have(target, "test/key:2", said.append)
    await target.remove_image("test/key:2")
    assert (await copy(docker, target, "test/key:2", Answers(), check=False)).ok


async def test_an_image_that_is_gone_and_a_cancel_leave_nothing_running(docker: EngineClient):
    with pytest.raises(EngineError, match="does not exist"):
        async for _ in missing.save(docker, "test/gone:1", ["sha256:x"], 1):
            raise AssertionError("there is nothing to save")
    await grow(docker, IMAGE, "test/big:1", "head -c 50000000 /dev/zero >/big")
    chunks = missing.save(docker, "test/big:1", ["sha256:x"], 1)
    assert await anext(chunks)
    await chunks.aclose()
    async with asyncio.timeout(10):
        while children("save_layers"):
            await asyncio.sleep(0.02)


# ------------------------------------------------------------------------------------- which is which

LAYERS = [
    "sha256:58d09ea5a38f53836a458a07e36221c7befd3f85f28c779710948f8ed7795e14",
    "sha256:63792e10c226cd687a695305950e3c3da8aef099aac75f131ba30b3209845d4e",
    "sha256:90f13ac0b67b5c7e638ed40010a526f00797469a65de7cbaccf8ca7ec7377ecb",
]
EMPTY = (
    '"created":"1970-01-01T00:00:00Z","container_config":{"Hostname":"","Domainname":"","User":"",'
    '"AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,'
    '"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,'
    '"OnBuild":null,"Labels":null},"os":"linux"}'
)
FOLDERS = {
    "8405ddb7a506f6f83e56a1288d38f713b591e23110ea86a46f81633958164dfd": '{"id":"8405ddb7a506f6f83e56a1288d38'
    'f713b591e23110ea86a46f81633958164dfd",' + EMPTY,
    "8e479aac8985b6cbe655e19c02055ae76d7649d091a09f6ae6ebef86092a554f": '{"id":"8e479aac8985b6cbe655e19c0205'
    '5ae76d7649d091a09f6ae6ebef86092a554f","parent":"8405ddb7a506f6f83e56a1288d38f713b591e23110ea86a46f81633'
    '958164dfd",' + EMPTY,
}
"""What Docker 20.10 wrote of an image of three layers with those digests."""


def test_a_folders_name_proves_which_layer_it_holds():
    chains = save_layers.chains(LAYERS)
    assert [save_layers.place(name, text, chains) for name, text in FOLDERS.items()] == [0, 1]
    first, second = FOLDERS.items()
    assert save_layers.place(first[0], second[1], chains) is None
    assert save_layers.place(second[0], second[1].replace("linux", "plan9"), chains) == 1  # is no part of it
    assert save_layers.place(second[0], second[1].replace("1970", "1971"), chains) is None
    assert save_layers.place(first[0], first[1], chains[1:]) is None


@given(st.text())
def test_no_description_is_believed(text: str):
    assert save_layers.place("0" * 64, text, save_layers.chains(LAYERS)) is None


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    return info


def test_only_layers_are_left_out_and_only_where_nobody_needs_them():
    digests = [each.partition(":")[2] for each in LAYERS]
    names = {"blobs/sha256/{}": True, "{}.tar": True, "{}/layer.tar": False, "blobs/sha256/{}x": False}
    for form, dropped in names.items():
        wanted = save_layers.Filter(LAYERS, 2)
        found = [wanted.drops(member(form.format(each))) for each in digests]
        assert found == [dropped, dropped, False], form
    wanted = save_layers.Filter(LAYERS, 2)
    for name, text in FOLDERS.items():
        wanted.described(f"{name}/json", text)
        assert wanted.drops(member(f"{name}/layer.tar"))
        assert not wanted.drops(member(f"{name}/layer.tar", tarfile.SYMTYPE))
        assert not wanted.drops(member(f"{name}/json"))
    again = save_layers.Filter([*LAYERS, LAYERS[0]], 2)
    assert not again.drops(member(f"{digests[0]}.tar")) and again.drops(member(f"{digests[1]}.tar"))


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_values_are_found_as_they_are_written(value: Any):
    text = json.dumps({"a": value, "b\u2028": [value]}, separators=(",", ":"))
    found = save_layers.members(text)
    assert {key: json.loads(each) for key, each in found.items()} == json.loads(text)
    for cut in (text[:-1], text + "x", f"[{text}]"):
        with pytest.raises(ValueError):
            save_layers.members(cut)
