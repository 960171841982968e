"""Rows of images of all hosts -> one line per image: which hosts have it, and where they differ. Pure.

Also the same lines as a tree: what stands on what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from operator import is_

from msgspec import Struct
from msgspec.structs import replace

from backend.imagenames import whole
from backend.imagerows import DIGEST_LABEL, NO_RECIPES, RecipeBook
from backend.model import ImageRow

_WORST = ("building", "missing", "stale", "fresh", None)
NAMELESS = "<none>"
_STEP = 100
"""Rows or names that are dealt with in one step."""


class ImageLine(Struct, frozen=True, kw_only=True, gc=False):
    """An image under one of its names, on all hosts that have it; or a recipe that nobody has built."""

    name: str
    """`pytorch:2.4`, without what Podman puts in front; `<none>` for one without a name."""
    id: str
    """64 hexadecimal digits; empty where no host has it."""
    places: tuple[ImageRow, ...] = ()
    """One row per host, each called by this line's name."""
    differs: bool = False
    """Other hosts have another image under this name."""
    size: int | None = None
    created_at: datetime | None = None
    recipe: str | None = None
    state: str | None = None
    """The worst of its places."""
    reason: str = ""
    users: int = 0
    branch: str = ""
    """In a tree: what is drawn in front of it."""
    lacking: tuple[str, ...] = ()
    """In a tree: hosts that have no image of its recipe."""
    stale: bool = False
    """All its hosts are away."""

    @property
    def host(self) -> str:
        """Its host, where it is one."""
        return self.places[0].host if len(self.places) == 1 else ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """All that have it."""
        return tuple(each.host for each in self.places)

    @property
    def used_by(self) -> tuple[str, ...]:
        """`h1 container web`: who uses it, and where."""
        return tuple(f"{each.host} {user}" for each in self.places for user in each.used_by)


class Lines:
    """Makes lines of rows, and remembers the last ones: rows that are the same give the same lines.

    Ten thousand rows are sorted and joined only when others come or go; where rows just say something else,
    only the lines of their names are made again.
    """

    def __init__(self) -> None:
        self._rows: Sequence[ImageRow] = ()
        self._book: RecipeBook | None = None
        self._lines: list[ImageLine] = []
        self._by_name: dict[str, list[ImageLine]] = {}
        """In the order of `_lines`."""
        self._at: dict[str, list[int]] = {}
        """Name to the places of its rows."""
        self._tree: list[ImageLine] | None = None
        self._hosts: tuple[str, ...] = ()
        self.made = 0
        """How many lines were made so far."""

    def of(self, rows: Sequence[ImageRow], book: RecipeBook) -> list[ImageLine]:
        """By name; those of one name by age, the newest first; those without a name last."""
        for _ in self.making(rows, book):
            pass
        return self._lines

    def making(self, rows: Sequence[ImageRow], book: RecipeBook) -> Iterator[None]:
        """Have the lines ready for `of`, in steps for who has other things to do between."""
        if book is not self._book:
            self._book, self._tree = book, None
        changed = self._changed(rows)
        if changed is None:
            yield from self._make_all(rows)
        elif changed:
            self._make(rows, dict.fromkeys(name for row in changed for name in _names(row)))

    def _changed(self, rows: Sequence[ImageRow]) -> list[ImageRow] | None:
        """The rows that say something else; None: others came or went."""
        before = self._rows
        if len(rows) != len(before):
            return None
        pairs = [(old, new) for old, new in zip(before, rows, strict=True) if old is not new]
        same = all(old.id == new.id and old.host == new.host and old.tags == new.tags for old, new in pairs)
        return [new for _, new in pairs] if same else None

    def _make_all(self, rows: Sequence[ImageRow]) -> Iterator[None]:
        at: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            for name in _names(row):
                at.setdefault(name, []).append(place)
            if place % _STEP == 0:
                yield
        by_name: dict[str, list[ImageLine]] = {}
        for number, name in enumerate(sorted(at, key=_by_name)):
            by_name[name] = self._lines_of(name, [rows[place] for place in at[name]])
            if number % _STEP == 0:
                yield
        self._rows, self._at, self._by_name, self._tree = rows, at, by_name, None
        self._lines = list(chain.from_iterable(by_name.values()))

    def _make(self, rows: Sequence[ImageRow], names: Iterable[str]) -> None:
        for name in names:
            self._by_name[name] = self._lines_of(name, [rows[place] for place in self._at[name]])
        lines = list(chain.from_iterable(self._by_name.values()))
        if len(lines) != len(self._lines) or not all(map(is_, lines, self._lines)):
            self._tree = None
        self._rows, self._lines = rows, lines

    def _lines_of(self, name: str, rows: Sequence[ImageRow]) -> list[ImageLine]:
        """The lines of one name; what stayed as it was is what it was."""
        known = {line.id: line for line in self._by_name.get(name, ())}
        made = _lines(name, rows)
        self.made += len(made)
        return [line if (old := known.get(line.id)) is None or old != line else old for line in made]

    def tree(self, rows: Sequence[ImageRow], book: RecipeBook, hosts: Sequence[str] = ()) -> list[ImageLine]:
        """The same as a tree; `hosts`: all that told of their images."""
        found = self.of(rows, book)
        if self._tree is None or self._hosts != tuple(hosts):
            self._hosts = tuple(hosts)
            self._tree = tree(found, book, hosts)
        return self._tree

    @property
    def drawn(self) -> list[ImageLine] | None:
        """The tree that was made last; None before there was one, or after what it was made of changed."""
        return self._tree


def lines(rows: Iterable[ImageRow]) -> list[ImageLine]:
    """One line per image and name."""
    return Lines().of(tuple(rows), NO_RECIPES)


def _names(row: ImageRow) -> Iterable[str]:
    """The names of a row, each once: two tags may be one name."""
    if len(row.tags) == 1:
        return (whole(row.tags[0]),)
    return dict.fromkeys(map(whole, row.tags)) if row.tags else (NAMELESS,)


def _lines(name: str, rows: Iterable[ImageRow]) -> list[ImageLine]:
    """The lines of one name."""
    by_id: dict[str, list[ImageRow]] = {}
    for row in rows:
        at = by_id.setdefault(row.id, [])
        if not at or at[-1].host != row.host or name == NAMELESS:
            at.append(_called(row, name))
    differs = name != NAMELESS and _differ(by_id)
    made = [_line(name, known, at, differs) for known, at in by_id.items()]
    made.sort(key=_age)
    return made


def _called(row: ImageRow, name: str) -> ImageRow:
    """The row by the first of its tags that is this name."""
    if not row.tags:
        return row
    tag = row.tags[0] if len(row.tags) == 1 else next(tag for tag in row.tags if whole(tag) == name)
    return row if row.name == tag else replace(row, name=tag)


def _differ(by_id: dict[str, list[ImageRow]]) -> bool:
    """Whether hosts have other images under one name; two builds of the same recipe are not told apart."""
    known = [at[0] for image_id, at in by_id.items() if image_id]
    digests = {each.labels.get(DIGEST_LABEL, "") for each in known}
    return len(known) > 1 and (len(digests) > 1 or "" in digests)


def _by_name(name: str) -> tuple[bool, str]:
    return name == NAMELESS, name


def _age(line: ImageLine) -> float:
    return -line.created_at.timestamp() if line.created_at is not None else 0.0


def _line(name: str, image_id: str, at: list[ImageRow], differs: bool) -> ImageLine:
    worst = at[0] if len(at) == 1 else min(at, key=lambda row: _WORST.index(row.state))
    return ImageLine(
        name=name,
        id=image_id,
        places=tuple(at) if image_id else (),
        differs=differs,
        size=at[0].size,
        created_at=at[0].created_at,
        recipe=worst.recipe,
        state=worst.state,
        reason=worst.reason,
        users=sum(len(each.used_by) for each in at),
        stale=all(each.stale for each in at),
    )


def tree(found: Sequence[ImageLine], book: RecipeBook, hosts: Sequence[str] = ()) -> list[ImageLine]:
    """Lines in the order of the stack, each with the branch that leads to it; what has no recipe last.

    Here one name is one line, whatever image each host has under it.
    """
    by_recipe: dict[str, list[ImageLine]] = {}
    others: list[ImageLine] = []
    for line in _merged(found):
        known = line.recipe in book.recipes and line.name != NAMELESS if line.recipe else False
        if known:
            lacking = tuple(host for host in hosts if host not in line.hosts) if line.places else ()
            by_recipe.setdefault(line.recipe or "", []).append(replace(line, lacking=lacking))
        else:
            others.append(line)
    bases = {name: _base_lines(facts.base, others) for name, facts in book.recipes.items() if facts.base}
    children: dict[str, list[str]] = {}
    roots: list[str] = []
    for name, facts in book.recipes.items():
        if facts.base in book.recipes and facts.base != name:
            children.setdefault(facts.base, []).append(name)
        else:
            roots.append(name)
    grown = _Grown(by_recipe, children)
    under: dict[str, list[str]] = {}
    for name in roots:
        under.setdefault(whole(book.recipes[name].base) if bases.get(name) else "", []).append(name)
    used = {id(line) for name in roots for line in bases.get(name, ())}
    for base, names in under.items():
        if base:
            grown.out += bases[names[0]]
            grown.grow(names, "", top=False)
        else:
            grown.grow(names, "", top=True)
    grown.rest(book.recipes)
    return [*grown.out, *(line for line in others if id(line) not in used)]


def _merged(found: Sequence[ImageLine]) -> list[ImageLine]:
    """One line per name."""
    by_name: dict[tuple[str, str], list[ImageLine]] = {}
    for line in found:
        by_name.setdefault((line.name, line.id if line.name == NAMELESS else ""), []).append(line)
    return [each[0] if len(each) == 1 else _merge(each) for each in by_name.values()]


def _merge(found: Sequence[ImageLine]) -> ImageLine:
    places = sorted((place for line in found for place in line.places), key=lambda place: place.host)
    made = _line(found[0].name, found[0].id, places or list(found[0].places), found[0].differs)
    return replace(made, created_at=found[0].created_at, size=found[0].size)


def _base_lines(base: str, others: Sequence[ImageLine]) -> list[ImageLine]:
    """The images of hosts that a recipe names as its base."""
    wanted = whole(base)
    return [line for line in others if line.name == wanted]


class _Grown:
    """A tree while it is made."""

    def __init__(self, by_recipe: dict[str, list[ImageLine]], children: dict[str, list[str]]) -> None:
        self.out: list[ImageLine] = []
        self._by_recipe = by_recipe
        self._children = children
        self._done: set[str] = set()

    def grow(self, names: Sequence[str], front: str, *, top: bool) -> None:
        """These recipes and all that stands on them."""
        waiting = _branches(names, front, top=top)
        while waiting:
            name, branch, inner = waiting.pop()
            if name in self._done:  # a cycle, or two bases
                continue
            self._done.add(name)
            below = self._children.get(name, ())
            for number, line in enumerate(self._by_recipe.get(name, ())):
                go_on = inner + ("│  " if below else "   ")
                self.out.append(replace(line, branch=branch if number == 0 else go_on))
            waiting += _branches(below, inner, top=False)

    def rest(self, names: Iterable[str]) -> None:
        """Those that stand on each other in a circle: at the end, as they are."""
        for name in names:
            if name not in self._done:
                self._done.add(name)
                self.out += self._by_recipe.get(name, ())


def _branches(names: Sequence[str], front: str, *, top: bool) -> list[tuple[str, str, str]]:
    """Each name with its branch and what is drawn below it; the last one first, as a stack takes them."""
    if top:
        return [(name, front, front) for name in reversed(names)]
    return [
        (name, front + ("└─ " if last else "├─ "), front + ("   " if last else "│  "))
        for name, last in reversed([(name, place == len(names) - 1) for place, name in enumerate(names)])
    ]
