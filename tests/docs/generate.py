"""Writes what follows from the code: docs/keys.md, docs/berth.1, the tables of docs/json.md.

    python -m tests.docs.generate            write what has changed
    python -m tests.docs.generate --check    say what is not current, and fail

What stands between `<!-- begin NAME -->` and `<!-- end -->` of a page is written anew; the rest is people's.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from tests.docs import fields, keys

HERE = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"(<!-- begin (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def generated() -> dict[Path, str]:
    """Each file as it ought to be."""
    from backend.arguments import parser
    from backend.manpage import roff

    return {
        HERE / "berth.1": roff(parser()),
        HERE / "keys.md": _filled(HERE / "keys.md", keys.block),
        HERE / "json.md": _filled(HERE / "json.md", fields.block),
    }


def _filled(page: Path, block: Callable[[str], str]) -> str:
    """The page with its blocks written anew; `block` makes the text of one by its name."""
    return _BLOCK.sub(lambda found: f"{found[1]}{block(found[2])}\n{found[3]}", page.read_text("utf-8"))


def main() -> int:
    """Write, or check; the exit code."""
    stale = [
        path for path, text in generated().items() if not path.exists() or path.read_text("utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"docs/{path.name} is not what the code says now: make docs", file=sys.stderr)
        return 1 if stale else 0
    found = generated()
    for path in stale:
        path.write_text(found[path], "utf-8")
        print(f"wrote docs/{path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
