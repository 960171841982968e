"""A cluster with a login node that builds images, and a database of jobs that Slurm itself has forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.access import StandaloneAccess
from backend.config import load
from backend.doctor import run_doctor
from backend.model import JobRow
from backend.queues.base import Submission
from backend.queues.slurm.engine import SlurmQueue
from tests.backend.queues.labs import Berth
from tests.lab import Host, HostSpec, Lab, parts

IMAGES = "/home/alice/berth/demo/.cache/images"
pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A cluster of one, with a database; its controller forgets within seconds."""
    parts.require("slurmdbd", "mariadbd")
    spec = HostSpec("c1", slurm="c1", slurm_history=True, gpus="nvidia:4")
    with Lab(tmp_path_factory.mktemp("history") / "lab", [spec]) as lab:
        yield lab


@pytest.fixture
async def queue(cluster: Lab) -> AsyncIterator[SlurmQueue]:
    config = load(cluster.config_dir)
    async with StandaloneAccess(config) as access:
        yield SlurmQueue(config.host("c1"), access)


async def forgotten(cluster: Lab, queue: SlurmQueue) -> None:
    """Wait until the controller knows of no job any more."""
    async with asyncio.timeout(150):
        while await queue.recent():
            await asyncio.sleep(0.5)
            await asyncio.to_thread(cluster.host("c1").run, ["scontrol", "reconfigure"])


def kept_images(host: Host) -> list[str]:
    """Ids of the images that the project keeps for nodes without them."""
    return [f"sha256:{name.removesuffix('.tar')}" for name in host.run(["ls", IMAGES]).stdout.split()]


async def test_a_project_runs_on_nodes_that_do_not_have_its_image(
    cluster: Lab, berth: Berth, project: Path
) -> None:
    c1 = cluster.host("c1")
    words = ("run", "--host=c1", "--gpu=0", "--mem=1", "-d", "--hold")
    place = (await asyncio.to_thread(berth, *words, "--script=hello.sh x")).strip()
    (image,) = kept_images(c1)
    follower = berth.popen("job", "logs", "-f", place)
    assert follower.stderr is not None
    try:
        told = await asyncio.to_thread(follower.stderr.readline)
        c1.docker("rmi", "--force", image)  # as if it were another node
        await asyncio.to_thread(berth, "job", "release", place)
        out, err = await asyncio.to_thread(follower.communicate, timeout=90)
    finally:
        follower.kill()
    assert "hook\nHello x\n" in out, (out, err)
    assert "this node does not have the image yet: it is loaded from" in out
    assert f"job {place.partition('/')[2]} does not run yet: held" in told
    assert c1.docker("image", "inspect", "--format", "{{.Id}}", image).strip() == image
    # what is there by that key is not queued again
    again = ("--key", "once", "--script=hello.sh y")
    first = (await asyncio.to_thread(berth, *words, *again)).strip()
    assert (await asyncio.to_thread(berth, *words, *again)).strip() == first
    waiting = [job for job in await asyncio.to_thread(berth.jobs, "--host", "c1") if job["state"] == "held"]
    assert [f"c1/{job['id']}" for job in waiting] == [first]
    c1.docker("rmi", "--force", *kept_images(c1))
    c1.run(["rm", "-r", IMAGES])
    await asyncio.to_thread(berth, "job", "release", first)
    await asyncio.to_thread(berth, "job", "wait", first, code=125)
    said = await asyncio.to_thread(berth, "job", "logs", first)
    assert "c1 does not have the image sha256:" in said and f", and does not find {IMAGES}/" in said


async def test_what_the_controller_forgot_is_still_told_in_full(cluster: Lab, queue: SlurmQueue) -> None:
    job = Submission(
        command=("sh", "-c", 'echo "said $0"; exit 3', "it's"),
        image="busybox:latest",
        gpus=2,
        name="it's | a\nname",
    )
    earlier = {row.id for row in await queue.jobs("ended")}
    (failed,) = await queue.submit([job])
    array = await queue.submit(
        [replace(job, command=("sh", "-c", 'exit "$BERTH_ARRAY_INDEX"'), gpus=0, array=(4, 5))]
    )
    (killed,) = await queue.submit([Submission(command=("sleep", "300"), name="plain", time_limit=600.0)])
    while (await queue.one(killed)).row.state != "running":
        await asyncio.sleep(0.2)
    host = cluster.host("c1")
    await queue.cancel([killed])
    await forgotten(cluster, queue)

    rows = {row.id: row for row in await queue.jobs("ended")}
    assert rows.keys() - earlier == {failed, *array, killed}
    assert not await queue.jobs()

    def told(row: JobRow) -> tuple[object, ...]:
        return row.state, row.exit_code, row.reason, row.gpus, row.time_limit

    assert told(rows[failed]) == ("failed", 3, "", 2, None)
    assert [told(rows[number]) for number in array] == [("failed", code, "", 0, None) for code in (4, 5)]
    assert told(rows[killed])[::2] == ("cancelled", "cancelled by alice", 600.0)
    assert rows[failed].image == "busybox:latest"
    assert rows[failed].command.startswith("sh -c")
    assert rows[failed].started_at and rows[failed].ended_at and rows[failed].node == "c1"

    said = [piece async for piece in queue.follow(failed)]
    assert b"said it's\n" in said
    detail = await queue.detail(failed)
    assert detail.row.log == f"/home/alice/.local/state/berth/jobs/{failed}.log"
    await asyncio.to_thread(host.run, ["rm", detail.row.log])
    said = [piece async for piece in queue.follow(failed)]
    assert f"its output is not there any more: {detail.row.log}" in said

    again = await queue.retry(array[1])  # from the script that the database kept
    code = [piece.exit_code async for piece in queue.follow(again) if isinstance(piece, JobRow)][-1]
    assert (again.partition("_")[2], code) == ("5", 5)


async def test_the_doctor_says_how_the_cluster_stands(cluster: Lab) -> None:
    config = load(cluster.config_dir)
    host = cluster.host("c1")

    async def steps() -> dict[str, tuple[bool | None, str, str]]:
        return {
            check.step: (check.ok, check.message, check.hint) async for check in run_doctor(config, ["c1"])
        }

    found = await steps()
    assert found["slurm"][0] and "lab-c1" in found["slurm"][1] and "c1 is up" in found["slurm"][1]
    assert found["partitions"][:2] == (True, "main (default, 1 node), short (1 node)")
    assert found["GRES"][:2] == (True, "4 x h100 on 1 node, 4 free")
    assert found["accounting"][:2] == (True, "a database keeps ended jobs (slurmdbd on c1)")
    assert found["runtimes"][0] is None and "pyxis: no" in found["runtimes"][1]
    assert "queue dir" not in found

    host.run(["scontrol", "update", "NodeName=c1", "State=DRAIN", "Reason=new\x1b[31m disk"])
    host.service("slurmdbd", "stop")
    try:
        found = await steps()
        assert found["partitions"][0] is False
        assert "new" in found["partitions"][1] and "scontrol update NodeName=c1" in found["partitions"][2]
        assert found["accounting"][0] is False and "slurmdbd" in found["accounting"][2]
        host.service("slurmctld", "stop")
        found = await steps()
        assert found["slurm"][0] is False and "systemctl" in found["slurm"][2]
        assert found["partitions"][0] is None
    finally:
        for name in ("slurmdbd", "slurmctld"):
            host.service(name, "stop")
            host.service(name, "start")
