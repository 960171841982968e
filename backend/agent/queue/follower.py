"""What happens to a job and what it writes, from its turn in the queue to its end: `agent queue follow`.

JSON lines on stdout:
    {"job": {...}}       at once, and whenever its state, its reason or its place changed
    {"out": BASE64}      a piece of its output, in order, nothing twice and nothing left out
    {"note": TEXT}       something that people should know (the output is not to be had, and why)

Output belongs to the attempt of the job that was told last. Attempts may be over before anybody looked:
theirs is told all the same, each behind a job as it was then.

Output comes from the engine while the container is there, and from the log that the keeper saved afterwards;
both hold the same bytes, so that the one goes on where the other broke off. It ends with the job, or at once
where `follow` is false.
"""

from __future__ import annotations

import base64
import collections
import errno
import http.client
import os
import stat
import time
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from .jobs import ACTIVE, ENDED, RUNNING, WAITING, Job, job_json
from .output import container_output

_EVERY = 0.2
"""Seconds between two looks at the database."""
_PIECE = 65536
_PATIENCE = 10.0
"""Seconds that the output of an ended job may take to come to its place."""
_TAIL_BYTES = 8 * 1024 * 1024
"""How far back the last lines are looked for."""

Write = Callable[[Dict[str, Any]], None]
Events = Callable[[int], List[Dict[str, Any]]]


class Follower:
    """Writes what happens to one job."""

    def __init__(
        self,
        get: Callable[[int], Optional[Job]],
        events: Events,
        socket_path: str,
        number: int,
        write: Write,
    ) -> None:
        """`get` reads a job from the store, `events` what happened to it."""
        self._get = get
        self._events = events
        self._socket = socket_path
        self._number = number
        self._write = write
        self._tail = 0
        self._said: Optional[Dict[str, Any]] = None
        self._shown = 0
        """The attempt whose output is being told, or was told last."""
        self._sent = 0
        """Bytes of its output that were written, or passed over."""

    def run(self, *, to_the_end: bool, output: bool = True, tail: int = 0, first: int = 0) -> None:
        """Write until the job has ended, all of its attempts one after another, or what there is now.

        `tail`: only the last lines of the output so far; 0 is all. `first`: the attempt whose output comes
        first; 0 is the present one.
        """
        self._tail = tail
        job = self._get(self._number)
        if job is not None:
            self._shown = (first or job.attempt + (job.state in WAITING)) - 1
        while True:
            job = self._get(self._number)
            if job is None:
                self._write({"note": "it is gone from the queue"})
                return
            over = job.attempt if job.state in WAITING else job.attempt - 1
            present = job.attempt if job.container or job.state in ENDED else over
            if output and self._shown < max(over, present):
                self._next(job)
                if self._shown <= over:
                    self._past(job)
                else:
                    self._tell(job)
                    self._attempt(job, to_the_end)
                self._tail = 0
                continue
            self._tell(job)
            if job.state in ENDED or not to_the_end:
                return
            time.sleep(_EVERY)

    def _next(self, job: Job) -> None:
        self._shown += 1
        if not job.spec.outfile:  # to which all attempts write
            self._sent = 0

    def _look(self) -> Optional[Job]:
        """The job now. It is told where what follows is still output of the attempt that was told last."""
        job = self._get(self._number)
        if job is not None and job.attempt == self._shown:
            self._tell(job)
        return job

    def _tell(self, job: Job) -> None:
        now = job_json(job)
        if now != self._said:
            self._said = now
            self._write({"job": now})

    def _attempt(self, job: Job, to_the_end: bool) -> None:
        """The present attempt's output, to its end."""
        if job.spec.outfile:
            self._file(job.spec.outfile, to_the_end)
            return
        if job.state in ACTIVE:
            self._from_container(job, to_the_end)
            if not to_the_end:
                return
        while job.state in ACTIVE and job.attempt == self._shown:
            time.sleep(_EVERY)
            seen = self._look()
            if seen is None:
                return
            job = seen
        if job.state in ENDED and job.attempt == self._shown:
            self._saved(job)
        else:
            self._past(job)

    def _past(self, job: Job) -> None:
        """What was not told yet of an attempt that is over, while the job waits or is tried again."""
        if job.spec.outfile:
            return
        if job.attempt == self._shown:
            self._tell(job)
        elif self._said is None or self._said.get("attempt", 0) < self._shown:
            self._tell(job._replace(attempt=self._shown, state=RUNNING, container="", reason=""))
        end = time.monotonic() + _PATIENCE
        while True:
            container, log, settled = self._traces()
            if log:
                return self._from_log(log)
            if settled or not container:
                return None
            if self._from_container(job._replace(container=container), live=False):
                return None
            if time.monotonic() > end:
                return self._write({"note": f"the output of attempt {self._shown} is not to be had"})
            time.sleep(_EVERY)

    def _traces(self) -> Tuple[str, str, bool]:
        """Of the attempt: its container, the file with its output, and whether that is all there will be."""
        container, log, settled = "", "", False
        for event in self._events(self._number):
            data = event["data"]
            if data.get("of") == self._shown:
                log, settled = str(data.get("log") or ""), "log" in data
            elif event["attempt"] == self._shown:
                container = str(data.get("container") or container)
        return container, log, settled

    def _from_container(self, job: Job, live: bool) -> bool:
        """Whether it was there and told all. Goes on behind what was sent before."""
        if self._tail and self._sent and not live:
            return True  # the last lines were told while it ran, and what came after them
        passed = 0
        tail = 0 if self._sent else self._tail
        try:
            for piece in container_output(self._socket, job.container, job.spec.tty, live, tail):
                new = piece[max(0, self._sent - passed) :] if not tail else piece
                passed += len(piece)
                self._send(new)
        except (LookupError, OSError, http.client.HTTPException):
            return False
        return True

    def _saved(self, job: Job) -> None:
        """The rest of an ended job's output, wherever it is by now."""
        end = time.monotonic() + _PATIENCE
        while not job.log:
            if not job.container:  # it never ran, or wrote nothing: nothing comes any more
                return
            if self._from_container(job, live=False) or time.monotonic() > end:
                return
            time.sleep(_EVERY)
            seen = self._look()
            if seen is None or seen.state not in ENDED:
                return
            job = seen
        self._from_log(job.log)

    def _from_log(self, log: str) -> None:
        if self._tail and self._sent:
            return
        try:
            with _opened(log) as file:
                file.seek(_tail_start(file, self._tail) if self._tail else self._sent)
                self._rest(file)
        except OSError as error:
            self._write({"note": f"its output cannot be read: {log}: {error.strerror}"})

    def _file(self, path: str, to_the_end: bool) -> None:
        """A file that the job itself writes, as it grows."""
        first = True
        while True:
            job = self._look()
            ended = job is None or job.state not in ACTIVE or job.attempt != self._shown
            try:
                with _opened(path) as file:
                    if first and self._tail:
                        self._sent = _tail_start(file, self._tail)
                    first = False
                    file.seek(self._sent)
                    self._rest(file)
            except OSError:
                pass  # not there yet; where it never comes, the end of the job says so
            if ended or not to_the_end:
                return
            time.sleep(_EVERY)

    def _rest(self, file: Any) -> None:
        while True:
            piece = file.read(_PIECE)
            if not piece:
                return
            self._send(piece)

    def _send(self, piece: bytes) -> None:
        self._sent += len(piece)
        if piece:
            self._write({"out": base64.b64encode(piece).decode("ascii")})


def _opened(path: str) -> Any:
    """The file, for reading. Raises OSError for all but files: a pipe of somebody's would be waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return os.fdopen(descriptor, "rb")


def _tail_start(file: Any, lines: int) -> int:
    """Where the last lines begin."""
    size = file.seek(0, os.SEEK_END)
    begin = max(0, size - _TAIL_BYTES)
    file.seek(begin)
    starts: Deque[int] = collections.deque([begin], maxlen=lines)
    for line in file:
        begin += len(line)
        if begin < size:
            starts.append(begin)
    return starts[0]
