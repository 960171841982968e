"""`berth disk`, `disk tree`, `disk top`: results to standard output, talk to standard error."""

from __future__ import annotations

import json as json_
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from backend.disk import words
from backend.disk.model import Entry, FileSystem, HostDisk, Listing, Owner, Progress, Sum
from backend.disk.overview import overview
from backend.disk.scanning import Scanning
from backend.errors import UsageError
from backend.tables import Col, lines, table
from backend.text import duration, printable, size

if TYPE_CHECKING:
    from backend.access import StandaloneAccess

MOST_ROWS = 100_000
_WIDTH = 120


async def show(
    access: StandaloneAccess,
    rows: Sequence[None],
    *,
    host: tuple[str, ...] = (),
    fresh: bool = False,
    timeout: float = 30.0,
    json: bool = False,
) -> int:
    """`berth disk [HOST ...]`; the exit code."""
    config = access.config
    if not 0.1 <= timeout <= 3600:
        raise UsageError("timeout: seconds, 0.1 to 3600.")
    names = [words.host_of(config, each) for each in dict.fromkeys(host)] or [
        each.name for each in config.hosts if not each.skip
    ]
    found = await overview(config, access, names, fresh=fresh, timeout=timeout, say=_say)
    if json:
        _print_json(msgspec.to_builtins(found))
    else:
        _overview(found)
    for each in found:
        for problem in (each.error, each.engine_error):
            if problem:
                _say(f"berth: {problem}")
    bad = [each for each in found if not each.ok]
    return 3 if bad and (host or len(bad) == len(found)) else 0


def _share(part: int | None, whole: int | None) -> str | None:
    return f"{100 * part / whole:.0f} %" if part is not None and whole else None


def _alarm(row: FileSystem) -> str:
    share = 100 * row.used / row.total if row.used is not None and row.total else 0
    return "bad" if share >= 95 else "warn" if share >= 90 else ""


_FILESYSTEMS = (
    Col("HOST", lambda r: r.host),
    Col("MOUNT", lambda r: r.mount, flex=True),
    Col("FOR", lambda r: " ".join(r.roles), rank=2),
    Col("SIZE", lambda r: size(r.total), right=True),
    Col("USED", lambda r: size(r.used), right=True),
    Col("FREE", lambda r: size(r.free), right=True),
    Col("USE%", lambda r: _share(r.used, r.total), _alarm, right=True),
    Col("INODES%", lambda r: _share(r.inodes_used, r.inodes), right=True, rank=1),
    Col("TYPE", lambda r: r.error or r.kind, rank=3),
)


def _overview(found: Sequence[HostDisk]) -> None:
    _table([row for each in found for row in each.filesystems], _FILESYSTEMS)
    engines: list[tuple[HostDisk, Sum]] = [(each, one) for each in found for one in each.sums]
    if engines:
        print()
        _table(
            engines,
            (
                Col("HOST", lambda r: r[0].host),
                Col("ENGINE", lambda r: r[0].engine.engine if r[0].engine else ""),
                Col("WHAT", lambda r: words.KINDS[r[1].kind]),
                Col("COUNT", lambda r: str(r[1].count), right=True),
                Col("IN USE", lambda r: str(r[1].active), right=True),
                Col("SIZE", lambda r: size(r[1].size), right=True),
                Col("UNUSED", lambda r: size(r[1].reclaimable), right=True),
                Col("COUNTED", lambda r: _age(r[0].engine_age), right=True, rank=1),
            ),
        )
    owners = [row for each in found for row in each.owners if row.bytes]
    if owners:
        print()
        _table(
            owners,
            (
                Col("HOST", lambda r: r.host),
                Col("OWNER", lambda r: r.owner or "unknown"),
                Col("IN CONTAINERS", lambda r: size(r.bytes), right=True),
            ),
        )


def _age(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return "now" if seconds < 1 else f"{duration(seconds)} ago"


# -------------------------------------------------------------------------------------------- tree, top


async def tree(
    access: StandaloneAccess,
    rows: Sequence[None],
    *,
    folder: str,
    depth: int = 1,
    most: int = 20,
    seconds: float = 30.0,
    all_mounts: bool = False,
    sudo: bool = False,
    json: bool = False,
) -> int:
    """`berth disk tree HOST:PATH`; the exit code."""
    host, path = words.place(access.config, folder)
    _limits(seconds, most)
    async with Scanning(await access.link(host), sudo=sudo, told=_progress) as scanning:
        path = await scanning.scan(path, seconds, cross=all_mounts)
        found = await scanning.side.listing(path)
        inside = await inside_of(scanning, found, depth, most)
    _end_progress()
    if json:
        _print_json({"host": host, "scan": _plain(found.scan), **_tree_json(found, inside)})
    else:
        print(printable(f"{host}:{path}  {words.sure(found.scan)}", 2000))
        for line in tree_lines(found, inside, most):
            print(line)
        _problems(host, found.scan)
    return 0


_Inside = dict[str, tuple[Listing, Any]]


async def inside_of(scanning: Scanning, found: Listing, depth: int, most: int) -> _Inside:
    """The folders below, as deep as was asked for."""
    below: _Inside = {}
    if depth <= 1:
        return below
    for row in found.rows[:most]:
        if row.kind == "folder" and row.read and not row.failed and not row.folded:
            deeper = await scanning.side.listing(f"{found.path.rstrip('/')}/{row.name}")
            below[row.name] = (deeper, await inside_of(scanning, deeper, depth - 1, most))
    return below


def tree_lines(found: Listing, inside: _Inside, most: int, level: int = 1) -> Iterator[str]:
    """A folder as text: the largest of it, each with what is below it."""
    whole = max(1, found.itself.size)
    rows, empty = words.parted(found)
    for row in rows[:most]:
        name = printable(row.name, 300) + _ENDS.get(row.kind, "")
        note = "  cannot be read" if row.failed else ""
        yield (
            f"{'  ' * level}{words.about(row):>8} {100 * row.size / whole:3.0f} %  "
            f"{printable(row.owner, 12):<12} {words.newest(row):>8}  {name}{note}"
        )
        if row.name in inside:
            yield from tree_lines(*inside[row.name], most, level + 1)
    rest = max(0, len(rows) - most) + found.more
    if rest > 0:
        left = sum(each.size for each in rows[most:]) + found.more_bytes
        yield f"{'  ' * level}{size(left):>8}        and {rest:,} more"
    if empty:
        names = ", ".join(printable(each.name, 40) for each in empty[:_NAMED])
        more = ", ..." if len(empty) > _NAMED else ""
        yield f"{'  ' * level}{size(0):>8}        and {len(empty):,} that hold nothing: {names}{more}"


_NAMED = 8
"""Names that a line of those that hold nothing has."""
_ENDS = {"folder": "/", "link": "@", "mount": "  (another file system)"}


def _tree_json(found: Listing, inside: _Inside) -> dict[str, Any]:
    rows = []
    for each in found.rows:
        row = _plain(each)
        if each.name in inside:
            row["rows"] = _tree_json(*inside[each.name])["rows"]
        rows.append(row)
    return {
        "path": found.path,
        "self": _plain(found.itself),
        "rows": rows,
        "more": found.more,
        "more_bytes": found.more_bytes,
    }


async def top(
    access: StandaloneAccess,
    rows: Sequence[None],
    *,
    host: str,
    path: str = "/",
    most: int = 20,
    by: str = "size",
    seconds: float = 30.0,
    all_mounts: bool = False,
    sudo: bool = False,
    json: bool = False,
) -> int:
    """`berth disk top HOST`; the exit code."""
    name, where = words.place(access.config, host)
    path = path if path != "/" else where
    _limits(seconds, most)
    found: Sequence[Entry | Owner]
    async with Scanning(await access.link(name), sudo=sudo, told=_progress) as scanning:
        path = await scanning.scan(path, seconds, cross=all_mounts)
        if by == "owner":
            found = (await scanning.side.owners(path))[:most]
        else:
            found = await scanning.side.top(path, most)
    _end_progress()
    scan = scanning.progress
    if json:
        _print_json(
            {"host": name, "path": path, "scan": _plain(scan), "rows": [_plain(each) for each in found]}
        )
        return 0
    _table(found, columns_of(by))
    _say(f"{name}:{path}  {words.sure(scan)}")
    _problems(name, scan)
    return 0


_TOP = (
    Col("SIZE", words.about, right=True),
    Col("FILES", lambda r: f"{r.files:,}" + ("+" if r.sampled else ""), right=True, rank=1),
    Col("OWNER", lambda r: r.owner, rank=1),
    Col("NEWEST", words.newest, right=True, rank=2),
    Col(
        "PATH", lambda r: r.name + ("/" if r.kind == "folder" and r.name != "/" else ""), flex=True, least=20
    ),
)
_OWNERS = (
    Col("OWNER", lambda r: r.owner),
    Col("SIZE", lambda r: size(r.bytes + r.guess) + ("~" if r.guess else ""), right=True),
    Col("MOST OF IT", lambda r: "  ".join(f"{path} {size(held)}" for path, held in r.holdings), flex=True),
)


def columns_of(by: str) -> Sequence[Col]:
    """The columns of `disk top`."""
    return _OWNERS if by == "owner" else _TOP


def _limits(seconds: float, most: int) -> None:
    if not 0.1 <= seconds <= 86400:
        raise UsageError("--for: seconds, 0.1 to 86400.")
    if not 1 <= most <= MOST_ROWS:
        raise UsageError(f"-n: 1 to {MOST_ROWS}.")


def _plain(found: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found)
    if isinstance(found, Entry):
        plain["estimate"] = found.size
        plain["sampled"] = found.sampled
    return plain


def _problems(host: str, scan: Progress) -> None:
    for line in words.unread(scan):
        _say(f"berth: {host}: {line}")


def _table(rows: Sequence[Any], columns: Sequence[Col]) -> None:
    if sys.stdout.isatty():
        width = shutil.get_terminal_size((_WIDTH, 24)).columns
        print(table(rows, columns, width, colour=_colour()), end="")
    else:
        print(lines(rows, columns), end="")


def _colour() -> bool:
    import os

    return not os.environ.get("NO_COLOR")


def _print_json(data: Any) -> None:
    """Names may hold bytes that are no text: they are written as JSON's escapes of half a pair."""
    print(json_.dumps(data))


_said = False


def _progress(found: Progress) -> None:
    """One line that is written over."""
    global _said  # noqa: PLW0603  # what stands on the terminal's last line
    if not sys.stderr.isatty():
        return
    text = f"{found.folders:,} folders, {found.files:,} files, {size(found.bytes)} in {found.seconds:.0f} s"
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    _said = True


def _end_progress() -> None:
    global _said  # noqa: PLW0603
    if _said:
        _said = False
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _say(text: str) -> None:
    _end_progress()
    print(printable(text, 2000), file=sys.stderr, flush=True)
