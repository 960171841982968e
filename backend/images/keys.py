"""Whether an image or a container holds private keys: looked at on its host, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct

from backend import toolkit
from backend.engine import EngineClient
from backend.errors import ActionFailed, Refused
from backend.text import printable


class Find(Struct, frozen=True):
    """Something that should not be in an image."""

    layer: str
    """First digits of the layer, as `save` names it; empty for a container."""
    path: str
    kind: str
    """`private key` or `credentials`."""
    blocking: bool
    """Whether it stops a push. Keys that packages ship for their tests do not."""

    def __str__(self) -> str:
        where = f" in layer {self.layer}" if self.layer else ""
        return printable(f"{self.kind}: {self.path}{where}", 300)


class _Done(Struct, frozen=True):
    files: int
    bytes: int


class _Line(Struct, frozen=True):
    found: Find | None = None
    read: int | None = None
    done: _Done | None = None


async def find(
    engine: EngineClient,
    name: str,
    kind: Literal["image", "container"],
    progress: Callable[[int], None] = lambda read: None,
) -> list[Find]:
    """All finds. Raises `ActionFailed` where it could not be looked at to the end: then nothing is proven."""
    verb = {"image": "save", "container": "export"}[kind]
    argv = ["python3", "-c", toolkit.source("find_keys.py"), verb, name, *engine.program]
    process = await engine.link.start(argv)
    finds: list[Find] = []
    done = False
    try:
        async for raw in process:
            try:
                line = msgspec.json.decode(raw, type=_Line)
            except msgspec.MsgspecError:
                continue
            if line.found is not None:
                finds.append(line.found)
            if line.read is not None:
                progress(line.read)
            done = done or line.done is not None
        code = await process.wait()
        said = printable(process.stderr.decode("utf-8", "replace").strip(), 300)
    finally:
        await process.close()
    if code or not done:
        raise ActionFailed(
            f"{engine.host}: {name} could not be searched for keys ({said or f'exit {code}'}).",
            hint="Without that it is neither pushed, saved nor copied; --no-check does it anyway.",
        )
    return finds


def refuse(finds: list[Find], name: str) -> None:
    """Raise `Refused` naming file and layer where one of them must not leave the host."""
    if bad := [each for each in finds if each.blocking]:
        listed = "; ".join(map(str, bad[:5])) + (f"; and {len(bad) - 5} more" if len(bad) > 5 else "")
        raise Refused(
            f"{name} holds {listed}.",
            hint="Remove it (berth private rm), or clean and flatten: a deleted file stays in its layer.",
        )
