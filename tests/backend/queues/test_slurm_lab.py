"""A cluster of the lab: real slurmctld, slurmd and munge, and a Docker engine on each node."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from backend.access import StandaloneAccess
from backend.actions.context import ActionContext
from backend.config import Config, load
from backend.errors import NoSuchTarget, Refused, UsageError
from backend.fleet import Fleet
from backend.model import HostSnapshot, JobRow
from backend.queues.base import Submission
from backend.queues.slurm import follow, watch
from backend.queues.slurm.engine import SlurmQueue
from tests.lab import Host, HostSpec, Lab, parts

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
SLEEP = Submission(command=("sleep", "300"), image="busybox:latest", name="sleeper")
STUBBORN = replace(SLEEP, command=("sh", "-c", "trap '' TERM; while :; do sleep 1; done"), gpus=1)
"""Ends neither by itself nor by SIGTERM."""
PLAIN = Submission(command=("sleep", "300"), name="plain")
"""Without a container."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require()
    specs = [
        HostSpec("c1", slurm="c1", engine="none"),
        *(HostSpec(name, slurm="c1", gpus="nvidia:4") for name in ("n1", "n2")),
    ]
    with Lab(tmp_path_factory.mktemp("slurm") / "lab", specs) as lab:
        yield lab


@pytest.fixture
def config(cluster: Lab, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(follow, "EVERY", 0.2)
    monkeypatch.setattr(watch, "JOBS_EVERY", 0.2)
    monkeypatch.setattr(watch, "NODES_EVERY", 0.2)
    return load(cluster.config_dir)


@pytest.fixture
async def queue(cluster: Lab, config: Config) -> AsyncIterator[SlurmQueue]:
    async with StandaloneAccess(config) as access:
        yield SlurmQueue(config.host("c1"), access)
    cluster.host("c1").run(["scancel", "--user=alice"])


async def until(check: Callable[[], Awaitable[object]], what: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not await check():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.1)


async def state(queue: SlurmQueue, job: str, wanted: str) -> JobRow:
    async def there() -> bool:
        row = (await queue.one(job)).row
        assert row.state == wanted or row.ended_at is None, (row, (await ran(queue, job))[1])
        return row.state == wanted

    await until(there, f"job {job} to be {wanted}")
    return (await queue.one(job)).row


async def ran(queue: SlurmQueue, job: str) -> tuple[JobRow, bytes]:
    output, row = b"", None
    async for piece in queue.follow(job):
        if isinstance(piece, bytes):
            output += piece
        elif isinstance(piece, JobRow):
            row = piece
    assert row is not None
    return row, output


def containers(host: Host) -> list[str]:
    return host.docker("ps", "--all", "--format", "{{.Names}}").split()


async def container_of(cluster: Lab, queue: SlurmQueue, job: str) -> Host:
    """The node of a job, once its container is there."""
    row = await state(queue, job, "running")
    node = cluster.host(row.node)

    async def there() -> bool:
        return row.container in node.docker("ps", "--format", "{{.Names}}").split()

    await until(there, "the container")
    return node


async def gone(node: Host, job: str) -> None:
    async def nothing() -> bool:
        return not [name for name in containers(node) if name.startswith(f"berth-slurm-{job}")]

    await until(nothing, f"no container of job {job} to be left on {node.name}", 20)


# ------------------------------------------------------------------------------------------ running


async def test_a_job_runs_in_its_container_and_ends_with_its_exit_code(queue: SlurmQueue) -> None:
    words = 'echo "A=$A|B=$B|$1|$SLURM_JOB_GPUS|$NVIDIA_VISIBLE_DEVICES|$(id -u)"; echo oops >&2; exit 7'
    job = Submission(
        command=("sh", "-c", words, "x", 'it\'s $HOME `id` "q"\n*'),
        image="busybox:latest",
        env={"A": "$(reboot) 'x'", "B": "two\nlines"},
        gpus=2,
        cpus=2,
        memory=128 << 20,
        mounts=(("/home/alice", "/in put,x", True),),
        name="[red]it's\na \x1b[31mname\x1f;$(x)",
    )
    (number,) = await queue.submit([job])
    row, output = await ran(queue, number)
    lines = output.decode().splitlines()
    lines.remove("oops")  # errors come by a way of their own
    assert lines == [
        "A=$(reboot) 'x'|B=two",
        'lines|it\'s $HOME `id` "q"',
        "*|0,1|0,1|5001",
    ]
    assert (row.state, row.exit_code, row.gpus, row.cpus, row.memory) == ("failed", 7, 2, 2, 128 << 20)
    assert row.name == "[red]it's a name\ufffd;$(x)"
    assert (row.image, row.owner, row.engine, row.partition) == ("busybox:latest", "alice", "slurm", "main")
    detail = await queue.detail(number)
    assert [event.text for event in detail.events] == ["submitted", f"started on {row.node}", "failed"]
    assert detail.spec["slurm"]["ExitCode"] == "7:0"


async def test_other_peoples_names_forge_no_rows(cluster: Lab, queue: SlurmQueue) -> None:
    name = "x\n99 root RUNNING\x1f\x1f|[bold]\n\nJobId=1 UserId=root(0)"
    script = b"#!/bin/sh\nsleep 300\n"
    made = cluster.host("c1").run(
        ["sbatch", "--parsable", "-H", f"--job-name={name}"], user="bob", data=script
    )
    number = made.stdout.strip()
    assert [(row.id, row.owner, row.state) for row in await queue.jobs()] == [(number, "bob", "held")]
    assert "99 root" in (await queue.one(number)).row.name
    with pytest.raises(Refused, match=r"(?i)denied"):
        await queue.cancel([number])
    cluster.host("c1").run(["scancel", number])


async def test_hold_release_edit_and_last(queue: SlurmQueue) -> None:
    (number,) = await queue.submit([replace(PLAIN, hold=True, gpus=1)])
    assert (await queue.one(number)).row.state == "held"
    await queue.edit(number, {"name": "new name", "time_limit": 90.0, "gpus": 3, "priority": -5, "cpus": 2})
    row = (await queue.one(number)).row
    assert (row.name, row.time_limit, row.gpus, row.cpus) == ("new name", 120.0, 3, 2)
    await queue.release([number])
    await state(queue, number, "running")
    (second,) = await queue.submit([replace(PLAIN, after=((number, "any"),))])
    await queue.hold([second])
    row = await state(queue, second, "held")
    assert row.after == (f"any:{number}",)
    await queue.release([second])
    await queue.move(second, "last")
    with pytest.raises(UsageError, match="by priority"):
        await queue.move(second, f"before {number}")
    with pytest.raises(Refused):
        await queue.move(second, "first")
    assert (await queue.cancel([number, second]))[1] == f"job {second} on c1 was taken out of the queue"
    assert (await state(queue, number, "cancelled")).ended_at is not None


@pytest.mark.parametrize(
    ("job", "error", "words"),
    [
        (replace(SLEEP, partition="nope"), UsageError, "partition"),
        (replace(SLEEP, gpus=5), UsageError, "node configuration is not available"),
        (replace(SLEEP, memory=1 << 40), UsageError, "Memory specification can not be satisfied"),
        (replace(SLEEP, priority=10), Refused, "nice"),
        (replace(SLEEP, after=(("999999", "ok"),)), UsageError, "knows no job 999999"),
        (replace(SLEEP, image=""), None, ""),
        (replace(SLEEP, gpu_ids=("GPU-1",), gpus=1), UsageError, "chooses the GPUs"),
    ],
)
async def test_what_slurm_refuses_is_said_in_its_words(
    queue: SlurmQueue, job: Submission, error: type[Exception] | None, words: str
) -> None:
    if error is None:
        assert await queue.submit([job])
        return
    with pytest.raises(error, match=f"(?i){words}"):
        await queue.submit([replace(SLEEP, hold=True), job])
    assert await queue.jobs() == []  # all or none


async def test_what_only_administrators_may(queue: SlurmQueue) -> None:
    for change in (queue.pause("x"), queue.drain("x"), queue.resume()):
        with pytest.raises(Refused, match="Slurm says"):
            await change
    for unknown in ("999999", "1 2", "$(id)"):
        with pytest.raises(NoSuchTarget):
            await queue.cancel([unknown])


async def test_an_administrator_pauses_and_resumes(cluster: Lab, queue: SlurmQueue) -> None:
    root = cluster.host("c1")
    for name in ("main", "short"):
        root.run(["scontrol", "update", f"PartitionName={name}", "State=DOWN"])
    assert (await queue.status()).paused == "all partitions are down"
    (number,) = await queue.submit([PLAIN])

    async def told() -> bool:
        return (await queue.one(number)).row.reason == "its partition is down"

    await until(told, "the reason")
    for name in ("main", "short"):
        root.run(["scontrol", "update", f"PartitionName={name}", "State=UP"])
    await state(queue, number, "running")
    found = await queue.status()
    assert (found.paused, found.running, found.gpus_total, found.gpus_free) == ("", 1, 8, 8)


async def test_an_array_and_one_of_it_again(queue: SlurmQueue) -> None:
    job = Submission(
        command=("sh", "-c", 'echo "$BERTH_ARRAY_INDEX"; exit "$BERTH_ARRAY_INDEX"'),
        name="many",
        array=(1, 2, 5),
        array_limit=2,
    )
    numbers = await queue.submit([job, replace(PLAIN, hold=True)], key="k")
    again = await queue.submit([job, replace(PLAIN, hold=True)], key="k", again=True)
    assert again == numbers  # who got no answer asks once more
    await queue.cancel([numbers.pop()])
    first = numbers[0].partition("_")[0]
    assert numbers == [f"{first}_1", f"{first}_2", f"{first}_5"]
    there = [*await queue.jobs(), *await queue.jobs("ended")]  # in this order none is missed
    assert set(numbers) <= {row.id for row in there}
    for number in numbers:
        row, output = await ran(queue, number)
        assert output.decode().strip() == number.partition("_")[2]
        assert row.exit_code == int(number.partition("_")[2])
    again = await queue.retry(numbers[2])
    assert again.endswith("_5")
    assert (await ran(queue, again))[1] == b"5\n"


SLOW = """#!/bin/sh
[ "$1" = --parsable ] || exec /usr/bin/sbatch "$@"
said=$(/usr/bin/sbatch "$@") || exit
touch /tmp/taken
until [ -e /tmp/answer ]; do sleep 0.1; done
echo "$said"
"""
"""sbatch that takes its time to answer once the job is there."""


@pytest.mark.parametrize(
    "words", [("--detach", "--", "sleep", "300"), ("--sweep", "n=1,2", "--", "sleep", "{n}00")]
)
async def test_who_leaves_while_sbatch_answers_leaves_no_job_behind(
    queue: SlurmQueue, cluster: Lab, words: tuple[str, ...]
) -> None:
    login = cluster.host("c1")
    login.run(["rm", "-f", "/tmp/taken", "/tmp/answer"])
    login.put("/usr/local/bin/sbatch", SLOW, mode=0o755)
    asked = [sys.executable, "-m", "tui", "run", "--host", "c1", "--image", "busybox:latest", *words]
    env = {**os.environ, "BERTH_CONFIG_DIR": str(cluster.config_dir)}
    berth = subprocess.Popen(asked, env=env, stderr=subprocess.PIPE, text=True)
    assert berth.stderr is not None
    try:

        async def taken() -> bool:
            assert berth.poll() is None
            return login.run(["test", "-e", "/tmp/taken"], check=False).returncode == 0

        await until(taken, "the job")
        berth.send_signal(signal.SIGINT)
        heard = await asyncio.to_thread(berth.stderr.readline)
        while "to take it back" not in heard:
            assert heard
            heard = await asyncio.to_thread(berth.stderr.readline)
        login.run(["touch", "/tmp/answer"])
        said = await asyncio.to_thread(berth.stderr.read)
    finally:
        login.run(["rm", "-f", "/usr/local/bin/sbatch"])
        login.run(["touch", "/tmp/answer"])
        await asyncio.to_thread(berth.wait, 60)
    assert berth.returncode == 130, said
    assert "was taken out of the queue" in said or "is told to end" in said, said

    async def nothing() -> bool:
        return not await queue.jobs()

    await until(nothing, "no job to be left")


async def test_a_job_that_fails_is_tried_again_inside(queue: SlurmQueue) -> None:
    words = 'echo "$BERTH_JOB_ATTEMPT"; [ "$BERTH_JOB_ATTEMPT" = 3 ]'
    (number,) = await queue.submit(
        [Submission(command=("sh", "-c", words), image="busybox:latest", retries=2, name="again")]
    )
    row, output = await ran(queue, number)
    assert row.state == "completed"
    assert [line for line in output.decode().splitlines() if line.isdigit()] == ["1", "2", "3"]


async def test_dependencies_within_one_submit_and_estimates(queue: SlurmQueue) -> None:
    first, second = await queue.submit(
        [replace(PLAIN, hold=True), replace(PLAIN, after=(("-1", "ok"),), name="next")]
    )
    row = (await queue.one(second)).row
    assert (row.state, row.after, row.reason) == ("queued", (first,), "waits for other jobs")
    now = await queue.estimate(replace(SLEEP, gpus=4))
    assert now.possible and now.start is not None
    never = await queue.estimate(replace(SLEEP, gpus=5))
    assert not never.possible and "not available" in never.why


# -------------------------------------------------------------------------------- nothing is left over


async def scancel(cluster: Lab, node: Host, job: str) -> None:
    cluster.host("c1").run(["scancel", job], user="alice")


async def scancel_kill(cluster: Lab, node: Host, job: str) -> None:
    cluster.host("c1").run(["scancel", "--signal=KILL", job], user="alice")


async def kill_everything_of_it(cluster: Lab, node: Host, job: str) -> None:
    """As slurmd does with a control group: every process at once, whoever its parent is."""
    find = "for p in /proc/[0-9]*; do grep -qsz ^SLURM_JOB_ID={} $p/environ && echo ${{p#/proc/}}; done"
    pids = node.run(["sh", "-c", find.format(shlex.quote(job))], check=False).stdout.split()
    assert pids
    node.run(["kill", "-KILL", *pids], check=False)


async def test_its_container_is_gone_whatever_ended_the_job(cluster: Lab, queue: SlurmQueue) -> None:
    """All at once, as Slurm takes its time. A time limit takes a minute: that is in the acceptance."""
    ends = {scancel: "cancelled", scancel_kill: "cancelled", kill_everything_of_it: "failed"}

    async def one(end: Callable[[Lab, Host, str], Awaitable[None]], wanted: str) -> None:
        (number,) = await queue.submit([STUBBORN])
        node = await container_of(cluster, queue, number)
        await end(cluster, node, number)

        async def over() -> bool:
            return (await queue.one(number)).row.ended_at is not None

        await until(over, f"the end by {end.__name__}", 60)
        assert (await queue.one(number)).row.state == wanted
        await gone(node, number)

    async def forgotten() -> None:
        job = Submission(command=("sh",), image="busybox:latest", tty=True, idle_limit=2, name="forgotten")
        (number,) = await queue.submit([job])
        row, output = await ran(queue, number)
        assert "nothing happened in this shell for 2 s" in output.decode()
        assert row.ended_at is not None
        await gone(cluster.host(row.node), number)

    await asyncio.gather(forgotten(), *(one(end, wanted) for end, wanted in ends.items()))


# --------------------------------------------------------------------------------------- looking on


def berth(cluster: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui", *words],
        env={**os.environ, "BERTH_CONFIG_DIR": str(cluster.config_dir)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_by_the_command_line(cluster: Lab, queue: SlurmQueue) -> None:
    words = ["run", "--host", "c1", "--image", "busybox:latest", "--gpus", "1", "--", "sh", "-c"]
    done = await asyncio.to_thread(berth, cluster, *words, 'echo "out $0"; exit 3', "it's")
    assert (done.returncode, done.stdout) == (3, "out it's\n"), done.stderr
    assert "runs on n" in done.stderr
    (number,) = await queue.submit([replace(PLAIN, gpus=3)])
    await state(queue, number, "running")
    jobs, nodes, partitions = await asyncio.gather(
        *(asyncio.to_thread(berth, cluster, what, "--json") for what in ("jobs", "nodes", "partitions"))
    )
    assert [(row["id"], row["gpus"]) for row in json.loads(jobs.stdout)] == [(number, 3)]
    assert sorted((row["gpus_used"], row["state"]) for row in json.loads(nodes.stdout)) == [
        (0, "idle"),
        (3, "mixed"),
    ]
    first = json.loads(partitions.stdout)[0]
    assert (first["name"], first["gpus"], first["gpus_free"]) == ("main", 8, 5)
    killed = await asyncio.to_thread(berth, cluster, "job", "kill", f"c1/{number}", "--yes")
    assert killed.returncode == 0, killed.stderr


async def test_a_shell_that_ends_at_once_is_heard(queue: SlurmQueue) -> None:
    job = Submission(command=("sh", "-c", "echo said; exit 4"), image="busybox:latest", tty=True)
    (number,) = await queue.submit([job])
    row, output = await ran(queue, number)
    assert (row.state, row.exit_code, output.split()) == ("failed", 4, [b"said"])


async def test_a_shell_in_a_job(cluster: Lab, config: Config, queue: SlurmQueue) -> None:
    job = Submission(command=("sh",), image="busybox:latest", tty=True, idle_limit=600, gpus=1, name="shell")
    (number,) = await queue.submit([job])
    node = cluster.host((await state(queue, number, "running")).node)  # its container is still to come
    ctx: ActionContext = None  # type: ignore[assignment]
    terminal = await queue.terminal(ctx, number)
    login = cluster.host("c1").popen(["script", "-qec", shlex.join(terminal.argv), "/dev/null"], user="alice")
    assert login.stdin is not None
    login.stdin.write(b"echo in-$BERTH_JOB_ID-$NVIDIA_VISIBLE_DEVICES; exit 4\n")
    login.stdin.flush()
    row, output = await ran(queue, number)
    assert f"in-{number}-0" in output.decode()
    assert (row.state, row.exit_code) == ("failed", 4)
    assert await asyncio.to_thread(login.wait, 20) is not None
    await gone(node, number)


async def test_its_container_is_gone_when_slurm_itself_is_killed(cluster: Lab, queue: SlurmQueue) -> None:
    (number,) = await queue.submit([STUBBORN])
    node = await container_of(cluster, queue, number)
    inside = str(node.container_pid((await queue.one(number)).row.container))
    try:
        node.service("slurmd", "kill")
        end = 'for each in /proc/[0-9]*; do read -r name <$each/comm && [ "$name" = slurmstepd ]'
        node.run(["sh", "-c", f'{end} && kill -9 "${{each#/proc/}}"; done; true'])  # those of this host alone
        await gone(node, number)
        assert node.run(["kill", "-0", inside], check=False).returncode == 1, "and so is what ran in it"
    finally:
        node.service("slurmd", "start")


async def test_the_poll_lives_through_a_restart_of_the_controller(cluster: Lab, config: Config) -> None:
    async with Fleet(config, only=["c1"], interval=0.5) as fleet, StandaloneAccess(config) as access:
        queue = SlurmQueue(config.host("c1"), access)
        (number,) = await queue.submit([PLAIN])

        async def shown(check: Callable[[HostSnapshot], bool]) -> HostSnapshot:
            async with asyncio.timeout(30):
                async for picture in fleet.updates():
                    if check(picture.hosts["c1"]):
                        return picture.hosts["c1"]
            raise AssertionError

        def runs(host: HostSnapshot) -> bool:
            jobs = host.cluster.jobs if host.cluster else ()
            return any(job.id == number and job.state == "running" for job in jobs)

        host = await shown(runs)
        assert host.cluster is not None
        assert (host.cluster.name, host.cluster.history) == ("lab-c1", False)
        assert host.cluster.version.startswith("2")
        assert [(each.name, each.gpus, each.cpus) for each in host.cluster.nodes] == [
            ("n1", 4, 8),
            ("n2", 4, 8),
        ]
        assert [(each.name, each.default, each.time_limit) for each in host.cluster.partitions] == [
            ("main", True, None),
            ("short", False, 600.0),
        ]
        cluster.host("c1").service("slurmctld", "stop")
        host = await shown(lambda host: bool(host.cluster and host.cluster.error))
        assert runs(host) and host.cluster is not None
        assert "scontrol ping" in host.cluster.hint
        cluster.host("c1").service("slurmctld", "start")
        await shown(lambda host: bool(host.cluster and not host.cluster.error))
        await queue.cancel([number])
