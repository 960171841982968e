"""Names that completion scripts offer while a person types. Nothing is asked of a host: hosts, contexts and
profiles come from the configuration, recipes from their folders, tunnels and mounts from what holds them, the
rest from what the dashboard saw last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.config import Config
    from backend.model import HostSnapshot
    from backend.recipes.scan import Found

LIMIT = 2000
"""Nobody looks through more."""


def known(word: str, config: Config) -> list[str]:
    """What the hidden verb `word` lists, a line each: names that would change a line or a terminal are not
    among them."""
    found = dict.fromkeys(name for name in KINDS[word](config) if name.isprintable() and name.strip() == name)
    return [name for name in found if name and not name.startswith("-")][:LIMIT]


def _hosts(config: Config) -> Iterable[str]:
    return (host.name for host in config.hosts)


def _contexts(config: Config) -> Iterable[str]:
    return (context.name for context in config.contexts)


def _profiles(config: Config) -> Iterable[str]:
    return (profile.name for profile in config.profiles)


def _containers(config: Config) -> Iterator[str]:
    yield from _contexts(config)
    for host in _seen(config):
        yield from (f"{host.name}/{each.name}" for each in host.containers or ())


def _targets(config: Config) -> Iterator[str]:
    yield from _hosts(config)
    yield from _containers(config)


def _sessions(config: Config) -> Iterator[str]:
    for host in _seen(config):
        yield from (f"{host.name}/{each.name}" for each in host.sessions)


def _jobs(config: Config) -> Iterator[str]:
    for host in _seen(config):
        own = [each.id for each in host.queue.jobs] if host.queue is not None else []
        cluster = [each.id for each in host.cluster.jobs] if host.cluster is not None else []
        yield from (f"{host.name}/{number}" for number in reversed([*own, *cluster]))


def _images(config: Config) -> Iterator[str]:
    """Those that containers and contexts use: all of a host are too many to be kept."""
    yield from (context.image for context in config.contexts)
    for host in _seen(config):
        yield from (each.image for each in host.containers or ())


def _roots(config: Config) -> list[Path]:
    """Folders below which recipes are looked for; not a whole home, which takes too long while one types."""
    from backend.config.paths import absolute

    here = Path.cwd()
    roots = [absolute(Path(each)) for each in config.settings.images.roots]
    return roots or ([] if here in (Path.home(), Path("/")) else [here])


def _found(config: Config) -> list[Found]:
    """Recipes by the names of their folders; no file is opened."""
    from backend.recipes.scan import Scan

    scan = Scan()
    for root in _roots(config):
        scan.root(root)
    return scan.found


def _recipes(config: Config) -> Iterator[str]:
    yield from sorted(each.name for each in _found(config))


def _workspaces(config: Config) -> Iterator[str]:
    from backend.recipes.model import Kind

    yield from sorted(each.name for each in _found(config) if each.kind is Kind.WORKSPACE)


def _sources(config: Config) -> Iterator[str]:
    """What a folder of a host is said by: hosts but this one, and contexts."""
    yield from (host.name for host in config.hosts if not host.local)
    yield from _contexts(config)


def _tunnels(config: Config) -> Iterator[str]:
    from backend.tunnels import book

    for _, entry in book.entries():
        yield from (row.id for row in entry.tunnels)


def _mounts(config: Config) -> Iterator[str]:
    from backend.mounts import records

    for record in records.written():
        yield from (record.id, record.folder)


def _builds(config: Config) -> Iterator[str]:
    from backend.building.records import folder

    try:
        names = sorted((each.name for each in folder().glob("*.json")), reverse=True)
    except OSError:
        return
    yield from (name.removesuffix(".json") for name in names)


def _seen(config: Config) -> list[HostSnapshot]:
    from backend import laststate

    wanted = {host.name for host in config.hosts}
    return [host for name, host in laststate.load().items() if name in wanted]


KINDS: dict[str, Callable[[Config], Iterable[str]]] = {
    "_hosts": _hosts,
    "_contexts": _contexts,
    "_containers": _containers,
    "_targets": _targets,
    "_sessions": _sessions,
    "_jobs": _jobs,
    "_images": _images,
    "_profiles": _profiles,
    "_builds": _builds,
    "_recipes": _recipes,
    "_workspaces": _workspaces,
    "_sources": _sources,
    "_tunnels": _tunnels,
    "_mounts": _mounts,
}
"""Hidden verb to what it lists."""
PLACES = {
    "HOST": "_hosts",
    "CONTEXT": "_contexts",
    "HOST/NAME": "_containers",
    "TO": "_targets",
    "HOST/SESSION": "_sessions",
    "HOST/NUMBER": "_jobs",
    "IMAGE": "_images",
    "PROFILE": "_profiles",
    "BUILD": "_builds",
    "RECIPE": "_recipes",
    "WORKSPACE": "_workspaces",
    "HOST[:PATH]": "_sources",
    "ID": "_tunnels",
    "MOUNT": "_mounts",
}
"""How a place is called in help, and the hidden verb that lists what may stand there."""
