"""The engine client on real engines: limits, cancels, what is left behind."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

import pytest

from backend.config import HostConfig
from backend.engine import EngineClient, connect
from backend.errors import EngineError, NoSuchTarget
from backend.link.local import LocalLink
from backend.model import Engine, EngineState
from tests.backend.actions.conftest import children, host_of, new
from tests.backend.engined import IMAGE, Engined


async def until(check, *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not (found := check()) or (asyncio.iscoroutine(found) and not await found):
            await asyncio.sleep(0.02)


async def test_it_knows_which_engine_it_talks_to(engine: EngineClient):
    assert engine.kind in ("docker", "podman")
    assert engine.version[0].isdigit()


async def test_a_container_lives_and_dies(engine: EngineClient):
    made = await new(engine)
    assert (await engine.inspect("web"))["Id"] == made
    await engine.pause(made)
    assert (await engine.inspect(made))["State"]["Paused"] is True
    await engine.unpause(made)
    await engine.rename(made, "other")
    assert [each["Names"] for each in await engine.containers()] == [["/other"]]
    await engine.stop(made, grace=0)
    assert await engine.wait(made, timeout=10) == 137
    await engine.remove(made)
    with pytest.raises(NoSuchTarget, match=r"(?i)no such container"):
        await engine.inspect(made)


async def test_output_comes_by_stream_and_the_exit_code_comes_out(engine: EngineClient):
    made = await new(engine)
    pieces: list[tuple[int, bytes]] = []
    result = await engine.exec(
        made,
        ["sh", "-c", 'echo "$A:$PWD"; echo bad >&2; exit 7'],
        workdir="/tmp",
        env={"A": "$(id) 'x'\n"},
        output=lambda stream, data: pieces.append((stream, data)),
    )
    assert result.exit_code == 7 and result.stdout == b""
    assert b"".join(data for stream, data in pieces if stream == 1) == b"$(id) 'x'\n:/tmp\n"
    assert b"".join(data for stream, data in pieces if stream == 2) == b"bad\n"


async def test_a_megabyte_of_output_is_kept_not_more(engine: EngineClient):
    made = await new(engine)
    result = await engine.exec(made, ["sh", "-c", "head -c 3000000 /dev/zero; echo END"])
    assert result.stdout.endswith(b"END\n") and len(result.stdout) == 1024 * 1024


async def test_a_cancelled_command_is_ended_inside(engine: EngineClient):
    made = await new(engine)
    command = ["sh", "-c", "trap '' TERM; sleep 4711 & sleep 4712 & wait"]
    running = asyncio.create_task(engine.exec(made, command))
    await until(lambda: len(children("sleep 471")) >= 3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert children("sleep 471") == []
    assert (await engine.inspect(made))["State"]["Running"]


async def test_a_cancelled_create_leaves_no_container(docker: EngineClient, dockerd: Engined):
    dockerd.hang()
    try:
        creating = asyncio.create_task(docker.create({"Image": IMAGE, "Cmd": ["true"]}, "half"))
        await asyncio.sleep(0.1)
        creating.cancel()
        await asyncio.sleep(0.05)
    finally:
        dockerd.thaw()
    with pytest.raises(asyncio.CancelledError):
        await creating
    assert await docker.containers() == []


async def test_a_cancelled_commit_leaves_no_image(docker: EngineClient, dockerd: Engined):
    made = await new(docker)
    before = await docker.images()
    dockerd.hang()
    try:
        committing = asyncio.create_task(docker.commit(made, "half:1"))
        await asyncio.sleep(0.1)
        committing.cancel()
        await asyncio.sleep(0.05)
    finally:
        dockerd.thaw()
    with pytest.raises(asyncio.CancelledError):
        await committing
    assert {image["Id"] for image in await docker.images()} == {image["Id"] for image in before}
    assert (await docker.inspect(made))["State"]["Paused"] is False


async def test_a_hung_engine_is_given_up_and_says_so(docker: EngineClient, dockerd: Engined):
    dockerd.hang()
    try:
        with pytest.raises(EngineError, match="did not answer within 0 s") as caught:
            await docker.call("look", lambda lane: lane.info(), timeout=0.2)
    finally:
        dockerd.thaw()
    assert "restart" in caught.value.hint
    assert (await docker.info())["Containers"] == 0  # and is asked again once it goes on


async def test_a_cancelled_call_returns_at_once(docker: EngineClient, dockerd: Engined):
    dockerd.hang()
    try:
        asking = asyncio.create_task(docker.info())
        await asyncio.sleep(0.05)
        asking.cancel()
        done, _ = await asyncio.wait({asking}, timeout=15)
        assert done and asking.cancelled()
    finally:
        dockerd.thaw()


async def test_many_calls_at_once_do_not_wait_for_each_other(docker: EngineClient):
    made = await new(docker)
    waiting = [asyncio.create_task(docker.wait(made, timeout=None)) for _ in range(12)]
    await asyncio.gather(*(docker.inspect(made) for _ in range(12)))
    await docker.kill(made)
    assert await asyncio.gather(*waiting) == [137] * 12


async def test_a_closed_client_ends_what_waits(docker: EngineClient, dockerd: Engined):
    other = await connect(LocalLink("h1"), host_of(dockerd))
    made = await new(docker)
    waiting = asyncio.create_task(other.wait(made, timeout=None))
    await until(lambda: bool(other._busy))
    other.close()
    with pytest.raises(EngineError):
        await waiting
    with pytest.raises(EngineError):
        await other.info()


async def test_what_is_at_a_path_and_behind_links(engine: EngineClient):
    made = await new(engine)
    assert await engine.stat(made, "/nowhere") is None
    folder = await engine.stat(made, "/etc")
    assert folder is not None and folder.is_dir and not folder.is_link
    path, found = await engine.follow(made, "/bin/sh")
    assert (path, found and found.is_dir) == ("/bin/busybox", False)
    with pytest.raises(NoSuchTarget, match=r"(?i)no such container"):
        await engine.stat("f" * 64, "/etc")


async def test_an_archive_is_read_piece_by_piece(engine: EngineClient):
    made = await new(engine)

    def names(stream) -> list[str]:
        data = io.BytesIO()
        while chunk := stream.read(1000):
            assert len(chunk) <= 1000
            data.write(chunk)
        data.seek(0)
        return tarfile.open(fileobj=data).getnames()

    assert "etc/passwd" in await engine.read_archive(made, "/etc", names)
    with pytest.raises(NoSuchTarget):
        await engine.read_archive(made, "/nowhere", names)


async def test_the_engines_own_words_reach_people(docker: EngineClient):
    await new(docker)
    with pytest.raises(EngineError, match="already in use") as caught:
        await docker.create({"Image": IMAGE, "Cmd": ["true"]}, "web")
    assert caught.value.hint.startswith("Choose another name")
    with pytest.raises(NoSuchTarget, match=r"(?i)no such image"):
        await docker.create({"Image": "nope:1"}, "x1")


@pytest.mark.parametrize(
    "name", ["../images/json", "a?force=1", "a/b", "\x1b[31m\n", "--rm", "$(id)", "a b", ""]
)
async def test_a_name_never_becomes_another_request(docker: EngineClient, name: str):
    made = await new(docker)
    with pytest.raises((NoSuchTarget, EngineError)):
        await docker.remove(name, force=True)
    assert (await docker.inspect(made))["State"]["Running"]


async def test_a_socket_that_is_not_there(tmp_path: Path):
    host = HostConfig(name="h1", host="local", local=True, socket=str(tmp_path / "no.sock"))
    with pytest.raises(EngineError, match=r"no\.sock is not there") as caught:
        await connect(LocalLink("h1"), host)
    assert "hosts.yaml" in caught.value.hint
    with pytest.raises(EngineError, match="has no engine"):
        await connect(LocalLink("h1"), HostConfig(name="h1", host="local", local=True, engine="none"))


async def test_the_agents_socket_is_used_without_looking(dockerd: Engined):
    known = Engine(state=EngineState.UP, kind="docker", socket=dockerd.socket)
    client = await connect(LocalLink("h1"), HostConfig(name="h1", host="local", local=True), known)
    assert client.socket == dockerd.socket
    client.close()
