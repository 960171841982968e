"""A recipe while it is read: its own files alone, before it is known what the others are called."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from backend.errors import BerthError, ConfigError
from backend.recipes import berthfile, stages, variables
from backend.recipes.dockerfile import LIMIT, Dockerfile, DockerfileError, Word, parse
from backend.recipes.model import Kind, Overrides, Problem, RecipeConfig
from backend.recipes.scan import Found
from backend.recipes.stages import Layout, Use

WORKSPACE_BASE = "ubuntu:22.04"
"""What a workspace stands on that names no base."""
_USUAL = frozenset({"baseimage", "base_image", "base"})
"""Arguments that make a Dockerfile a layer of a stack even where they have a default."""
_PIECE = 1 << 16


class Draft(Struct):
    """What its files say."""

    found: Found
    name: str
    kind: Kind
    config: RecipeConfig
    dockerfile: Dockerfile | None = None
    variable: str = ""
    """The argument that gives its base; empty: FROM names it."""
    layout: Layout | None = None
    problems: list[Problem] = []
    tag: str = ""
    """Of an rp project: its image's name."""

    @property
    def place(self) -> Path:
        """The file to name in messages."""
        return self.found.file or self.config.file or self.found.folder

    @property
    def base(self) -> Use | None:
        """What its target stage stands on."""
        return None if self.layout is None or self.layout.base < 0 else self.layout.uses[self.layout.base]

    def problem(self, text: str, hint: str = "", *, word: Word | None = None, key: str = "") -> None:
        """Note what is wrong: at a word of the Dockerfile, or at a key of berth.yaml."""
        file, line, column = self.place, word.line if word else 0, word.column if word else 0
        if key in self.config.lines and self.config.file is not None:
            file, line, column = self.config.file, self.config.lines[key], 0
            text = f"{key}: {text}"
        self.problems.append(
            Problem(file=file, line=line, column=column, text=text, hint=hint, recipe=self.name)
        )

    def read_stages(self, base: str = "") -> None:
        """Fill in the arguments. `base`: instead of the one that its files name."""
        if self.dockerfile is None:
            return
        values = dict(self.config.args)
        if self.variable and (named := base or self.config.base):
            values[self.variable] = named
        try:
            self.layout = stages.layout(
                self.dockerfile, values, target=self.config.target, platform=self.config.platform
            )
        except DockerfileError as error:
            self.failed(error)

    def failed(self, error: DockerfileError) -> None:
        """Note what keeps the Dockerfile from being read."""
        self.problems.append(
            Problem(
                file=self.place,
                line=error.line,
                column=error.column,
                text=error.text,
                hint=error.hint,
                recipe=self.name,
            )
        )


def read(found: Found, overrides: Overrides) -> Draft:
    """Read a recipe's files; what is wrong with them is noted in it."""
    draft = Draft(found=found, name=found.name, kind=found.kind, config=RecipeConfig(), problems=[])
    if found.berthfile is not None:
        try:
            draft.config = berthfile.read(found.berthfile)
        except ConfigError as error:
            draft.problems.append(problem_of(error, found.berthfile, found.name))
    if found.twin is not None:
        draft.problem(f"{found.twin} is a second one.", "Keep one of the two.", key="")
    draft.config = _overridden(draft.config, overrides, found)
    if found.kind is Kind.RP:
        _read_rp(draft)
    if found.kind is not Kind.WORKSPACE:
        _read_dockerfile(draft)
    else:
        _read_workspace(draft)
    return draft


def problem_of(error: BerthError, file: Path, recipe: str) -> Problem:
    """The error of a configuration file, with its place taken apart."""
    match = re.match(rf"{re.escape(str(file))}(?::(\d+))?(?::(\d+))?: (.*)", error.message, re.DOTALL)
    if match is None:
        return Problem(file=file, text=error.message, hint=error.hint, recipe=recipe)
    line, column = int(match[1] or 0), int(match[2] or 0)
    return Problem(file=file, line=line, column=column, text=match[3], hint=error.hint, recipe=recipe)


def _overridden(config: RecipeConfig, over: Overrides, found: Found) -> RecipeConfig:
    """The recipe's own file, and what the command line says instead."""
    said = [f"arg {name}" for name in over.args]
    changes: dict[str, Any] = {"args": {**config.args, **over.args}} if over.args else {}
    if over.maintainer:
        changes["maintainer"] = over.maintainer
    if not over.targets or {found.name, str(found.folder)} & set(over.targets):
        changes |= {
            key: value
            for key, value in (
                ("name", over.name),
                ("tags", (over.tag,) if over.tag else ()),
                ("ports", (over.port, *config.ports[1:]) if over.port else ()),
                ("no_cache", "asked for" if over.no_cache else ""),
                ("authorized_keys", over.authorized_keys),
            )
            if value
        }
        if over.staged:
            changes["staged"] = (*config.staged, *over.staged)
            said += [f"staged {each.target}" for each in over.staged]
    if not changes:
        return config
    said += [key for key in changes if key not in ("args", "staged")]
    return replace(config, said=tuple(said), **changes)


def _read_rp(draft: Draft) -> None:
    from backend.projects import rp

    try:
        project = rp.read(draft.found.folder)
        draft.tag = project.tag
    except BerthError as error:
        draft.problems.append(problem_of(error, draft.found.folder / ".rp" / "info.json", draft.name))
    except OSError as error:
        draft.problem(f"cannot be read: {error.strerror}.")


def _read_dockerfile(draft: Draft) -> None:
    file = draft.found.file
    if file is None:
        return
    text = _text(draft, file)
    if text is None:
        return
    try:
        draft.dockerfile = parse(text)
    except DockerfileError as error:
        draft.failed(error)
        return
    draft.variable = stages.base_variable(draft.dockerfile, draft.config.target)
    if draft.kind is Kind.DOCKERFILE and draft.variable:
        stands = draft.variable.lower() in _USUAL or not _has_default(draft.dockerfile, draft.variable)
        draft.kind = Kind.STACK if stands else Kind.DOCKERFILE
    draft.read_stages()
    if draft.config.base and not draft.variable:
        draft.problem(
            "no FROM takes it.",
            "Begin the Dockerfile with: ARG baseimage, FROM ${baseimage}",
            key="base",
        )


def _read_workspace(draft: Draft) -> None:
    """Its Dockerfile is made of its hooks: of it only the base is known."""
    draft.variable = "baseimage"
    draft.dockerfile = parse("ARG baseimage\nFROM ${baseimage}\n")
    draft.read_stages("" if draft.config.base else WORKSPACE_BASE)


def _has_default(dockerfile: Dockerfile, name: str) -> bool:
    """Whether the argument has a value where nobody gives it one."""
    for each in dockerfile.instructions:
        if each.name == "FROM":
            word = each.words[0].text
            if variables.whole(word) == name and variables.plain_names(word) != [name]:
                return True
        elif each.name == "ARG" and any(
            word.text.partition("=")[::2][0] == name and "=" in word.text for word in each.words
        ):
            return True
    return False


def _text(draft: Draft, file: Path) -> str | None:
    try:
        data = _bytes(file)
    except FileNotFoundError:
        draft.problem("is not there.", "A recipe needs a Dockerfile.")
        return None
    except OSError as error:
        draft.problem(f"cannot be read: {error.strerror}.")
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        draft.problems.append(
            Problem(file=file, line=line, text="not UTF-8 text.", hint="Save it as UTF-8.", recipe=draft.name)
        )
        return None


def _bytes(file: Path) -> bytes:
    """As much of a file as a Dockerfile may have, and a little more; a pipe keeps nobody waiting."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        pieces = [os.read(descriptor, _PIECE)]
        while len(pieces[-1]) == _PIECE and len(pieces) * _PIECE <= LIMIT:
            pieces.append(os.read(descriptor, _PIECE))
    finally:
        os.close(descriptor)
    return b"".join(pieces)
