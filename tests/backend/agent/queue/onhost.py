"""The queue of a lab host, asked as people do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.lab import Host, LabError
from tests.lab.machine import wait_for

QUEUE = "/var/tmp/berth"
GATES = "/var/tmp/gates"


class Queue:
    """The queue of one host, asked as people do."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def ask(self, verb: str, body: Any = None, *, user: str = "root") -> Any:
        """One verb; what it answers. An error is an AssertionError."""
        done = self.host.run(
            ["python3", "-I", "-S", "/opt/agent.pyz", "queue", verb],
            user=user,
            data=json.dumps(body or {}).encode(),
            check=False,
        )
        answer = json.loads(done.stdout)
        assert "ok" in answer, (answer, done.stderr)
        return answer["ok"]

    def submit(self, *command: str, user: str = "root", **fields: Any) -> int:
        """Queue one job; its number."""
        spec = {"image": "busybox:latest", "command": list(command), "grace": 0.5, **fields.pop("spec", {})}
        return int(self.ask("submit", {"jobs": [{"spec": spec, **fields}]}, user=user)["ids"][0])

    def gated(self, script: str, **fields: Any) -> int:
        """A job that runs until it is let go by `let`, and then ends as the script says."""
        self.host.run(["mkdir", "-p", "-m", "1777", GATES])
        wait = "while [ ! -e /gates/$BERTH_JOB_ID ]; do sleep 0.1; done"
        spec = {"mounts": [[GATES, "/gates", True]]}
        before, _, after = script.rpartition(";")
        return self.submit("sh", "-c", f"{before or ':'}; {wait}; {after}", spec=spec, **fields)

    def let(self, number: int) -> None:
        """Let it go on."""
        self.host.run(["touch", f"{GATES}/{number}"])

    def job(self, number: int) -> dict[str, Any]:
        """What is known of it. A look starts no keeper where none is needed."""
        return dict(self.ask("show", {"id": number})["job"])

    def until(self, number: int, *states: str, check: Callable[[Any], Any] = bool) -> dict[str, Any]:
        """The job, once it is in one of these states."""
        found: dict[str, Any] = {}

        def there() -> bool:
            try:
                fresh = self.job(number)
            except AssertionError:
                fresh = {"state": "not there"}
            found.clear()  # what is empty is left out
            found.update(fresh)
            return found.get("state", "queued") in states and bool(check(found))

        try:
            wait_for(there, f"job {number} to be {states}", seconds=90)
        except LabError as error:
            journal = self.host.run(["tail", "-20", f"{QUEUE}/keeper.log"], check=False).stdout
            raise AssertionError(f"{error}; it is {found}, and the keeper says {journal}") from None
        return found

    def over(self, number: int) -> dict[str, Any]:
        """The job, once it has ended and its output is in its place."""
        ends = ("completed", "failed", "cancelled", "timeout")
        return self.until(number, *ends, check=lambda job: not job.get("container"))

    def log(self, number: int) -> str:
        return self.host.run(["cat", self.job(number)["log"]]).stdout

    def processes(self, name: str) -> list[int]:
        return self.host.processes(name)

    def keeper(self) -> int:
        return self._one("berth-keeper")

    def standby(self) -> int:
        return self._one("berth-standby")

    def _one(self, name: str) -> int:
        """For a moment there may be two: one that compiles NVIDIA's bindings, and its child that does it."""
        wait_for(lambda: len(self.processes(name)) == 1, f"one {name}")
        return self.processes(name)[0]

    def kill(self, *pids: int) -> None:
        self.host.run(["kill", "-KILL", *map(str, pids)])

    def idle(self) -> None:
        """Until everything of the queue has gone by itself."""
        names = ("berth-keeper", "berth-standby")
        wait_for(lambda: not any(map(self.processes, names)), "the keeper to leave", seconds=90)

    def containers(self) -> list[str]:
        return self.host.docker("ps", "--all", "--quiet", "--filter", "label=berth.queue").split()
