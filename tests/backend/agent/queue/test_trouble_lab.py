"""On a real host: power cuts and boots, drivers that fail, strangers on the GPUs, and several people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Host, HostSpec
from tests.lab.agent import kept_agent
from tests.lab.machine import wait_for

from .onhost import QUEUE, Queue

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]
MARKS = "/var/tmp/marks"


def wake(queue: Queue) -> None:
    """What a boot script says."""
    done = queue.host.run(["python3", "-I", "-S", "/opt/agent.pyz", "queue", "keeper"])
    assert "ok" in json.loads(done.stdout)


def marking(queue: Queue, script: str, **fields: Any) -> int:
    """A job that leaves a line for each time that it runs."""
    queue.host.run(["mkdir", "-p", "-m", "1777", MARKS])
    spec = {"mounts": [[MARKS, "/marks", False]]}
    return queue.submit("sh", "-c", f"echo run >>/marks/$BERTH_JOB_ID; {script}", spec=spec, **fields)


def ran(queue: Queue, number: int) -> int:
    """How often it ran."""
    return queue.host.run(["cat", f"{MARKS}/{number}"], check=False).stdout.count("run")


def booted(queue: Queue) -> None:
    """A power cut and a boot, after which nobody keeps the queue."""
    queue.host.power_cut()
    queue.host.boot()
    assert queue.processes("berth-keeper") == []


# ------------------------------------------------------------------------------- power cut and boot


def test_after_a_power_cut_what_ran_is_told_and_what_waits_goes_on(queue):
    running = marking(queue, "sleep 1d", request={"cpus": 1, "gpus": 1})
    waiting = marking(queue, "exit 4", request={"cpus": 2, "gpus": 4}, user="bob")
    held = queue.submit("true")
    queue.ask("hold", {"ids": [held]})
    queue.until(running, "running", check=lambda job: ran(queue, running))
    booted(queue)
    wake(queue)
    job = queue.over(running)
    assert (job["state"], job["attempt"], ran(queue, running)) == ("failed", 1, 1)
    assert "the engine went down while it ran" in job["error"]
    assert (queue.over(waiting)["state"], queue.job(waiting)["exit_code"]) == ("failed", 4)
    assert ran(queue, waiting) == 1
    assert queue.job(held)["state"] == "held"
    assert queue.ask("status")["gpus_free"] == 4


def test_a_pause_outlives_a_boot(queue):
    queue.ask("pause", {"reason": "new driver"}, user="bob")
    waiting = queue.submit("true")
    booted(queue)
    wake(queue)
    queue.until(waiting, "queued", check=lambda job: "bob: new driver" in job.get("reason", ""))
    queue.ask("resume", user="bob")
    assert queue.over(waiting)["state"] == "completed"


def test_podman_forgets_what_ran_before_a_boot_and_it_is_not_run_again(new_lab):
    host = new_lab(HostSpec("pod", engine="podman", sshd=False)).host("pod")
    host.put("/opt/agent.pyz", kept_agent(), mode=0o755)
    queue = Queue(host)
    number = marking(queue, "sleep 1d", request={"cpus": 2})
    waiting = marking(queue, "exit 3", request={"cpus": 2})
    queue.until(number, "running", check=lambda job: ran(queue, number))
    booted(queue)
    wake(queue)
    assert (queue.over(number)["state"], ran(queue, number)) == ("failed", 1)
    assert (queue.over(waiting)["exit_code"], ran(queue, waiting)) == (3, 1)
    queue.idle()
    assert host.docker("ps", "--all", "--quiet") == ""


# ------------------------------------------------------------------------------ drivers and strangers


@pytest.mark.parametrize("state", ["mismatch", "hang"])
def test_a_driver_that_fails_gives_up_no_job(queue, state):
    blocker = queue.submit("sleep", "1d", request={"gpus": 4})
    queue.until(blocker, "running")
    waiting = queue.submit("true", request={"gpus": 4})
    queue.host.gpus.set_driver(state)
    try:

        def told(job: dict[str, Any]) -> bool:
            queue.ask("wake")  # what was read a moment ago is not read again: look until it is old
            return "GPUs cannot be told" in job.get("reason", "")

        queue.until(waiting, "queued", check=told)
        queue.ask("cancel", {"ids": [blocker]})
        without = queue.submit("true")
        assert queue.over(without)["state"] == "completed"
        assert queue.job(waiting).get("attempt", 0) == 0
    finally:
        queue.host.gpus.set_driver("ok")
    assert queue.over(waiting)["state"] == "completed"


def test_one_broken_gpu_is_worked_around(queue):
    queue.host.gpus.set(2, error="lost")
    try:
        three, four = (queue.submit("true", request={"gpus": count}) for count in (3, 4))
        assert queue.over(three)["state"] == "completed"
        queue.until(four, "queued", check=lambda job: job.get("reason"))
    finally:
        queue.host.gpus.set(2, error="")
    assert queue.over(four)["state"] == "completed"


def test_a_stranger_on_a_gpu_is_shown_by_name_and_owner(queue):
    host = queue.host
    stranger = host.popen(["sleep", "86311"], user="alice")
    pid = _named(host, b"sleep\x0086311\x00")
    try:
        host.gpus.attach(1, pid, 1 << 30)
        number = queue.submit("true", request={"gpus": 4}, user="bob")
        told = f"sleep (pid {pid}) of alice"
        job = queue.until(number, "queued", check=lambda job: told in job.get("reason", ""))
        assert job.get("attempt", 0) == 0
        host.gpus.detach(pid)
    finally:
        queue.kill(pid)
        stranger.communicate()
    assert queue.over(number)["state"] == "completed"


def _named(host: Host, line: bytes) -> int:
    """The pid of the host's process with this command line, as the host counts."""

    def find() -> int:
        for entry in Path(f"/proc/{host.pid}/root/proc").glob("[0-9]*"):
            try:
                if (entry / "cmdline").read_bytes() == line:
                    return int(entry.name)
            except OSError:
                continue
        return 0

    wait_for(find, "a process")
    return find()


# ------------------------------------------------------------------------------------- arrays, retries


def test_so_many_of_an_array_run_at_a_time(queue):
    spec = {"image": "busybox:latest", "command": ["sh", "-c", "echo $BERTH_ARRAY_INDEX; sleep 0.5"]}
    asked = {"spec": spec, "array": [3, 5, 7, 9], "array_limit": 1}
    numbers = queue.ask("submit", {"jobs": [asked]})["ids"]
    queue.until(numbers[-1], "queued", check=lambda job: "of its array" in job.get("reason", ""))
    for number in numbers:
        assert queue.over(number)["state"] == "completed"
    assert [queue.log(number) for number in numbers] == [f"{one}\n" for one in (3, 5, 7, 9)]
    held: set[int] = set()
    most = 0
    for event in queue.ask("events", {"limit": 100_000})["events"]:
        if event["job"] in numbers:
            (held.add if event["new"] in ("starting", "running") else held.discard)(event["job"])
            most = max(most, len(held))
    assert most == 1


def test_retries_are_for_failures_and_not_for_what_people_end(queue):
    failing = marking(queue, "exit 9", retries=2)
    stopped = marking(queue, "sleep 1d", retries=2)
    queue.until(stopped, "running", check=lambda job: ran(queue, stopped))
    queue.ask("cancel", {"ids": [stopped]})
    assert (queue.over(stopped)["state"], ran(queue, stopped)) == ("cancelled", 1)
    assert (queue.over(failing)["exit_code"], ran(queue, failing)) == (9, 3)
    told = [event["text"] for event in queue.ask("show", {"id": failing})["events"]]
    assert sum("queued again" in text for text in told) == 2
    assert any("for the last time" in text for text in told)


# -------------------------------------------------------------------------------------------- people


def test_two_people_share_a_queue_and_end_their_own_jobs_only(queue):
    mine = queue.submit("sleep", "1d", user="alice", request={"cpus": 2})
    theirs = queue.submit("id", "-u", user="bob", request={"cpus": 2}, spec={"user": "5002:5002"})
    queue.until(mine, "running")
    assert {job["owner"] for job in queue.ask("list", user="bob")["jobs"]} == {"alice", "bob"}
    queue.until(theirs, "queued", check=lambda job: "CPU" in job.get("reason", ""))
    for verb in ("cancel", "hold"):
        with pytest.raises(AssertionError, match="only alice and root may"):
            queue.ask(verb, {"ids": [mine]}, user="bob")
    with pytest.raises(AssertionError, match="may not use the queue"):
        queue.ask("list", user="nobody")
    assert queue.job(mine)["state"] == "running"
    queue.ask("cancel", {"ids": [mine]}, user="alice")
    assert queue.over(mine)["error"] == "cancelled by alice"
    assert (queue.over(theirs)["state"], queue.log(theirs)) == ("completed", "5002\n")
    last = queue.submit("sleep", "1d", user="bob")
    queue.until(last, "running")
    queue.ask("cancel", {"ids": [last]})  # root may
    assert queue.over(last)["error"] == "cancelled by root"


_SESSION = """
import os, pty, sys
child, terminal = pty.fork()
if not child:
    os.execvp("sh", ["sh", "-c", "python3 -I -S /opt/agent.pyz queue submit </tmp/wanted; sleep 86312"])
open("/tmp/session", "w").write(str(os.getpid()))
while True:
    if not os.read(terminal, 4096):
        break
"""


def test_the_keeper_survives_the_logout_of_whoever_started_it(queue):
    """A terminal that is closed takes along what belongs to its session."""
    host = queue.host
    host.run(["rm", "-f", "/tmp/wanted", "/tmp/session"])
    wanted = {"jobs": [{"spec": {"image": "busybox:latest", "command": ["sh", "-c", "sleep 3; exit 5"]}}]}
    host.put("/tmp/wanted", json.dumps(wanted), user="alice")
    session = host.popen(["python3", "-c", _SESSION], user="alice")
    try:
        keeper, standby = queue.keeper(), queue.standby()
        number = queue.ask("list", {"owner": "alice"})["jobs"][-1]["id"]
        queue.until(number, "running")
        shell = _named(host, b"sleep\x0086312\x00")
    finally:
        # its end is the terminal's, which hangs up the session in it
        host.run(["sh", "-c", "kill -KILL $(cat /tmp/session)"])
        session.communicate()
    wait_for(lambda: shell not in queue.processes("sleep"), "the session to end")
    assert (queue.keeper(), queue.standby()) == (keeper, standby)
    for pid in (keeper, standby):
        owner, terminal = _process(host, pid)
        assert (owner, terminal) == (5001, 0)
    theirs = queue.submit("true", user="bob", request={"cpus": 2})
    assert queue.over(number)["exit_code"] == 5
    assert queue.over(theirs)["state"] == "completed"


def _process(host: Host, pid: int) -> tuple[int, int]:
    """Its user, and its terminal (0 is none)."""
    entry = Path(f"/proc/{host.pid}/root/proc/{pid}")
    return entry.stat().st_uid, int((entry / "stat").read_text().rpartition(")")[2].split()[4])


# ---------------------------------------------------------------------------------- what is kept


_LONG_AGO = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("DELETE FROM meta WHERE key = 'kept retention'")
connection.commit()
"""


def test_what_is_old_is_forgotten_while_the_queue_is_used(queue):
    """At a quiet moment of the keeper, once a day: here the day is over at once."""
    host = queue.host
    numbers = [queue.submit("echo", str(number)) for number in range(4)]
    for number in numbers:
        queue.over(number)
    queue.ask("settings", {"changes": {"keep_jobs": 2}})
    try:
        queue.idle()
        host.run(["python3", "-c", _LONG_AGO, f"{QUEUE}/queue.db"])
        keeps = queue.submit("sleep", "1d")
        wait_for(lambda: len(queue.ask("list", {"which": "ended"})["jobs"]) == 2, "old jobs to be forgotten")
        assert queue.ask("list", {"which": "ended"})["jobs"][0]["id"] == numbers[-1]
        queue.until(keeps, "running")
        logs = host.run(["ls", f"{QUEUE}/logs"]).stdout.split()
        assert f"{numbers[-1]}.log" in logs
        assert f"{numbers[0]}.log" not in logs
    finally:
        queue.ask("settings", {"changes": {"keep_jobs": 10_000}})
