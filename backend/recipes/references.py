"""The Dockerfile of a recipe with its arguments filled in and its references to other recipes resolved."""

from __future__ import annotations

from collections.abc import Mapping

from backend.errors import ConfigError
from backend.recipes import naming, stages
from backend.recipes.dockerfile import DockerfileError, Word, parse
from backend.recipes.draft import WORKSPACE_BASE
from backend.recipes.model import Dependency, Kind, Origin, Recipe, Rendered
from backend.recipes.origins import arg_place, place_of
from backend.recipes.stages import Layout, Use


class References:
    """The Dockerfile with its references resolved."""

    def __init__(
        self, recipe: Recipe, text: str, parents: Mapping[str, Rendered], base_override: str
    ) -> None:
        self.recipe = recipe
        self.text = text
        self.values = dict(recipe.config.args)
        self.origins: list[Origin] = [
            Origin(what=f"arg {name}", value=value, source=arg_place(recipe, name))
            for name, value in self.values.items()
        ]
        try:
            self.file = parse(text)
            self.variable = stages.base_variable(self.file, recipe.config.target)
            self._set_base(base_override)
            self.layout: Layout = stages.layout(
                self.file, self.values, target=recipe.config.target, platform=recipe.config.platform
            )
        except DockerfileError as error:
            where = f"{recipe.file or recipe.folder}:{error.line}:{error.column}"
            raise ConfigError(f"{where}: {error.text}", hint=error.hint) from None
        self.used: list[tuple[Dependency | None, str]] = []
        self.changes: list[tuple[Word, str]] = []
        """Names in the text to replace."""
        self.base = ""
        for index, use in enumerate(self.layout.uses):
            is_base = index == self.layout.base
            self._use(use, is_base, parents, base_override if is_base else "")

    def _set_base(self, base_override: str) -> None:
        named = base_override or self.recipe.config.base
        if not named and self.recipe.kind is Kind.WORKSPACE:
            named = WORKSPACE_BASE
        if self.variable and named:
            self.values[self.variable] = named

    def _use(self, use: Use, is_base: bool, parents: Mapping[str, Rendered], override: str) -> None:
        """One image: what it is called, and where the text has to say so."""
        dependency = self._dependency(use)
        image = use.image
        if override:
            dependency, image = None, override
        elif dependency is not None and dependency.recipe:
            made = parents.get(dependency.recipe)
            image = made.tags[0] if made else dependency.image
        if not image:
            why = stages.why_no_base(use, self.layout)
            where = f"{self.recipe.file}:{use.word.line}:{use.word.column}"
            raise ConfigError(
                f"{where}: its base is not known: {why}", hint="Say `base:` in berth.yaml, or --base."
            )
        if problem := naming.problem(image):
            raise ConfigError(f"{image!r:.100} {problem}", hint=f"Possible is: {naming.proposed(image)}")
        if image != use.image:
            if use.variable:
                self.values[use.variable] = image
            else:
                self.changes.append((use.word, image))
        self.used.append((dependency, image))
        if is_base:
            self.base = image
            self.origins.insert(
                0, Origin(what="base", value=image, source=self._base_place(use, dependency, override))
            )

    def _dependency(self, use: Use) -> Dependency | None:
        for each in self.recipe.dependencies:
            if (each.how, each.stage, each.written) == (use.how, use.stage, use.image):
                return each
        return None

    def _base_place(self, use: Use, dependency: Dependency | None, override: str) -> str:
        if override:
            return "command line"
        if dependency is not None and dependency.recipe:
            return f"recipe {dependency.recipe}, named in {dependency.file}:{dependency.line}"
        if self.recipe.config.base:
            found = place_of(self.recipe, "base")
            return "command line" if found == "default" else found
        if self.recipe.kind is Kind.WORKSPACE:
            return "default"
        return f"{self.recipe.file}:{use.word.line}"

    def args(self, owner: tuple[int, int]) -> dict[str, str]:
        """Build arguments, those alone that the Dockerfile takes."""
        values = dict(self.values)
        ports = self.recipe.config.ports
        if "port" in self.layout.declared and "port" not in values and ports:
            values["port"] = ports[0].partition("/")[0]
            self.origins.append(
                Origin(what="arg port", value=values["port"], source=place_of(self.recipe, "ports"))
            )
        if self.recipe.kind is Kind.WORKSPACE:
            values["BERTH_UID"], values["BERTH_GID"] = map(str, owner)
        return {name: value for name, value in values.items() if name in self.layout.declared}

    def rewritten(self) -> str:
        """The text with the names of local images in it."""
        text = self.text
        for word, image in sorted(self.changes, key=lambda change: change[0].start, reverse=True):
            if not word.whole:
                where = f"{self.recipe.file}:{word.line}:{word.column}"
                raise ConfigError(
                    f"{where}: the name of a local base is cut by a line end.", hint="Write it on one line."
                )
            text = text[: word.start] + image + text[word.end :]
        return text
