"""A YAML file as a tree in which every value knows its line.

Built from libyaml's events rather than with PyYAML's own composer: that one calls itself once per level
(a file of brackets ends the process), and it turns `no` into false and `22:22` into 1342, where a nick or a
port was meant. Here a scalar stays the text that was written; what it means is decided where it is read.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backend.errors import ConfigError

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1_000_000
_USUAL = 1 << 15
MAX_DEPTH = 20
MAX_NODES = 200_000

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STANDARD = "tag:yaml.org,2002:"
_KINDS = ("str", "int", "float", "bool", "null", "seq", "map", "timestamp")
_TAGS = frozenset({"!", *(_STANDARD + kind for kind in _KINDS)})


class Node(Struct):
    """A scalar, a list or a mapping."""

    line: int
    """From 1."""
    text: str | None = None
    """A scalar as it is written, None for the others."""
    null: bool = False
    """Nothing is written there: `key:`, `~` or `null`."""
    items: list[Node] | None = None
    """A list."""
    pairs: list[tuple[Node, Node]] | None = None
    """A mapping, in order, with whatever keys stand there twice."""

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        if self.items is not None:
            return "a list"
        if self.pairs is not None:
            return "a mapping"
        return "nothing" if self.null else "text"

    def scalar(self, text: str) -> Node:
        """A part of this scalar, at the same place."""
        return Node(self.line, text)


def read_tree(path: Path) -> Node | None:
    """The root of the YAML document in `path`; None when the file is missing or holds nothing.

    Raises `ConfigError` for everything that keeps it from being one readable YAML document.
    """
    data = _read(path)
    if data is None:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text.", hint="Save the file as UTF-8.") from None
    return _Builder(path, text).build()


def _read(path: Path) -> bytes | None:
    """The file's bytes, None when there is no such file."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a named pipe would keep us waiting for somebody to write
            what = "a folder" if stat.S_ISDIR(mode) else "not a file"
            raise ConfigError(f"{path}: this is {what}; a YAML file is expected here.")
        with path.open("rb") as file:
            data = file.read(_USUAL)
            if len(data) == _USUAL:  # room for the largest would cost more than reading the usual
                data += file.read(MAX_BYTES + 1 - _USUAL)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}.") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB, this is no configuration.")
    return data


class _Builder:
    """Events to nodes, without recursion."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.root: Node | None = None
        self.open: list[Node] = []
        """Lists and mappings that are not closed yet, the innermost last."""
        self.keys: list[Node | None] = []
        """Beside `open`: the key of a mapping that waits for its value."""
        self.anchors: dict[str, Node] = {}
        self.count = 0

    def build(self) -> Node | None:
        import yaml

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = 0
        try:
            for event in yaml.parse(self.text, Loader=loader):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1 and event.start_mark:
                        raise self.fail(
                            event.start_mark.line, "a second document starts here.", "Remove `---`."
                        )
                elif isinstance(event, yaml.NodeEvent):
                    self.node(event)
                elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                    self.open.pop()
                    self.keys.pop()
        except yaml.YAMLError as error:
            raise self.translate(error) from None
        return None if self.root is None or self.root.null else self.root

    def node(self, event: Any) -> None:
        """Place one event's node where it belongs."""
        import yaml

        line = event.start_mark.line
        if isinstance(event, yaml.AliasEvent):
            found = self.anchors.get(str(event.anchor))
            if found is None:
                raise self.fail(line, f"no anchor is called &{event.anchor} above.")
            if any(found is outer for outer in self.open):
                raise self.fail(line, f"*{event.anchor} stands inside itself.")
            self.place(found)
            return
        node = Node(line + 1)
        self.count += 1
        if self.count > MAX_NODES:
            raise self.fail(line, f"more than {MAX_NODES} values, this is no configuration.")
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _TAGS:
            raise self.fail(line, f"the tag {tag!r} is not used here.", "Remove it.")
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self.place(node)
        if isinstance(event, yaml.ScalarEvent):
            node.text = event.value
            plain = tag is None and event.implicit[0]
            node.null = (plain and event.value in _NULLS) or tag == f"{_STANDARD}null"
            return
        if len(self.open) >= MAX_DEPTH:
            raise self.fail(line, "nested too deeply, this is no configuration.")
        if isinstance(event, yaml.SequenceStartEvent):
            node.items = []
        else:
            node.pairs = []
        self.open.append(node)
        self.keys.append(None)

    def place(self, node: Node) -> None:
        if not self.open:
            self.root = node
            return
        outer = self.open[-1]
        if outer.items is not None:
            outer.items.append(node)
        elif outer.pairs is not None:
            key = self.keys[-1]
            if key is None:
                self.keys[-1] = node
            else:
                outer.pairs.append((key, node))
                self.keys[-1] = None

    def fail(self, line: int, message: str, hint: str = "") -> ConfigError:
        """`line` counts from 0, as YAML's marks do."""
        return ConfigError(f"{self.path}:{line + 1}: {message}", hint=hint)

    def translate(self, error: yaml.YAMLError) -> ConfigError:
        """What libyaml says, with the place, and in our words where its own mislead."""
        position = getattr(error, "position", None)
        if position is not None:  # of a character, in bytes: libyaml reads UTF-8
            row = self.text.encode()[:position].count(b"\n")
            return self.fail(row, f"not valid YAML: {getattr(error, 'reason', 'unreadable character')}.")
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        if mark is None:
            return ConfigError(f"{self.path}: not valid YAML: {problem}.")
        lines = self.text.split("\n")
        line = lines[mark.line] if mark.line < len(lines) else ""
        if "\t" in line[: mark.column + 1] or " tab " in problem:
            return self.fail(mark.line, "a tab stands where YAML wants spaces.", "Indent with spaces.")
        started = getattr(error, "context_mark", None)
        since = f" (started in line {started.line + 1})" if started and started.line != mark.line else ""
        hint = ""
        if "mapping values are not allowed" in problem:
            hint = "Put text that holds a colon in quotes, and check the indentation."
        return ConfigError(
            f"{self.path}:{mark.line + 1}: not valid YAML at column {mark.column + 1}: {problem}{since}.",
            hint=hint,
        )
