"""An image to another host without the layers that are there already.

Docker keeps a layer under the hash of the whole chain below it, and `load` opens the file only of a layer
whose chain it does not have (moby, image/tarexport/load.go, from 1.10 on). So what is there is the longest
run of layers from the bottom that some image of the target begins with. Podman wants every file
(containers/image, docker/internal/tarfile/src.go), and so does Docker where containerd keeps its images.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from backend import toolkit
from backend.errors import BerthError, EngineError, NoSuchTarget
from backend.images import transfer
from backend.text import printable

if TYPE_CHECKING:
    from backend.engine import EngineClient

_CHUNK = 256 * 1024
_AT_ONCE = 8
"""Images that are looked at side by side."""
_ENDED = -1
"""Exit status of a command whose connection is lost."""


def layers(image: dict[str, Any]) -> list[str]:
    """Digests of an image's layers, the lowest first, from its inspect."""
    found = (image.get("RootFS") or {}).get("Layers")
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


async def known(target: EngineClient, wanted: Sequence[str]) -> int:
    """How many of these layers, from the lowest, an engine has and need not be sent."""
    if not wanted or target.kind != "docker" or _containerd(await target.info()):
        return 0
    gate = asyncio.Semaphore(_AT_ONCE)

    async def common(image: str) -> int:
        async with gate:
            try:
                there = layers(await target.inspect_image(image))
            except NoSuchTarget:
                return 0  # it was removed meanwhile
        pairs = zip(wanted, there, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    ids = {str(each.get("Id")) for each in await target.images()}
    return max(await asyncio.gather(*map(common, ids)), default=0)


def _containerd(info: dict[str, Any]) -> bool:
    """Whether images are kept by containerd and not by Docker's own layer store."""
    return any("io.containerd.snapshotter" in str(each) for each in info.get("DriverStatus") or ())


async def save(
    source: EngineClient, image: str, wanted: Sequence[str], known: int
) -> AsyncGenerator[bytes, None]:
    """The image as `docker save` writes it, without its lowest `known` layers: left out where it is."""
    script = toolkit.source("save_layers.py")
    _, version = source.endpoint
    argv = ["python3", "-c", script, source.socket, version, image, str(known), *wanted]
    process = await source.link.start(argv)
    try:
        while data := await process.read(_CHUNK):
            yield data
        code = await process.wait()
        said = printable(process.stderr.decode("utf-8", "replace").strip()[-300:])
    finally:
        await process.close()
    if code:
        broken = "the connection was lost" if code == _ENDED else said or f"exit {code}"
        raise EngineError(f"{source.host}: {image} broke off in the middle ({broken}).")


async def copy(
    source: EngineClient,
    target: EngineClient,
    image: str,
    *,
    wanted: Sequence[str],
    known: int,
    sent: Callable[[int], None],
) -> str:
    """From one engine to another without the lowest `known` layers; the id that the target has then.

    Raises `EngineError` where it does not work this way, which says nothing about the whole image.
    """
    async with aclosing(save(source, image, wanted, known)) as chunks:
        await transfer.load(target, chunks, sent)
    try:
        return str((await target.inspect_image(image)).get("Id"))
    except NoSuchTarget as error:
        raise EngineError(error.message) from None


def in_vain(error: BerthError) -> bool:
    """Whether to send the whole image would not do either."""
    return not isinstance(error, EngineError) or "no space left" in error.message.lower()
