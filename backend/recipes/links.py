"""Which image is whose: names of all recipes, and the references between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from backend.recipes import naming, stages
from backend.recipes.draft import Draft
from backend.recipes.model import Dependency, Kind, Problem, Recipe
from backend.recipes.stages import Use

_LONGEST_CHAIN = 100
_REFERABLE = frozenset({Kind.DOCKERFILE, Kind.STACK, Kind.CLUSTER})
"""Kinds whose recipes can be named alone, `FROM ssh`. Workspaces and projects are not meant as bases: one
that is called `python` must not stand for the image of that name."""


class Linker:
    """Looks up references among drafts."""

    def __init__(
        self,
        drafts: list[Draft],
        links: Iterable[tuple[Path, Path]],
        folders: frozenset[str],
        maintainer: str,
    ) -> None:
        self.maintainer = maintainer
        self.folders = folders
        self.problems: list[Problem] = []
        self.drafts: dict[str, Draft] = {}
        self.short: dict[str, list[Draft]] = {}
        """Folder's name to those that have it, first root first."""
        for draft in drafts:
            self._add(draft)
        self.aliases: dict[str, tuple[str, ...]] = {}
        self._link(links)
        self._images: dict[str, tuple[str, ...]] = {}
        self._busy: list[str] = []
        """Recipes whose names are being found out, each for the one before it."""
        self.pinned: dict[str, Draft] = {}
        """Recipe to the one that it stands on, whatever that one's image is called by now."""
        self.fixed: dict[str, Draft] = {}
        """Images whose names do not depend on a base, to their drafts."""
        for draft in self.drafts.values():
            if draft.kind in _REFERABLE and (draft.kind is not Kind.STACK or "/" in draft.config.name):
                for image in self.images(draft):
                    self.fixed.setdefault(naming.with_tag(image), draft)

    def _add(self, draft: Draft) -> None:
        """Names are unique: a folder whose name is taken is called by more of its path."""
        same = self.short.setdefault(draft.found.name, [])
        same.append(draft)
        if draft.name in self.drafts:
            root = draft.found.root
            inside = draft.found.folder.relative_to(root).as_posix()
            draft.name = inside if inside not in self.drafts and "/" in inside else f"{root.name}/{inside}"
            while draft.name in self.drafts:
                draft.name += "'"
            draft.problems = [_renamed(problem, draft.name) for problem in draft.problems]
        self.drafts[draft.name] = draft

    def _link(self, links: Iterable[tuple[Path, Path]]) -> None:
        """A link that leads to a recipe is another name of it."""
        by_folder = {draft.found.folder.resolve(): draft for draft in self.drafts.values()} if links else {}
        for link, target in links:
            draft = by_folder.get(target)
            if draft is not None and link.name not in self.short:
                self.aliases[draft.name] = (*self.aliases.get(draft.name, ()), link.name)
                self.short[link.name] = [draft]

    def named(self, text: str, near: Draft) -> Draft | None:
        """The recipe of that name, that of the same root first."""
        same = [each for each in self.short.get(text, ()) if each.kind in _REFERABLE]
        exact = self.drafts.get(text)
        if exact is not None and exact.kind in _REFERABLE:
            same.append(exact)
        return next((each for each in same if each.found.root == near.found.root), same[0] if same else None)

    def resolve(self, reference: str, near: Draft) -> Draft | None:
        """The recipe that yields this image; None where a registry has to have it."""
        if naming.has_registry(reference):
            return None
        text = naming.bare(reference)
        name, tag, digest = naming.split(text)
        if digest:
            return None
        found = self.named(text, near) or (self.named(name, near) if tag == "latest" else None)
        if found is not None:
            return found
        if (fixed := self.fixed.get(naming.with_tag(text))) is not None:
            return fixed
        last = name.rpartition("/")[2]
        at = last.find("_")
        while at >= 0:  # each of the layers that a name of a stack may end in
            for draft in self.short.get(last[at + 1 :], ()):
                if draft.kind is Kind.STACK and naming.with_tag(text) in map(
                    naming.with_tag, self.images(draft)
                ):
                    return draft
            at = last.find("_", at + 1)
        return None

    def images(self, draft: Draft) -> tuple[str, ...]:
        """References that the recipe yields; none where its base is not known."""
        if draft.name not in self._images:
            if draft.name in self._busy or len(self._busy) > _LONGEST_CHAIN:
                return ()
            self._busy.append(draft.name)
            try:
                names = self._named(draft)
            finally:
                self._busy.pop()
            self._images[draft.name] = self._checked(draft, names)
        return self._images[draft.name]

    def _named(self, draft: Draft) -> list[str]:
        config = draft.config
        tags = config.tags or ("latest",)
        layer = draft.found.name
        if draft.kind is Kind.RP:
            return [draft.tag] if draft.tag else []
        if draft.kind is Kind.CLUSTER and not config.name:
            own = [layer] if ":" in layer else [f"{layer}:{tag}" for tag in tags]
            return own + [naming.with_tag(alias) for alias in self.aliases.get(draft.name, ())]
        if draft.kind is Kind.STACK and "/" not in config.name:
            name = self._stacked(draft)
        else:
            plain = f"workspace/{layer}" if draft.kind is Kind.WORKSPACE else layer
            name = config.name or plain
        return [f"{name}:{tag}" for tag in tags] if name else []

    def _stacked(self, draft: Draft) -> str:
        """By the rule of stacks; empty where the base has no name."""
        front = draft.config.maintainer or self.maintainer
        if draft.config.name:
            return f"{front}/{draft.config.name}_{draft.found.name}"
        use = draft.base
        if use is None or not use.image or naming.problem(use.image):
            return f"{front}/scratch_{draft.found.name}" if draft.layout and use is None else ""
        parent = self.parent(draft, use)
        if parent is None:
            return f"{front}/{naming.of_layer(use.image, draft.found.name, local=False)}"
        images = self.images(parent)
        return f"{front}/{naming.of_layer(images[0], draft.found.name, local=True)}" if images else ""

    def _checked(self, draft: Draft, names: list[str]) -> tuple[str, ...]:
        """Without names that no engine takes: each of those is a problem."""
        good = []
        for name in names:
            if why := naming.problem(name):
                draft.problem(
                    f"its image would be called {name!r:.140}, which {why}",
                    f"Say another in berth.yaml: `name: {naming.split(naming.proposed(name))[0]}`.",
                )
            else:
                good.append(name)
        return tuple(good)

    def dependencies(self, draft: Draft) -> tuple[Dependency, ...]:
        """The images it needs."""
        uses = draft.layout.uses if draft.layout else ()
        return tuple(made for use in uses if (made := self._dependency(draft, use)) is not None)

    def rebase(self, base: str) -> None:
        """Put stacks and workspaces that stand on an image of a registry on this one instead."""
        stands = (Kind.STACK, Kind.WORKSPACE)
        movable = [draft for draft in self.drafts.values() if draft.kind in stands and draft.variable]
        for draft in movable:  # first all: with their bases their names change
            if (use := draft.base) is not None and (parent := self.resolve(use.image, draft)) is not None:
                self.pinned[draft.name] = parent
        self._images.clear()
        for draft in movable:
            if draft.name not in self.pinned:
                draft.config = replace(draft.config, base=base, said=(*draft.config.said, "base"))
                draft.read_stages()

    def parent(self, draft: Draft, use: Use) -> Draft | None:
        """The recipe that yields what is used."""
        if use is draft.base and draft.name in self.pinned:
            return self.pinned[draft.name]
        return self.resolve(use.image, draft) if use.image else None

    def _dependency(self, draft: Draft, use: Use) -> Dependency | None:
        """None for a name that cannot be one; what is wrong with it is noted."""
        if not use.image:
            why = stages.why_no_base(use, draft.layout) if draft.layout else ""
            hint = (
                "Say `base:` in berth.yaml, or --base."
                if use.variable
                else "Give it a default: ARG NAME=value"
            )
            draft.problem(f"its base is not known: {why}", hint, word=use.word)
            return None
        where = None if use.image == draft.config.base else use.word
        key = "base" if where is None else ""
        text, hint = stages.reference_problem(use)
        parent = self.parent(draft, use)
        if text and parent is None:
            draft.problem(text, hint, word=where, key=key)
            return None
        if parent is None and (missing := self._missing(use.image, draft)):
            draft.problem(*missing, word=where, key=key)
        images = self.images(parent) if parent is not None else ()
        return Dependency(
            recipe=parent.name if parent else "",
            image=images[0] if images else use.image,
            written=use.image,
            how=use.how,
            stage=use.stage,
            file=draft.config.file if where is None and draft.config.file else draft.place,
            line=draft.config.lines.get("base", 0) if where is None else use.word.line,
            column=0 if where is None else use.word.column,
        )

    def _missing(self, image: str, draft: Draft) -> tuple[str, str] | None:
        """What to say of an image that only a recipe could yield, and none does."""
        if naming.is_local(image):
            return f"{image} is local, and no recipe yields it.", self._there(draft)
        if draft.kind not in (Kind.CLUSTER, Kind.STACK) or "/" in image or "@" in image:
            return None
        name, tag, _ = naming.split(image)
        folder = draft.found.folder.parent
        for place in (folder / image, folder.parent / image, folder.parent / "projects" / image):
            if str(place) in self.folders:
                return (
                    f"{image} is a folder beside it without a Dockerfile.",
                    f"Write {place / 'Dockerfile'}.",
                )
        near = [each for each in self.short if tag and each.startswith(f"{name}:")]
        if draft.kind is Kind.CLUSTER and near:
            return f"no project is called {image}.", f"There are: {', '.join(sorted(near)[:10])}."
        return None

    def _there(self, draft: Draft) -> str:
        near = [each.name for each in self.drafts.values() if each.kind in _REFERABLE and each is not draft]
        return f"Recipes: {', '.join(near[:10])}." if near else "There are no other recipes."

    def check(self, recipes: Mapping[str, Recipe]) -> None:
        """What is wrong between recipes: cycles, and images that two of them yield."""
        for cycle in _cycles(recipes):
            way = ", ".join(
                f"{one} stands on {two}" for one, two in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
            )
            for at, name in enumerate(cycle):
                following = cycle[(at + 1) % len(cycle)]
                used = next(each for each in recipes[name].dependencies if each.recipe == following)
                hint = "Name another base in one of them."
                if len(cycle) == 1:
                    hint = f"For the image of a registry write docker.io/library/{used.written}."
                self.drafts[name].problems.append(
                    Problem(
                        file=used.file,
                        line=used.line,
                        column=used.column,
                        text=f"a cycle: {way}.",
                        hint=hint,
                        recipe=name,
                    )
                )
        owners: dict[str, str] = {}
        for recipe in recipes.values():
            for image in recipe.images:
                owner = owners.setdefault(naming.with_tag(image), recipe.name)
                if owner != recipe.name:
                    draft = self.drafts[recipe.name]
                    text = f"its image {image} is that of {recipes[owner].folder} too."
                    draft.problem(text, "Give one of them a `name:` in berth.yaml.")


def _renamed(problem: Problem, name: str) -> Problem:
    return replace(problem, recipe=name)


def _cycles(recipes: Mapping[str, Recipe]) -> list[list[str]]:
    """Recipes that stand on themselves, each cycle once. Without recursion: chains may be long."""
    needs = {
        name: [each.recipe for each in recipe.dependencies if each.recipe] for name, recipe in recipes.items()
    }
    state: dict[str, int] = {}  # 1: on the way, 2: done
    found: list[list[str]] = []
    for start, first in needs.items():
        way: list[str] = []
        stack = [(start, iter(first))] if start not in state else []
        while stack:
            name, rest = stack[-1]
            if state.get(name) is None:
                state[name] = 1
                way.append(name)
            following = next(rest, None)
            if following is None:
                state[name] = 2
                way.pop()
                stack.pop()
            elif state.get(following) == 1:
                found.append(way[way.index(following) :])
            elif following not in state:
                stack.append((following, iter(needs[following])))
    return found
