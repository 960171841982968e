"""What an engine knows of an image, made typed: its layers, what it runs, who uses it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from backend.agent import containers as wire_containers
from backend.agent import images as wire_images
from backend.agent.times import from_engine
from backend.errors import NoSuchTarget
from backend.imagenames import whole
from backend.imagerows import WAITING, Users, bare
from backend.model import Container, Image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend.actions.context import Access
    from backend.config import Config, Context
    from backend.engine import EngineClient

_EMPTY_LAYERS = ("RUN", "COPY", "ADD", "WORKDIR")
"""Instructions that make a layer even where nothing is in it; the likeliest first."""
_LIMIT = 20_000
"""Characters of one command that are kept."""


class Layer(Struct, frozen=True, kw_only=True, gc=False):
    """One step of an image's making."""

    command: str
    """As in a Dockerfile, `RUN apt-get update`: a host's words."""
    size: int
    created_at: datetime | None = None
    layer: str = ""
    """Digest of the layer it made; empty where it made none, or where that cannot be told."""
    tags: tuple[str, ...] = ()
    """Names of the image that ends with this step."""
    comment: str = ""


class ImageFacts(Struct, frozen=True, kw_only=True, gc=False):
    """Everything an engine says of one image."""

    host: str
    id: str
    """Without `sha256:`."""
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int | None = None
    created_at: datetime | None = None
    tagged_at: datetime | None = None
    """When it got a name on this host last: built, pulled, loaded or tagged. None for Podman."""
    platform: str = ""
    author: str = ""
    user: str = ""
    workdir: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    layers: tuple[Layer, ...] = ()
    """In the order they were made."""


async def list_images(engine: EngineClient) -> list[Image]:
    """All images of an engine, as its agent would tell of them."""
    found = wire_images.wire(await engine.images(), engine.kind == "podman")
    return msgspec.convert(found, list[Image])


async def containers(engine: EngineClient) -> list[Container]:
    """All containers of an engine, as far as its list tells."""
    entries = [wire_containers.listed(each) for each in await engine.containers()]
    return [msgspec.convert(entry.wire, Container) for entry in entries if entry is not None]


async def users(
    engine: EngineClient, access: Access, config: Config, contexts: Iterable[Context], *, jobs: bool = True
) -> tuple[Users, list[Container]]:
    """Who uses which of an engine's images, asked now: containers, contexts, and jobs that wait."""
    found, there = Users(), await containers(engine)
    for container in there:
        found.add(f"container {container.name}", container.image, container.image_id)
    for context in contexts:
        if context.host == engine.host:
            found.add(f"context {context.name}", context.image)
    if jobs:
        await _add_jobs(found, access, config, engine.host)
    return found, there


async def _add_jobs(found: Users, access: Access, config: Config, host: str) -> None:
    """Jobs that wait need their image as it was when they were submitted."""
    from backend.queues.choose import has_queue, queue_of

    wanted = config.host(host)
    if not has_queue(wanted) or wanted.queue == "slurm":
        return
    async with queue_of(config, access, host) as queue:
        for job in await queue.jobs("unfinished"):
            if job.state in WAITING:
                found.add(f"job {job.id}", job.image, job.image_id)


def find(images: Iterable[Image], word: str) -> list[Image]:
    """Those that a word names: a tag, a digest, an id or the beginning of one."""
    known = list(images)
    wanted, digits = whole(word), bare(word)
    named = [each for each in known if any(whole(tag) == wanted for tag in each.tags)]
    if named:
        return named
    if "@" in word:
        return [each for each in known if any(whole(one) == whole(word) for one in each.digests)]
    hexadecimal = len(digits) >= 4 and not digits.strip("0123456789abcdef")
    return [each for each in known if bare(each.id).startswith(digits)] if hexadecimal else []


async def facts(engine: EngineClient, image: str) -> ImageFacts:
    """Everything the engine says of an image. Raises `NoSuchTarget`."""
    found, history = await engine.inspect_image(image), await engine.image_history(image)
    config = _dict(found.get("Config")) or _dict(found.get("ContainerConfig"))
    known = bare(_text(found.get("Id")))
    if not known:
        raise NoSuchTarget(f"{engine.host} says nothing about {image}.")
    parts = (_text(found.get("Os")), _text(found.get("Architecture")), _text(found.get("Variant")))
    return ImageFacts(
        host=engine.host,
        id=known,
        tags=_texts(found.get("RepoTags")),
        digests=_texts(found.get("RepoDigests")),
        size=_number(found.get("Size")),
        created_at=_moment(found.get("Created")),
        tagged_at=_moment(_dict(found.get("Metadata")).get("LastTagTime")),
        platform="/".join(part for part in parts if part),
        author=_text(found.get("Author")),
        user=_text(config.get("User")),
        workdir=_text(config.get("WorkingDir")),
        entrypoint=_texts(config.get("Entrypoint")),
        command=_texts(config.get("Cmd")),
        env=_texts(config.get("Env")),
        ports=tuple(_dict(config.get("ExposedPorts"))),
        volumes=tuple(_dict(config.get("Volumes"))),
        labels={key: _text(value) for key, value in _dict(config.get("Labels")).items()},
        layers=steps(history, _texts(_dict(found.get("RootFS")).get("Layers"))),
    )


def steps(history: Iterable[Any], layers: tuple[str, ...] = ()) -> tuple[Layer, ...]:
    """The engine's history, the oldest first; each step that made a layer with that layer's digest.

    An engine does not say which step made which layer. Steps with bytes made one; where there are more layers
    than such steps, some without bytes did as well, and only certain instructions can.
    """
    made = [each for each in history if isinstance(each, dict)][::-1]
    sizes = [_number(each.get("Size")) or 0 for each in made]
    commands = [instruction(_text(each.get("CreatedBy"), _LIMIT)) for each in made]
    with_layer = {place for place, size in enumerate(sizes) if size}
    with_layer |= _empty_layers(commands, with_layer, len(layers) - len(with_layer))
    left = iter(layers)
    return tuple(
        Layer(
            command=commands[place],
            size=sizes[place],
            created_at=_moment(each.get("Created")),
            layer=next(left, "") if place in with_layer else "",
            tags=_texts(each.get("Tags")),
            comment=_text(each.get("Comment")),
        )
        for place, each in enumerate(made)
    )


def _empty_layers(commands: list[str], known: set[int], spare: int) -> set[int]:
    """Which of the steps without bytes made a layer, as far as it can be told."""
    words = [command.partition(" ")[0] for command in commands]
    likely = [
        place
        for kind in _EMPTY_LAYERS
        for place, word in enumerate(words)
        if word == kind and place not in known
    ]
    return set(likely[: max(0, spare)])


def instruction(created_by: str) -> str:
    """A step as it stands in a Dockerfile, without what builders write around it."""
    text = created_by.strip()
    if text.startswith("|") and (at := text.find("/bin/sh -c ")) >= 0:  # |2 NAME=VALUE ... /bin/sh -c ...
        text = text[at:]
    for front in ("/bin/sh -c #(nop) ", "/bin/sh -c #(nop)"):
        if text.startswith(front):
            return text.removeprefix(front).strip()
    text = text.removesuffix(" # buildkit")
    if text.startswith("/bin/sh -c "):
        return "RUN " + text.removeprefix("/bin/sh -c ").strip()
    if text.startswith("RUN /bin/sh -c "):
        return "RUN " + text.removeprefix("RUN /bin/sh -c ").strip()
    return text


def _moment(value: Any) -> datetime | None:
    if isinstance(value, int) and not isinstance(value, bool):
        from backend.agent.times import rfc3339

        text = rfc3339(value)
    else:
        text = from_engine(value)
    return datetime.fromisoformat(text) if text else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _text(value: Any, limit: int = 4096) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(each) for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
