"""An image as one layer, its configuration kept: nothing that was deleted is in it any more."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from backend import toolkit
from backend.engine import EngineClient
from backend.engine.lasting import Again, Lasting
from backend.errors import ActionFailed, BerthError
from backend.text import printable
from backend.whole import whole

_PIPE = """
container=$1 reference=$2 words=$3
shift 3
exec 3<&0
{ read -r _ <&3; kill 0; } &
trap "kill $!" EXIT
"${@:1:words}" export -- "$container" | "${@:1:words}" import "${@:words + 1}" - "$reference"
"""
"""export | import on the host; every word is an argument of its own, none is ever part of the script.

When its standard input ends, so does it: what is made by nobody any more would be left there.
"""
_TIMEOUT = 3600.0


def changes(config: Mapping[str, Any], kind: str = "docker") -> list[str]:
    """Dockerfile instructions that give a plain file system the configuration of an image.

    Kept: ENV, ENTRYPOINT, CMD, WORKDIR, USER, LABEL, EXPOSE, VOLUME, STOPSIGNAL. `kind` is the engine's:
    Podman takes off the outer quotes of a value and leaves the rest as it is (podman, pkg/util/utils.go).
    """
    quoted = _quoted if kind == "docker" else '"{}"'.format
    lines = [f"ENV {name}={quoted(value)}" for name, _, value in _pairs(config.get("Env"))]
    for word, key in (("ENTRYPOINT", "Entrypoint"), ("CMD", "Cmd")):
        if config.get(key):
            lines.append(f"{word} {json.dumps(config[key])}")
    for word, key in (("WORKDIR", "WorkingDir"), ("USER", "User"), ("STOPSIGNAL", "StopSignal")):
        if config.get(key):
            lines.append(f"{word} {config[key]}")
    labels = config.get("Labels") or {}
    lines += [f"LABEL {quoted(name)}={quoted(value)}" for name, value in labels.items()]
    lines += [f"EXPOSE {port}" for port in config.get("ExposedPorts") or {}]
    lines += [f"VOLUME {json.dumps([path])}" for path in config.get("Volumes") or {}]
    return [line for line in lines if "\n" not in line and "\r" not in line]


def _pairs(env: Any) -> list[tuple[str, str, str]]:
    return [entry.partition("=") for entry in env or () if "=" in entry]


def _quoted(text: str) -> str:
    """As a double-quoted word of a Dockerfile, in which `$` and `\\` mean something."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


async def flatten(
    engine: EngineClient,
    image: str,
    reference: str,
    *,
    clean: bool = False,
    keep_private: bool = False,
    report: Callable[[str], None] = lambda line: None,
    again: Again | None = None,
) -> str:
    """Make `reference` of `image`: one layer, cleaned before if wanted, in a temporary container.

    The id of what was made. The temporary container is gone afterwards, whatever happened; where the
    connection is lost by way of `again`.
    """
    config = (await engine.inspect_image(image)).get("Config") or {}
    name = f"berth-flatten-{secrets.token_hex(4)}"
    body = {
        "Image": image,
        "Entrypoint": ["sleep" if clean else "true"],
        "Cmd": ["86400"] if clean else [],
        "User": "0",
        "Labels": {"berth.temporary": "flatten"},
        "HostConfig": {"NetworkMode": "none"},
    }
    try:
        container = await engine.create(body, name)
        if clean:
            await engine.start(container)
            option = ["--keep-private"] if keep_private else []
            script = toolkit.source("clean_image.sh")
            done = await engine.exec(container, ["sh", "-c", script, "clean_image", *option], user="0")
            for line in done.stdout.decode("utf-8", "replace").splitlines():
                report(printable(line, 300))
        return await _reimport(engine, container, reference, changes(config, engine.kind))
    finally:
        with suppress(BerthError):
            await whole(Lasting(engine, again).do(lambda there: there.remove(name, force=True)))


async def _reimport(engine: EngineClient, container: str, reference: str, lines: list[str]) -> str:
    words = [word for line in lines for word in ("--change", line)]
    program = engine.program
    argv = ["bash", "-e", "-o", "pipefail", "-c", _PIPE, "flatten", container, reference, str(len(program))]
    argv += [*program, *words]
    process = await engine.link.start(argv)
    try:
        async with asyncio.timeout(_TIMEOUT):
            made = [line.decode("utf-8", "replace").strip() async for line in process]
            code = await process.wait()
    finally:
        await process.close()
    if code:
        said = printable(process.stderr.decode("utf-8", "replace").strip(), 300) or f"exit {code}"
        raise ActionFailed(f"{engine.host}: the image could not be flattened ({said}).")
    return made[-1]
