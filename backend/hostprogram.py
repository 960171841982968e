"""Programs of ours for hosts, besides the agent: some modules sent as one text, and put on no disk there."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING

from backend.errors import Unreachable

if TYPE_CHECKING:
    from backend.link import Link, LinkProcess

_ONE_LINER = 'exec(__import__("zlib").decompress(__import__("sys").stdin.buffer.read({})))'
_FUTURE = "from __future__ import annotations"


def joined(package: str, modules: Sequence[str]) -> bytes:
    """Modules of a package as one compressed text, in the order in which they build on each other.

    What they import of each other is left out: all their names are in one place, and have to differ.
    """
    folder = resources.files(package)
    ours = re.compile(
        rf"^(?:from __future__ .*|from {re.escape(package)}\S* import (?:\([^)]*\)|.*))$", re.MULTILINE
    )
    texts = [ours.sub("", folder.joinpath(f"{name}.py").read_text("utf-8")) for name in modules]
    return zlib.compress("\n".join([_FUTURE, *texts]).encode())


async def start(
    link: Link, code: bytes, words: Sequence[str] = (), *, front: Sequence[str] = ()
) -> LinkProcess:
    """Run such a text on a host. `words`: its arguments; `front`: what comes before python3.

    One that ended at once (sudo refuses) is given all the same: what it said is in its `stderr`.
    Raises `ActionFailed` where there is no python3, `Unreachable`. A cancel leaves nothing there.
    """
    from backend.shipping import find_python

    for attempt in range(2):
        python = "python3" if attempt == 0 else await find_python(link)
        process = await link.start([*front, python, "-I", "-S", "-c", _ONE_LINER.format(len(code)), *words])
        begun = False
        try:
            await process.write(code)
            begun = True
            return process
        except Unreachable:
            ended = await process.wait()
            if ended > 0 and ended not in (126, 127):
                begun = True
                return process
            if ended <= 0 or attempt:
                raise
        finally:
            if not begun:
                await process.close()
    raise AssertionError("one of the two returns or raises")
