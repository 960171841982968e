"""How the engine is asked for a job's container, and how its output is taken apart."""

from __future__ import annotations

import io
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.agent.loop import Loop
from backend.agent.queue import container, podman
from backend.agent.queue.epoch import Since
from backend.agent.queue.jobs import Job, Request, Spec, job_from
from backend.agent.queue.machine import Gpu
from backend.agent.queue.savelog import Demultiplexer
from backend.agent.queue.tasks import Task, Wait, sleep
from backend.agent.queue.verdict import BEFORE, ODD, UNSEEN, doubt, span, verdict

MOUNTS = (("/home/ann", "/home/user", True), ("/home/ann/project", "/mnt", False))
SPEC = Spec(
    "sha256:ab", "train", ("python", "a b.py"), env=(("A", "1"), ("BERTH_JOB_ID", "9")), mounts=MOUNTS
)
JOB = Job(7, "ann", 1000, "train", SPEC, Request(2, cpus=2), attempt=2, cpus=(1, 5), memory=1 << 30)
NVIDIA = (Gpu("GPU-a", 0), Gpu("GPU-b", 3))


def test_what_was_booked_is_enforced():
    body = container.body(JOB, "01234567", NVIDIA)
    host = body["HostConfig"]
    assert host["DeviceRequests"] == [{"DeviceIDs": ["GPU-a", "GPU-b"], "Capabilities": [["gpu"]]}]
    assert (host["CpusetCpus"], host["Memory"], host["MemorySwap"]) == ("1,5", 1 << 30, 1 << 30)
    assert host["RestartPolicy"] == {"Name": "no"}
    assert "Privileged" not in host
    assert "Binds" not in host  # they would make folders that are not there
    assert "BERTH_JOB_ID=7" in body["Env"]  # ours, whatever the job says
    assert "NVIDIA_VISIBLE_DEVICES=GPU-a,GPU-b" in body["Env"]
    assert not any(line.startswith("CUDA_VISIBLE_DEVICES") for line in body["Env"])


def test_labels_are_enough_to_take_the_job_in():
    labels = container.labels(JOB, "01234567")
    told = job_from(json.loads(labels["berth.job.json"]))
    assert told == JOB
    found = container.listed({"Id": "c" * 64, "Labels": labels, "State": "running"})
    assert (found.queue, found.job, found.attempt, found.running) == ("01234567", 7, 2, True)
    assert container.listed({"Id": "c" * 64, "Labels": {"berth.queue": "x", "berth.job": "no"}}) is None


def test_an_amd_gpu_is_its_device_files(tmp_path):
    kfd = tmp_path / "kfd"
    kfd.touch()
    gpu = Gpu("amd-1", 0, vendor="amd", devices=(str(kfd), "/dev/dri/renderD128"))
    body = container.body(JOB, "01234567", [gpu])
    assert [each["PathOnHost"] for each in body["HostConfig"]["Devices"]] == [str(kfd), "/dev/dri/renderD128"]
    assert "DeviceRequests" not in body["HostConfig"]
    assert "NVIDIA_VISIBLE_DEVICES=void" in body["Env"]


@pytest.mark.parametrize(
    ("entrypoint", "command", "image", "expected"),
    [
        (None, ("x",), {"Entrypoint": ["/e", "-v"], "Cmd": ["y"]}, ["/e", "-v", "x"]),
        (None, (), {"Entrypoint": None, "Cmd": ["y", "z"]}, ["y", "z"]),
        ((), ("$(x)", "a b"), {"Entrypoint": ["/e"]}, ["$(x)", "a b"]),
        (("/mine",), (), {"Entrypoint": ["/e"], "Cmd": ["y"]}, ["/mine"]),
    ],
)
def test_output_to_a_file_wraps_the_words_unread(entrypoint, command, image, expected):
    spec = SPEC._replace(entrypoint=entrypoint, command=command, outfile="/home/ann/project/o $x.log")
    body = container.body(JOB._replace(spec=spec), "01234567", (), image)
    assert body["Entrypoint"] == ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1', "/mnt/o $x.log"]
    assert body["Cmd"] == expected


@pytest.mark.parametrize("path", ["/home/ann/o.log", "/srv/o.log", "/home/ann/projects/o.log"])
def test_output_to_a_file_that_cannot_be_written(path):
    with pytest.raises(container.SpecError, match="no folder that the job may write to"):
        container.inside(path, MOUNTS)


def test_podman_gets_the_same_in_its_words():
    spec = SPEC._replace(stop_signal="SIGINT", network="cluster", tty=True, user="5:6", groups=("44",))
    wanted = container.body(JOB._replace(spec=spec), "01234567", NVIDIA)
    body = podman.body("berth-x", wanted, NVIDIA)
    assert body["devices"] == [{"path": "nvidia.com/gpu=0"}, {"path": "nvidia.com/gpu=3"}]
    assert body["resource_limits"]["cpu"] == {"cpus": "1,5"}
    assert body["mounts"][0]["options"] == ["rbind", "ro"]
    assert (body["stop_signal"], body["terminal"], body["user"], body["groups"]) == (2, True, "5:6", ["44"])
    assert (body["netns"], body["Networks"]) == ({"nsmode": "bridge"}, {"cluster": {}})
    assert body["env"]["BERTH_JOB_ID"] == "7"


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40))), st.data())
def test_output_is_taken_apart_however_it_comes(frames, data):
    stream = b"".join(struct.pack(">BxxxI", kind, len(text)) + text for kind, text in frames)
    out = io.BytesIO()
    demultiplexer = Demultiplexer(out)
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        demultiplexer.feed(stream[:size])
        stream = stream[size:]
    assert out.getvalue() == b"".join(text for _, text in frames)


def test_tasks_answers_errors_and_ends():
    errors: list[BaseException] = []
    loop = Loop(lambda where, error: errors.append(error))
    said: list[object] = []
    later = []

    async def work() -> None:
        said.append(await Wait(lambda answer: answer("at once")))
        await sleep(loop, 0.01)
        said.append(await Wait(later.append))
        raise ValueError("the end")

    async def endless() -> None:
        try:
            await Wait(later.append)
        finally:
            said.append("cancelled")

    task = Task(work(), errors.append)
    while not later:
        loop.turn(1)
    later[0]("afterwards")
    later[0]("twice")
    assert said == ["at once", "afterwards"]
    assert [str(error) for error in errors] == ["the end"]
    assert task.done
    waiting = Task(endless(), errors.append)
    waiting.cancel()
    later[1]("too late")
    assert said[-1] == "cancelled"
    assert waiting.done
    loop.close()


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "2 s"), (90, "90 s"), (300, "5 min"), (5400, "1 h 30 min"), (86400, "24 h")]
)
def test_times_as_people_say_them(seconds, text):
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("cause", "code", "said", "more", "expected"),
    [
        ("", 0, "", {}, ("completed", 0, "")),
        ("", 3, "", {}, ("failed", 3, "")),
        ("", 0, "unsure", {}, ("failed", 0, "unsure")),
        ("", 137, "", {"oom": True}, ("failed", 137, "it ran out of memory (1 GiB)")),
        ("", 0, "", {"oom": True}, ("completed", 0, "")),
        ("", 137, "", {"by_hand": "9"}, ("cancelled", 137, "ended by hand, through the engine (signal 9)")),
        ("", 0, "", {"by_hand": "15"}, ("completed", 0, "")),
        ("", 139, "", {}, ("failed", 139, "killed by signal 11, which the queue did not send")),
        ("", None, "", {}, ("failed", None, "nobody saw its end")),
        ("cancelled", 0, "", {}, ("cancelled", 0, "cancelled by bob")),
        ("time", 143, "", {}, ("timeout", 143, "its time limit of 5 min was over")),
    ],
)
def test_how_an_attempt_ended(cause, code, said, more, expected):
    job = JOB._replace(cancel_by="bob" if cause else "", request=Request(time_limit=300.0))
    assert verdict(job, cause, code, said, **more) == expected


@pytest.mark.parametrize(
    ("state", "times", "code", "doubted"),
    [
        (
            "created",
            (90.0, None, None),
            None,
            True,
        ),  # made before the engine started, and never again touched
        ("created", (101.0, None, None), None, False),
        ("exited", (80.0, 90.0, 100.5), 0, True),  # nobody saw it end
        ("exited", (80.0, 90.0, 100.5), 137, False),
        ("exited", (80.0, 90.0, 95.0), 0, False),  # written down before the engine went
        ("exited", (80.0, 90.0, 100.5), 255, True),  # what newer ones make up
        ("exited", (80.0, 101.0, 102.0), 0, False),
        ("exited", (80.0, 90.0, 500.0), 0, False),  # outlived its engine
        ("running", (80.0, 90.0, None), None, False),
    ],
)
def test_what_an_engine_that_was_killed_says_is_not_always_true(state, times, code, doubted):
    created, started, finished = times
    found = container.Found(
        *("c" * 64, "01234567", 7, 1, state, code),
        created_at=created,
        started_at=started,
        finished_at=finished,
    )
    assert bool(doubt(found, Since(99.8, 100.2))) == doubted
    assert doubt(found, None) == ""


@pytest.mark.parametrize(
    ("state", "times", "code", "ran", "told"),
    [
        ("removing", (90.0, None, None), 0, False, BEFORE),  # removed by hand before it started: no success
        ("removing", (90.0, None, None), 0, True, UNSEEN),
        ("dead", (90.0, None, None), 0, False, BEFORE),
        ("removing", (90.0, 91.0, 92.0), 0, True, ""),
        ("created", (90.0, None, None), None, True, UNSEEN),  # it ran, and the engine forgot that
        ("exited", (90.0, 91.0, None), 0, True, ODD),
        ("exited", (90.0, 95.0, 91.0), 0, True, ODD),
        ("exited", (90.0, 80.0, 95.0), 0, True, ODD),
        ("exited", (90.0, 95.0, 91.0), 3, True, ""),  # nobody makes up a 3
    ],
)
def test_an_exit_is_believed_where_its_start_and_its_end_fit_each_other(state, times, code, ran, told):
    created, started, finished = times
    found = container.Found(
        *("c" * 64, "01234567", 7, 1, state, code),
        created_at=created,
        started_at=started,
        finished_at=finished,
    )
    assert doubt(found, None, ran=ran) == told
