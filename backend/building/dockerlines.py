"""Which line of a Dockerfile a step is: builders name steps by their text, people look for lines."""

from __future__ import annotations

import re
from collections.abc import Mapping

from backend.building.model import Step
from backend.recipes.dockerfile import DockerfileError, parse

_SPACE = re.compile(r"\s+")


def lines(text: str) -> list[tuple[int, str]]:
    """Line and text of each instruction, `RUN make`; none where it cannot be parsed."""
    try:
        parsed = parse(text)
    except DockerfileError:
        return []
    return [(each.line, _plain(f"{each.name} {each.text}")) for each in parsed.instructions]


def line_of(step: Step, instructions: list[tuple[int, str]]) -> int:
    """The line where a step's instruction begins; 0 where none, or several, could be meant.

    Variables may be filled in by the builder: then the words before the first one decide.
    """
    wanted = _plain(step.text)
    same = [line for line, text in instructions if text == wanted]
    if not same:
        same = [
            line
            for line, text in instructions
            if "$" in text and len(head := text.partition("$")[0]) > len("COPY ") and wanted.startswith(head)
        ]
    return same[0] if len(same) == 1 else 0


def with_labels(text: str, labels: Mapping[str, str]) -> str | None:
    """The Dockerfile with labels as its last instruction; None where that could mean something else.

    The classic builder makes a layer of each label it is given beside the Dockerfile.
    """
    try:
        parsed = parse(text)
    except DockerfileError:
        return None
    if parsed.escape != "\\" or not labels:
        return None
    words = " ".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(labels.items()))
    return f"{text.rstrip()}\nLABEL {words}\n"


def _quoted(text: str) -> str:
    return '"' + re.sub(r'([\\"$])', r"\\\1", text.replace("\n", " ")) + '"'


def _plain(text: str) -> str:
    name, _, rest = text.strip().partition(" ")
    return _SPACE.sub(" ", f"{name.upper()} {rest}").strip().rstrip("…")
