"""rsync's patterns, as `man rsync` has them under FILTER RULES, on names that are bytes."""

from __future__ import annotations

import re

CLASSES = {
    b"alnum": b"0-9A-Za-z",
    b"alpha": b"A-Za-z",
    b"blank": b" \t",
    b"cntrl": b"\x00-\x1f\x7f",
    b"digit": b"0-9",
    b"graph": b"!-~",
    b"lower": b"a-z",
    b"print": b" -~",
    b"punct": b"!-/:-@\\[-`{-~",
    b"space": b" \t\n\r\f\v",
    b"upper": b"A-Z",
    b"xdigit": b"0-9A-Fa-f",
}


class Pattern:
    """One pattern: whether it matches a path below the root of its rule."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.folders = len(text) > 1 and text.endswith(b"/")
        """Matches folders alone."""
        body = text[:-1] if self.folders else text
        wild = re.search(rb"[*?\[]", body) is not None
        double = wild and b"**" in body
        self.whole = double or b"/" in body
        """Looks at the path; else at the name."""
        self.slash = double and body.startswith(b"**")
        """Looks at the path with a slash before it: `**/x` means x at the top too."""
        self.below = double and body.endswith(b"***")
        """Looks at a folder as `name/`: `x/***` means x and all below it."""
        anchored = body.startswith(b"/")
        inner = body[1:] if anchored else body
        core = translated(inner) if wild else re.escape(inner)
        if self.whole and not anchored and not self.slash:
            core = b"(?:.*/)?" + core
        self.match = re.compile(b"(?s)" + core + rb"\Z").match

    def matches(self, path: bytes, name: bytes, folder: bool) -> bool:
        """Whether it matches a file or folder."""
        if self.folders and not folder:
            return False
        if not self.whole:
            return self.match(name) is not None
        if self.slash:
            path = b"/" + path
        if self.below and folder:
            path += b"/"
        return self.match(path) is not None


def translated(glob: bytes) -> bytes:
    """A pattern with wildcards as a regular expression."""
    out = []
    at = 0
    while at < len(glob):
        char = glob[at : at + 1]
        at += 1
        if char == b"*":
            stars = 1
            while glob[at : at + 1] == b"*":
                stars += 1
                at += 1
            out.append(b".*" if stars > 1 else b"[^/]*")
        elif char == b"?":
            out.append(b"[^/]")
        elif char == b"\\" and at < len(glob):
            out.append(re.escape(glob[at : at + 1]))
            at += 1
        elif char == b"[":
            text, at = _bracket(glob, at)
            out.append(text)
        else:
            out.append(re.escape(char))
    return b"".join(out)


def _bracket(glob: bytes, at: int) -> tuple[bytes, int]:
    """`[...]` from behind its bracket: its expression, and where it ends. Without an end it never matches."""
    negated = glob[at : at + 1] in (b"!", b"^")
    at += negated
    parts = []
    first = True
    while True:
        char = glob[at : at + 1]
        if not char:
            return b"(?!)", len(glob)
        at += 1
        if char == b"]" and not first:
            break
        first = False
        if char == b"[" and glob[at : at + 1] == b":" and b":]" in glob[at:]:
            end = glob.index(b":]", at)
            parts.append(CLASSES.get(glob[at + 1 : end], b""))
            at = end + 2
            continue
        if char == b"\\" and at < len(glob):
            char = glob[at : at + 1]
            at += 1
        if glob[at : at + 1] == b"-" and glob[at + 1 : at + 2] not in (b"", b"]"):
            last = glob[at + 1 : at + 2]
            at += 2
            if last == b"\\" and at < len(glob):
                last = glob[at : at + 1]
                at += 1
            if char <= last:
                parts.append(re.escape(char) + b"-" + re.escape(last))
            continue
        parts.append(re.escape(char))
    inner = b"".join(parts)
    if not inner:
        return (b"[^/]" if negated else b"(?!)"), at
    return (b"[^/" + inner + b"]" if negated else b"(?!/)[" + inner + b"]"), at
