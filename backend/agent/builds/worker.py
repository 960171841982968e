"""The process that builds: detached from whoever asked, with a record of what it does and how that ended."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any, Dict, List, Optional

from ..queue.detached import detach, settle
from . import api, builders, folders, lock, service, steps
from .builders import CLASSIC, Builder
from .output import Output

_GRACE = 10.0
"""Seconds a builder has to end by itself once it is told to."""
_LOOK = 0.1
_LABEL = "berth.recipe"
_IDENTITY = re.compile(rb"^\{?.*? ---(?:>|\\u003e) ([0-9a-f]{12,64})")


class Worker:
    """One build."""

    def __init__(self, run: folders.Run, socket: str, builder: Builder, spec: Dict[str, Any]) -> None:
        self._run = run
        self._socket = socket
        self._builder = builder
        self._spec = spec
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._cancelled = False
        self._last = b""
        """Id of the newest image between steps, of the classic builder."""

    def start(self) -> bool:
        """Detach and build. True in the process that was there.

        The lock on the image goes along; so does the run's own.
        """
        held = self._run.lock()
        if not detach():
            os.close(held)
            return True
        code = 1
        try:
            settle("berth-build", [held, *lock.descriptors()])
            signal.signal(signal.SIGTERM, self.stop)
            self._run.note(pid=os.getpid())
            end = self.build()
            self._run.finish(end)
            folders.sweep(lambda image: api.remove_dangling(self._socket, image))
            code = 0
        finally:
            os._exit(code)  # nothing of this process belongs to who started it

    def build(self) -> Dict[str, Any]:
        """Build, in this process; how it ended."""
        before = {tag: api.image(self._socket, tag) for tag in self._spec["tags"]}
        output = Output(self._run.output)
        secrets = ""
        error = ""
        try:
            if self._spec["secrets"]:
                secrets = folders.secrets_folder(self._run)
            error = self._run_builder(_written(secrets, self._spec["secrets"]), output)
        except Exception as caught:  # a bug must not leave the build without an end
            error = f"{type(caught).__name__}: {caught}"
        finally:
            if secrets:
                shutil.rmtree(secrets, True)
            output.close()
        found = {} if error else api.image(self._socket, self._spec["tags"][0])
        if not error and not found:
            error = "the builder ended well, but the image is not there"
        self._tidy(before, found, failed=bool(error))
        return {
            "code": 1 if error else 0,
            "error": error[:4000],
            "cancelled": self._cancelled,
            "image": str(found.get("Id") or ""),
            "builder": self._builder.kind,
        }

    def _run_builder(self, secrets: Dict[str, str], output: Output) -> str:
        if self._cancelled:
            return "cancelled"
        if self._builder.kind == CLASSIC:

            def say(line: bytes) -> None:
                output.line(line)
                found = _IDENTITY.match(line)
                self._last = found[1] if found else self._last

            return api.build(self._socket, self._spec, say)
        spec = self._spec
        if self._by_service:
            spec = {**spec, "group": self._group}
        argv, environment = builders.command(self._builder, self._socket, spec, secrets)
        return self._run_program(argv, environment, output)

    @property
    def _by_service(self) -> bool:
        """Whether Podman's service builds, which goes on with a step when its client goes away."""
        return self._builder.kind == "podman" and not self._builder.own

    @property
    def _group(self) -> str:
        """The control group that the service shall build in."""
        return f"berth-build-{self._run.name}"

    def _run_program(self, argv: List[str], environment: Dict[str, str], output: Output) -> str:
        steps.adopt()
        try:
            self._child = child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
                preexec_fn=service.die_with_parent,  # noqa: PLW1509  # this process has one thread
            )
        except OSError as error:
            return f"{argv[0]} cannot be started: {error.strerror or error}"
        assert child.stdout is not None
        if self._cancelled:  # it was told to end while it was being started
            self.stop()
        while True:
            data = os.read(child.stdout.fileno(), 65536)
            if not data:
                break
            output.feed(data)
        code = child.wait()
        if self._cancelled:
            self._end_step()
            return "cancelled"
        return f"exit status {code}" if code else ""

    def stop(self, *_: object) -> None:
        """SIGTERM: the builder is told to end, and soon made to. The API's ends with its connection."""
        self._cancelled = True
        if self._builder.kind == CLASSIC:
            self._keep_leftover()
            end = {"code": 1, "error": "cancelled", "cancelled": True, "image": "", "builder": CLASSIC}
            self._run.finish(end)
            os._exit(0)
        child = self._child
        if child is None:
            return
        if self._builder.kind == "podman" and self._builder.own:
            threading.Thread(target=_end_steps, args=(child,), daemon=True).start()
        else:
            _signal(child, signal.SIGINT)
        threading.Timer(_GRACE, lambda: _signal(child, signal.SIGKILL)).start()

    def _end_step(self) -> None:
        """Nothing of a build that was cancelled goes on."""
        if self._by_service:
            steps.end_in(self._socket, self._group)
        elif self._builder.kind == "podman":
            steps.end_below(os.getpid())

    def _tidy(self, before: Dict[str, Dict[str, Any]], found: Dict[str, Any], failed: bool) -> None:
        """Remove what this build replaced, and what failed ones before it left; only what is ours."""
        if failed:
            self._keep_leftover()
            return
        new = found.get("Id")
        for image in before.values():
            labels = (image.get("Config") or {}).get("Labels") or {}
            if image.get("Id") not in (None, new) and _LABEL in labels:
                api.remove_dangling(self._socket, image["Id"])
        for left in folders.leftovers(self._spec["folder"]):
            api.remove_dangling(self._socket, left)
        with suppress(OSError):
            os.unlink(os.path.join(self._spec["folder"], "leftover"))

    def _keep_leftover(self) -> None:
        """Note what this build got to: the next try goes on from there, and removes what it does not need."""
        if self._last:
            folders.keep_leftover(self._spec["folder"], self._last.decode())


def _written(folder: str, secrets: Dict[str, str]) -> Dict[str, str]:
    """Put secrets into files; id to path. Raises OSError."""
    paths = {}
    for number, (name, data) in enumerate(secrets.items()):
        path = os.path.join(folder, str(number))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64decode(data))
        paths[name] = path
    return paths


def _end_steps(child: subprocess.Popen[bytes]) -> None:
    """Whatever step our own builder runs is killed: it fails, and cleans up. What goes on is told to end."""
    until = time.monotonic() + _GRACE / 2
    while child.returncode is None and time.monotonic() < until:
        steps.end_steps(child.pid)
        time.sleep(_LOOK)
    _signal(child, signal.SIGINT)


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    if child.poll() is None:
        with suppress(OSError):
            os.killpg(child.pid, number)
